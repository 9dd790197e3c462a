/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this room share: the instance, its requests, and the
 * curl handles that requests borrow. */
#ifndef HOOP_UPSTREAM_PRIVATE_H
#define HOOP_UPSTREAM_PRIVATE_H

#include "upstream/anchors.h"
#include "upstream/head.h"
#include "upstream/target.h"
#include "upstream/upstream.h"

#include <curl/curl.h>

typedef struct handle Handle;
typedef struct sockets Sockets;

struct upstream {
  Loop *loop;
  CURLM *multi;
  CURLSH *share; /* TLS sessions: curl keeps them per handle otherwise */
  Anchors *anchors;
  Sockets *sockets;
  LoopTimer *curl_timer; /* what curl asked for */
  LoopTimer *kick;       /* work that must not run inside curl */
  LoopTimer *idle_timer; /* for the request that is silent the longest */
  GQueue requests;       /* all, by link_all */
  GQueue waiting;        /* by link_queue: no connection yet */
  GQueue active;         /* by link_queue: the longest silent first */
  GPtrArray *todo;       /* requests that the kick has to look at */
  GQueue connects;       /* UpstreamConnect, by their link */
  GPtrArray *handles;    /* Handle, not in use */
  char *proxy;           /* http://host:port, or NULL */
  char *proxy_name;      /* host:port, for messages */
  char *no_proxy;
  Secret *proxy_header; /* "Proxy-Authorization: Basic …", or NULL */
  struct curl_slist proxy_headers; /* its list of one */
  unsigned connect_timeout;        /* s */
  unsigned idle_timeout;           /* s */
  bool http2;
  bool plain_loopback;
  const char *group; /* of agent.conf, for messages */
  bool job_work;     /* some job has no_watch or lost_socket */
  bool connect_work; /* some UpstreamConnect waits for the kick */
  bool in_curl;      /* curl's frames are on the stack: its API is closed */
  bool closing;
};

/* What CURLINFO_PRIVATE of a handle points to. */
typedef struct {
  Upstream *upstream;
  int fd;           /* the connection it last waited for, or -1 */
  bool is_connect;  /* an UpstreamConnect, otherwise a Handle */
  bool no_watch;    /* the kernel refused to watch its socket */
  bool lost_socket; /* curl gave up an address before it was connected */
} Job;

typedef enum { SHAPE_NONE, SHAPE_GET, SHAPE_HEAD, SHAPE_BODY } Shape;

/* A curl easy handle with what was last set on it, so that a request sets
 * only what differs. */
struct handle {
  Job job; /* first: CURLINFO_PRIVATE */
  CURL *easy;
  UpstreamRequest *request; /* NULL while pooled */
  char *origin;
  char *method; /* CURLOPT_CUSTOMREQUEST, or NULL */
  Shape shape;
  bool proxied;
  char *text; /* header lines, NUL after each */
  size_t text_size;
  struct curl_slist *lines;
  unsigned n_lines;
  char error[CURL_ERROR_SIZE];
};

struct upstream_request {
  Upstream *upstream;
  Handle *handle; /* NULL once it went back */
  UpstreamEvents events;
  void *data;
  Target target;
  GBytes *body;
  Head head;
  GList link_all, link_queue;
  GQueue *queue;       /* waiting, active, or NULL: paused */
  SSL_CTX *tls;        /* of a close-delimited answer: was it cut? */
  const char *fault;   /* why this room ended it: PROTOCOL, or NULL */
  int64_t last_us;     /* of the last byte */
  curl_off_t uploaded; /* to the kernel */
  int unacked;         /* of that, not yet at the server */
  unsigned sends;      /* how often a connection stood for it */
  bool idempotent;     /* RFC 9110 section 9.2.2: may be sent twice */
  bool head_request;
  bool via_proxy;
  bool added;      /* curl has the handle */
  bool requested;  /* the connection stood, the request was written */
  bool not_resent; /* a retry was refused because it could do harm */
  bool queued;     /* in upstream->todo */
  bool paused;     /* the owner asked for it */
  bool held;       /* and curl was told: it holds bytes back */
  bool in_body;    /* the owner's body callback runs */
  bool resumed;    /* resume was called in there */
  bool finished;   /* done was called, or must not be: cancelled */
};

/* upstream.c */
/* What a curl handle belongs to; NULL for curl's own. */
Job *job_of(CURL *easy);
/* Runs what curl finished; called after every curl action. */
void upstream_reap(Upstream *upstream);
/* request_work() follows, outside of curl. */
void upstream_kick(Upstream *upstream, UpstreamRequest *request);
/* Options that every handle needs, requests and connects alike. */
void upstream_set_common(Upstream *upstream, CURL *easy, Job *job, char *error);
/* Has curl look at a transfer that is still connecting: once it gave up one
 * address, it opens the socket for the next one only when it is called again,
 * and asks for no call (7.88). Not inside curl. */
void upstream_poke(CURL *easy);
bool upstream_uses_proxy(const Upstream *upstream, const char *host, bool ip);

/* handle.c */
Handle *handle_take(Upstream *upstream);
void handle_give_back(Handle *handle);
void handle_free(Handle *handle);
/* Sets what this request needs. */
void handle_load(Handle *handle,
                 const UpstreamRequest *request,
                 const UpstreamSpec *spec);

/* request.c */
void request_work(UpstreamRequest *request);
void request_complete(UpstreamRequest *request, CURLcode code);
/* Takes the error. */
void request_fail(UpstreamRequest *request, GError *error);
/* Ends the requests that were silent for too long; a LoopFunc. */
void request_run_idle_timer(void *upstream);
/* A connection stands; false: do not send (again). */
bool request_on_connected(UpstreamRequest *request);
/* Curl's header and body callbacks: bytes taken. */
size_t request_on_header(UpstreamRequest *request,
                         const char *line,
                         size_t len);
size_t request_on_body(UpstreamRequest *request, const char *bytes, size_t len);

/* connect.c */
void connect_complete(UpstreamConnect *connect, CURLcode code);
void connect_fail(UpstreamConnect *connect, const GError *error);
/* Starts, refuses or forgets those that waited for the kick. */
void connect_run_all(Upstream *upstream);

/* sockets.c: curl's sockets on the loop. */
Sockets *sockets_new(Upstream *upstream);
void sockets_free(Sockets *sockets);
/* CURLOPT_OPENSOCKETFUNCTION and CURLOPT_CLOSESOCKETFUNCTION. */
curl_socket_t sockets_open(void *data,
                           curlsocktype purpose,
                           struct curl_sockaddr *address);
int sockets_close(void *data, curl_socket_t fd);
/* CURLMOPT_SOCKETFUNCTION. */
int sockets_on_change(CURL *easy,
                      curl_socket_t fd,
                      int what,
                      void *data,
                      void *unused);

/* fault.c: what a failed transfer is in words. Never NULL. */
GError *fault_of_request(const UpstreamRequest *request, CURLcode code);
GError *fault_of_connect(const Upstream *upstream,
                         CURL *easy,
                         const char *where,
                         bool via_proxy,
                         CURLcode code);

#endif
