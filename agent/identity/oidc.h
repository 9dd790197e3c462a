/* SPDX-License-Identifier: Apache-2.0 */
/* OpenID Connect: what the ways to sign in share. Private to the room. */
#ifndef HOOP_IDENTITY_OIDC_H
#define HOOP_IDENTITY_OIDC_H

#include "identity/callback.h"
#include "identity/claims.h"
#include "identity/id-token.h"
#include "identity/metadata.h"
#include "identity/provider.h"
#include "identity/web.h"

struct provider {
  Loop *loop;
  Upstream *upstream;
  const IssuerOptions *issuer;
  const ProviderQuirk *quirk;
  Metadata *metadata;  /* NULL: not asked yet */
  int64_t metadata_us; /* when, CLOCK_BOOTTIME as all below */
  KeySet *keys;
  int64_t keys_us;
  int64_t refetch_us; /* when a kid was last not known */
  char *claims;       /* last seen, for renewals that bring none */
  char *userinfo;     /* beside them, or NULL */
  int64_t claims_us;
  Callback *callback; /* of the last sign-in by browser */
  bool many;          /* people: what is known of one is nothing of the next */
};

typedef void (*CallStep)(ProviderCall *call);
/* One of both; errors of OAuth come as answers. */
typedef void (*CallAnswer)(ProviderCall *call,
                           const WebAnswer *answer,
                           const GError *error);

struct provider_call {
  Provider *provider;
  ProviderEvents events;
  void *data;
  WebCall *web;        /* what runs */
  CallAnswer answered; /* who waits for it */
  LoopTimer *timer;
  CallStep step; /* what follows the timer, the metadata or the keys */
  GError *fault; /* what `step` will end the call with */

  LoginMethod method;
  char *token_file;
  bool renewal;
  bool spends; /* the refresh token is on its way */

  /* Device flow. */
  Secret *device_code;
  int64_t deadline_us; /* CLOCK_BOOTTIME */
  int64_t interval_ms;
  int64_t penalty_ms; /* more to wait after failures of the network */

  /* Code flow. */
  Secret *verifier;
  char *nonce;
  char *redirect_uri;
  char *state;            /* of a Portal's question */
  CallbackAnswer brought; /* to a Portal */

  /* What came. */
  Secret *id_token;
  Secret *access;
  Secret *refresh;
  int64_t expires_in; /* s; 0: not told */
  char *subject;      /* the sub that it must be, or NULL */
  char *was;          /* a renewal: the Person's subject it must be, or NULL */
  char *claims;
  bool refetched; /* the keys, for this call */
};

/* ---- oidc.c: the life of a call ------------------------------------------ */

/* One that waits for its first step. */
ProviderCall *oidc_call_new(Provider *provider,
                            const ProviderEvents *events,
                            void *data);
/* Ends the call; takes the error. */
void oidc_fail(ProviderCall *call, GError *error);
void oidc_fail_with(ProviderCall *call,
                    IdentityErrorCode code,
                    const char *format,
                    ...) G_GNUC_PRINTF(3, 4);
/* Ends the call with this, or, where nothing came, with nothing. */
void oidc_succeed(ProviderCall *call, const ProviderGrant *grant);
/* Runs step after ms. */
void oidc_later(ProviderCall *call, int64_t ms, CallStep step);
/* Asks the provider and tells `answered`, never from inside. */
void oidc_ask(ProviderCall *call, const WebAsk *ask, CallAnswer answered);
/* Adds who the client is to a form that goes to `url`, as the provider wants
 * it, and asks. Ends the call when the client's secret cannot be read. */
void oidc_ask_as_client(ProviderCall *call,
                        const char *url,
                        Buf *form,
                        bool body_is_nothing,
                        CallAnswer answered);
/* True when the answer is an error: *error is then what to tell, with the
 * codes of RFC 6749 section 5.2 and RFC 8628 section 3.5 sorted by what they
 * mean; *word is the provider's own, free with g_free. */
bool oidc_is_error(const ProviderCall *call,
                   const WebAnswer *answer,
                   char **word,
                   GError **error);

/* ---- oidc-discover.c ------------------------------------------------------
 */

/* Goes on with step once the metadata are known and fresh. */
void oidc_discover(ProviderCall *call, CallStep step);
/* Goes on with step once keys are there; `anew`: fetched even when fresh. */
void oidc_fetch_keys(ProviderCall *call, bool anew, CallStep step);
/* True when an unknown kid may cause another fetch now, and counts it. */
bool oidc_may_refetch(Provider *provider);

/* ---- oidc-token.c ---------------------------------------------------------
 */

/* Takes the tokens of a token endpoint's answer, checks them and ends the
 * call. */
void oidc_take_tokens(ProviderCall *call, const WebAnswer *answer);
/* The same as a CallAnswer: ends the call when nothing or an error came. */
void oidc_on_tokens(ProviderCall *call,
                    const WebAnswer *answer,
                    const GError *error);
/* The same for call->id_token alone, which came otherwise. */
void oidc_check_id_token(ProviderCall *call);

/* ---- the ways to sign in: each begins behind the discovery ----------------
 */

void oidc_device_start(ProviderCall *call);
void oidc_browser_start(ProviderCall *call);
/* The address of its question, with call's redirect URI, nonce and verifier;
 * NULL: it would be too long. g_free. */
char *oidc_browser_url(const ProviderCall *call, const char *state);
/* Goes on with the answer, which is for this call's state. */
void oidc_browser_take(ProviderCall *call, const CallbackAnswer *answer);
void oidc_credentials_start(ProviderCall *call);
void oidc_file_start(ProviderCall *call);

#endif
