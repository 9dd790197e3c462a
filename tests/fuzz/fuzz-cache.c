/* SPDX-License-Identifier: Apache-2.0 */
/* The cache of compiled rules: a stored pack that is read back is read whole or
 * not at all; a cache file that was damaged anywhere is compiled again. */

#include "inspect/detector.h"
#include "kit/digest.h"
#include "tests/fuzz/fail.h"

#include <glib/gstdio.h>
#include <string.h>

#define INPUT_MAX 65536
/* An input that begins so is a pack; any other says what to do to a file. */
#define PACK_MARK 'P'
/* One change: what, where (3 bytes), with what. */
#define CHANGE_LEN 5

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char rules[] =
    "version: 1\n"
    "rules:\n"
    "  - {id: key, class: secret, keywords: [aws], allow: ['X{4}'],\n"
    "     regex: '\\bAKIA[A-Z0-9]{16}\\b'}\n"
    "  - {id: quoted, class: secret, kind: quoted,\n"
    "     regex: 'pw=\"(?<secret>[^\"\\n]{3,60})\"'}\n";

typedef struct {
  RulePack *pack;
  char *dir, *path;
  char *stored; /* the cache file as it should be */
  gsize len;
  uint8_t key[SHA256_LEN];
} Fixture;

static Fixture fixed;

static void
remove_dir(void)
{
  g_unlink(fixed.path);
  g_rmdir(fixed.dir);
}

static Fixture *
fixture(void)
{
  g_autoptr(GError) error = NULL;
  uint8_t hash[SHA256_LEN];

  if (fixed.pack != NULL)
    return &fixed;
  fixed.pack = rule_pack_parse("fuzz", rules, strlen(rules), &error);
  if (fixed.pack == NULL)
    fail("the rules: %s", error->message);
  fixed.dir = g_dir_make_tmp("fuzz-cache-XXXXXX", NULL);
  fixed.path = g_build_filename(fixed.dir, "detector.hsdb", NULL);
  detector_unref(detector_new(fixed.pack, fixed.dir, &error));
  if (!g_file_get_contents(fixed.path, &fixed.stored, &fixed.len, NULL))
    fail("nothing was stored");
  hex_decode(rule_pack_hash(fixed.pack), hash, sizeof(hash));
  cache_key(hash, fixed.key);
  atexit(remove_dir);
  return &fixed;
}

static void
read_list(char **list)
{
  for (unsigned i = 0; list != NULL && list[i] != NULL; i++)
    if (strlen(list[i]) > INPUT_MAX)
      fail("a text is longer than what it was read from");
}

/* What reads is read again the same. */
static void
read_pack(const uint8_t *data, size_t size)
{
  g_autoptr(GBytes) bytes = g_bytes_new(data, size);
  g_autoptr(RulePack) pack = rule_pack_thaw(bytes);
  g_autoptr(RulePack) again = NULL;
  g_autoptr(GBytes) frozen = NULL;
  const DetectorRule *const *all;
  unsigned n, m;

  if (pack == NULL)
    return;
  all = rule_pack_rules(pack, &n);
  for (unsigned i = 0; i < n; i++) {
    if (all[i]->index != i || strlen(all[i]->regex) + strlen(all[i]->id) +
                                      strlen(all[i]->class_name) >
                                  size)
      fail("rule %u was read wrongly", i);
    read_list(all[i]->keywords);
    read_list(all[i]->allow);
  }
  frozen = rule_pack_freeze(pack);
  again = rule_pack_thaw(frozen);
  if (again == NULL)
    fail("what was read cannot be stored");
  rule_pack_rules(again, &m);
  if (m != n)
    fail("%u rules became %u", n, m);
}

static void
change(GString *file, const uint8_t *how)
{
  const size_t at =
      ((size_t)how[1] << 16 | (size_t)how[2] << 8 | how[3]) % (file->len + 1);

  switch (how[0] % 5) {
  case 0:
    if (at < file->len)
      file->str[at] = (char)(file->str[at] ^ how[4]);
    break;
  case 1:
    g_string_truncate(file, at);
    break;
  case 2:
    g_string_insert_c(file, (gssize)at, (char)how[4]);
    break;
  case 3:
    g_string_append_len(file, "\0\0\0\0\0\0\0\0", how[4] % 9);
    break;
  default:
    g_string_erase(
        file, (gssize)at, (gssize)MIN((size_t)how[4], file->len - at));
    break;
  }
}

static void
open_damaged(const uint8_t *data, size_t size)
{
  Fixture *made = fixture();
  GString *file = g_string_new_len(made->stored, (gssize)made->len);
  g_autoptr(Detector) detector = NULL;
  g_autoptr(GError) error = NULL;
  bool same;

  for (; size >= CHANGE_LEN; data += CHANGE_LEN, size -= CHANGE_LEN)
    change(file, data);
  same =
      file->len == made->len && memcmp(file->str, made->stored, made->len) == 0;
  if (!g_file_set_contents_full(made->path,
                                file->str,
                                (gssize)file->len,
                                G_FILE_SET_CONTENTS_CONSISTENT,
                                0600,
                                NULL))
    fail("the file cannot be written");
  g_string_free(file, TRUE);
  detector = detector_new(made->pack, made->dir, &error);
  if (detector == NULL)
    fail("a cache stopped the detector: %s", error->message);
  if ((detector->cached != NULL) != same)
    fail(same ? "a good cache was not used" : "a damaged cache was used");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size == 0 || size > INPUT_MAX)
    return 0;
  if (data[0] == PACK_MARK)
    read_pack(data + 1, size - 1);
  else
    open_damaged(data, size);
  return 0;
}
