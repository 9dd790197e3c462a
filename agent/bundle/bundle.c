/* SPDX-License-Identifier: Apache-2.0 */
/* A bundle's files and the paths that they may have; which bundle may follow
 * which. */
#include "bundle/bundle.h"
#include "bundle/private.h"
#include "kit/clock.h"
#include <string.h>

/* Clocks of agent and hub differ by so much. */
#define SKEW_US (INT64_C(300) * 1000000)

G_DEFINE_QUARK(hoop_bundle_error, bundle_error)

static void
file_free(void *data)
{
  BundleFile *file = data;

  g_free(file->path);
  g_bytes_unref(file->bytes);
  g_free(file);
}

Bundle *
bundle_new(const char *name, int64_t version)
{
  Bundle *bundle = g_new0(Bundle, 1);

  bundle->name = g_strdup(name);
  bundle->version = version;
  bundle->files = g_ptr_array_new_with_free_func(file_free);
  return bundle;
}

void
bundle_free(Bundle *bundle)
{
  if (!bundle)
    return;
  g_free(bundle->name);
  g_ptr_array_unref(bundle->files);
  g_free(bundle);
}

bool
bundle_fail(GError **error, BundleErrorCode code, const char *format, ...)
{
  g_autofree char *what = NULL;
  va_list args;

  va_start(args, format);
  what = g_strdup_vprintf(format, args);
  va_end(args);
  g_set_error_literal(error, BUNDLE_ERROR, (int)code, what);
  return false;
}

/* ---- paths ----------------------------------------------------------------
 */

static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
                              "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

bool
bundle_name_is_fine(const char *name)
{
  return *name && *name != '.' && strlen(name) <= BUNDLE_MAX_NAME &&
         strspn(name, letters) == strlen(name);
}

/* Parts of letters, none of them empty or with a dot first. */
bool
bundle_path_is_fine(const char *path)
{
  if (strlen(path) > BUNDLE_MAX_PATH)
    return false;
  for (;;) {
    const size_t len = strspn(path, letters);

    if (len == 0 || *path == '.')
      return false;
    if (!path[len])
      return true;
    if (path[len] != '/')
      return false;
    path += len + 1;
  }
}

/* One name, or one the folder of the other: no disk that does not tell cases
 * apart could hold both. */
static bool
clash(const char *a, const char *b)
{
  const size_t a_len = strlen(a), b_len = strlen(b);
  const size_t len = MIN(a_len, b_len);

  return g_ascii_strncasecmp(a, b, len) == 0 &&
         (a_len == b_len || (a_len > len ? a : b)[len] == '/');
}

static size_t
total(const Bundle *bundle)
{
  size_t sum = 0;

  for (guint i = 0; i < bundle->files->len; i++)
    sum +=
        g_bytes_get_size(((const BundleFile *)bundle->files->pdata[i])->bytes);
  return sum;
}

bool
bundle_add(Bundle *bundle, const char *path, GBytes *bytes, GError **error)
{
  guint at = 0;
  BundleFile *file;

  if (!bundle_path_is_fine(path))
    return bundle_fail(error,
                       BUNDLE_ERROR_FORM,
                       "a path that no bundle may hold (letters, digits and "
                       "._- in each part, %d bytes in all)",
                       BUNDLE_MAX_PATH);
  if (bundle->files->len >= BUNDLE_MAX_FILES)
    return bundle_fail(
        error, BUNDLE_ERROR_FORM, "more than %d files", BUNDLE_MAX_FILES);
  if (g_bytes_get_size(bytes) > BUNDLE_MAX_FILE ||
      total(bundle) + g_bytes_get_size(bytes) > BUNDLE_MAX_TOTAL)
    return bundle_fail(
        error, BUNDLE_ERROR_FORM, "%s: too long for a bundle", path);
  for (guint i = 0; i < bundle->files->len; i++) {
    const BundleFile *other = bundle->files->pdata[i];

    if (clash(other->path, path))
      return bundle_fail(error,
                         BUNDLE_ERROR_FORM,
                         "%s and %s cannot both be there",
                         other->path,
                         path);
    if (strcmp(other->path, path) < 0)
      at = i + 1;
  }
  file = g_new0(BundleFile, 1);
  file->path = g_strdup(path);
  file->bytes = g_bytes_ref(bytes);
  g_ptr_array_insert(bundle->files, (int)at, file);
  return true;
}

GBytes *
bundle_get(const Bundle *bundle, const char *path)
{
  for (guint i = 0; i < bundle->files->len; i++) {
    const BundleFile *file = bundle->files->pdata[i];

    if (g_str_equal(file->path, path))
      return file->bytes;
  }
  return NULL;
}

/* ---- marks ----------------------------------------------------------------
 */

char *
bundle_mark_format(const BundleMark *mark)
{
  char key[2 * SIGNING_KEY_LEN + 1];

  hex_encode(mark->key, SIGNING_KEY_LEN, key);
  return g_strdup_printf(
      "%s\n%" G_GINT64_FORMAT "\n%s\n", key, mark->version, mark->digest);
}

bool
bundle_mark_parse(const char *text, size_t len, BundleMark *out)
{
  g_autofree char *copy = g_strndup(text ? text : "", len);
  g_auto(GStrv) lines = g_strsplit(copy, "\n", 5);
  BundleMark mark = {.version = 0};
  uint8_t digest[SHA256_LEN];
  guint64 version;

  if (g_strv_length(lines) != 4 || *lines[3] || strlen(copy) != len ||
      !hex_decode(lines[0], mark.key, SIGNING_KEY_LEN) ||
      !g_ascii_string_to_unsigned(lines[1], 10, 1, INT64_MAX, &version, NULL) ||
      !hex_decode(lines[2], digest, sizeof digest))
    return false;
  mark.version = (int64_t)version;
  hex_encode(digest, sizeof digest, mark.digest);
  *out = mark;
  return true;
}

bool
bundle_may_follow(const Bundle *bundle,
                  const BundleMark *mark,
                  int64_t now_us,
                  GError **error)
{
  g_autofree char *time = NULL;

  if (bundle->version < mark->version)
    return bundle_fail(error,
                       BUNDLE_ERROR_OLD,
                       "version %" G_GINT64_FORMAT
                       " is older than %" G_GINT64_FORMAT
                       ", which was taken before",
                       bundle->version,
                       mark->version);
  if (bundle->version == mark->version &&
      !g_str_equal(bundle->digest, mark->digest))
    return bundle_fail(error,
                       BUNDLE_ERROR_OLD,
                       "version %" G_GINT64_FORMAT
                       " was taken before with other contents",
                       bundle->version);
  if (bundle->expires_us <= now_us) {
    time = clock_rfc3339(bundle->expires_us);
    return bundle_fail(error, BUNDLE_ERROR_EXPIRED, "it ended %s", time);
  }
  if (bundle->not_before_us > now_us + SKEW_US) {
    time = clock_rfc3339(bundle->not_before_us);
    return bundle_fail(error, BUNDLE_ERROR_EARLY, "it begins %s", time);
  }
  return true;
}
