/* SPDX-License-Identifier: Apache-2.0 */
/* The record: one SQLite database, rows chained by SHA-256, written by one
 * thread in group commits; readers open it beside the writer. */
#ifndef HOOP_JOURNAL_H
#define HOOP_JOURNAL_H

#include "kit/digest.h"
#include "kit/loop.h"

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

/* What a row records; stored by its name. */
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
  ROW_SIGNIN, /* signed in, renewed or signed out */
  ROW_PRUNE,  /* retention took rows or bodies away: hoop-journal(5) */
  ROW_SHIP,   /* of shipping itself: a row set aside, another receiver … */
  N_ROW_KINDS
} RowKind;
/* The name it is stored under, e.g. "request". */
const char *row_kind_name(RowKind kind);

/* A row before it is stored. Strings may be NULL; integers are -1 when they
 * do not apply. Text fields that come from outside are bounded by the journal:
 * cut at the lengths of hoop-journal(5), marked as cut; what is not UTF-8
 * becomes U+FFFD. */
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
  int64_t first_byte_us; /* until the answer's first byte */
  int64_t held_us;       /* that it waited for approval */
  GBytes *body; /* masked; NULL: none; stored compressed, deduplicated */
  /* What `body` was before masking; sealed with JournalOptions.escrow_key,
   * never stored without. NULL: as `body`, or not kept. */
  GBytes *original;
} JournalRow;

/* wall_us is now, every other integer -1, every string NULL. */
JournalRow *journal_row_new(RowKind kind);
/* Accepts NULL. */
void journal_row_free(JournalRow *row);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(JournalRow, journal_row_free)

/* ---- Writing ------------------------------------------------------------ */

typedef struct journal Journal;

/* X25519 (RFC 7748). */
#define ESCROW_KEY_LEN 32
/* The organisation's public key from a PEM file (RFC 8410). Errors:
 * JOURNAL_ERROR_OPEN, or those of the file. */
bool journal_escrow_key(const char *path,
                        uint8_t out[ESCROW_KEY_LEN],
                        GError **error);

/* How long rows stay. */
typedef struct {
  int64_t retain_us; /* older ones are taken away; 0: none ever is */
  uint64_t max_size; /* bytes of the database; 0: no limit. When it comes near,
                      * the oldest rows go (retain_us > 0), or rows are refused
                      * at it */
  const char *ship_to; /* receiver that must have had a row before it goes;
                        * NULL: nothing is shipped */
} JournalRetention;

typedef struct {
  const char *path; /* journal.db; its folder is made 0700 */
  Durability durability;
  bool bodies;              /* false: digests only */
  size_t max_recorded_body; /* longer bodies are cut, their digest is whole;
                             * 0: only at 64 MiB */
  JournalRetention keep;
  size_t max_queued; /* bytes of rows that wait */
  bool escrow;       /* seal JournalRow.original to … */
  uint8_t escrow_key[ESCROW_KEY_LEN];
  /* A journal that cannot be opened (no space, damage, a lost mount) is tried
   * again like one that failed later: journal_open() then fails only when
   * another process writes it. */
  bool keep_trying;
  bool search; /* keep the search index beside it */
} JournalOptions;

/* Opens or creates PATH, migrates it, closes requests without a response row
 * as `interrupted`, starts the writer thread. Beside it lie PATH.key (the
 * signing key, 0600), PATH.lock (held by the one writer) and SQLite's PATH-wal
 * and PATH-shm. Blocks on the disk. Errors: JOURNAL_ERROR_LOCKED names the
 * other process; JOURNAL_ERROR_CORRUPT says what to move aside (nothing is
 * ever deleted); _OPEN, _FULL, _WRITE. `options` is copied. */
Journal *journal_open(const JournalOptions *options, GError **error);
/* Stores what waits, writes a checkpoint, joins the writer. All answers are
 * posted when it returns: run their loops once more. Accepts NULL. */
void journal_close(Journal *journal);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Journal, journal_close)

