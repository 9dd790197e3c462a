/* SPDX-License-Identifier: Apache-2.0 */
/* The record: one SQLite database, rows chained by SHA-256, written by one
 * thread in group commits; readers open it beside the writer. */
#ifndef HOOP_JOURNAL_H
#define HOOP_JOURNAL_H

#include "kit/digest.h"
#include "kit/loop.h"
#include "kit/secret.h"

#define JOURNAL_ERROR (journal_error_quark())
GQuark journal_error_quark(void);
typedef enum {
  JOURNAL_ERROR_OPEN,    /* cannot be opened, created or migrated */
  JOURNAL_ERROR_LOCKED,  /* another process writes it */
  JOURNAL_ERROR_FULL,    /* no space, or max-size met */
  JOURNAL_ERROR_WRITE,   /* any other failure to store */
  JOURNAL_ERROR_CORRUPT, /* not what was written */
  JOURNAL_ERROR_QUEUE,   /* more rows wait than memory may hold */
  JOURNAL_ERROR_NOT_FOUND
} JournalErrorCode;

typedef enum { DURABILITY_FULL, DURABILITY_GROUPED } Durability;

/* What a row records. */
typedef enum {
  ROW_START, /* the agent started: version, configuration, policy */
  ROW_STOP,
  ROW_REQUEST,  /* identified, inspected, judged; forwarded only after this */
  ROW_RESPONSE, /* its end, before the client's last byte */
  ROW_APPROVAL, /* an answer (or none) to a held request */
  ROW_TOOL,     /* a judged tool call of an answer */
  ROW_TUNNEL,   /* a blind tunnel opened, refused or ended */
  ROW_REFUSED,  /* turned away before it was an exchange: peer, Host, framing */
  ROW_POLICY,   /* a policy loaded or refused */
  ROW_PAUSE,    /* paused or resumed */
  ROW_ERROR,
  N_ROW_KINDS
} RowKind;
const char *row_kind_name(RowKind kind);

/* A row before it is stored. Strings may be NULL; integers are -1 when they
 * do not apply. Text fields that come from outside are bounded by the journal
 * (cut at a documented length, marked as cut). */
typedef struct {
  RowKind kind;
  int64_t wall_us;
  char *exchange; /* id of the exchange it belongs to: 26 characters */
  char *user;
  char *groups; /* comma separated */
  char *issuer; /* "local" in solo mode */
  char *client; /* token's client name, or executable */
  int64_t pid;
  char *process; /* executable and parents, " < " between */
  char *connection;
  char *host;
  char *method;
  char *path; /* without query */
  char *api;
  char *model;
  char *conversation;
  char *verdict; /* action name, or how it ended: "interrupted" … */
  char *rule;    /* the rule named as reason */
  char *detail;  /* JSON object: verdict, findings, approval, error … */
  char *policy_revision;
  int64_t status; /* HTTP status given to the client */
  int64_t bytes_in, bytes_out;
  int64_t tokens_in, tokens_out;
  int64_t duration_us;
  GBytes *body; /* masked; NULL: none; stored compressed, deduplicated */
} JournalRow;

JournalRow *journal_row_new(RowKind kind);
void journal_row_free(JournalRow *row);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(JournalRow, journal_row_free)

/* ---- Writing ------------------------------------------------------------ */

typedef struct journal Journal;

typedef struct {
  const char *path; /* journal.db; its folder is made 0700 */
  Durability durability;
  bool bodies;              /* false: digests only */
  size_t max_recorded_body; /* longer bodies are cut, their digest is whole */
  uint64_t max_size;        /* bytes of the database; 0: no limit */
  size_t max_queued;        /* bytes of rows that wait */
} JournalOptions;

/* Opens or creates, migrates, closes requests without a response row as
 * `interrupted`, starts the writer thread. The signing key lies beside the
 * database (0600). */
Journal *journal_open(const JournalOptions *options, GError **error);
/* Stores what waits, writes a checkpoint, joins the writer. Accepts NULL. */
void journal_close(Journal *journal);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Journal, journal_close)

/* Called on reply_loop's thread when the row is as durable as the options ask
 * (error NULL), or when it could not be stored. */
typedef void (*JournalDone)(const GError *error, void *data);
/* Takes the row and queues it. Rows of one thread keep their order. done may
 * be NULL (start, stop, tunnels' ends …): failures then show in
 * journal_health(). Any thread. Never blocks on the disk. */
void journal_append(Journal *journal,
                    JournalRow *row,
                    Loop *reply_loop,
                    JournalDone done,
                    void *data);

/* NULL while the last commit succeeded; otherwise why rows are refused. A
 * failed journal tries again by itself once a second. g_free. Any thread. */
char *journal_health(Journal *journal);

/* A fresh exchange id: 26 characters of base32 (time-ordered, 128 bits). */
char *journal_new_id(void);

/* ---- Reading ------------------------------------------------------------ */

typedef struct journal_reader JournalReader;
/* Opens read-only, beside a running writer or without one. */
JournalReader *journal_reader_open(const char *path, GError **error);
void journal_reader_free(JournalReader *reader);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(JournalReader, journal_reader_free)

/* Filters; NULL or 0: not asked. */
typedef struct {
  const char *exchange;
  const char *user, *client, *model, *rule, *verdict, *connection;
  int64_t since_us, until_us;
  int kind;       /* RowKind or -1 */
  unsigned limit; /* newest first; 0: all */
} JournalQuery;

/* A stored row: what was given, and its place in the chain. */
typedef struct {
  int64_t seq;
  uint8_t hash[SHA256_LEN];
  uint8_t body_digest[SHA256_LEN]; /* of the whole masked body */
  bool has_body;                   /* stored and not pruned */
  JournalRow *row;                 /* body not loaded */
} JournalEntry;

/* Calls each(entry) per row; return false there to stop. */
bool journal_query(JournalReader *reader,
                   const JournalQuery *query,
                   bool (*each)(const JournalEntry *entry, void *data),
                   void *data,
                   GError **error);
/* The masked body behind a digest. */
GBytes *journal_body(JournalReader *reader,
                     const uint8_t digest[SHA256_LEN],
                     GError **error);

typedef struct {
  bool intact;
  int64_t rows, checkpoints;
  int64_t first_bad_seq; /* 0 when intact */
  char *reason;          /* what is wrong, in a sentence; NULL when intact */
  uint8_t head[SHA256_LEN];
  int64_t head_seq;
} JournalVerification;
void journal_verification_clear(JournalVerification *verification);
/* Recomputes the whole chain and checks checkpoints' signatures. `head` (may
 * be NULL): a "SEQ:HEXHASH" held elsewhere that must be found in the chain.
 * progress(done, total) may be NULL. False only when it cannot be read. */
bool journal_verify(JournalReader *reader,
                    const char *head,
                    void (*progress)(int64_t done, int64_t total, void *data),
                    void *data,
                    JournalVerification *out,
                    GError **error);

#endif
