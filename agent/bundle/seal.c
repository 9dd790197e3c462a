/* SPDX-License-Identifier: Apache-2.0 */
/* A bundle's bytes: head, manifest, contents; written, and read so that there
 * is one reading only. */
#include "bundle/private.h"
#include "document/document.h"
#include "kit/json-put.h"
#include <string.h>

/* 2100; beyond it a clock or a unit is wrong. */
#define LAST_US (INT64_C(4102444800) * 1000000)

static const char magic[] = "hoop-bundle 1\n";
#define MAGIC_LEN (sizeof magic - 1)
#define LENGTH_AT MAGIC_LEN
#define SIGNATURE_AT (LENGTH_AT + 9)
G_STATIC_ASSERT(SIGNATURE_AT + 2 * SIGNATURE_LEN + 1 == BUNDLE_HEAD_SIZE);

/* ---- writing --------------------------------------------------------------
 */

static void
put_file(GString *out, const BundleFile *file)
{
  gsize len;
  const void *bytes = g_bytes_get_data(file->bytes, &len);
  uint8_t digest[SHA256_LEN];
  char hex[SHA256_HEX_SIZE];

  sha256(bytes ? bytes : "", len, digest);
  hex_encode(digest, sizeof digest, hex);
  g_string_append_c(out, '{');
  json_put_text(out, "path", file->path);
  json_put_number(out, "size", (int64_t)len);
  json_put_text(out, "sha256", hex);
  g_string_append_c(out, '}');
}

static GString *
manifest_of(const Bundle *bundle)
{
  GString *out = g_string_new("{");

  json_put_text(out, "name", bundle->name);
  json_put_number(out, "version", bundle->version);
  json_put_number(out, "issued_us", bundle->issued_us);
  json_put_number(out, "not_before_us", bundle->not_before_us);
  json_put_number(out, "expires_us", bundle->expires_us);
  g_string_append(out, ",\"files\":[");
  for (guint i = 0; i < bundle->files->len; i++) {
    if (i > 0)
      g_string_append_c(out, ',');
    put_file(out, bundle->files->pdata[i]);
  }
  g_string_append(out, "]}");
  return out;
}

static void
set_digest(Bundle *bundle, const void *manifest, size_t len)
{
  uint8_t digest[SHA256_LEN];

  sha256(manifest, len, digest);
  hex_encode(digest, sizeof digest, bundle->digest);
}

GBytes *
bundle_seal(Bundle *bundle, const SigningKey *key)
{
  GString *manifest = manifest_of(bundle);
  uint8_t signature[SIGNATURE_LEN];
  char hex[2 * SIGNATURE_LEN + 1];
  GString *out;

  if (!review_sign(
          key, BUNDLE_CONTEXT, manifest->str, manifest->len, signature)) {
    g_string_free(manifest, TRUE);
    return NULL;
  }
  hex_encode(signature, sizeof signature, hex);
  set_digest(bundle, manifest->str, manifest->len);
  out = g_string_new(magic);
  g_string_append_printf(out, "%08zx\n%s\n", manifest->len, hex);
  g_string_append_len(out, manifest->str, (gssize)manifest->len);
  g_string_free(manifest, TRUE);
  for (guint i = 0; i < bundle->files->len; i++) {
    const BundleFile *file = bundle->files->pdata[i];
    gsize len;
    const char *bytes = g_bytes_get_data(file->bytes, &len);

    g_string_append_len(out, bytes ? bytes : "", (gssize)len);
  }
  return g_string_free_to_bytes(out);
}

/* ---- reading --------------------------------------------------------------
 */

static bool
refuse(GError **error, const char *what)
{
  return bundle_fail(error, BUNDLE_ERROR_FORM, "the bundle's %s", what);
}

static bool
read_number(const Document *object,
            const char *name,
            int64_t least,
            int64_t most,
            int64_t *out)
{
  const Document *value = document_member(object, name);

  if (!json_object_is_type(value, json_type_int))
    return false;
  *out = json_object_get_int64(value);
  return *out >= least && *out <= most;
}

static bool
read_file(Bundle *bundle,
          const Document *object,
          GBytes *bytes,
          size_t *at,
          GError **error)
{
  const char *path = document_text(object, "path");
  g_autoptr(GBytes) part = NULL;
  int64_t size;

  if (!path || !read_number(object, "size", 0, (int64_t)BUNDLE_MAX_FILE, &size))
    return refuse(error, "manifest lists what is no file");
  if ((size_t)size > g_bytes_get_size(bytes) - *at)
    return refuse(error, "contents are cut off");
  part = g_bytes_new_from_bytes(bytes, *at, (gsize)size);
  *at += (size_t)size;
  return bundle_add(bundle, path, part, error);
}

