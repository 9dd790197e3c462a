/* SPDX-License-Identifier: Apache-2.0 */
/* Who the developer is. A provider signs a person in; the room keeps one
 * session for each issuer, renews it silently and holds its tokens. Without an
 * issuer the local account is the person (solo mode). */
#ifndef HOOP_IDENTITY_H
#define HOOP_IDENTITY_H

#include "kit/loop.h"
#include "upstream/upstream.h"
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define IDENTITY_ERROR (identity_error_quark())
GQuark identity_error_quark(void);
typedef enum {
  IDENTITY_ERROR_SIGNED_OUT,  /* the message says what to run */
  IDENTITY_ERROR_CONFIG,      /* no such issuer, a key that cannot be used */
  IDENTITY_ERROR_UNREACHABLE, /* network, TLS, a provider that fails */
  IDENTITY_ERROR_PROTOCOL,    /* an answer that its specification forbids */
  IDENTITY_ERROR_DENIED,      /* the person or the provider said no */
  IDENTITY_ERROR_EXPIRED,     /* the code was not used in time */
  IDENTITY_ERROR_TOKEN,       /* a token that failed a check */
  IDENTITY_ERROR_LOCKED,      /* the keyring is locked */
  IDENTITY_ERROR_STORE,       /* the tokens could not be stored or cleared */
  IDENTITY_ERROR_BUSY,        /* a sign-in at this issuer is under way */
  IDENTITY_ERROR_CANCELLED,
  IDENTITY_ERROR_PROVIDER /* anything else that the provider said or lacks */
} IdentityErrorCode;

/* An immutable picture of who is signed in; any thread. */
typedef struct {
  char *user;    /* account name or the issuer's preferred user name */
  char *subject; /* the issuer's stable id; the uid in solo mode */
  char *issuer;  /* "local" in solo mode, else the issuer's URL */
  char **groups; /* NULL terminated; {"local"} in solo mode. NULL: the issuer
                    did not say (no claim, or too many to list), which a
                    policy takes as the strictest of all groups */
  char *groups_unknown; /* groups NULL: why, a sentence; else NULL */
  int64_t expires_us;   /* wall clock; 0: never */
} Person;

const Person *person_ref(const Person *person);
void person_unref(const Person *person);
typedef const Person PersonRef;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PersonRef, person_unref)

/* One issuer as configured; strings outlive the call that takes it. */
typedef struct {
  const char *name;   /* of the [identity "NAME"] */
  const char *type;   /* "oidc"; NULL: that */
  const char *issuer; /* URL; https alone, on loopback too (ca_file) */
  const char *client_id;
  const char *client_secret_file; /* or NULL: a public client */
  const char *scopes;             /* separated by spaces */
  const char *audience;         /* sent where the provider wants it, or NULL */
  uint16_t redirect_port;       /* 0: any free one (RFC 8252 section 7.3) */
  const char *groups_claim;     /* path: `groups`, `realm_access.roles`; a
                                   name with dots is tried whole first. `none`:
                                   nobody here is in a group, by design */
  const char *groups_separator; /* splits a string claim; NULL: not split */
  const char *groups_prefix;    /* taken off, and others dropped; or NULL */
  const char *ca_file;          /* more trust anchors, PEM, or NULL */
  bool keeps_access;            /* renewed in time for the access token, too */
  bool (*is_ours)(int fd);      /* who may bring the browser's answer: true for
                                   an accepted connection of this user's; NULL:
                                   whoever knows the state */
} IssuerOptions;

typedef struct identity Identity;

/* The local account of this process, group `local`. */
Identity *identity_new_solo(GError **error);

typedef struct {
  const IssuerOptions *issuers; /* at least one */
  unsigned n_issuers;
  UpstreamOptions upstream; /* proxy and time limits; each issuer's ca_file is
                               put in */
  const char
      *state_dir; /* for `--insecure-storage`, XDG_STATE_HOME/hoop-agent */
} IdentityOptions;

/* Sessions with these issuers, kept and renewed on `loop` (the main thread's,
 * which also dispatches the default GMainContext: the Secret Service is asked
 * there). Options are copied. Stored sessions are looked up at once, in the
 * background. All functions below are for that thread unless they say
 * otherwise. IDENTITY_ERROR_CONFIG names the issuer and the key.
 *
 * A session ends with its ID token, after a day at most, and is renewed after
 * 75 to 80 % of that; what fails is tried again, after 5 s, then twice as long
 * up to 5 min, also behind its end. A new refresh token is stored before
 * anything else is done with the answer. Where renewals bring no ID token, the
 * session goes on for as long as the access token (a minute to an hour) with
 * what is known of the person, which after an hour is asked of userinfo again;
 * a provider without userinfo ends it then. A machine signs in again by itself
 * after a restart: the way it did is stored, in a file without secrets, and
 * who it was, whom nobody else's token can follow. */