/* Called on reply_loop's thread when the row is as durable as the options ask
 * (error NULL), or when it could not be stored:
 * DURABILITY_FULL: after the fsync of the group commit that holds the row.
 * DURABILITY_GROUPED: after that commit reached the operating system; the disk
 * has it within 100 ms. A killed agent loses nothing, a power cut may lose
 * those 100 ms. */
typedef void (*JournalDone)(const GError *error, void *data);
/* Takes the row and queues it. Rows of one thread keep their order. done may
 * be NULL (start, stop, tunnels' ends …; reply_loop is then not used):
 * failures show in journal_health() and, once rows can be stored again, in an
 * error row that counts them. Beyond max_queued done gets JOURNAL_ERROR_QUEUE;
 * while the journal has failed, every row gets that failure. done is never
 * called from inside. reply_loop must outlive the answer. Any thread. Never
 * blocks on the disk. */
void journal_append(Journal *journal,
                    JournalRow *row,
                    Loop *reply_loop,
                    JournalDone done,
                    void *data);

/* The same, for who appends many rows in a row: a few rows may wait until
 * journal_wake(), to be stored in one group. */
void journal_append_later(Journal *journal,
                          JournalRow *row,
                          Loop *reply_loop,
                          JournalDone done,
                          void *data);
void journal_wake(Journal *journal);

/* NULL while the last commit succeeded; otherwise why rows are refused, in a
 * sentence for the user. A failed journal tries again by itself once a second;
 * it recovers only into the same journal, never into an empty one. g_free. Any
 * thread. */
char *journal_health(Journal *journal);

/* True when originals are sealed: rows may then carry them. Any thread. */
bool journal_seals(const Journal *journal);

/* What retention took away, or would. */
typedef struct {
  int64_t rows, bodies;
  int64_t through_seq; /* the newest row that went; 0: none */
  bool by_size;        /* max-size asked for it, not age */
  uint64_t used;       /* of a plan: bytes that the journal has in use, and */
  uint64_t beside;     /* of the files beside it: both count to max-size */
} JournalPruned;
typedef void (*JournalPrunedDone)(const JournalPruned *pruned,
                                  const GError *error,
                                  void *data);
/* Takes away now what JournalOptions.keep says (which the writer does by
 * itself once an hour, and when max-size comes near), between the groups of
 * rows. done is called on reply_loop's thread when all of it is gone, or with
 * the error; that loop must outlive the answer. Any thread. */
void journal_prune(Journal *journal,
                   Loop *reply_loop,
                   JournalPrunedDone done,
                   void *data);

/* ---- What shipping keeps in the journal -----------------------------------
 */

/* What became of rows at a receiver; whatever is 0 or NULL stays as it is. */
typedef struct {
  const char *receiver;   /* its name: the endpoint */
  int64_t seq;            /* all rows up to this one were dealt with */
  int64_t checkpoint_seq; /* so were all checkpoints */
  int64_t bad_seq;        /* a row that it will not take, and why; the row is
                           * set aside and must be passed by `seq` later */
  const char *bad_reason;
  int64_t receipt_seq; /* a head that it confirmed to hold … */
  const uint8_t *receipt_hash;
  const char *receipt; /* … in its own words */
} JournalShipped;
/* Stores that, as durably as a row; copies all of `shipped`. A cursor only
 * moves forward. done, reply_loop, errors, threads: as journal_append(). */
void journal_shipped(Journal *journal,
                     const JournalShipped *shipped,
                     Loop *reply_loop,
                     JournalDone done,
                     void *data);
/* The newest row that a power loss cannot take away any more: what may leave
 * the machine. 0: none. Any thread. */
int64_t journal_durable_seq(Journal *journal);

/* A fresh exchange id: 26 characters of base32hex (RFC 4648 section 7, lower
 * case): 64 bits of time in nanoseconds, 64 of chance. Ids of one process
 * sort in the order of the calls. g_free. Any thread. */
