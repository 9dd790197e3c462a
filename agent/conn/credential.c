/* SPDX-License-Identifier: Apache-2.0 */
/* The credential that the agent holds: from a file that only its owner reads,
 * looked at again when the file changes, from the environment, or lent by the
 * hub for a while. */
#define _GNU_SOURCE
#include "conn/private.h"
#include "kit/clock.h"
#include "kit/file.h"
#include <string.h>
#include <sys/stat.h>

struct credential {
  char *path; /* NULL: from the environment, read once, or lent */
  char *lent; /* its name at the hub, or NULL */
  char *why;  /* the hub lends nothing; or NULL */
  int64_t until_us;
  struct stat seen;
  Secret *value;
  Secret *former; /* answers to requests with it may still come */
  bool fresh;     /* not yet reported as changed */
};

static bool fail(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

static bool
fail(GError **error, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start(args, format);
  text = g_strdup_vprintf(format, args);
  va_end(args);
  g_set_error_literal(error, CONN_ERROR, CONN_ERROR_CREDENTIAL, text);
  return false;
}

/* It becomes a header's value: one word of ASCII. */
static bool
is_one_word(const Secret *value)
{
  const char *text = secret_text(value);

  for (size_t i = 0; i < secret_len(value); i++)
    if (text[i] <= ' ' || text[i] > '~')
      return false;
  return true;
}

static bool
read_again(Credential *credential, GError **error)
{
  g_autoptr(GError) why = NULL;
  g_autoptr(Secret) value = file_read_secret(credential->path, &why);

  if (!value)
    return fail(error, "the credential cannot be used: %s", why->message);
  if (!is_one_word(value))
    return fail(error,
                "the credential in %s is not one word: it holds white space "
                "or control bytes",
                credential->path);
  credential->fresh =
      !credential->value ||
      !secret_equal(credential->value, secret_bytes(value), secret_len(value));
  if (credential->fresh && credential->value) {
    secret_unref(credential->former);
    credential->former = secret_ref(credential->value);
  }
  secret_unref(credential->value);
  credential->value = g_steal_pointer(&value);
  return true;
}

/* Whatever is done to a file changes one of these. */
static bool
is_same_file(const struct stat *a, const struct stat *b)
{
  return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
         a->st_size == b->st_size && a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
         a->st_ctim.tv_nsec == b->st_ctim.tv_nsec &&
         a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
         a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void
take_away(Credential *credential)
{
  if (!credential->value)
    return;
  secret_unref(credential->former);
  credential->former = g_steal_pointer(&credential->value);
}

static bool
refresh_lent(Credential *credential, GError **error)
{
  const bool over = credential->until_us <= clock_wall_us();

  if (over)
    take_away(credential);
  return credential->value ||
         fail(error,
              "the hub lends no credential %s: %s",
              credential->lent,
              credential->why ? credential->why
              : over && credential->until_us > 0
                  ? "it has ended, and the hub is out of reach"
                  : "it has not answered yet");
}

static bool
refresh(Credential *credential, GError **error)
{
  struct stat now;

  if (credential->lent)
    return refresh_lent(credential, error);
  if (!credential->path)
    return true;
  if (stat(credential->path, &now) == 0 && credential->value &&
      is_same_file(&now, &credential->seen))
    return true;
  if (!read_again(credential, error)) {
    /* The old one is not used on: a withdrawn file is a withdrawn right. */
    take_away(credential);
    return false;
  }
  credential->seen = now;
  return true;
}

static bool
from_file(Credential *credential, const char *path, GError **error)
{
  if (g_str_has_prefix(path, "~/"))
    credential->path = g_build_filename(g_get_home_dir(), path + 2, NULL);
  else if (*path == '/')
    credential->path = g_strdup(path);
  else
    return fail(error, "credential=file:%s: give an absolute path", path);
  return refresh(credential, error);
}

static bool
from_environment(Credential *credential, const char *name, GError **error)
{
  char *value = (char *)g_getenv(name);

  if (!value || !*value)
    return fail(error, "credential=env:%s: that variable is not set", name);
  credential->value = secret_new(value, strlen(value));
  credential->fresh = true;
  /* Neither for children nor for who reads /proc/PID/environ. */
  secret_wipe(value, strlen(value));
  g_unsetenv(name);
  return is_one_word(credential->value) ||
         fail(error,
              "credential=env:%s: it is not one word: it holds white space or "
              "control bytes",
              name);
}

Credential *
credential_new(const char *source, GError **error)
{
  g_autoptr(Credential) credential = g_new0(Credential, 1);
  bool fine;

  if (g_str_has_prefix(source, "file:"))
    fine = from_file(credential, source + strlen("file:"), error);
  else if (g_str_has_prefix(source, "env:"))
    fine = from_environment(credential, source + strlen("env:"), error);
  else if (g_str_has_prefix(source, "hub:") && source[4])
    fine = (credential->lent = g_strdup(source + 4)) != NULL;
  else
    fine = fail(
        error, "credential=%s: give file:PATH, env:NAME or hub:NAME", source);
  return fine ? g_steal_pointer(&credential) : NULL;
}

void
credential_lend(Credential *credential,
                const char *name,
                Secret *secret,
                int64_t until_us,
                const char *why)
{
  const bool usable = secret && is_one_word(secret);

  if (g_strcmp0(credential->lent, name) != 0)
    return;
  g_free(credential->why);
  credential->why = g_strdup(secret && !usable ? "it is not one word" : why);
  credential->until_us = usable ? until_us : 0;
  if (usable && credential->value &&
      secret_equal(credential->value, secret_bytes(secret), secret_len(secret)))
    return;
  take_away(credential);
  if (usable) {
    credential->value = secret_ref(secret);
    credential->fresh = true;
  }
}

void
credential_free(Credential *credential)
{
  if (!credential)
    return;
  secret_unref(credential->value);
  secret_unref(credential->former);
  g_free(credential->path);
  g_free(credential->lent);
  g_free(credential->why);
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

bool
secret_stands_in(const Secret *secret, const void *bytes, size_t len)
{
  return secret && secret_len(secret) &&
         memmem(bytes, len, secret_bytes(secret), secret_len(secret)) != NULL;
}

bool
credential_stands_in(const Credential *credential,
                     const void *bytes,
                     size_t len)
{
  return secret_stands_in(credential->value, bytes, len);
}

void
credential_secrets(const Credential *credential, GPtrArray *out)
{
  if (credential->value)
    g_ptr_array_add(out, secret_ref(credential->value));
  if (credential->former)
    g_ptr_array_add(out, secret_ref(credential->former));
}