Identity *identity_new(Loop *loop,
                       const IdentityOptions *options,
                       GError **error);
/* Before the end: no renewal begins any more; waits up to 5 s, dispatching the
 * default GMainContext, for those whose refresh token is under way, so that
 * the one that takes its place is stored and not lost. At once back where there
 * are none. */
void identity_settle(Identity *identity);
/* Cancels what runs, and waits up to 3 s for a keyring that is storing. Accepts
 * NULL. */
void identity_free(Identity *identity);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Identity, identity_free)

/* Who is signed in at this issuer (its configured name or its URL; NULL: the
 * first that is configured), a new reference; NULL with
 * IDENTITY_ERROR_SIGNED_OUT and the sentence that says what to run otherwise,
 * also after the session's expiry. Any thread, without waiting. */
const Person *identity_current(Identity *identity,
                               const char *issuer,
                               GError **error);

/* True while the session at this issuer is being renewed: whom
 * identity_current() refuses may ask again in a moment. Any thread. */
bool identity_is_renewing(Identity *identity, const char *issuer);

typedef enum {
  LOGIN_DEVICE,             /* RFC 8628 */
  LOGIN_BROWSER,            /* code + PKCE on loopback, RFC 8252 */
  LOGIN_CLIENT_CREDENTIALS, /* RFC 6749 section 4.4: a machine */
  LOGIN_TOKEN_FILE          /* an ID token that a CI system mounts */
} LoginMethod;

typedef struct {
  const char *issuer; /* name or URL; NULL: the first */
  LoginMethod method;
  const char *token_file; /* LOGIN_TOKEN_FILE: read again on renewal */
  bool insecure_storage;  /* the refresh token may lie in a 0600 file */
} LoginSpec;

/* What a person has to do; strings have no control characters, are at most
 * 2 KiB and live during the call. */
typedef struct {
  const char *issuer;
  const char *url;       /* https: open this */
  const char *url_whole; /* with the code inside, for a QR code, or NULL */
  const char *user_code; /* NULL: none to enter (browser) */
  int64_t expires_us;    /* wall clock; 0: not known */
} LoginPrompt;

typedef struct {
  /* At most once; not for machines. */
  void (*prompt)(const LoginPrompt *prompt, void *data);
  /* The last call, never from inside identity_login(): who signed in, or why
   * not. `notice` is a sentence for the person beside success, or NULL (tokens
   * that are kept in memory only, groups that are not known). */
  void (*done)(const Person *person,
               const char *notice,
               const GError *error,
               void *data);
} LoginEvents;

typedef struct login Login;

/* Starts a sign-in; one at a time for each issuer (IDENTITY_ERROR_BUSY). A
 * session that exists stays until the new one is there. NULL with error and no
 * call when it cannot start. */
Login *identity_login(Identity *identity,
                      const LoginSpec *spec,
                      const LoginEvents *events,
                      void *data,
                      GError **error);
/* Ends it without a further call; valid until done. */
void login_cancel(Login *login);

/* Revokes (RFC 7009) and clears the session at this issuer (NULL: the first),
 * then calls done, never from inside this call. The session is over and the
 * store cleared even when the provider could not be told: then `error` says
 * so. */
void identity_logout(Identity *identity,
                     const char *issuer,
                     void (*done)(const GError *error, void *data),
                     void *data);

typedef struct {
  const char *name, *issuer;
  const Person *person; /* NULL: signed out */
  const char *storage;  /* "keyring", "memory", "file" or "none" (a machine:
                           nothing to keep) */
  const char *problem;  /* what is wrong with it, a sentence, or NULL */
  bool machine;         /* nobody to ask: what would ask is denied */
  bool signing_in;
  int64_t renewed_us; /* 0: not yet */
} SessionInfo;

unsigned identity_count(const Identity *identity);
/* Valid until control returns to the loop. Solo mode has one. */
SessionInfo identity_session(Identity *identity, unsigned index);

typedef enum {
  IDENTITY_SIGNED_IN,
  IDENTITY_SIGNED_OUT, /* the person, or its expiry */
  IDENTITY_REVOKED,    /* the provider ended it: worth a notification */
  IDENTITY_RENEWED,
  IDENTITY_RENEWAL_FAILED /* offline; the session goes on until its expiry */
} IdentityEvent;

/* Calls func when a session changed, with a sentence for the person. */
void identity_watch(Identity *identity,
                    void (*func)(const char *issuer,
                                 IdentityEvent event,
                                 const char *sentence,
                                 void *data),
                    void *data);

