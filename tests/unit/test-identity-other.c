/* SPDX-License-Identifier: Apache-2.0 */
/* A provider that knows nothing of OpenID Connect, as SAML would be: sessions
 * need no more of it than provider.h says. */
#include "identity/person.h"
#include "identity/provider.h"
#include "kit/clock.h"
#include "tests/unit/identity-kit.h"
#include <string.h>

#define LIFE_US (INT64_C(3600) * G_USEC_PER_SEC)
#define SHORT_US (INT64_C(1) * G_USEC_PER_SEC)

struct provider {
  Loop *loop;
  const IssuerOptions *issuer;
};

struct provider_call {
  Provider *provider;
  LoopTimer *timer;
  ProviderEvents events;
  void *data;
  LoginMethod method;
};

static int64_t life_us;
static unsigned revoked;

static Provider *
make(Loop *loop,
     const IssuerOptions *issuer,
     const UpstreamOptions *upstream,
     GError **error)
{
  Provider *provider = g_new0(Provider, 1);

  (void)upstream;
  (void)error;
  *provider = (Provider){loop, issuer};
  return provider;
}

static void
unmake(Provider *provider)
{
  g_free(provider);
}

static void
cancel(ProviderCall *call)
{
  loop_timer_free(call->timer);
  g_free(call);
}

/* An assertion has come. */
static void
assert_person(void *data)
{
  ProviderCall *call = data;
  char *groups[] = {(char *)"staff", NULL};
  const int64_t end = clock_wall_us() + life_us;
  g_autoptr(PersonRef) person =
      person_new(&(Person){.user = (char *)"ada",
                           .subject = (char *)"_name-id",
                           .issuer = (char *)call->provider->issuer->issuer,
                           .groups = groups,
                           .expires_us = end});
  const ProviderGrant grant = {.person = person};
  g_autoptr(GError) error = NULL;

  if (call->method != LOGIN_BROWSER)
    error = g_error_new_literal(
        IDENTITY_ERROR, IDENTITY_ERROR_PROVIDER, "there is a browser alone");
  else if (call->events.prompt)
    call->events.prompt(&(LoginPrompt){.issuer = person->issuer,
                                       .url = "https://idp.example/sso"},
                        call->data);
  call->events.done(error ? NULL : &grant, error, call->data);
  cancel(call);
}

static ProviderCall *
login(Provider *provider,
      const LoginSpec *spec,
      const ProviderEvents *events,
      void *data)
{
  ProviderCall *call = g_new0(ProviderCall, 1);

  *call = (ProviderCall){.provider = provider,
                         .events = *events,
                         .data = data,
                         .method = spec->method};
  call->timer = loop_timer_new(provider->loop, assert_person, call);
  loop_timer_set(call->timer, 0);
  return call;
}

static ProviderCall *
renew(Provider *provider,
      const LoginSpec *spec,
      Secret *renewal,
      const char *subject,
      const ProviderEvents *events,
      void *data)
{
  (void)provider;
  (void)spec;
  (void)renewal;
  (void)subject;
  (void)events;
  (void)data;
  g_assert_not_reached();
}

static ProviderCall *
revoke(Provider *provider,
       Secret *renewal,
       const ProviderEvents *events,
       void *data)
{
  revoked++;
  return renew(provider, NULL, renewal, NULL, events, data);
}

static bool
spends(const ProviderCall *call)
{
  (void)call;
  return false;
}

static const ProviderType other = {.type = "other",
                                   .make = make,
                                   .unmake = unmake,
                                   .login = login,
                                   .renew = renew,
                                   .revoke = revoke,
                                   .spends = spends,
                                   .cancel = cancel};

const ProviderType *__wrap_provider_type(const char *type);

const ProviderType *
__wrap_provider_type(const char *type)
{
  g_assert_cmpstr(type, ==, "other");
  return &other;
}

static void
be_other(IssuerOptions *issuer)
{
  issuer->type = "other";
  issuer->client_id = "hoop-agent";
  issuer->scopes = NULL;
}

static void
test_session(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, be_other);
  g_autofree char *who = NULL;
  g_autofree char *out = NULL;

  life_us = LIFE_US;
  desk_sign_in(desk, LOGIN_DEVICE, true);
  assert_login_error(desk, IDENTITY_ERROR_PROVIDER, "browser");
  desk_sign_in(desk, LOGIN_BROWSER, true);
  g_assert_no_error(desk->error);
  g_assert_true(desk->prompted);
  g_assert_cmpstr(desk->person->subject, ==, "_name-id");
  g_assert_cmpstr(desk->person->groups[0], ==, "staff");
  g_assert_nonnull(strstr(desk->notice, "nothing to renew"));
  g_assert_null(strstr(desk->notice, "offline_access"));
  g_assert_false(identity_is_machine(desk->identity, NULL));
  out = desk_logout(desk);
  g_assert_null(out);
  who = desk_who(desk);
  g_assert_nonnull(strstr(who, "Nobody is signed in"));
  g_assert_cmpuint(revoked, ==, 0);
  g_assert_cmpstr(desk->events->str, ==, "IO");
}

static void
test_end(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, be_other);
  g_autofree char *who = NULL;

  life_us = SHORT_US;
  desk_sign_in(desk, LOGIN_BROWSER, true);
  g_assert_no_error(desk->error);
  desk_until_event(desk, 'O');
  who = desk_who(desk);
  g_assert_nonnull(strstr(who, "has ended"));
}

int
main(int argc, char **argv)
{
  desk_prepare();
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/identity/other/session", test_session);
  g_test_add_func("/identity/other/end", test_end);
  return g_test_run();
}
