/* SPDX-License-Identifier: Apache-2.0 */
/* The record between its files. Private to the folder. */
#ifndef HOOP_HUB_AUDIT_PRIVATE_H
#define HOOP_HUB_AUDIT_PRIVATE_H

#include "hub/audit/audit.h"

/* Marks that come with an alert. */
#define AUDIT_MARKS_ALERT                                                      \
  (AUDIT_MARK_EDIT | AUDIT_MARK_FORK | AUDIT_MARK_GAP | AUDIT_MARK_FOREIGN |   \
   AUDIT_MARK_SIGNATURE | AUDIT_MARK_KEY | AUDIT_MARK_HEAD)

/* ---- journal.c: where the chain of a journal stands */
typedef struct {
  char journal[33];
  char *machine; /* or NULL */
  char *issuer, *subject, *user;
  bool has_key;
  uint8_t public_key[32], genesis[SHA256_LEN];
  int64_t first_seq;
  bool linked;                    /* its rows say what they follow … */
  uint8_t first_link[SHA256_LEN]; /* … and the first one this */
  /* The row that came last in its order: what comes next follows tip_link. */
  int64_t tip_seq;
  uint8_t tip_hash[SHA256_LEN], tip_link[SHA256_LEN];
  int64_t head_seq;   /* the highest row ever */
  int64_t signed_seq; /* under a checkpoint that was found good; 0 */
  uint8_t signed_hash[SHA256_LEN];
  int64_t rows, since_us, last_us, alerts;
  bool broken;
  bool foreign; /* who sends now is not who the journal is of; not stored */
} Chain;
void chain_state_free(void *chain);
/* False with error; *out NULL: it was never heard of. */
bool chain_load(Db *db, const char *journal, Chain **out, GError **error);
bool chain_store(Db *db, const Chain *chain, GError **error);
/* Another journal that the machine sent before; NULL: none (or the error). */
char *chain_before(Db *db, const char *machine, int64_t *head, GError **error);

/* ---- turn.c: one transaction's rows */
#define TURN_COLUMNS 21
typedef struct {
  Db *db;
  int64_t now_us;
  GHashTable *chains;   /* journal → Chain */
  GPtrArray *alerts;    /* AuditAlert; ids are not set */
  GArray *values;       /* DbValue of rows that wait to be written */
  GPtrArray *texts;     /* that they point to */
  int64_t taken, known; /* of the request at hand */
} Turn;

typedef struct {
  char *issuer, *subject, *user, *machine; /* machine or NULL */
} TurnSender;

/* One request: parsed, then taken. */
typedef struct {
  AuditLogs *logs;
  TurnSender sender;
  int64_t taken, known;
  char *receipt; /* or NULL */
} TurnRequest;

/* Stores them all in one transaction. `alerts` (AuditAlert) gets what was
 * raised. */
bool turn_run(Db *db,
              const SigningKey *key,
              TurnRequest *const *requests,
              unsigned n,
              GPtrArray *alerts,
              GError **error);
/* Writes what waits. */
bool turn_flush(Turn *turn, GError **error);
void audit_alert_free(void *alert);

/* ---- follow.c: a row against its chain */
typedef struct {
  bool known;     /* it is there: nothing is to be stored */
  unsigned marks; /* AuditMark */
  char *key;      /* under which it is kept beside another; NULL: its own */
} Followed;
bool follow(Turn *turn,
            const TurnSender *sender,
            const AuditRow *row,
            Followed *out,
            GError **error);

/* ---- prune.c */
/* Takes rows away that came before; at most a bounded number, *more then. */
bool audit_prune(Db *db,
                 int64_t before_us,
                 int64_t *pruned,
                 bool *more,
                 GError **error);

#endif
