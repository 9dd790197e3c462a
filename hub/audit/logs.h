/* SPDX-License-Identifier: Apache-2.0 */
/* An ExportLogsServiceRequest in OTLP's JSON encoding, read into flat rows,
 * each with a key and, where an agent shipped it, its place in the chain. */
#ifndef HOOP_HUB_AUDIT_LOGS_H
#define HOOP_HUB_AUDIT_LOGS_H

#include "document/document.h"
#include "kit/digest.h"

#define AUDIT_ERROR (audit_error_quark())
GQuark audit_error_quark(void);
typedef enum {
  AUDIT_ERROR_FORM,      /* no request of OTLP: 400 */
  AUDIT_ERROR_TOO_LARGE, /* 413 */
  AUDIT_ERROR_BUSY,      /* too much waits, or the database does not answer */
  AUDIT_ERROR_STORE      /* the database failed otherwise */
} AuditErrorCode;

/* Records of one request; an agent sends 1,000 at most. */
#define AUDIT_MAX_ROWS 20000

/* Whether what a record holds is what its hash, or signature, covers. */
typedef enum {
  AUDIT_CONTENT_GOOD,
  AUDIT_CONTENT_BAD,
  AUDIT_CONTENT_PARTIAL /* it does not hold all of it: cannot be told */
} AuditContent;

/* The place that a row or checkpoint of a journal says it has: hoop-ship(5). */
typedef struct {
  char journal[33];
  int64_t seq;
  bool checkpoint;
  uint8_t hash[SHA256_LEN];
  bool has_link;
  uint8_t link[SHA256_LEN]; /* what a row follows; of a checkpoint, what the
                             * row behind it follows */
  AuditContent content;
  uint8_t public_key[32]; /* of checkpoints: whose … */
  uint8_t genesis[SHA256_LEN];
} AuditPlace;

typedef struct {
  char *key;           /* the same whenever this record is sent */
  int64_t at_us;       /* timeUnixNano, else observedTimeUnixNano; 0: none */
  int64_t severity;    /* 0: not told */
  char *event, *trace; /* or NULL */
  char *said;          /* the body's text, or what it is as JSON; or NULL */
  char *attributes;    /* a JSON object: names with their values */
  unsigned resource;   /* index of AuditLogs.resources */
  /* Attributes that are searched by, or NULL. */
  char *kind, *user, *rule, *verdict, *model;
  bool placed;
  AuditPlace place;
} AuditRow;

typedef struct {
  GArray *rows;         /* AuditRow, in order */
  GPtrArray *resources; /* JSON objects, as text */
  int64_t rejected;     /* records that were not taken … */
  char *why;            /* … and why the first was not; or NULL */
} AuditLogs;

/* Reads a request strictly. Members that are not known are left alone, as OTLP
 * demands; a record that is wrong, or beyond the bounds of logs.c, is counted
 * and the others are taken. `sender`: what makes keys of records without one
 * the sender's own. AUDIT_ERROR_FORM or _TOO_LARGE; the message holds positions
 * and names, no values. Any thread. */
AuditLogs *audit_logs_parse(const char *text,
                            size_t len,
                            const char *sender,
                            GError **error);
void audit_logs_free(AuditLogs *logs);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AuditLogs, audit_logs_free)

/* ---- place.c */
/* Reads the place out of a record's flat attributes; *placed false: it has
 * none. False with a phrase (static) when it is not whole. */
bool audit_place_read(const Document *attributes,
                      int64_t at_us,
                      bool *placed,
                      AuditPlace *out,
                      const char **why);

#endif
