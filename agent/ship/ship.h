/* SPDX-License-Identifier: Apache-2.0 */
/* The record leaves the machine: rows and checkpoints in order to one
 * receiver, at least once, with a key each; the cursor is in the journal. */
#ifndef HOOP_SHIP_H
#define HOOP_SHIP_H

#include "identity/identity.h"
#include "journal/journal.h"
#include "kit/loop.h"
#include "upstream/upstream.h"

#define SHIP_ERROR (ship_error_quark())
GQuark ship_error_quark(void);
typedef enum {
  SHIP_ERROR_CONFIG, /* the message names [ship] and the key */
  SHIP_ERROR_TOKEN   /* the bearer token cannot be had */
} ShipErrorCode;

typedef enum {
  SHIP_OTLP,  /* OTLP/HTTP, JSON encoding, POST …/v1/logs */
  SHIP_JSONL, /* JSON lines into a file */
  SHIP_SYSLOG /* RFC 5424 over TLS, RFC 5425 */
} ShipFormat;
/* "otlp", "jsonl", "syslog". */
const char *ship_format_name(ShipFormat format);
/* False when it is none of them. */
bool ship_format_from_name(const char *name, ShipFormat *out);

typedef struct ship_options {
  const char *endpoint; /* OTLP: https://HOST[:PORT][/PATH], http:// on loopback
                           only; without a path /v1/logs. JSONL: an absolute
                           path. Syslog: HOST[:PORT], port 6514 */
  ShipFormat format;
  const char *token_file;   /* bearer token, 0600; or NULL. Read again for each
                               request */
  const char *issuer;       /* instead: the access token of whoever is signed in
                               at this one of `identity`; or NULL */
  Identity *identity;       /* outlives it; not needed to check options */
  const char *ca_file;      /* more trust anchors, PEM; or NULL */
  const char *receiver_key; /* Ed25519, 64 hex digits: whose receipts are kept;
                               NULL: any whose signature is good */
  /* Without token_file: adds what else a request to `url` is let in by: a token
   * where there is none yet, a signature over its body; or NULL. False with
   * error: it is tried again later. On the loop. */
  bool (*authorize)(const char *url,
                    const void *body,
                    size_t len,
                    HttpHeaders *headers,
                    void *data,
                    GError **error);
  void *authorize_data;
  unsigned interval;        /* s between looks for new rows */
  UpstreamOptions upstream; /* proxy and time limits; ca_file is not used */
  const char *journal_path;
  const char *version; /* of this program */
} ShipOptions;

/* Checks endpoint and format; SHIP_ERROR_CONFIG says what is wrong. */
bool ship_check(const ShipOptions *options, GError **error);

typedef struct ship Ship;

/* Ships on `loop`, whose thread calls everything here, while both live;
 * options are copied. Reading, compressing and blocking writes are done on a
 * thread of its own. Fails as ship_check(), or when ca_file cannot be read. */
Ship *ship_new(Loop *loop,
               Journal *journal,
               const ShipOptions *options,
               GError **error);
/* Ends what runs; what was sent and not noted is sent again, with the same
 * keys, at the next start. Before journal_close(); the loop is run once more
 * before it is freed. Accepts NULL. */
void ship_free(Ship *ship);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Ship, ship_free)

/* Tries now, whatever it waits for, and goes on until nothing is behind. */
void ship_now(Ship *ship);

typedef struct {
  const char *format, *receiver; /* receiver: the endpoint, as the journal
                                    names it */
  int64_t head_seq;              /* the newest row */
  int64_t shipped_seq;           /* acknowledged up to this one */
  int64_t shipped_us;            /* when; 0: never */
  int64_t behind_rows;
  int64_t behind_bytes; /* an estimate, by what rows took so far */
  int64_t behind_us;    /* age of the oldest row that is not shipped; 0 */
  int64_t delivered;    /* records since the start */
  int64_t quarantined;  /* not taken by the receiver */
  int64_t receipt_seq;  /* confirmed by a signed receipt since the start; 0 */
  bool busy;            /* reading, sending or noting */
  int64_t retry_us;     /* wall clock of the next try after a failure; 0 */
  const char *problem; /* of the last try, a sentence that says what to do; NULL
                          while all is well */
  int64_t problem_since_us; /* wall clock */
  const char *notice; /* what the receiver said beside taking it, or NULL */
} ShipStatus;
/* Texts live until control returns to the loop. False when the journal cannot
 * be read; what is known without it is there all the same. */
bool ship_status(Ship *ship, ShipStatus *out, GError **error);

/* Where shipping to options' receiver stands, from the journal alone: beside
 * a running agent or without one. Only the fields up to behind_us and
 * quarantined are set; format and receiver are the options'. `known_bytes`: how
 * long records are, for the estimate; 0: a usual length. */
bool ship_status_offline(JournalReader *reader,
                         const ShipOptions *options,
                         int64_t known_bytes,
                         ShipStatus *out,
                         GError **error);

/* Writes what follows row `after` as JSON lines, through write(text, len,
 * data), which returns false to stop; the last row written goes to *through
 * (may be NULL). */
bool ship_lines(JournalReader *reader,
                const char *version,
                int64_t after,
                bool (*write)(const char *text, size_t len, void *data),
                void *data,
                int64_t *through,
                GError **error);

#endif
