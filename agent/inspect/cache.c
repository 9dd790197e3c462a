/* SPDX-License-Identifier: Apache-2.0 */
/* The compiled rules on disk: the pack itself, widths, the database. A
 * serialised database belongs to one libhs version and CPU, and a forged one
 * could make libhs do anything: what is not ours alone, or not exactly what was
 * written, is compiled again. */
#include "inspect/detector.h"

#include "kit/digest.h"
#include "kit/file.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Changes with the layout below and with what compile.c makes of a rule. */
#define CACHE_MAGIC "hoop-hs4"
#define CACHE_FILE "detector.hsdb"
/* What policies and command lines switch on beside it: files "detector-KEY"
 * with the first bytes of their keys, the latest ones of which stay. */
#define SPECIAL_PREFIX "detector-"
#define SPECIAL_SUFFIX ".hsdb"
#define SPECIAL_KEY 8
#define SPECIAL_KEPT 4
/* 750 rules serialise to 4 MB; a file beyond this is not ours. */
#define CACHE_MAX (64U * 1024 * 1024)

typedef struct {
  char magic[8];
  uint8_t key[SHA256_LEN];
  uint8_t digest[SHA256_LEN]; /* of all that follows the header */
  uint64_t pack_len, n_rules, database_len;
} CacheHeader;

typedef struct {
  uint32_t flags, min_width, max_width;
} CacheRule;

struct cached {
  GBytes *file;
  CacheHeader header;
};

void
cache_key(const uint8_t rules[32], uint8_t key[32])
{
  g_autoptr(Sha256) ctx = sha256_new();
  hs_platform_info_t platform = {0};
  const char *version = hs_version();

  sha256_update(ctx, CACHE_MAGIC, sizeof(CACHE_MAGIC));
  sha256_update(ctx, version, strlen(version) + 1);
  if (hs_populate_platform(&platform) == HS_SUCCESS) {
    sha256_update(ctx, &platform.tune, sizeof(platform.tune));
    sha256_update(ctx, &platform.cpu_features, sizeof(platform.cpu_features));
  }
  sha256_update(ctx, rules, SHA256_LEN);
  sha256_peek(ctx, key);
}

void
cache_key_named(const uint8_t key[32],
                const char *const *named,
                uint8_t out[32])
{
  g_autoptr(Sha256) ctx = sha256_new();

  sha256_update(ctx, key, SHA256_LEN);
  for (; *named != NULL; named++)
    sha256_update(ctx, *named, strlen(*named) + 1);
  sha256_peek(ctx, out);
}

static char *
cache_path(const char *dir, const uint8_t key[32], bool special)
{
  char hex[2 * SPECIAL_KEY + 1];
  g_autofree char *name = NULL;

  if (!special)
    return g_build_filename(dir, CACHE_FILE, NULL);
  hex_encode(key, SPECIAL_KEY, hex);
  name = g_strconcat(SPECIAL_PREFIX, hex, SPECIAL_SUFFIX, NULL);
  return g_build_filename(dir, name, NULL);
}

