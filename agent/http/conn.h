/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a client connection: its state, and what its three files
 * (life, input and output on the wire, answers) ask of each other. */
#ifndef HOOP_HTTP_CONN_H
#define HOOP_HTTP_CONN_H

#include "http/http.h"

/* Bytes that may wait for a client, whatever its owner does: twice the
 * default max-body, so that an answer of that size can be handed over whole. */
#define CONN_MAX_QUEUED ((size_t)64 << 20)

typedef enum {
  CONN_HANDSHAKE,
  CONN_HEAD,    /* between requests or inside a head */
  CONN_REQUEST, /* a request is with the owner, its answer under way */
  CONN_LINGER,  /* all is said: what still comes is dropped until the client
                   closes, so that no reset overtakes the answer */
  CONN_DEAD     /* over: `closed` comes from the loop */
} ConnState;

typedef enum {
  BODY_WAITING, /* the owner has not asked for it */
  BODY_READING,
  BODY_ENDING, /* all of it came; body_end is due */
  BODY_DONE
} ConnBody;

typedef enum { ANSWER_NONE, ANSWER_OPEN, ANSWER_ENDED } ConnAnswer;

struct http_conn {
  Loop *loop;
  LoopWatch *watch;
  LoopTimer *timer;
  SSL *ssl; /* NULL: plain */
  int fd;
  const HttpConnEvents *events;
  void *data;
  HttpConnLimits limits;
  const char *error; /* why it ended: own_error or text that lives for ever */
  char *own_error;
  char *sni;

  ConnState state;
  int64_t since_us; /* the present time limit counts from here */
  bool in_process;  /* conn_process() is on the stack */
  bool deferred;    /* conn_process() is due: the connection must live */
  bool is_tcp;
  bool quiet;  /* end with a reset, or without close_notify */
  bool reset;  /* end with a reset */
  bool hangup; /* the client closed its direction (or both: `gone`) */
  bool gone;   /* nobody is there any more */
  bool fin;    /* plain: hangup was seen and the answer goes on */
  bool served; /* a request was taken before */
  bool readable;
  bool blocked;       /* the socket takes no more output for now */
  uint32_t tls_wants; /* EPOLLIN or EPOLLOUT that TLS itself waits for */
  size_t lingered;    /* bytes dropped while lingering */

  Buf in;
  size_t scanned; /* bytes of `in` known to hold no complete head */
  Buf out;

  /* The request that is with the owner. */
  ConnBody body;
  bool has_body;
  bool is_chunked;
  bool paused;
  bool expects; /* 100 Continue */
  bool is_head;
  bool http10;
  bool close_after;
  bool failed; /* the connection answered by itself; the owner is not heard */
  uint64_t body_left;
  HttpChunked chunked;

  /* Its answer. */
  ConnAnswer answer;
  HttpBodyKind kind;
  bool discard; /* the body's bytes are not sent (HEAD, 204, 304) */
  bool want_writable;
  int64_t answer_left; /* of a sized body */
  int64_t date_s;      /* the second that `date` is about */
  char date[32];
};

/* ---- conn.c: the life -------------------------------------------------- */

/* Runs conn_process() before the loop waits again. */
void conn_kick(HttpConn *conn);
/* Ends the connection for `reason` (a string that lives for ever, or NULL
 * when nothing is wrong); `closed` follows from the loop. */
void conn_die(HttpConn *conn, const char *reason);

/* ---- conn-io.c: bytes --------------------------------------------------- */

typedef enum { IO_OK, IO_AGAIN, IO_EOF, IO_ERROR } IoResult;

/* TLS and socket options; false when TLS has no memory. */
bool conn_io_init(HttpConn *conn, SSL_CTX *ssl_ctx);
/* IO_OK when the handshake is complete. */
IoResult conn_io_handshake(HttpConn *conn);
/* Appends what came to `in`, at most one piece; clears `readable` when the
 * socket is drained. IO_ERROR sets conn->error. */
IoResult conn_io_fill(HttpConn *conn, size_t *n);
/* Writes `out` until it is empty or the socket is full. */
IoResult conn_io_flush(HttpConn *conn);
/* Reads and drops. */
IoResult conn_io_drop(HttpConn *conn);
/* Says that nothing more will be sent: close_notify and FIN. */
void conn_io_finish(HttpConn *conn);
/* The client waits for our ACK before it sends the rest (Nagle's algorithm):
 * send it now. */
void conn_io_quick_ack(HttpConn *conn);
void conn_io_close(HttpConn *conn);

/* ---- conn-write.c: answers ---------------------------------------------- */

/* Answers for the connection itself with an error body and Connection: close;
 * when the owner's answer has begun, the connection is reset instead. */
void conn_fail(HttpConn *conn, int status, const char *message);
/* Queues "100 Continue". */
void conn_send_continue(HttpConn *conn);

#endif
