/* SPDX-License-Identifier: Apache-2.0 */
/* Solo mode: the person is the local account, always signed in, in the one
 * group `local`. */
#include "identity/person.h"
#include "identity/private.h"
#include <errno.h>
#include <pwd.h>
#include <unistd.h>

Identity *
identity_new_solo(GError **error)
{
  static const char *const groups[] = {"local", NULL};
  const struct passwd *account;
  g_autofree char *uid = g_strdup_printf("%u", (unsigned)getuid());
  Identity *identity;

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
  identity = g_new0(Identity, 1);
  identity->solo = person_new(&(Person){.user = account->pw_name,
                                        .subject = uid,
                                        .issuer = (char *)"local",
                                        .groups = (char **)groups});
  return identity;
}