char *journal_new_id(void);

/* ---- Reading ------------------------------------------------------------ */

typedef struct journal_reader JournalReader;
/* Opens read-only, beside a running writer or without one. */
JournalReader *journal_reader_open(const char *path, GError **error);
void journal_reader_free(JournalReader *reader);
/* Who this journal is: 32 hex digits and a NUL. */
bool journal_reader_id(JournalReader *reader, char out[33], GError **error);
/* The path that it was opened with; the reader's. */
const char *journal_reader_path(const JournalReader *reader);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(JournalReader, journal_reader_free)

/* Filters; NULL or 0: not asked. */
typedef struct {
  const char *exchange; /* an id or its beginning */
  const char *user, *client, *model, *rule, *verdict, *connection;
  const char *group;   /* one of the row's groups */
  const char *process; /* a program of the client's process chain: its path,
                        * or the last name of it */
  const char *api, *conversation;
  int64_t since_us, until_us; /* until is not included */
  int64_t after_seq;          /* later rows than this one */
  int kind;                   /* RowKind or -1 */
  unsigned limit;             /* 0: all */
  bool oldest_first;          /* else the newest */
} JournalQuery;

/* A stored row: what was given, and its place in the chain. */
typedef struct {
  int64_t seq;
  uint8_t hash[SHA256_LEN];
  uint8_t body_digest[SHA256_LEN]; /* of the whole masked body */
  int64_t body_len;                /* of the whole; -1: there was none */
  int64_t kept_len;                /* stored of it; -1: only the digest */
  bool has_body;                   /* stored and not pruned */
  uint64_t cut;                    /* bit n: field n of hoop-journal(5) was
                                    * longer than the journal records */
  bool sealed;                     /* the original is there, sealed */
  bool cut_body;                   /* less than the whole was kept … */
  uint8_t kept_digest[SHA256_LEN]; /* … with this digest */
  uint8_t sealed_digest[SHA256_LEN];
  JournalRow *row; /* body not loaded */
} JournalEntry;

/* Calls each(entry) per row; return false there to stop. */
bool journal_query(JournalReader *reader,
                   const JournalQuery *query,
                   bool (*each)(const JournalEntry *entry, void *data),
                   void *data,
                   GError **error);
/* What the search index beside the journal (its path and `.search`) has. It is
 * made by the agent while nothing else is to do, from the journal alone; rows
 * that it has not yet are read one by one, so that answers are complete and
 * only take longer. */
typedef struct {
  bool present;
  const char *problem; /* why not; the reader's */
  int64_t behind;      /* rows that it has not yet */
} JournalIndexState;
bool journal_index_state(JournalReader *reader,
                         JournalIndexState *state,
                         GError **error);
/* Brings the index of a journal that no agent writes up to date (what
 * retention took away is taken out of it, too). progress() may be NULL. */
bool journal_index_update(const char *path,
                          void (*progress)(int64_t done,
                                           int64_t total,
                                           void *data),
                          void *data,
                          GError **error);

/* A place where a search found what it looked for. */
typedef struct {
  const char *role;    /* "system", "user", "assistant", "tool", "other" */
  const char *snippet; /* of the masked text, in one line; UTF-8 */
  unsigned n_marks;    /* hits in it */
  const struct {
    unsigned start, end; /* bytes of the snippet */
  } * marks;
} JournalHit;
/* Calls each() for the rows in whose masked bodies, as decoded text, all words
 * of `text` stand; a text that is sent again as history counts where it was
 * said first. "several words" in quotes stand together, word* is the beginning
 * of a word, -word must not be there. Case and accents do not count.
 * JOURNAL_ERROR_NOT_FOUND: there is no word in it. Otherwise as
 * journal_query(). */
bool journal_search(JournalReader *reader,
                    const char *text,
                    const JournalQuery *query,
                    bool (*each)(const JournalEntry *entry,
                                 const JournalHit *hit,
                                 void *data),
                    void *data,
                    GError **error);

