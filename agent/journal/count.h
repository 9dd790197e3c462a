/* SPDX-License-Identifier: Apache-2.0 */
/* What a row adds to the counts by hour. Private to the room. */
#ifndef HOOP_JOURNAL_COUNT_H
#define HOOP_JOURNAL_COUNT_H

#include "journal/journal.h"

#define HOUR_US (INT64_C(3600) * 1000 * 1000)

/* Calls each() for the row itself, then for each rule that matched. */
void count_row(const JournalRow *row,
               void (*each)(const JournalCount *count, void *data),
               void *data);

#endif
