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
#define CACHE_MAGIC "hoop-hs3"
#define CACHE_FILE "detector.hsdb"
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
cache_open(const char *dir, const uint8_t key[32])
{
  g_autofree char *path = g_build_filename(dir, CACHE_FILE, NULL);
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

void
cache_store(const char *dir,
            const uint8_t key[32],
            const RulePack *pack,
            const CompiledRules *rules,
            const hs_database_t *database)
{
  g_autofree char *path = g_build_filename(dir, CACHE_FILE, NULL);
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
  if (out->len <= CACHE_MAX && file_private_dir(dir, NULL))
    file_replace(path, out->data, out->len, 0600, NULL);
}
