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
  struct journal_index *index; /* NULL: none, or not looked for */
  char *index_problem;         /* why there is none; or NULL */
  bool index_sought;
};

/* As journal_body(), for what is no evidence: within the same bounds, but not
 * hashed again, which is most of the work. NULL: there is none. */
GBytes *reader_text(JournalReader *reader, const uint8_t digest[SHA256_LEN]);

/* Opens the search index beside the journal, once. */
void reader_find_index(JournalReader *reader);

#endif
