/* SPDX-License-Identifier: Apache-2.0 */
/* The compiled databases on disk. A serialised database belongs to one libhs
 * version and CPU, and a forged one could make libhs do anything: what is not
 * ours alone, or not exactly what was written, is compiled again. */
#include "inspect/detector.h"

#include "kit/digest.h"
#include "kit/file.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CACHE_MAGIC "hoop-hs1"
#define CACHE_FILE "detector.hsdb"
/* 750 rules serialise to 4 MB; a file beyond this is not ours. */
#define CACHE_MAX (64U * 1024 * 1024)

typedef struct {
  char magic[8];
  uint8_t key[SHA256_LEN];
  uint8_t digest[SHA256_LEN]; /* of all that follows the header */
  uint64_t n_rules;
  uint64_t block_len, stream_len;
} CacheHeader;

typedef struct {
  uint32_t flags, min_width, max_width;
} CacheRule;

static void
add_text(Sha256 *ctx, const char *text)
{
  sha256_update(ctx, text, strlen(text) + 1);
}

void
cache_key(const CompiledRules *rules, uint8_t key[32])
{
  g_autoptr(Sha256) ctx = sha256_new();
  hs_platform_info_t platform = {0};

  add_text(ctx, CACHE_MAGIC);
  add_text(ctx, hs_version());
  if (hs_populate_platform(&platform) == HS_SUCCESS) {
    sha256_update(ctx, &platform.tune, sizeof(platform.tune));
    sha256_update(ctx, &platform.cpu_features, sizeof(platform.cpu_features));
  }
  for (unsigned i = 0; i < rules->n; i++) {
    const uint8_t opened = rules->rules[i].opened;

    add_text(ctx, rules->rules[i].expression);
    add_text(ctx, rules->rules[i].confirm);
    sha256_update(ctx, &opened, 1);
  }
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
read_databases(const uint8_t *bytes,
               const CacheHeader *header,
               hs_database_t **block,
               hs_database_t **stream)
{
  if (header->n_rules == 0)
    return true;
  if (hs_deserialize_database((const char *)bytes, header->block_len, block) !=
      HS_SUCCESS)
    return false;
  if (hs_deserialize_database((const char *)bytes + header->block_len,
                              header->stream_len,
                              stream) == HS_SUCCESS)
    return true;
  hs_free_database(*block);
  *block = NULL;
  return false;
}

bool
cache_load(const char *dir,
           const uint8_t key[32],
           CompiledRules *rules,
           hs_database_t **block,
           hs_database_t **stream)
{
  g_autofree char *path = g_build_filename(dir, CACHE_FILE, NULL);
  g_autoptr(GBytes) file = NULL;
  const uint8_t *bytes;
  gsize len, table;
  CacheHeader header;
  uint8_t digest[SHA256_LEN];

  if (!file_is_ours(dir, path))
    return false;
  file = file_read(path, CACHE_MAX, NULL);
  if (file == NULL)
    return false;
  bytes = g_bytes_get_data(file, &len);
  if (len < sizeof(header))
    return false;
  memcpy(&header, bytes, sizeof(header));
  bytes += sizeof(header);
  len -= sizeof(header);
  table = rules->n * sizeof(CacheRule);
  if (memcmp(header.magic, CACHE_MAGIC, sizeof(header.magic)) != 0 ||
      memcmp(header.key, key, SHA256_LEN) != 0 || header.n_rules != rules->n ||
      header.block_len > CACHE_MAX || header.stream_len > CACHE_MAX ||
      len != table + header.block_len + header.stream_len)
    return false;
  sha256(bytes, len, digest);
  if (memcmp(digest, header.digest, SHA256_LEN) != 0 ||
      !read_databases(bytes + table, &header, block, stream))
    return false;
  for (unsigned i = 0; i < rules->n; i++) {
    CacheRule row;

    memcpy(&row, bytes + i * sizeof(row), sizeof(row));
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
            const CompiledRules *rules,
            const hs_database_t *block,
            const hs_database_t *stream)
{
  g_autofree char *path = g_build_filename(dir, CACHE_FILE, NULL);
  g_autoptr(GByteArray) out = g_byte_array_new();
  CacheHeader header = {0};

  memcpy(header.magic, CACHE_MAGIC, sizeof(header.magic));
  memcpy(header.key, key, SHA256_LEN);
  header.n_rules = rules->n;
  g_byte_array_append(out, (const guint8 *)&header, sizeof(header));
  for (unsigned i = 0; i < rules->n; i++) {
    const CacheRule row = {rules->rules[i].flags,
                           rules->rules[i].min_width,
                           rules->rules[i].max_width};

    g_byte_array_append(out, (const guint8 *)&row, sizeof(row));
  }
  if (!append_database(out, block, &header.block_len) ||
      !append_database(out, stream, &header.stream_len))
    return;
  sha256(out->data + sizeof(header), out->len - sizeof(header), header.digest);
  memcpy(out->data, &header, sizeof(header));
  if (out->len <= CACHE_MAX && file_private_dir(dir, NULL))
    file_replace(path, out->data, out->len, 0600, NULL);
}