/* How often, and how much, in an hour or a day (UTC). */
typedef struct {
  int64_t begin_us, span_us;
  RowKind kind;
  const char *user, *model, *verdict;    /* or NULL */
  const char *client, *connection, *api; /* of hours; of days NULL */
  const char *rule;   /* not NULL: rows whose verdict names this rule as one */
  const char *action; /* that matched, and what it does; n alone counts then */
  bool shadow;        /* it only tells what it would do */
  int64_t n, bytes_in, bytes_out, tokens_in, tokens_out, duration_us;
  int64_t first_us, last_us;
} JournalCount;
/* Calls each() for counts of the rows that query's user, client, connection,
 * model, api, since_us and until_us ask for (nothing else of it is asked), in
 * no order; there may be several of the same hour and names. */
bool journal_counts(JournalReader *reader,
                    const JournalQuery *query,
                    void (*each)(const JournalCount *count, void *data),
                    void *data,
                    GError **error);

/* One request that was forwarded, and what its answer said it used. */
typedef struct {
  int64_t wall_us;
  const char *user, *connection, *api, *model; /* or NULL */
  const char *issuer, *sub;      /* of the user's sign-in; or NULL */
  int64_t bytes;                 /* of its decoded body */
  int64_t tokens_in, tokens_out; /* -1: not told */
  int64_t answer_bytes;          /* -1: it has no answer */
} JournalUse;
/* Calls each(use) for the requests of [since_us, until_us) that were not
 * refused, oldest first. Errors as journal_query(). */
bool journal_usage(JournalReader *reader,
                   int64_t since_us,
                   int64_t until_us,
                   void (*each)(const JournalUse *use, void *data),
                   void *data,
                   GError **error);
/* The masked body behind a digest (what was kept of it), checked against what
 * was recorded; JOURNAL_ERROR_NOT_FOUND when none is stored. */
GBytes *journal_body(JournalReader *reader,
                     const uint8_t digest[SHA256_LEN],
                     GError **error);

/* The original of row `seq`, opened with the private key in a PEM file; one
 * that masking did not change is the body itself, and JOURNAL_ERROR_NOT_FOUND.
 * JOURNAL_ERROR_OPEN for the wrong key, _CORRUPT for what was altered. */
GBytes *journal_unseal(JournalReader *reader,
                       int64_t seq,
                       const char *key_path,
                       GError **error);
/* What journal_prune() would take away; for size, about. */
bool journal_prune_plan(JournalReader *reader,
                        const JournalRetention *keep,
                        JournalPruned *out,
                        GError **error);
/* Where shipping to a receiver stands; all 0 when nothing was shipped there. */
typedef struct {
  int64_t seq, checkpoint_seq;
  int64_t wall_us;     /* of the last progress */
  int64_t quarantined; /* rows set aside */
} JournalCursor;
bool journal_cursor(JournalReader *reader,
                    const char *receiver,
                    JournalCursor *out,
                    GError **error);
/* A signed checkpoint; the message that was signed is in hoop-journal(5). */
typedef struct {
  int64_t seq, wall_us;
  uint8_t hash[SHA256_LEN];
  uint8_t public_key[32];
  uint8_t signature[64];
} JournalCheckpoint;
/* The checkpoints after that of row `after_seq`, oldest first; return false
 * in each() to stop. */
bool journal_checkpoints(JournalReader *reader,
                         int64_t after_seq,
                         bool (*each)(const JournalCheckpoint *checkpoint,
                                      void *data),
                         void *data,
                         GError **error);
/* Rows that a receiver would not take, oldest first. */
bool journal_quarantined(
    JournalReader *reader,
    const char *receiver,
    void (*each)(int64_t seq, int64_t wall_us, const char *reason, void *data),
    void *data,
    GError **error);
/* ---- Evidence --------------------------------------------------------------
 * The chain of hoop-journal(5) for whoever has rows and checkpoints of a
 * journal, but not the journal. Any thread. */

