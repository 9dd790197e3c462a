/* SPDX-License-Identifier: Apache-2.0 */
/* The record of all agents at the hub: taken in, checked against each agent's
 * chain, searched, forwarded, kept for a while. */
#ifndef HOOP_HUB_AUDIT_H
#define HOOP_HUB_AUDIT_H

#include "hub/audit/logs.h"
#include "hub/store/db.h"
#include "kit/loop.h"
#include "kit/signing.h"

/* ---- What is stored --------------------------------------------------------
 */

/* What is wrong with a row; it is kept all the same. */
typedef enum {
  AUDIT_MARK_EDIT = 1 << 0,      /* it is not what its hash covers */
  AUDIT_MARK_FORK = 1 << 1,      /* it does not follow what is held */
  AUDIT_MARK_GAP = 1 << 2,       /* rows before it did not come */
  AUDIT_MARK_LATE = 1 << 3,      /* it came behind later ones; no alert */
  AUDIT_MARK_FOREIGN = 1 << 4,   /* sent by somebody else than its journal */
  AUDIT_MARK_SIGNATURE = 1 << 5, /* a checkpoint that its key did not sign */
  AUDIT_MARK_KEY = 1 << 6,       /* signed with another key than before */
  AUDIT_MARK_HEAD = 1 << 7,      /* a checkpoint of another row */
  AUDIT_MARK_PARTIAL = 1 << 8    /* does not hold all that its hash covers; no
                                    alert */
} AuditMark;
/* The names of marks, "edit" …; g_free (the array alone). */
const char **audit_mark_names(unsigned marks);

/* A row as it is found. Texts may be NULL where that is said. */
typedef struct {
  int64_t id; /* grows in the order in which rows were stored */
  char *key;
  char *journal;                       /* NULL: of no agent */
  int64_t seq;                         /* of the journal; 0 */
  int64_t at_us, received_us;          /* when it happened, when it came */
  int64_t severity;                    /* of OpenTelemetry; 0: not told */
  char *kind, *event, *trace, *said;   /* or NULL */
  char *machine;                       /* NULL: not sent by a machine */
  char *sender;                        /* who sent it */
  char *user, *rule, *verdict, *model; /* or NULL */
  unsigned marks;
  char *attributes; /* JSON object of names and values */
  char *resource;   /* the same, of the sending program */
} AuditFound;

/* What is asked for; NULL or 0: anything. */
typedef struct {
  const char *user, *machine, *journal, *kind, *rule, *verdict, *model;
  const char *text;           /* stands in the sentence or an attribute; case of
                               * ASCII letters does not count */
  int64_t since_us, until_us; /* of at_us; until is not included */
  bool marked;                /* only rows with marks that raise alerts */
  int64_t before;             /* rows with smaller ids: the `next` of a page */
  unsigned limit;             /* 0: AUDIT_PAGE; at most AUDIT_MAX_PAGE */
} AuditQuery;
#define AUDIT_PAGE 50
#define AUDIT_MAX_PAGE 1000

/* Newest first. A page looks at a bounded number of rows, and may hold fewer
 * than asked for, or none, although more are to come. */
typedef struct {
  GPtrArray *rows; /* AuditFound */
  int64_t next;    /* `before` of the next page; 0: this was the last */
} AuditPage;
void audit_page_free(AuditPage *page);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AuditPage, audit_page_free)

typedef struct {
  int64_t id, at_us;
  char *kind; /* edit, fork, gap, foreign, machine, signature, key, head,
                 journal */
  char *journal;
  int64_t seq;          /* the first row that it is about */
  int64_t rows;         /* so many at once */
  char *machine, *user; /* whose journal it is; machine may be NULL */
  char *detail;         /* a sentence */
} AuditAlert;

/* A journal, and where its chain stands. */
typedef struct {
  char *journal, *machine /* or NULL */, *user;
  int64_t head_seq, signed_seq, rows, since_us, last_us, alerts;
  bool broken; /* no receipts are signed for it any more */
} AuditJournal;

/* ---- Reading: any thread that has a Db -------------------------------------
 */

AuditPage *audit_find(Db *db, const AuditQuery *query, GError **error);
/* Newest first, with smaller ids than `before` (0: all); AuditAlert. */
GPtrArray *audit_alerts(Db *db, int64_t before, unsigned limit, GError **error);
/* Those that were heard of last first; AuditJournal. */
GPtrArray *audit_journals(Db *db, unsigned limit, GError **error);

/* One JSON object for each; appended. */
void audit_put_row(GString *out, const AuditFound *row);
void audit_put_alert(GString *out, const AuditAlert *alert);
void audit_put_journal(GString *out, const AuditJournal *journal);
/* A line of CSV (RFC 4180), and the one of names above it. */
void audit_put_csv(GString *out, const AuditFound *row);
void audit_put_csv_names(GString *out);

/* Computes the chains of all journals (or one) anew from what is stored.
 * each() is told of every fault. False: the database failed. */
typedef struct {
  int64_t journals, rows, checkpoints, faults;
} AuditVerified;
bool audit_verify(Db *db,
                  const char *journal,
                  void (*each)(const char *journal,
                               int64_t seq,
                               const char *fault,
                               void *data),
                  void *data,
                  AuditVerified *out,
                  GError **error);

/* Opens the record: as db_open_with() has it; its tables are brought to this
 * version. */
Db *audit_open(const char *where, const char *password_file, GError **error);

/* ---- In the hub: the loop's thread -----------------------------------------
 */

typedef struct {
  const char *where, *password_file; /* for db_open_with() */
  const SigningKey *key;
  unsigned retain_days; /* 0: for good */
} AuditOptions;

typedef struct audit Audit;

/* Threads of its own parse, store and read; options are copied, the key
 * outlives it. */
Audit *audit_new(Loop *loop, const AuditOptions *options, GError **error);
/* What waits is dropped, and done not called; run the loop once more. Accepts
 * NULL. */
void audit_free(Audit *audit);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Audit, audit_free)

/* Who sends. */
typedef struct {
  const char *issuer, *subject, *user;
  const char *machine; /* its id; NULL: a client with the role */
} AuditSender;

/* What became of a request. */
typedef struct {
  int64_t taken, known; /* stored; there before */
  int64_t rejected;
  const char *why;     /* of the first that was rejected; or NULL */
  const char *receipt; /* signed, as JSON; or NULL */
} AuditAnswer;

typedef struct audit_post AuditPost;
/* Takes a request's body. done() comes once, never from inside, when all of it
 * is on disk; or with AUDIT_ERROR. NULL: too much waits (AUDIT_ERROR_BUSY). */
AuditPost *audit_post(Audit *audit,
                      GBytes *body,
                      bool gzip,
                      const AuditSender *sender,
                      void (*done)(const AuditAnswer *answer,
                                   const GError *error,
                                   void *data),
                      void *data);
/* done() is not called any more; the rows may be stored all the same. */
void audit_post_cancel(AuditPost *post);

typedef struct audit_read AuditRead;
/* Runs read(db, data) on the reading thread, then done() on the loop. Where it
 * is cancelled, or the room freed, free_data() is all that is called (perhaps
 * later). NULL: too many wait; nothing was taken. */
AuditRead *audit_read(Audit *audit,
                      bool (*read)(Db *db, void *data, GError **error),
                      void (*done)(const GError *error, void *data),
                      void (*free_data)(void *data),
                      void *data);
void audit_read_cancel(AuditRead *read);

typedef struct {
  uint64_t requests, taken, known, rejected, failed, alerts, receipts;
  unsigned waiting;
} AuditCount;
AuditCount audit_count(const Audit *audit);

#endif
