/* SPDX-License-Identifier: Apache-2.0 */
/* What journal report tells, counted from the rows themselves. Private. */
#ifndef HOOP_CLI_AUDIT_H
#define HOOP_CLI_AUDIT_H

#include "cli/verb.h"
#include "cli/waits.h"
#include "journal/journal.h"

/* How often a name came up. */
typedef struct {
  char *name;
  uint64_t count, blocked, masked;
  int64_t tokens; /* in and out */
} AuditLine;

typedef struct {
  uint64_t allowed, masked, asked, blocked;
} AuditDay;

/* One line of a table. */
typedef struct {
  int64_t wall_us;
  char *what, *who, *how, *why; /* or NULL */
} AuditEvent;

typedef struct {
  uint64_t requests, answers, tools, tunnels, refused, errors;
  uint64_t verdicts_masked, verdicts_blocked, verdicts_asked;
  uint64_t approved, denied;
  int64_t bytes_in, bytes_out, tokens_in, tokens_out;
  int64_t first_us, last_us, first_seq, last_seq;
  GHashTable *rules, *users, *models, *clients; /* name → AuditLine */
  GHashTable *why_refused;                      /* name → AuditLine */
  GHashTable *days; /* GINT_TO_POINTER(Julian day, local) → AuditDay */
  Waits *waits;     /* how long approvals took */
  GPtrArray *approvals, *refusals, *signins, *pauses, *gaps; /* AuditEvent */
  unsigned n_approvals, n_refusals, n_signins, n_pauses, n_gaps;
  JournalVerification verified;
  char *verify_error; /* why it could not be verified; or NULL */
  int64_t made_us;
  char *path;
  const char *head; /* what was held elsewhere, as it was given; or NULL */
} Audit;

Audit *audit_new(void);
void audit_free(Audit *audit);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Audit, audit_free)

/* Counts one row; rows come oldest first. For journal_query(). */
bool audit_row(const JournalEntry *entry, void *audit);
/* The names of a table, the most frequent first; g_ptr_array_unref. */
GPtrArray *audit_sorted(GHashTable *lines);

/* The whole page. */
void audit_html(const Audit *audit, GString *out);
/* The timeline as SVG. */
void audit_timeline(const Audit *audit, GString *out);
/* Text into HTML: nothing of it is markup, what is not seen is shown. */
void html_text(GString *out, const char *text);

#endif
