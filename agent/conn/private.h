/* SPDX-License-Identifier: Apache-2.0 */
/* Types of connections, remembered endpoints, client tokens and the held
 * credential. Private to the room. */
#ifndef HOOP_CONN_PRIVATE_H
#define HOOP_CONN_PRIVATE_H

#include "conn/conn.h"

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
/* The client's name for a token that it sent, bare or inside the session
 * token that was made of it; NULL when unknown. */
const char *clients_find(Clients *clients, const char *token);

/* ---- credential.c */
typedef struct credential Credential;
/* source: file:PATH or env:NAME; readable now, or an error. */
Credential *credential_new(const char *source, GError **error);
void credential_free(Credential *credential);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Credential, credential_free)
/* The value now: a changed file is read again. *changed tells whether it is
 * another one than the last time. The credential's own; NULL with an error. */
const char *credential_get(Credential *credential,
                           bool *changed,
                           GError **error);

/* ---- session.c: short-lived tokens exchanged for the credential */
typedef struct session Session;
Session *session_new(Connection *connection);
void session_free(Session *session);
void session_forget(Session *session);
/* The current token, or NULL: then session_fetch(). */
const char *session_token(const Session *session);
void session_fetch(Session *session,
                   Upstream *upstream,
                   Loop *loop,
                   const char *credential,
                   void (*done)(const GError *error, void *data),
                   void *data);
/* Takes over the token of an answer to /copilot_internal/v2/token. */
bool session_store(Session *session, const char *token, int64_t expires_s);

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