/* The access token of whoever is signed in at this issuer (NULL: the first), a
 * new reference, for services that the issuer's tokens are for; the agent does
 * not look into it. IDENTITY_ERROR_SIGNED_OUT when there is none, or none that
 * is still good. The loop's thread. */
Secret *identity_access(Identity *identity, const char *issuer, GError **error);

/* True when the person signed in at this issuer is a machine: headless. Any
 * thread. */
bool identity_is_machine(Identity *identity, const char *issuer);

/* ---- Access tokens, where they arrive --------------------------------------
 */

/* Checks the bearer tokens that others bring (RFC 9068): the signature by the
 * issuer's published keys, and all that an ID token is checked for, but with
 * `audience` as the one that it must be for. */
typedef struct access_gate AccessGate;
typedef struct access_check AccessCheck;

/* For tokens of these issuers alone (of whom name, issuer, ca_file and what
 * says how groups are read are used); options are copied. Keys are fetched on
 * `loop`, whose thread calls everything here, when a token first needs them,
 * after an hour, and for an unknown key at most once a minute. Fails as
 * upstream_new(). */
AccessGate *access_gate_new(Loop *loop,
                            const IssuerOptions *issuers,
                            unsigned n_issuers,
                            const char *audience,
                            const UpstreamOptions *upstream,
                            GError **error);
/* No check is told of any more. Accepts NULL; not inside done. */
void access_gate_free(AccessGate *gate);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AccessGate, access_gate_free)

/* done is called once, never from inside this call, with the person whom the
 * token speaks of (groups are the token's own, expires_us its exp) or with
 * IDENTITY_ERROR_TOKEN (the check that refused it, never what it says) or
 * _UNREACHABLE (the issuer's keys cannot be had). */
AccessCheck *access_gate_check(AccessGate *gate,
                               const char *token,
                               void (*done)(const Person *person,
                                            const GError *error,
                                            void *data),
                               void *data);
/* It will not call done. Accepts NULL. */
void access_check_cancel(AccessCheck *check);

/* ---- Sign-in at a web page of ours -----------------------------------------
 */

/* People sign in to a page that this program serves: code flow (OpenID Connect
 * Core 1.0 section 3.1) with PKCE (RFC 7636) and one redirect URI. Nothing is
 * kept between question and answer: what binds both is the caller's, who binds
 * it to the browser. */
typedef struct portal Portal;
typedef struct portal_call PortalCall;

/* Strings of base64url, 256 random bits each; the same for one sign-in's
 * question and answer. */
typedef struct {
  const char *state, *nonce, *verifier;
} PortalBond;

typedef struct {
  const Person *person; /* its expiry is the ID token's, a day at most */
  Secret *renewal;      /* for portal_renew(), or NULL */
  int64_t renew_us;     /* wall clock: when to; 0: never */
} PortalGrant;

/* The last word of a call, never from inside the one that began it. Of url and
 * grant one is there, or the error; with the error of a renewal there may be a
 * grant without person, whose renewal takes the former's place. */
typedef void (*PortalDone)(const char *url,
                           const PortalGrant *grant,
                           const GError *error,
                           void *data);

/* The issuers (with client_id, and client_secret_file where the client is a
 * confidential one) and their strings must outlive it. redirect_uri: https.
 * IDENTITY_ERROR_CONFIG names the issuer and the key. */
Portal *portal_new(Loop *loop,
                   const IssuerOptions *issuers,
                   unsigned n_issuers,
                   const char *redirect_uri,
                   const UpstreamOptions *upstream,
                   GError **error);
/* Ends what runs. Accepts NULL; not inside done. */
void portal_free(Portal *portal);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Portal, portal_free)

/* Where to send the browser: done(url). */
PortalCall *portal_ask(Portal *portal,
                       unsigned issuer,
                       const PortalBond *bond,
                       PortalDone done,
                       void *data);
/* What the browser brought: the query, without its question mark. Its state
 * must be the bond's, its `iss` the issuer (RFC 9207); the code is spent, the
 * ID token checked with the bond's nonce: done(grant). NULL, and no call, when
 * the query is not for this state or is malformed. */
PortalCall *portal_take(Portal *portal,
                        unsigned issuer,
                        const PortalBond *bond,
                        const char *query,
                        PortalDone done,
                        void *data);
/* Asks again who the person is: done(grant). IDENTITY_ERROR_DENIED and _TOKEN
 * say that the session is over. */
PortalCall *portal_renew(Portal *portal,
                         unsigned issuer,
                         Secret *renewal,
                         const Person *person,
                         PortalDone done,
                         void *data);
/* Ends it at the provider, as far as it takes part (RFC 7009). */
void portal_revoke(Portal *portal, unsigned issuer, Secret *renewal);
/* Ends it without done. Accepts NULL. */
void portal_cancel(PortalCall *call);

#endif
