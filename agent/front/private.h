/* SPDX-License-Identifier: Apache-2.0 */
/* Leaf certificates, peers and listeners. Private to the room. */
#ifndef HOOP_FRONT_PRIVATE_H
#define HOOP_FRONT_PRIVATE_H

#include "front/front.h"

/* ---- ca.c: signs a certificate that has everything but issuer, serial and
 * signature. */
bool ca_sign(Ca *ca, X509 *leaf, GError **error);
/* A host name as DNS knows them, no address; without a dot at the end. */
bool name_is_dns(const char *name);

/* ---- leaf.c: the server's TLS context; leaf certificates per name */
typedef struct leaves Leaves;
Leaves *leaves_new(Ca *ca, GError **error);
void leaves_free(Leaves *leaves);
/* A context for one connection; `fallback` names the leaf where the client
 * sends no SNI: the CONNECT's host, or the address that it reached. The
 * context is the cache's: valid until the next call. */
SSL_CTX *leaves_context(Leaves *leaves, const char *fallback, GError **error);

/* ---- peer.c */
typedef struct peers Peers;
Peers *peers_new(GError **error);
void peers_free(Peers *peers);
typedef struct {
  uid_t uid;
  ino_t inode; /* of the client's socket, never 0; 0 for Unix sockets */
  pid_t pid;   /* Unix sockets; 0 otherwise */
} PeerId;
/* Who is at the other end of an accepted loopback connection: by the kernel's
 * socket diagnosis (sock_diag(7)), exact look-up; another network namespace is
 * not found and therefore refused, as is a socket that was closed already. */
bool peers_identify(Peers *peers, int fd, PeerId *out, GError **error);

/* ---- process.c
 * On the loop's thread; the workers' replies that are under way when it is
 * freed must be delivered still, as worker_pool_free() sees to. */
typedef struct lookups Lookups;
Lookups *lookups_new(WorkerPool *workers, Loop *loop);
/* Looks for the process that holds this user's socket, on a worker, then calls
 * caller_resolve() on the loop. All that wait meanwhile are looked for at once;
 * none is given up because others wait. */
void lookups_add(Lookups *lookups, const PeerId *peer, Caller *caller);
/* What waits still is not resolved any more. Accepts NULL. */
void lookups_free(Lookups *lookups);

/* ---- listener.c */
typedef struct listener Listener;
typedef void (*ListenerAccept)(int fd, bool unix_socket, void *data);
Listener *listener_new(Loop *loop, const FrontOptions *options, GError **error);
void listener_start(Listener *listener, ListenerAccept accept, void *data);
/* Pauses at the limit of connections, or resumes. */
void listener_pause(Listener *listener, bool pause);
void listener_stop(Listener *listener);
void listener_free(Listener *listener);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Listener, listener_free)
uint16_t listener_port(const Listener *listener);

#endif
