/* SPDX-License-Identifier: Apache-2.0 */
/* The connection table: which hosts are governed, where a base-URL path
 * belongs, what is really called upstream, and the credential that the agent
 * holds in the client's place. */
#ifndef HOOP_CONN_H
#define HOOP_CONN_H

#include "config/config.h"
#include "http/http.h"
#include "kit/secret.h"
#include "upstream/upstream.h"

#define CONN_ERROR (conn_error_quark())
GQuark conn_error_quark(void);
typedef enum {
  CONN_ERROR_CONFIG,     /* a connection that cannot be: type, hosts … */
  CONN_ERROR_UNKNOWN,    /* no connection of that name, no such path */
  CONN_ERROR_CREDENTIAL, /* unreadable, readable by others, empty, refused */
  CONN_ERROR_CLIENT      /* the client's token is not one of ours */
} ConnErrorCode;

typedef struct conn_table ConnTable;
typedef struct connection Connection;

/* Built from the configuration; `state_dir` keeps the clients' tokens
 * (clients.json, 0600). Data thread only, but for conn_client_token(). */
ConnTable *conn_table_new(const Config *config, GError **error);
/* Requests that wait for a credential are told that none comes. Before the
 * loop and the upstream that they were given. Accepts NULL. */
void conn_table_free(ConnTable *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ConnTable, conn_table_free)

/* The connection that governs host:port of a CONNECT, or NULL: then policy's
 * `tunnels` decides. github.com is governed by none. */
Connection *conn_for_host(ConnTable *table, const char *host, uint16_t port);
/* The connection of a base-URL request: named by a leading /c/NAME/, else the
 * default. *rest points into path behind that prefix. NULL with UNKNOWN. */
Connection *conn_for_base_url(ConnTable *table,
                              const char *path,
                              const char **rest,
                              GError **error);
const char *connection_name(const Connection *connection);
const char *connection_issuer(const Connection *connection); /* or NULL */
bool connection_holds_credential(const Connection *connection);
/* Every host that the CA's constraints must cover, each with everything
 * beneath it; NULL terminated, the table's. */
const char *const *conn_table_hosts(ConnTable *table);
/* The same for what a configuration says, without opening a credential: of all
 * connections that are on, or of the one of this name, on or not. g_strfreev.
 * Any process. */
char **conn_hosts(const Config *config, const char *name, GError **error);
/* A table of the connection of this name alone, on or not, for who tries where
 * it leads. `credential` false: as if it held none, and nothing of it is
 * opened. UNKNOWN when the configuration has none of that name. */
ConnTable *conn_table_new_one(const Config *config,
                              const char *name,
                              bool credential,
                              GError **error);
/* The n-th place that a connection calls: what for ("models", "account" …),
 * *url its base, https://HOST[:PORT]; NULL behind the last. */
const char *connection_place(const Connection *connection,
                             unsigned n,
                             const char **url);
/* A URL below the first place that lists the models: harmless, and refused
 * without a valid credential. g_free. */
char *connection_probe(const Connection *connection);
/* Connections in order, for `connection list`. */
Connection *const *conn_table_all(ConnTable *table, unsigned *n);

/* Where one request really goes. */
typedef struct {
  char *url;  /* https://…, raw path and query kept */
  char *host; /* the governed host that it is for, as policy sees it */
  Api api;
  bool completions; /* typed keystrokes */
  bool auth;        /* a credential is exchanged with its issuer: the body is
                       bounded, holds what sign-in sends and nothing else, is
                       forwarded as it is and never recorded */
} Route;
void route_clear(Route *route);
/* False with UNKNOWN for a path that servers could read as another one than
 * we do: empty or dot parts, needless escapes, nearly a known API's path.
 * connect_host: the host of the CONNECT, or NULL for a base-URL request, whose
 * paths map to the connection's several hosts. `token`: the client's bearer
 * token, for the endpoints remembered with it; or NULL. */
bool connection_route(Connection *connection,
                      const char *connect_host,
                      const char *method,
                      const char *path,
                      const char *query,
                      const char *token,
                      Route *out,
                      GError **error);

/* Whose request it is, by its token, where the agent holds a credential; the
 * client's name (e.g. "vscode"), or NULL with CONN_ERROR_CLIENT. */
const char *connection_client(Connection *connection,
                              const HttpHeaders *headers,
                              GError **error);
/* True for a header field in which a client of this connection sends its own
 * credential for it: a fixed list for each type. Any case. */
bool connection_is_credential(const Connection *connection, const char *name);
/* The dummy token of a client: created on first use, 128 random bits behind a
 * prefix that clients accept. g_free. Any process of the user. */
char *conn_client_token(const char *state_dir,
                        const char *client,
                        GError **error);

/* Puts the held credential into headers that go upstream to `path`, or leaves
 * the client's own in place where none is held. Exchanging tokens may need a
 * request of its own; done(error) always comes later, from the loop. */
void connection_authorize(Connection *connection,
                          Upstream *upstream,
                          Loop *loop,
                          Api api,
                          const char *path,
                          HttpHeaders *headers,
                          void (*done)(const GError *error, void *data),
                          void *data);

/* The server answered 401 to a request with these headers. True when they had
 * a session token and connection_authorize() will give another one now: the
 * token, which was revoked before its time, is forgotten. At most once in 30 s,
 * so that a server that refuses every token is not asked for ever more. */
bool connection_rejected(Connection *connection, const HttpHeaders *headers);

/* Answers that carry endpoints or a token (API_TOKEN, API_USER): remembers
 * them (under the token that they came with; `client_token` for API_USER) and
 * returns what the client may see: for base-URL clients the agent's own
 * address `self` (https://127.0.0.1:PORT) in place of the endpoints, and where
 * the agent holds the credential the client's dummy token in place of the real
 * one. Any other API: a new reference to the same body. NULL with an error
 * when the body is not what it should be. */
GBytes *connection_localize(Connection *connection,
                            Api api,
                            const char *self,
                            bool base_url,
                            const char *client_token,
                            GBytes *body,
                            GError **error);

/* What the hub lends to connections with credential=hub:NAME: a secret until
 * that time of the wall clock, or NULL and why. Requests take it from the next
 * one on. */
void conn_table_lend(ConnTable *table,
                     const char *name,
                     Secret *secret,
                     int64_t until_us,
                     const char *why);

/* What no client and no model may see: of every connection the held credential
 * and the session token that it was exchanged for, and of each the former one.
 * The same array contents (pointers) as long as none changed.
 * g_ptr_array_unref; of Secret. Looks at no file. */
GPtrArray *conn_table_secrets(const ConnTable *table);

/* True when these bytes hold the credential that the agent holds, or the
 * session token that it got for it: a server may repeat what it was sent.
 * Looks for the plain bytes only. */
bool connection_reveals(const Connection *connection,
                        const void *bytes,
                        size_t len);

#endif
