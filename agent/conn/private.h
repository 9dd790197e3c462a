/* SPDX-License-Identifier: Apache-2.0 */
/* Types of connections, remembered endpoints, client tokens and the held
 * credential. Private to the room. */
#ifndef HOOP_CONN_PRIVATE_H
#define HOOP_CONN_PRIVATE_H

#include "conn/conn.h"
#include "kit/json.h"

/* The connection of base-URL requests that name none. */
#define CONN_DEFAULT "copilot"

/* What a path belongs to, so that base-URL requests find their host. */
typedef enum {
  SERVICE_API,   /* the models */
  SERVICE_PROXY, /* completions */
  SERVICE_TELEMETRY,
  SERVICE_ACCOUNT, /* token, user, settings */
  SERVICE_LOGIN,
  N_SERVICES
} Service;

/* A kind of connection: one row of the table in types.c. */
typedef struct {
  const char *name;
  bool on_by_default;
  const char *const *hosts;         /* governed, with everything beneath */
  const char *const *held_hosts;    /* governed when a credential is held */
  const char *defaults[N_SERVICES]; /* https://host, NULL: SERVICE_API's */
  Service (*service)(const char *path);
  bool session_tokens;    /* the credential is exchanged for short-lived ones */
  const char *key_header; /* that carries the credential */
  const char *key_prefix; /* before it, e.g. "Bearer " */
  const char *const *own_headers; /* that carry a client's own credential */
  const char *models;             /* path that lists them */
} ConnType;
const ConnType *conn_type_find(const char *name);
const ConnType *conn_types(unsigned *n);

/* ---- endpoints.c: where a token's owner is to be sent, per token */
typedef struct endpoints Endpoints;
Endpoints *endpoints_new(void);
void endpoints_free(Endpoints *endpoints);
/* Remembers a base URL; the token is kept as a hash only. */
void endpoints_set(Endpoints *endpoints,
                   const char *token,
                   Service service,
                   const char *url);
const char *endpoints_get(Endpoints *endpoints,
                          const char *token,
                          Service service);

/* ---- clients.c: dummy tokens */
typedef struct clients Clients;
Clients *clients_new(const char *state_dir);
void clients_free(Clients *clients);
/* The file's contents: an object of names and tokens, or NULL with an error
 * that says what to do. json_object_put() it. */
struct json_object;
struct json_object *clients_parse(const char *path,
                                  const char *text,
                                  size_t len,
                                  GError **error);
/* The client's name for a token that it sent, bare or inside the session
 * token that was made of it; NULL when unknown. */
const char *clients_find(Clients *clients, const char *token);

/* ---- credential.c */
typedef struct credential Credential;
/* source: file:PATH or env:NAME, readable now, or an error; or hub:NAME. */
Credential *credential_new(const char *source, GError **error);
/* Of hub:NAME what the hub lends, when this is its name: until then; secret
 * NULL: nothing, and why. */
void credential_lend(Credential *credential,
                     const char *name,
                     Secret *secret,
                     int64_t until_us,
                     const char *why);
void credential_free(Credential *credential);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Credential, credential_free)
/* The value now: a changed file is read again. *changed tells whether it is
 * another one than the last time. The credential's own; NULL with an error. */
const char *credential_get(Credential *credential,
                           bool *changed,
                           GError **error);

/* ---- answer.c: answers that carry a token or endpoints */
typedef struct answer Answer;
/* Strict: RFC 8259, an object, no name of it or of its endpoints twice or with
 * a NUL, token and expires_at (both may be missing) a word and a whole number;
 * else CONN_ERROR_CREDENTIAL. Keeps a reference on body. */
Answer *answer_new(GBytes *body, GError **error);
void answer_free(Answer *answer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Answer, answer_free)
const Secret *answer_token(const Answer *answer); /* or NULL */
bool answer_expires(const Answer *answer, int64_t *out);
/* The URL under this name, or NULL. */
const char *answer_endpoint(const Answer *answer, const char *name);
/* The same bytes with `token` in place of the token and `endpoint` in place of
 * every endpoint's URL; NULL leaves them. */
GBytes *answer_edit(const Answer *answer,
                    const char *token,
                    const char *endpoint);

/* ---- session.c: short-lived tokens exchanged for the credential */
typedef struct session Session;
Session *session_new(Connection *connection);
/* Who still waits is told that nothing comes. Before the upstream's end. */
void session_free(Session *session);
/* The current token, or NULL: then session_fetch(). */
const char *session_token(const Session *session);
/* The held value's bytes occur in these. */
bool session_stands_in(const Session *session, const void *bytes, size_t len);
bool credential_stands_in(const Credential *credential,
                          const void *bytes,
                          size_t len);
/* Appends what is held now and what was before. */
void credential_secrets(const Credential *credential, GPtrArray *out);
void session_secrets(const Session *session, GPtrArray *out);
bool secret_stands_in(const Secret *secret, const void *bytes, size_t len);
/* The latest token, however little of its time is left; NULL when there never
 * was one. For who just fetched it. */
const char *session_latest(const Session *session);
void session_fetch(Session *session,
                   Upstream *upstream,
                   Loop *loop,
                   const char *credential,
                   void (*done)(const GError *error, void *data),
                   void *data);
/* The credential is another one: what was exchanged for the former is
 * forgotten, and who waits for it gets one of the new. */
void session_renew(Session *session,
                   Upstream *upstream,
                   Loop *loop,
                   const char *credential);
/* A server refuses this token: forgotten, unless that was done lately. True
 * when another one may be asked for, or is there already. */
bool session_reject(Session *session, const char *token);
/* Takes over the token of an answer to /copilot_internal/v2/token, where there
 * is no current one. */
void session_offer(Session *session, const Secret *token, int64_t expires_s);

struct connection {
  char *name;
  const ConnType *type;
  char **hosts;   /* governed, with everything beneath */
  char *upstream; /* https://host[:port], or NULL */
  char *issuer;
  Credential *credential; /* or NULL */
  Session *session;       /* with a credential that is exchanged */
  Endpoints *endpoints;
  Clients *clients; /* the table's */
};

bool connection_governs(const Connection *connection, const char *host);
/* Base URL of a service for this token. */
const char *connection_base(Connection *connection,
                            Service service,
                            const char *token);

#endif