/* What the first row follows; binds the chain to the journal's id and key. */
void journal_genesis(const uint8_t id[16],
                     const uint8_t public_key[32],
                     int64_t created_us,
                     uint8_t out[SHA256_LEN]);
/* Whether the key that the checkpoint names signed it. */
bool journal_checkpoint_signed(const uint8_t genesis[SHA256_LEN],
                               const JournalCheckpoint *checkpoint);
/* What the row behind a checkpoint follows. */
void journal_checkpoint_link(const uint8_t genesis[SHA256_LEN],
                             const JournalCheckpoint *checkpoint,
                             uint8_t out[SHA256_LEN]);
/* The hash of a row that follows `link`; of the entry everything but hash,
 * has_body and the row's body is looked at. */
void journal_row_hash(const JournalEntry *entry,
                      const uint8_t link[SHA256_LEN],
                      uint8_t out[SHA256_LEN]);
/* The kind of that name; false: none is called so. */
bool journal_row_kind(const char *name, RowKind *out);
/* Texts that are there, but empty: bit n is field n of hoop-journal(5). */
uint64_t journal_row_empty(const JournalRow *row);
/* Makes those that are not there, of these fields, empty ones. */
void journal_row_set_empty(JournalRow *row, uint64_t empty);

typedef struct {
  int64_t created_us;
  uint8_t genesis[SHA256_LEN];
} JournalOrigin;
bool journal_origin(JournalReader *reader, JournalOrigin *out, GError **error);
/* What row `seq` + 1 follows. JOURNAL_ERROR_NOT_FOUND: neither row nor
 * checkpoint `seq` is there. */
bool journal_link(JournalReader *reader,
                  const JournalOrigin *origin,
                  int64_t seq,
                  uint8_t out[SHA256_LEN],
                  GError **error);

/* The newest row and its hash: "SEQ:HEXHASH", to be held elsewhere. g_free.
 * JOURNAL_ERROR_NOT_FOUND while there is none. */
char *journal_head(JournalReader *reader, GError **error);

typedef struct {
  bool intact;
  int64_t rows, checkpoints;
  int64_t first_seq;     /* the oldest row that retention left; 0: none */
  int64_t signed_seq;    /* the last row under a checkpoint; 0: none */
  int64_t first_bad_seq; /* 0 when intact */
  char *reason;          /* what is wrong, in a sentence; NULL when intact */
  char *bad_kind;        /* of that row, as it now is; NULL: it is not there */
  char *bad_exchange;    /* or NULL */
  int64_t bad_wall_us;   /* 0: not known */
  uint8_t head[SHA256_LEN];
  int64_t head_seq;
  int64_t receipts;    /* receivers' receipts with a good signature */
  int64_t receipt_seq; /* the newest row that one by the receiver's key
                        * confirms; 0: none, or the key is not known */
  int64_t receipt_us;  /* when that was signed */
} JournalVerification;

/* What is known from elsewhere; all may be NULL. */
typedef struct {
  const char *head;            /* "SEQ:HEXHASH": must be found in the chain */
  const uint8_t *receiver_key; /* 32 bytes: the only key whose receipts count;
                                * NULL: that which each of them names, so that
                                * alterations are found, but no forgeries */
  const char *const *receipts; /* receipts (hoop-hub(7)) from the receiver, one
                                * JSON object each; they need the key */
} JournalWitness;
void journal_verification_clear(JournalVerification *verification);
/* Recomputes the whole chain, checks checkpoints' signatures and the receipts
 * of receivers, and that all that the witness (may be NULL) speaks of is there.
 * progress(done, total) may be NULL. False only when it cannot be read, or the
 * witness is none. */
bool journal_verify(JournalReader *reader,
                    const JournalWitness *witness,
                    void (*progress)(int64_t done, int64_t total, void *data),
                    void *data,
                    JournalVerification *out,
                    GError **error);

#endif
