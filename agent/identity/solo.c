/* SPDX-License-Identifier: Apache-2.0 */
/* Solo mode: the person is the local account, always signed in, in the one
 * group `local`. */
#include "identity/identity.h"
#include <errno.h>
#include <pwd.h>
#include <unistd.h>

G_DEFINE_QUARK(hoop_identity_error, identity_error)

struct identity {
  const Person *person;
};

/* The public struct first: a Person is only ever made here. */
typedef struct {
  Person person;
  gint refs;
} Counted;

const Person *
person_ref(const Person *person)
{
  Counted *counted = (Counted *)(void *)person;

  g_atomic_int_inc(&counted->refs);
  return person;
}

void
person_unref(const Person *person)
{
  Counted *counted = (Counted *)(void *)person;

  if (!counted || !g_atomic_int_dec_and_test(&counted->refs))
    return;
  g_free(counted->person.user);
  g_free(counted->person.subject);
  g_free(counted->person.issuer);
  g_strfreev(counted->person.groups);
  g_free(counted);
}

Identity *
identity_new_solo(GError **error)
{
  static const char *const groups[] = {"local", NULL};
  const struct passwd *account;
  Identity *identity;
  Counted *counted;

  errno = 0;
  account = getpwuid(getuid()); /* before threads start */
  if (!account) {
    g_set_error(error,
                IDENTITY_ERROR,
                IDENTITY_ERROR_PROVIDER,
                "user id %u has no account on this machine%s%s",
                (unsigned)getuid(),
                errno ? ": " : "",
                errno ? g_strerror(errno) : "");
    return NULL;
  }
  counted = g_new0(Counted, 1);
  counted->refs = 1;
  counted->person.user = g_strdup(account->pw_name);
  counted->person.subject = g_strdup_printf("%u", (unsigned)getuid());
  counted->person.issuer = g_strdup("local");
  counted->person.groups = g_strdupv((char **)groups);
  identity = g_new0(Identity, 1);
  identity->person = &counted->person;
  return identity;
}

void
identity_free(Identity *identity)
{
  if (!identity)
    return;
  person_unref(identity->person);
  g_free(identity);
}

const Person *
identity_current(Identity *identity, const char *issuer, GError **error)
{
  if (!issuer || g_str_equal(issuer, identity->person->issuer))
    return person_ref(identity->person);
  g_set_error(error,
              IDENTITY_ERROR,
              IDENTITY_ERROR_SIGNED_OUT,
              "Nobody is signed in at %s. Run `hoop-agent login --issuer %s`.",
              issuer,
              issuer);
  return NULL;
}
