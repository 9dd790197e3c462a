/* SPDX-License-Identifier: Apache-2.0 */
/* What the upstream tests share: a loop, a trusted test authority, names that
 * resolve to loopback, and calls that collect what they are told. */
#ifndef HOOP_TEST_UPSTREAM_HARNESS_H
#define HOOP_TEST_UPSTREAM_HARNESS_H

#include "tests/unit/upstream-certs.h"
#include "tests/unit/upstream-server.h"
#include "upstream/upstream.h"

/* Seconds after which a wait is a failure; sanitizers and valgrind are slow. */
#define PATIENCE 60

typedef struct {
  Loop *loop;
  char *dir; /* private, removed at the end */
  char *ca_file;
  Cert *ca;
  Cert *leaf; /* for good.test and 127.0.0.1 */
  Upstream *upstream;
} Fixture;

/* Seconds of a time limit that the test waits for: short, but not so short that
 * sixty handshakes at once meet it under valgrind. */
unsigned short_limit(void);

/* Limits that only a real stall meets. */
UpstreamOptions fixture_options(const Fixture *fixture);
/* options: NULL for the default ones. */
Fixture *fixture_new(const UpstreamOptions *options);
/* Frees Upstream, then runs the loop once. */
void fixture_free(Fixture *fixture);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Fixture, fixture_free)
/* Replaces the Upstream. */
void fixture_restart(Fixture *fixture, const UpstreamOptions *options);

typedef struct call Call;
struct call {
  UpstreamRequest *request; /* NULL once done */
  int status;
  HttpHeaders *headers;
  GByteArray *body;
  size_t body_len; /* also of bytes that `discard` dropped */
  bool discard;    /* count the body, keep nothing */
  bool done;
  GError *error;
  int heads;
  /* Called after the default handling, or NULL; the body's result counts. */
  void (*on_head)(Call *call);
  bool (*on_body)(Call *call);
  void (*on_done)(Call *call);
  void *data;
};

/* What a test does not set is GET, no headers, no body. */
typedef struct {
  const char *method;
  const char *host;    /* "good.test" */
  const char *path;    /* "/" */
  const char *headers; /* "Name: value\nName: value" */
  const char *host_header;
  GBytes *body;
} Ask;

Call *call_new(void);
void call_free(Call *call);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Call, call_free)
/* Sends; the call's request is NULL when upstream_send() refused (error). */
void call_start(Call *call, Fixture *fixture, uint16_t port, const Ask *ask);
/* Runs the loop until the call is done. */
void call_wait(Call *call, Fixture *fixture);
/* Both. */
Call *call_run(Fixture *fixture, uint16_t port, const Ask *ask);
/* Runs the loop until *flag, or fails. */
void run_until(Loop *loop, const bool *flag);
/* Runs the loop for at most `ms`. */
void run_for(Loop *loop, int ms);

#define assert_error(call, code_)                                              \
  G_STMT_START                                                                 \
  {                                                                            \
    g_assert_true((call)->done);                                               \
    g_assert_error((call)->error, UPSTREAM_ERROR, code_);                      \
  }                                                                            \
  G_STMT_END

/* Names under .test resolve to 127.0.0.1, except unknown.test (no such name),
 * stall.test (waits for names_release()), six.test (::1) and two.test
 * (127.0.0.2, then 127.0.0.1). */
void names_release(void);

#endif
