/* SPDX-License-Identifier: Apache-2.0 */
/* A provider in the test's own process, behind TLS, that says what the test
 * wants it to, and a person whose sign-ins are recorded. */
#ifndef HOOP_TEST_IDENTITY_KIT_H
#define HOOP_TEST_IDENTITY_KIT_H

#include "identity/identity.h"
#include "tests/unit/upstream-server.h"

/* Seconds after which a wait is a failure. */
#define PATIENCE 60

/* s that a token lives that is to be renewed soon, after three quarters of
 * it; over before a renewal that failed is tried again. */
#define SHORT (g_getenv("HOOP_VALGRIND") ? 12 : 4)

typedef struct fake Fake;

/* A provider with all endpoints that answers nothing but its documents until
 * it is told more. */
Fake *fake_new(void);
void fake_free(Fake *fake);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Fake, fake_free)
const char *fake_issuer(const Fake *fake);
const char *fake_ca_file(const Fake *fake);
const char *fake_dir(const Fake *fake);

/* The next answers at a path, one after another; the last one stays. `body` is
 * taken, or NULL for none. Status 0: the bytes are sent as they are; -1: the
 * connection is closed instead; -2: it is left without an answer. */
void fake_answer(Fake *fake, const char *path, int status, char *body);
/* Each answer of the path comes so late. */
void fake_delay(Fake *fake, const char *path, int ms);
/* Forgets the answers of the path. */
void fake_forget(Fake *fake, const char *path);
/* A discovery document with `edit` instead of, or beside, a member: NULL as it
 * should be. `"name":value` */
char *fake_metadata(const Fake *fake, const char *edit);
/* How often a path was asked, and the last body that came. */
unsigned fake_asked(Fake *fake, const char *path);
char *fake_last(Fake *fake, const char *path);
/* Monotonic time of the nth (from 0) question at the path. */
int64_t fake_when(Fake *fake, const char *path, unsigned nth);
/* Another signing key under another kid; the former is gone. */
void fake_rotate_keys(Fake *fake);

/* What an ID token says; NULL and 0 for what a good one does. */
typedef struct {
  const char *sub; /* "u1" */
  const char *aud; /* "agent" */
  const char *nonce;
  const char *groups; /* JSON; ["dev"] */
  int life;           /* s; 600 */
} TokenSpec;
char *fake_id_token(Fake *fake, const TokenSpec *spec);
/* A token endpoint's answer; refresh NULL: none; spec NULL: no ID token. */
char *fake_tokens(Fake *fake, const char *refresh, const TokenSpec *spec);
/* The next answer at /token: the same, made when it is asked, so that its
 * life begins then. */
void fake_grant(Fake *fake, const char *refresh, const TokenSpec *spec);
/* A device authorization's answer with these. */
char *fake_device(const Fake *fake, int interval, int expires_in);

typedef struct {
  Fake *fake;
  Loop *loop;
  GSource *source;
  Identity *identity;
  IssuerOptions issuer;
  char *state_dir;
  /* What the sign-in said. */
  Login *login;
  bool prompted;
  char *url, *url_whole, *user_code;
  bool done;
  const Person *person;
  char *notice;
  GError *error;
  void (*on_prompt)(void *data); /* or NULL; gets the Desk */
  /* What the sessions said. */
  GString *events; /* a letter each: I in, O out, V revoked, N renewed, F */
  char *sentence;
} Desk;

/* An identity with one issuer, which is signed out. tweak: changes the options
 * first, or NULL. */
Desk *desk_new(Fake *fake, void (*tweak)(IssuerOptions *issuer));
void desk_free(Desk *desk);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Desk, desk_free)
/* Another life of the agent, with the same state. */
void desk_restart(Desk *desk);
/* Starts a sign-in and forgets the last one's result. */
void desk_login(Desk *desk, LoginMethod method, bool insecure);
void desk_wait(Desk *desk);
/* Both. */
void desk_sign_in(Desk *desk, LoginMethod method, bool insecure);
/* NULL when it went well, else the message; free with g_free. */
char *desk_logout(Desk *desk);
/* Runs the loop until check(data), or fails; true so that it can be asserted.
 */
bool desk_until(bool (*check)(void *data), void *data);
bool desk_until_asked(Fake *fake, const char *path, unsigned times);
bool desk_until_event(Desk *desk, char event);
/* Runs the loop for so long. */
void desk_run(int ms);
/* The user who is signed in, or why nobody is; free with g_free. */
char *desk_who(Desk *desk);

#define assert_login_error(desk, code_, text)                                  \
  G_STMT_START                                                                 \
  {                                                                            \
    g_assert_error((desk)->error, IDENTITY_ERROR, (int)(code_));               \
    g_assert_cmpstr(strstr((desk)->error->message, text), !=, NULL);           \
  }                                                                            \
  G_STMT_END

/* No session bus, a private XDG_*: before anything else in main(). */
void desk_prepare(void);

#endif