/* Every member is read, and what was read is written again: whatever else the
 * text holds, in whatever order, is not the same then. */
static bool
read_manifest(Bundle *bundle,
              const char *text,
              size_t len,
              GBytes *bytes,
              GError **error)
{
  size_t at = BUNDLE_HEAD_SIZE + len;
  g_autoptr(Document) object = document_parse(text, len, NULL);
  const char *name = object ? document_text(object, "name") : NULL;
  Document *files = object ? document_member(object, "files") : NULL;
  GString *again;
  bool same;

  if (!name || !bundle_name_is_fine(name) ||
      !json_object_is_type(files, json_type_array) ||
      !read_number(object, "version", 1, INT64_MAX, &bundle->version) ||
      !read_number(object, "issued_us", 1, LAST_US, &bundle->issued_us) ||
      !read_number(
          object, "not_before_us", 1, LAST_US, &bundle->not_before_us) ||
      !read_number(object, "expires_us", 1, LAST_US, &bundle->expires_us))
    return refuse(error, "manifest is none");
  g_free(bundle->name);
  bundle->name = g_strdup(name);
  for (size_t i = 0; i < json_object_array_length(files); i++)
    if (!read_file(
            bundle, json_object_array_get_idx(files, i), bytes, &at, error))
      return false;
  if (at != g_bytes_get_size(bytes))
    return refuse(error, "contents are longer than its manifest says");
  again = manifest_of(bundle);
  same = again->len == len && memcmp(again->str, text, len) == 0;
  g_string_free(again, TRUE);
  return same || bundle_fail(error,
                             BUNDLE_ERROR_FORGED,
                             "the bundle's contents are not those of its "
                             "manifest");
}

/* The manifest's length and the signature. */
static bool
read_head(const char *bytes,
          size_t size,
          size_t *len,
          uint8_t signature[SIGNATURE_LEN],
          GError **error)
{
  char length[9], hex[2 * SIGNATURE_LEN + 1];
  uint8_t big[4];
  uint32_t number;

  if (size < BUNDLE_HEAD_SIZE || memcmp(bytes, magic, MAGIC_LEN) != 0 ||
      bytes[SIGNATURE_AT - 1] != '\n' || bytes[BUNDLE_HEAD_SIZE - 1] != '\n')
    return refuse(error, "head is none");
  g_strlcpy(length, bytes + LENGTH_AT, sizeof length);
  g_strlcpy(hex, bytes + SIGNATURE_AT, sizeof hex);
  if (strspn(length, "0123456789abcdef") != 8 ||
      strspn(hex, "0123456789abcdef") != sizeof hex - 1 ||
      !hex_decode(length, big, sizeof big) ||
      !hex_decode(hex, signature, SIGNATURE_LEN))
    return refuse(error, "head is none");
  memcpy(&number, big, sizeof number);
  *len = GUINT32_FROM_BE(number);
  if (*len > BUNDLE_MAX_MANIFEST || *len > size - BUNDLE_HEAD_SIZE)
    return refuse(error, "manifest is cut off or too long");
  return true;
}

Bundle *
bundle_open(GBytes *bytes,
            const uint8_t public_key[SIGNING_KEY_LEN],
            GError **error)
{
  g_autoptr(Bundle) bundle = bundle_new("", 0);
  gsize size;
  const char *text = g_bytes_get_data(bytes, &size);
  const char *manifest;
  uint8_t signature[SIGNATURE_LEN];
  size_t len = 0;

  if (size > BUNDLE_MAX_SIZE) {
    refuse(error, "size is beyond all bounds");
    return NULL;
  }
  if (!read_head(text, size, &len, signature, error))
    return NULL;
  manifest = text + BUNDLE_HEAD_SIZE;
  /* Nothing of it is looked at before it is known whose it is. */
  if (!review_verify(public_key, BUNDLE_CONTEXT, manifest, len, signature)) {
    bundle_fail(error,
                BUNDLE_ERROR_FORGED,
                "the bundle's signature is not that of the hub");
    return NULL;
  }
  if (!read_manifest(bundle, manifest, len, bytes, error))
    return NULL;
  set_digest(bundle, manifest, len);
  return g_steal_pointer(&bundle);
}
