/* SPDX-License-Identifier: Apache-2.0 */
/* How long people took to answer, in all and by rule, for stats and report.
 * Private. */
#ifndef HOOP_CLI_WAITS_H
#define HOOP_CLI_WAITS_H

#include "cli/verb.h"
#include "journal/journal.h"

typedef struct waits Waits;
Waits *waits_new(void);
void waits_free(Waits *waits);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Waits, waits_free)

/* Counts an approval that a person, or nobody in time, answered; what is
 * remembered answered at once, and does not count. Other rows are passed over.
 * Always true: for journal_query(). */
bool waits_row(const JournalEntry *entry, void *waits);

/* How long requests waited, in µs; of n, the middle one, that of which 95 in
 * 100 are not longer, and the longest. */
typedef struct {
  const char *rule; /* NULL: all */
  unsigned n, timeouts;
  int64_t p50_us, p95_us, most_us;
} WaitSpan;
/* All, then by rule, those that were asked for most first; empty when nothing
 * was held. g_array_unref; names are the Waits'. */
GArray *waits_spans(Waits *waits);

#endif
