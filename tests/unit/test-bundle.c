/* SPDX-License-Identifier: Apache-2.0 */
/* The hub's policy bundle: whoever alters, cuts, replays or forges it, or packs
 * what leads elsewhere, is refused. */
#include "bundle/bundle.h"
#include "folder.h"
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#define NOW_US (INT64_C(1800000000) * 1000000)
#define DAY_US (INT64_C(86400) * 1000000)

static SigningKey *
key_of(const char *digit)
{
  g_autofree char *dir = g_dir_make_tmp("test-bundle-XXXXXX", NULL);
  g_autofree char *path = g_build_filename(dir, "key", NULL);
  g_autoptr(GString) seed = g_string_new(NULL);
  SigningKey *key;

  for (unsigned i = 0; i < 64; i++)
    g_string_append(seed, digit);
  g_assert_true(g_file_set_contents_full(
      path, seed->str, -1, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
  key = signing_key_load(path, false, NULL);
  g_assert_nonnull(key);
  remove_folder(dir);
  return key;
}

static void
add(Bundle *bundle, const char *path, const char *text)
{
  g_autoptr(GBytes) bytes = g_bytes_new(text, strlen(text));
  g_autoptr(GError) error = NULL;

  g_assert_true(bundle_add(bundle, path, bytes, &error));
  g_assert_no_error(error);
}

static Bundle *
made(int64_t version)
{
  Bundle *bundle = bundle_new("team", version);

  bundle->issued_us = bundle->not_before_us = NOW_US;
  bundle->expires_us = NOW_US + DAY_US;
  add(bundle, "policy.yaml", "version: 1\ndefault: block\n");
  add(bundle, "more/b.yaml", "version: 1\n");
  add(bundle, "more/a.yaml", "");
  return bundle;
}

static BundleErrorCode
fault_of(const void *data, size_t len, const SigningKey *key)
{
  g_autoptr(GBytes) bytes = g_bytes_new(data, len);
  g_autoptr(GError) error = NULL;
  g_autoptr(Bundle) bundle =
      bundle_open(bytes, signing_key_public(key), &error);

  g_assert_null(bundle);
  g_assert_true(error->domain == BUNDLE_ERROR);
  return (BundleErrorCode)error->code;
}

static void
test_there_and_back(void)
{
  g_autoptr(SigningKey) key = key_of("a");
  g_autoptr(Bundle) bundle = made(7);
  g_autoptr(GBytes) sealed = bundle_seal(bundle, key);
  g_autoptr(GBytes) again = NULL;
  g_autoptr(GError) error = NULL;
  g_autoptr(Bundle) got = bundle_open(sealed, signing_key_public(key), &error);

  g_assert_no_error(error);
  g_assert_cmpstr(got->name, ==, "team");
  g_assert_cmpint(got->version, ==, 7);
  g_assert_cmpint(got->expires_us, ==, NOW_US + DAY_US);
  g_assert_cmpuint(got->files->len, ==, 3);
  g_assert_cmpstr(
      ((BundleFile *)got->files->pdata[0])->path, ==, "more/a.yaml");
  g_assert_cmpuint(g_bytes_get_size(bundle_get(got, "more/b.yaml")), ==, 11);
  g_assert_null(bundle_get(got, "more"));
  g_assert_cmpstr(got->digest, ==, bundle->digest);
  again = bundle_seal(got, key);
  g_assert_true(g_bytes_equal(sealed, again));
}

/* Every byte of it counts, and so does every one that is missing or too many.
 */
static void
test_altered_or_cut(void)
{
  g_autoptr(SigningKey) key = key_of("a");
  g_autoptr(Bundle) bundle = made(7);
  g_autoptr(GBytes) sealed = bundle_seal(bundle, key);
  gsize len;
  const char *bytes = g_bytes_get_data(sealed, &len);
  g_autofree char *copy = g_memdup2(bytes, len + 0);

  for (gsize i = 0; i < len; i++) {
    copy[i] ^= 1;
    fault_of(copy, len, key);
    copy[i] ^= 1;
    fault_of(copy, i, key);
  }
  {
    g_autofree char *longer = g_strndup("", len + 1);

    memcpy(longer, bytes, len);
    g_assert_cmpint(fault_of(longer, len + 1, key), ==, BUNDLE_ERROR_FORM);
  }
}

static void
test_foreign_key(void)
{
  g_autoptr(SigningKey) key = key_of("a");
  g_autoptr(SigningKey) other = key_of("b");
  g_autoptr(Bundle) bundle = made(7);
  g_autoptr(GBytes) sealed = bundle_seal(bundle, other);

  g_assert_cmpint(
      fault_of(g_bytes_get_data(sealed, NULL), g_bytes_get_size(sealed), key),
      ==,
      BUNDLE_ERROR_FORGED);
}

/* A manifest that the key did sign, with whatever else behind it. */
static BundleErrorCode
fault_of_manifest(const SigningKey *key, const char *manifest, const char *rest)
{
  uint8_t signature[SIGNATURE_LEN];
  char hex[2 * SIGNATURE_LEN + 1];
  g_autofree char *text = NULL;

  g_assert_true(
      review_sign(key, BUNDLE_CONTEXT, manifest, strlen(manifest), signature));
  hex_encode(signature, sizeof signature, hex);
  text = g_strdup_printf(
      "hoop-bundle 1\n%08zx\n%s\n%s%s", strlen(manifest), hex, manifest, rest);
  return fault_of(text, strlen(text), key);
}

#define EMPTY_SHA                                                              \
  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define HEAD                                                                   \
  "{\"name\":\"n\",\"version\":1,\"issued_us\":1,\"not_before_us\":1,"         \
  "\"expires_us\":2,\"files\":["
#define FILE_OF(path)                                                          \
  "{\"path\":\"" path "\",\"size\":0,\"sha256\":\"" EMPTY_SHA "\"}"

/* Signed by the hub, and still in one form alone. */
static void
test_other_forms(void)
{
  static const char *const manifests[] = {
      HEAD FILE_OF("b.yaml") "," FILE_OF("a.yaml") "]}",
      HEAD FILE_OF("a.yaml") "," FILE_OF("a.yaml") "]}",
      HEAD FILE_OF("a.yaml") "," FILE_OF("A.yaml") "]}",
      HEAD FILE_OF("a") "," FILE_OF("a/b.yaml") "]}",
      HEAD FILE_OF("../a.yaml") "]}",
      HEAD FILE_OF("/a.yaml") "]}",
      HEAD FILE_OF("a/../b.yaml") "]}",
      HEAD FILE_OF("a//b.yaml") "]}",
      HEAD FILE_OF("a/") "]}",
      HEAD FILE_OF("") "]}",
      HEAD FILE_OF(".a") "]}",
      HEAD FILE_OF("a\\\\b") "]}",
      HEAD FILE_OF("a b") "]}",
      HEAD FILE_OF("a\\u0000b") "]}",
      HEAD FILE_OF("\\u0061.yaml") "]}",
      HEAD FILE_OF("a.yaml") "],\"more\":1}",
      HEAD " " FILE_OF("a.yaml") "]}",
      HEAD "{\"path\":\"a\",\"size\":-1,\"sha256\":\"" EMPTY_SHA "\"}]}",
      HEAD "{\"path\":\"a\",\"size\":1,\"sha256\":\"" EMPTY_SHA "\"}]}",
      HEAD "{\"path\":\"a\",\"size\":0}]}",
      HEAD "1]}",
      HEAD,
      "[]",
      "{}",
      "",
  };
  g_autoptr(SigningKey) key = key_of("a");

  for (unsigned i = 0; i < G_N_ELEMENTS(manifests); i++)
    fault_of_manifest(key, manifests[i], "");
  g_assert_cmpint(fault_of_manifest(key, HEAD FILE_OF("a.yaml") "]}", "behind"),
                  ==,
                  BUNDLE_ERROR_FORM);
}

static void
test_paths_and_sizes(void)
{
  static const char *const bad[] = {"",
                                    "/a",
                                    "a/",
                                    "..",
                                    "../a",
                                    "a/../b",
                                    "a/./b",
                                    ".hidden",
                                    "a/.hidden",
                                    "a\nb",
                                    "a\\b",
                                    "a:b",
                                    "\xc3\xa4.yaml",
                                    "Policy.YAML",
                                    "policy.yaml/x",
                                    "more"};
  g_autoptr(Bundle) bundle = made(1);
  g_autoptr(GBytes) none = g_bytes_new("", 0);
  g_autofree char *zeros = g_malloc0(BUNDLE_MAX_FILE + 1);
  g_autoptr(GBytes) large = g_bytes_new(zeros, BUNDLE_MAX_FILE + 1);
  g_autoptr(GBytes) fits = g_bytes_new(zeros, BUNDLE_MAX_FILE);
  g_autofree char *far = g_strnfill(BUNDLE_MAX_PATH + 1, 'x');
  unsigned n = 0;

  for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++)
    g_assert_false(bundle_add(bundle, bad[i], none, NULL));
  g_assert_false(bundle_add(bundle, far, none, NULL));
  g_assert_false(bundle_add(bundle, "large", large, NULL));
  for (char name[] = "a"; bundle_add(bundle, name, fits, NULL); name[0]++)
    n++;
  g_assert_cmpuint(n, ==, BUNDLE_MAX_TOTAL / BUNDLE_MAX_FILE - 1);
  for (unsigned i = bundle->files->len; i < BUNDLE_MAX_FILES; i++) {
    g_autofree char *name = g_strdup_printf("f%u", i);

    g_assert_true(bundle_add(bundle, name, none, NULL));
  }
  g_assert_false(bundle_add(bundle, "last", none, NULL));
}

static bool
follows(int64_t version, const char *digest, int64_t now_us, int *code)
{
  g_autoptr(SigningKey) key = key_of("a");
  g_autoptr(Bundle) bundle = made(version);
  g_autoptr(GBytes) sealed = bundle_seal(bundle, key);
  g_autoptr(GError) error = NULL;
  BundleMark mark = {.version = 7};
  bool good;

  g_assert_nonnull(sealed);
  g_strlcpy(mark.digest, digest ? digest : bundle->digest, sizeof mark.digest);
  good = bundle_may_follow(bundle, &mark, now_us, &error);
  *code = error ? error->code : -1;
  return good;
}

static void
test_which_may_follow(void)
{
  int code;

  g_assert_true(follows(8, EMPTY_SHA, NOW_US, &code));
  g_assert_true(follows(7, NULL, NOW_US, &code));
  g_assert_false(follows(6, NULL, NOW_US, &code));
  g_assert_cmpint(code, ==, BUNDLE_ERROR_OLD);
  g_assert_false(follows(7, EMPTY_SHA, NOW_US, &code));
  g_assert_cmpint(code, ==, BUNDLE_ERROR_OLD);
  g_assert_false(follows(8, NULL, NOW_US + DAY_US, &code));
  g_assert_cmpint(code, ==, BUNDLE_ERROR_EXPIRED);
  g_assert_false(follows(8, NULL, NOW_US - DAY_US, &code));
  g_assert_cmpint(code, ==, BUNDLE_ERROR_EARLY);
}

static void
test_marks(void)
{
  BundleMark mark = {.version = 12, .digest = EMPTY_SHA}, got;
  g_autofree char *text = NULL;
  static const char *const bad[] = {"", "\n\n\n", "aa\n1\nbb\n"};

  memset(mark.key, 7, sizeof mark.key);
  text = bundle_mark_format(&mark);
  g_assert_true(bundle_mark_parse(text, strlen(text), &got));
  g_assert_cmpint(got.version, ==, 12);
  g_assert_cmpmem(got.key, sizeof got.key, mark.key, sizeof mark.key);
  g_assert_false(bundle_mark_parse(text, strlen(text) - 1, &got));
  for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++)
    g_assert_false(bundle_mark_parse(bad[i], strlen(bad[i]), &got));
}

