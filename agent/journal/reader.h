/* SPDX-License-Identifier: Apache-2.0 */
/* What the readers share: a read-only connection. Private to the room. */
#ifndef HOOP_JOURNAL_READER_H
#define HOOP_JOURNAL_READER_H

#include "journal/schema.h"

struct journal_reader {
  char *path;
  sqlite3 *db;
  int64_t version;   /* of its schema: an older one is read as it is */
  WorkBudget budget; /* of the query or verification that runs */
};

#endif
