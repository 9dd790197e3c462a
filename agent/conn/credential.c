/* SPDX-License-Identifier: Apache-2.0 */
/* The credential that the agent holds: from a file that only its owner reads,
 * looked at again when the file changes, or from the environment. */
#include "conn/private.h"
#include "kit/file.h"
#include <string.h>
#include <sys/stat.h>

struct credential {
  char *path; /* NULL: from the environment, read once */
  struct stat seen;
  Secret *value;
  bool fresh; /* not yet reported as changed */
};

static bool
read_again(Credential *credential, GError **error)
{
  Secret *value = file_read_secret(credential->path, error);

  if (!value)
    return false;
  if (!secret_len(value)) {
    secret_unref(value);
    g_set_error(error,
                CONN_ERROR,
                CONN_ERROR_CREDENTIAL,
                "%s: is empty; put the credential into it",
                credential->path);
    return false;
  }
  credential->fresh =
      !credential->value ||
      !secret_equal(credential->value, secret_bytes(value), secret_len(value));
  secret_unref(credential->value);
  credential->value = value;
  return true;
}

static bool
refresh(Credential *credential, GError **error)
{
  struct stat now;

  if (!credential->path)
    return true;
  if (stat(credential->path, &now) == 0 && credential->value &&
      now.st_ino == credential->seen.st_ino &&
      now.st_mode == credential->seen.st_mode &&
      now.st_mtim.tv_sec == credential->seen.st_mtim.tv_sec &&
      now.st_mtim.tv_nsec == credential->seen.st_mtim.tv_nsec)
    return true;
  if (!read_again(credential, error)) {
    /* The old one is not used on: a withdrawn file is a withdrawn right. */
    g_clear_pointer(&credential->value, secret_unref);
    return false;
  }
  credential->seen = now;
  return true;
}

Credential *
credential_new(const char *source, GError **error)
{
  g_autoptr(Credential) credential = g_new0(Credential, 1);
  const char *value;

  if (g_str_has_prefix(source, "file:")) {
    credential->path = g_strdup(source + 5);
    return refresh(credential, error) ? g_steal_pointer(&credential) : NULL;
  }
  if (!g_str_has_prefix(source, "env:")) {
    g_set_error(error,
                CONN_ERROR,
                CONN_ERROR_CREDENTIAL,
                "credential=%s: give file:PATH or env:NAME",
                source);
    return NULL;
  }
  value = g_getenv(source + 4);
  if (!value || !*value) {
    g_set_error(error,
                CONN_ERROR,
                CONN_ERROR_CREDENTIAL,
                "credential=%s: that variable is not set",
                source);
    return NULL;
  }
  credential->value = secret_new(value, strlen(value));
  credential->fresh = true;
  g_unsetenv(source + 4); /* children and /proc/PID/environ of them */
  return g_steal_pointer(&credential);
}

void
credential_free(Credential *credential)
{
  if (!credential)
    return;
  secret_unref(credential->value);
  g_free(credential->path);
  g_free(credential);
}

const char *
credential_get(Credential *credential, bool *changed, GError **error)
{
  if (!refresh(credential, error))
    return NULL;
  *changed = credential->fresh;
  credential->fresh = false;
  return secret_text(credential->value);
}
