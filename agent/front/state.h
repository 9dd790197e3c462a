/* SPDX-License-Identifier: Apache-2.0 */
/* The door's own state, and sockets on their way in. Private to the room. */
#ifndef HOOP_FRONT_STATE_H
#define HOOP_FRONT_STATE_H

#include "front/private.h"

struct front {
  Loop *loop;
  Lookups *lookups;
  Ca *ca;
  Leaves *leaves;
  Peers *peers;
  Listener *listener;
  ExchangeEnv *env;
  FrontOptions options;
  GHashTable *knocks;  /* set of Knock: sockets that said nothing yet */
  GHashTable *clients; /* set of Client: HTTP connections */
  unsigned n_tunnels;
  int64_t strangers_until_us; /* no further row about them before */
  unsigned n_strangers;       /* that have no row of their own */
};

/* ---- knock.c */
typedef struct knock Knock;
/* Takes fd. */
void knock_begin(Front *front, int fd);
void knock_look(Knock *knock);
void knock_free(Knock *knock);
/* "host:port" or "[v6]:port"; *host is the caller's. */
bool split_authority(const char *authority, char **host, uint16_t *port);

/* ---- client.c */
typedef struct client Client;
/* Takes fd; context NULL: plain. connect_host: inside a CONNECT, or NULL. */
void client_begin(Front *front,
                  int fd,
                  SSL_CTX *context,
                  Caller *caller,
                  const char *connect_host);
void client_abort(Client *client);

/* ---- front.c */
void front_tunnel_ended(void *data);
/* A connection ended or changed its kind: accept again where there is room. */
void front_make_room(Front *front);

#endif
