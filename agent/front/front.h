/* SPDX-License-Identifier: Apache-2.0 */
/* The door: one loopback port for CONNECT, TLS and (if configured) plain
 * base-URL requests, the user's own CA behind it, and the check of who
 * knocks. */
#ifndef HOOP_FRONT_H
#define HOOP_FRONT_H

#include "exchange/exchange.h"
#include "http/http.h"
#include "kit/worker.h"

#define FRONT_ERROR (front_error_quark())
GQuark front_error_quark(void);
typedef enum {
  FRONT_ERROR_LISTEN, /* the port is taken; the message names its holder */
  FRONT_ERROR_CA,     /* the CA cannot be read or made */
  FRONT_ERROR_NAME,   /* a host that the CA may not or does not cover */
  FRONT_ERROR_PEER    /* who connects cannot be told */
} FrontErrorCode;

/* ---- The user's CA ------------------------------------------------------- */

/* ECDSA P-256, critical basicConstraints with pathlen 0, critical name
 * constraints (RFC 5280 section 4.2.1.10): the hosts given, each with
 * everything beneath it, localhost, 127.0.0.1 and ::1; nothing else can be
 * vouched for with this key. */
typedef struct ca Ca;

/* Reads STATE_DIR/ca.key (0600) and DATA_DIR/ca.pem, or makes both when there
 * is no key yet; two starts at once end with one CA. `hosts`: NULL terminated;
 * github.com among them is refused. A CA that exists is kept although `hosts`
 * has more: ca_covers() tells, `ca rotate` makes another. */
Ca *ca_load_or_create(const char *state_dir,
                      const char *data_dir,
                      const char *const *hosts,
                      GError **error);
/* Replaces key and certificate. */
Ca *ca_rotate(const char *state_dir,
              const char *data_dir,
              const char *const *hosts,
              GError **error);
void ca_free(Ca *ca);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Ca, ca_free)

/* True when a leaf for this name or address would be valid. */
bool ca_covers(const Ca *ca, const char *name);
const char *ca_path(const Ca *ca); /* of the certificate */
/* What `ca show` prints; all owned by the CA. */
typedef struct {
  char *subject;
  char *fingerprint; /* SHA-256, hex with colons */
  int64_t from_s, until_s;
  char **names; /* permitted DNS names */
} CaFacts;
const CaFacts *ca_facts(const Ca *ca);
/* The certificate as PEM. */
GBytes *ca_pem(const Ca *ca);

/* ---- The door --------------------------------------------------------------
 */

typedef struct front Front;

typedef struct {
  const char *address; /* 127.0.0.1 brings [::1] along where it exists */
  uint16_t port;       /* 0: any free one */
  bool plain_base_url;
  const char *unix_socket; /* or NULL */
  unsigned connections;    /* at one time */
  HttpConnLimits http;
} FrontOptions;

/* Binds; nothing is accepted before front_start(). Sockets passed by systemd
 * (LISTEN_FDS) are used instead of binding. */
Front *front_new(Loop *loop,
                 WorkerPool *workers,
                 Ca *ca,
                 const FrontOptions *options,
                 GError **error);
/* Accepts from now on, on the loop's thread. */
void front_start(Front *front, ExchangeEnv *env);
/* Accepts no more; connections that are open stay. Loop's thread. */
void front_stop(Front *front);
/* Closes all connections too and runs the loop once for it; tunnels must have
 * been ended by exchange_env_end(). Loop's thread, or after it ended. */
void front_free(Front *front);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Front, front_free)
uint16_t front_port(const Front *front);
/* True when the other end of an accepted loopback connection is a socket of
 * this user's in this network namespace, or root's, who need not ask (relays
 * from a virtual machine's host). Any thread; asks the kernel. */
bool front_is_ours(int fd);
/* "NAME (pid N)" of who listens on a TCP port of this machine; NULL: nobody,
 * or another user's process. Looks through /proc; g_free. Any process. */
char *front_port_holder(uint16_t port);

#endif
