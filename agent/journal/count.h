/* SPDX-License-Identifier: Apache-2.0 */
/* What a row adds to the counts by hour and by day. Private to the room. */
#ifndef HOOP_JOURNAL_COUNT_H
#define HOOP_JOURNAL_COUNT_H

#include "journal/journal.h"

#define HOUR_US (INT64_C(3600) * 1000 * 1000)
#define DAY_US (24 * HOUR_US)

/* The beginning of the hour, or the day (UTC), that `us` is in. */
int64_t count_begin(int64_t us, int64_t span_us);

/* Calls each() for the row itself, then for each rule that matched. */
void count_row(const JournalRow *row,
               void (*each)(const JournalCount *count, void *data),
               void *data);

#endif
