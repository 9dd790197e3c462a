/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a verification, for the files that make it up. Private to
 * them. */
#ifndef HOOP_JOURNAL_VERIFY_STATE_H
#define HOOP_JOURNAL_VERIFY_STATE_H

#include "journal/reader.h"

typedef struct {
  JournalReader *reader;
  JournalVerification *out;
  void (*progress)(int64_t done, int64_t total, void *data);
  void *data;
  int64_t done, total;
  JournalMeta meta;
  GByteArray *encoded;
  uint8_t link[SHA256_LEN]; /* what the next row must follow */
  int64_t rows_through;     /* what retention says that it took away */
  int64_t bodies_through;
  sqlite3_stmt *checkpoints;
  Checkpoint next; /* the next checkpoint; seq 0 when there is none */
  int64_t last_checkpoint;
  sqlite3_stmt *find_body, *find_namer, *find_part;
  GHashTable *parts;  /* id to the newest row that uses it: int64_t both */
  GHashTable *shared; /* the same of what rows share */
  int64_t head_seq;   /* the head held elsewhere; 0: none */
  uint8_t head_hash[SHA256_LEN];
  bool head_found;
  const uint8_t *receiver_key; /* or NULL: not known */
  const char *const *receipts; /* held elsewhere, or NULL */
} Verifier;

/* Notes the first thing that is not what was written: always false, so that
 * callers stop. */
bool verify_bad(Verifier *verifier, int64_t seq, const char *format, ...)
    G_GNUC_PRINTF(3, 4);
/* A read failed: damage is a finding, anything else is an error. */
bool verify_unreadable(Verifier *verifier, int64_t seq, GError **error);
/* One row or body more. */
void verify_advance(Verifier *verifier);

/* Bodies and their parts. */
bool verify_bodies(Verifier *verifier, GError **error);
/* What rows share: first each row's use of it is noted, then all is checked. */
void verify_note_shared(Verifier *verifier, sqlite3_stmt *row, int64_t seq);
bool verify_shared(Verifier *verifier, GError **error);
/* Sealed originals. */
bool verify_kept(Verifier *verifier, GError **error);
/* What receivers hold. */
bool verify_receipts(Verifier *verifier, GError **error);

#endif
