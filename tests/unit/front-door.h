/* SPDX-License-Identifier: Apache-2.0 */
/* The door with what stands behind it played: exchanges that answer by
 * themselves, tunnels that are only noted, refusals that are kept; and
 * visitors who come in over TCP, driven by hand in the same thread. */
#ifndef HOOP_TEST_FRONT_DOOR_H
#define HOOP_TEST_FRONT_DOOR_H

#include "front/state.h"

typedef struct {
  uid_t uid;
  char *host, *method, *path, *why;
  int status;
} Refused;

typedef struct {
  int fd;
  char *host;
  uint16_t port;
  LoopFunc ended;
  void *data;
} Tunnel;

typedef struct {
  char *dir;
  Loop *loop;
  WorkerPool *workers;
  ConnTable *conns;
  Ca *ca;
  ExchangeEnv *env;
  Front *front;
  GPtrArray *refused; /* Refused */
  GPtrArray *tunnels; /* Tunnel */
  unsigned begun;     /* exchanges */
} Door;

/* Limits for tests, to be changed before door_new(). */
FrontOptions door_options(void);
/* options: NULL for those. `config`: text of agent.conf, or NULL. */
Door *door_new(const FrontOptions *options, const char *config);
void door_free(Door *door);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Door, door_free)
/* The only refusal; forgets it. NULL when there was none. g_free. */
char *door_refusal(Door *door);
/* Its reason has these words in it. */
void door_assert_refused(Door *door, const char *words);
/* Ends the tunnel at index 0. */
void door_end_tunnel(Door *door);

typedef struct {
  Door *door;
  int fd;
  SSL *ssl;
  SSL_CTX *context;
  GString *got; /* in the clear, or out of TLS */
  bool eof, reset;
  char *tls_why; /* what TLS failed with */
} Visitor;

Visitor *visitor_new(Door *door); /* 127.0.0.1 */
Visitor *visitor_over(Door *door, int fd);
void visitor_free(Visitor *visitor);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Visitor, visitor_free)
/* One round of the loop, then what can be read. */
void visitor_turn(Visitor *visitor);
void visitor_write(Visitor *visitor, const char *text);
void visitor_write_len(Visitor *visitor, const void *bytes, size_t len);
void visitor_print(Visitor *visitor, const char *format, ...)
    G_GNUC_PRINTF(2, 3);
/* GET /models of that Host; what was read before is forgotten. */
void visitor_ask(Visitor *visitor, const char *host);
void visitor_ask_here(Visitor *visitor); /* of the door itself */
/* TLS from now on, trusting the door's CA, over what is in the socket. sni
 * NULL: none. `first`: what is sent before the hello, in the same segment; or
 * NULL. The handshake is done or failed when it returns. */
void visitor_tls(Visitor *visitor, const char *sni, const char *first);
/* Sends a CONNECT and waits for its answer, which is taken away; its status. */
int visitor_connect(Visitor *visitor, const char *authority);
/* The status of the first answer in `got`, 0 when there is none. */
int visitor_status(const Visitor *visitor);
/* Turns until the whole first answer is there or the connection ended; its
 * status. */
int visitor_answer(Visitor *visitor);
/* The answer is a 200 with these words in it, and nothing was refused. */
void visitor_assert_served(Visitor *visitor, const char *words);

#define visitor_until(visitor, condition)                                      \
  do {                                                                         \
    int64_t until_end_ = g_get_monotonic_time() + 20 * G_USEC_PER_SEC;         \
    while (!(condition)) {                                                     \
      if (g_get_monotonic_time() > until_end_)                                 \
        g_error("%s:%d: never: %s; got \"%.400s\"",                            \
                __FILE__,                                                      \
                __LINE__,                                                      \
                #condition,                                                    \
                (visitor)->got->str);                                          \
      visitor_turn(visitor);                                                   \
    }                                                                          \
  } while (0)

#endif