static void
put(const char *dir, const char *name, const char *text)
{
  g_autofree char *path = g_build_filename(dir, name, NULL);
  g_autofree char *folder = g_path_get_dirname(path);

  g_assert_cmpint(g_mkdir_with_parents(folder, 0700), ==, 0);
  g_assert_true(g_file_set_contents(path, text, -1, NULL));
}

static void
test_folder(void)
{
  g_autofree char *dir = g_dir_make_tmp("test-bundle-XXXXXX", NULL);
  g_autofree char *link = g_build_filename(dir, "more", "link.yaml", NULL);
  g_autoptr(Bundle) bundle = bundle_new("n", 1);
  g_autoptr(Bundle) again = bundle_new("n", 1);
  g_autoptr(Bundle) tests = NULL;
  g_auto(GStrv) others = NULL;
  g_autoptr(GError) error = NULL;

  put(dir, "more/a.yaml", "version: 1\n");
  g_assert_false(bundle_read_dir(again, dir, &tests, &others, &error));
  g_assert_nonnull(strstr(error->message, "policy.yaml"));
  g_clear_error(&error);
  put(dir, "policy.yaml", "version: 1\n");
  put(dir, "policy.test.yaml", "cases: []\n");
  put(dir, "notes.md", "notes\n");
  put(dir, ".git/config.yaml", "x\n");
  g_assert_true(bundle_read_dir(bundle, dir, &tests, &others, &error));
  g_assert_no_error(error);
  g_assert_cmpuint(bundle->files->len, ==, 2);
  g_assert_nonnull(bundle_get(bundle, "more/a.yaml"));
  g_assert_nonnull(bundle_get(tests, "policy.test.yaml"));
  g_assert_cmpstr(others[0], ==, "notes.md");
  g_assert_null(others[1]);
  g_assert_cmpint(symlink("/etc/hostname", link), ==, 0);
  {
    g_autoptr(Bundle) linked = bundle_new("n", 1);
    Bundle *none = NULL;
    char **rest = NULL;

    g_assert_false(bundle_read_dir(linked, dir, &none, &rest, &error));
    g_assert_error(error, BUNDLE_ERROR, BUNDLE_ERROR_READ);
    g_assert_nonnull(strstr(error->message, "link.yaml"));
  }
  remove_folder(dir);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/bundle/there-and-back", test_there_and_back);
  g_test_add_func("/bundle/altered-or-cut", test_altered_or_cut);
  g_test_add_func("/bundle/foreign-key", test_foreign_key);
  g_test_add_func("/bundle/other-forms", test_other_forms);
  g_test_add_func("/bundle/paths-and-sizes", test_paths_and_sizes);
  g_test_add_func("/bundle/which-may-follow", test_which_may_follow);
  g_test_add_func("/bundle/marks", test_marks);
  g_test_add_func("/bundle/folder", test_folder);
  return g_test_run();
}
