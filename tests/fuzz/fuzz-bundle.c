/* SPDX-License-Identifier: Apache-2.0 */
/* The hub's policy bundle: what is taken is, byte for byte, what would be made
 * of it, and holds no path that leads anywhere else. */
#include "bundle/bundle.h"
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Made up; in a file, where keys are read from. */
static SigningKey *
made_up_key(void)
{
  static const char seed[] =
      "0101010101010101010101010101010101010101010101010101010101010101\n";
  char path[] = "/tmp/fuzz-bundle-XXXXXX";
  int fd = g_mkstemp(path);
  SigningKey *key;

  g_assert_cmpint(write(fd, seed, sizeof seed - 1), ==, sizeof seed - 1);
  close(fd);
  key = signing_key_load(path, false, NULL);
  g_unlink(path);
  g_assert_nonnull(key);
  return key;
}

static void
check(const SigningKey *key, const void *data, size_t size)
{
  g_autoptr(GBytes) bytes = g_bytes_new(data, size);
  g_autoptr(GError) error = NULL;
  g_autoptr(Bundle) bundle =
      bundle_open(bytes, signing_key_public(key), &error);
  g_autoptr(GBytes) again = NULL;

  g_assert_cmpint(bundle == NULL, ==, error != NULL);
  if (!bundle)
    return;
  for (guint i = 0; i < bundle->files->len; i++) {
    const BundleFile *file = bundle->files->pdata[i];

    g_assert_true(*file->path != '/' && *file->path != '.');
    g_assert_null(strstr(file->path, "/."));
    g_assert_null(strstr(file->path, "//"));
  }
  again = bundle_seal(bundle, key);
  g_assert_true(g_bytes_equal(bytes, again));
}

/* As it is, and as if the key had signed what follows its head. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static SigningKey *key;
  static const uint8_t none[1];
  uint8_t signature[SIGNATURE_LEN];
  char hex[2 * SIGNATURE_LEN + 1];
  const size_t head = MIN(size, BUNDLE_HEAD_SIZE);
  size_t len = 0;
  g_auto(BundleReport) report = {.version = NULL};
  BundleMark mark;
  GString *made;

  if (!key)
    key = made_up_key();
  if (!data)
    data = none;
  while (head + len < size && data[head + len] != '\n')
    len++;
  check(key, data, size);
  g_assert_true(review_sign(key, BUNDLE_CONTEXT, data + head, len, signature));
  hex_encode(signature, sizeof signature, hex);
  made = g_string_new("hoop-bundle 1\n");
  g_string_append_printf(made, "%08zx\n%s\n", len, hex);
  g_string_append_len(made, (const char *)data + head, (gssize)(size - head));
  check(key, made->str, made->len);
  g_string_free(made, TRUE);
  if (bundle_mark_parse((const char *)data, size, &mark)) {
    g_autofree char *text = bundle_mark_format(&mark);

    g_assert_cmpint(mark.version, >, 0);
    g_assert_true(bundle_mark_parse(text, strlen(text), &mark));
  }
  if (bundle_report_parse((const char *)data, size, &report, NULL)) {
    g_auto(BundleReport) again = {.version = NULL};
    g_autofree char *text = bundle_report_format(&report);

    g_assert_true(bundle_report_parse(text, strlen(text), &again, NULL));
    g_assert_cmpstr(report.version, ==, again.version);
  }
  return 0;
}
