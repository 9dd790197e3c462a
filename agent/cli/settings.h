/* SPDX-License-Identifier: Apache-2.0 */
/* What each client must be told to go through the agent, and where it is told.
 * Private. */
#ifndef HOOP_CLI_SETTINGS_H
#define HOOP_CLI_SETTINGS_H

#include "cli/verb.h"
#include "front/front.h"

/* How a client reaches the agent. */
typedef enum {
  VIA_PROXY,   /* CONNECT: everything that it sends passes the agent */
  VIA_BASE_URL /* its API's address is the agent's: only that API does */
} Via;

typedef struct {
  const char *name;
  const char *title;
  const char *program;    /* its command, or NULL */
  const char *connection; /* of the configuration */
  Via usual;              /* while the client keeps its own credential */
  Via held;               /* when the agent holds it */
} Client;

/* NULL behind the last. */
const Client *client_row(unsigned index);
const Client *client_find(const char *name);
/* client_find(), or NULL after having complained. */
const Client *client_named(const Call *call, const char *name);

/* The host:port that the agent listens on: the daemon's own word, else the
 * configuration's. g_free; NULL when it takes a port as it starts and does not
 * run. */
char *agents_address(const Config *config, bool *running);

/* Where the agent is and what vouches for it. */
typedef struct {
  Config *config;
  char *base;   /* https://127.0.0.1:8788 */
  char *proxy;  /* http://127.0.0.1:8788 */
  char *ca;     /* file that holds the agent's CA, and what NODE_EXTRA_CA_CERTS
                   named before, if anything */
  char *own;    /* file that holds the agent's CA alone */
  char *bundle; /* file that holds the system's CAs and the agent's */
  bool running;
} Site;

/* Makes the CA when there is none yet, writes the bundle. False after having
 * complained into *code. */
bool site_init(const Call *call, Site *site, int *code);
void site_clear(Site *site);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Site, site_clear)
/* The configuration's connection of that name; never NULL for a client's. */
const ConfigConnection *site_connection(const Site *site, const char *name);
/* True when the CA vouches for all that this connection governs, as it is or
 * once it is on; NULL: all connections that are on. */
bool site_covers(const Site *site, const char *connection);
/* The client's way: --via, else as its row and the credential say. False after
 * having complained. */
bool site_via(const Call *call,
              const Site *site,
              const Client *client,
              Via *via);
/* The client's own token where the agent holds the credential, else NULL
 * without error. g_free. */
char *site_token(const Site *site, const Client *client, GError **error);

typedef struct {
  const char *name;
  char *value;
} Variable;
/* HTTPS_PROXY and its like, which every program follows. */
bool variable_is_proxy(const Variable *variable);
/* The environment variables that lead a client to the agent, in order; client
 * NULL: any program. GArray of Variable, or NULL with an error. */
GArray *variables_new(const Site *site,
                      const Client *client,
                      Via via,
                      GError **error);

/* ---- trust.c */
/* The CA of the configuration, made when there is none yet. */
Ca *cli_ca(const Config *config, GError **error);
/* DATA_DIR/ca-bundle.pem and, where NODE_EXTRA_CA_CERTS named another file,
 * DATA_DIR/ca-extra.pem. */
bool trust_write(const Config *config, Ca *ca, char **extra, GError **error);
/* The machine's own bundle, or NULL when none of the usual places has one. */
const char *trust_system_bundle(void);

#endif