/* Nobody else may have written the file or could replace it. */
static bool
file_is_ours(const char *dir, const char *path)
{
  struct stat folder, file;

  return lstat(dir, &folder) == 0 && S_ISDIR(folder.st_mode) &&
         folder.st_uid == geteuid() &&
         (folder.st_mode & (S_IWGRP | S_IWOTH)) == 0 &&
         lstat(path, &file) == 0 && S_ISREG(file.st_mode) &&
         file.st_uid == geteuid() && (file.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

static bool
header_fits(const CacheHeader *header, const uint8_t key[32], size_t len)
{
  return memcmp(header->magic, CACHE_MAGIC, sizeof(header->magic)) == 0 &&
         memcmp(header->key, key, SHA256_LEN) == 0 &&
         header->pack_len <= CACHE_MAX && header->database_len <= CACHE_MAX &&
         header->n_rules <= CACHE_MAX &&
         len == header->pack_len + header->n_rules * sizeof(CacheRule) +
                    header->database_len;
}

Cached *
cache_open(const char *dir, const uint8_t key[32], bool special)
{
  g_autofree char *path = cache_path(dir, key, special);
  g_autoptr(Cached) cached = g_new0(Cached, 1);
  const uint8_t *bytes;
  uint8_t digest[SHA256_LEN];
  gsize len;

  if (!file_is_ours(dir, path))
    return NULL;
  cached->file = file_read(path, CACHE_MAX, NULL);
  if (cached->file == NULL)
    return NULL;
  bytes = g_bytes_get_data(cached->file, &len);
  if (len < sizeof(cached->header))
    return NULL;
  memcpy(&cached->header, bytes, sizeof(cached->header));
  bytes += sizeof(cached->header);
  len -= sizeof(cached->header);
  if (!header_fits(&cached->header, key, len))
    return NULL;
  sha256(bytes, len, digest);
  if (memcmp(digest, cached->header.digest, SHA256_LEN) != 0)
    return NULL;
  return g_steal_pointer(&cached);
}

void
cached_free(Cached *cached)
{
  if (cached == NULL)
    return;
  g_clear_pointer(&cached->file, g_bytes_unref);
  g_free(cached);
}

static const char *
section(const Cached *cached, size_t offset)
{
  return (const char *)g_bytes_get_data(cached->file, NULL) +
         sizeof(CacheHeader) + offset;
}

RulePack *
cached_pack(const Cached *cached)
{
  /* A copy: the pack lives on when the database's bytes are gone. */
  g_autoptr(GBytes) bytes =
      g_bytes_new(section(cached, 0), cached->header.pack_len);

  return rule_pack_thaw(bytes);
}

bool
cached_apply(const Cached *cached,
             CompiledRules *rules,
             hs_database_t **database)
{
  const CacheHeader *header = &cached->header;
  const size_t table = rules->n * sizeof(CacheRule);
  const char *rows = section(cached, header->pack_len);

  if (header->n_rules != rules->n)
    return false;
  if (rules->n > 0 &&
      hs_deserialize_database(rows + table, header->database_len, database) !=
          HS_SUCCESS)
    return false;
  for (unsigned i = 0; i < rules->n; i++) {
    CacheRule row;

    memcpy(&row, rows + i * sizeof(row), sizeof(row));
    rules->rules[i].flags = row.flags;
    rules->rules[i].min_width = row.min_width;
    rules->rules[i].max_width = row.max_width;
  }
  return true;
}

static bool
append_database(GByteArray *out, const hs_database_t *database, uint64_t *size)
{
  char *bytes = NULL;
  size_t len = 0;

  *size = 0;
  if (database == NULL)
    return true;
  if (hs_serialize_database(database, &bytes, &len) != HS_SUCCESS)
    return false;
  g_byte_array_append(out, (const guint8 *)bytes, (guint)len);
  free(bytes);
  *size = len;
  return true;
}

static bool
is_special(const char *name)
{
  return g_str_has_prefix(name, SPECIAL_PREFIX) &&
         g_str_has_suffix(name, SPECIAL_SUFFIX) &&
         strlen(name) == strlen(SPECIAL_PREFIX) + (size_t)2 * SPECIAL_KEY +
                             strlen(SPECIAL_SUFFIX);
}

/* The oldest special file, when there are as many as may stay. */
static char *
find_superfluous(const char *path)
{
  g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
  g_autofree char *oldest = NULL;
  unsigned n = 0;
  time_t when = 0;
  const char *name;

  while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
    g_autofree char *file = g_build_filename(path, name, NULL);
    struct stat st;

    if (!is_special(name) || lstat(file, &st) != 0)
      continue;
    if (n++ > 0 && st.st_mtime >= when)
      continue;
    when = st.st_mtime;
    g_free(oldest);
    oldest = g_steal_pointer(&file);
  }
  return n >= SPECIAL_KEPT ? g_steal_pointer(&oldest) : NULL;
}

void
cache_store(const char *dir,
            const uint8_t key[32],
            bool special,
            const RulePack *pack,
            const CompiledRules *rules,
            const hs_database_t *database)
{
  g_autofree char *path = cache_path(dir, key, special);
  g_autoptr(GBytes) frozen = rule_pack_freeze(pack);
  g_autoptr(GByteArray) out = g_byte_array_new();
  CacheHeader header = {.pack_len = g_bytes_get_size(frozen),
                        .n_rules = rules->n};

  memcpy(header.magic, CACHE_MAGIC, sizeof(header.magic));
  memcpy(header.key, key, SHA256_LEN);
  g_byte_array_append(out, (const guint8 *)&header, sizeof(header));
  g_byte_array_append(
      out, g_bytes_get_data(frozen, NULL), (guint)header.pack_len);
  for (unsigned i = 0; i < rules->n; i++) {
    const CacheRule row = {rules->rules[i].flags,
                           rules->rules[i].min_width,
                           rules->rules[i].max_width};

    g_byte_array_append(out, (const guint8 *)&row, sizeof(row));
  }
  if (!append_database(out, database, &header.database_len))
    return;
  sha256(out->data + sizeof(header), out->len - sizeof(header), header.digest);
  memcpy(out->data, &header, sizeof(header));
  if (out->len > CACHE_MAX || !file_private_dir(dir, NULL))
    return;
  if (special) {
    g_autofree char *oldest = find_superfluous(dir);

    if (oldest != NULL)
      (void)unlink(oldest);
  }
  file_replace(path, out->data, out->len, 0600, NULL);
}
