/* SPDX-License-Identifier: Apache-2.0 */
/* The compiled rules on disk: the pack itself, widths, the database. It is used
 * where it lies, so that its pages are the file's and come and go with use. A
 * database belongs to one libhs version and CPU, and a forged one could make
 * libhs do anything: what is not ours alone, or not exactly what was written,
 * is compiled again. */
#include "inspect/detector.h"

#include "kit/digest.h"
#include "kit/file.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Changes with the layout below and with what compile.c makes of a rule. */
#define CACHE_MAGIC "hoop-hs8"
#define CACHE_FILE "detector.hsdb"
/* What policies and command lines switch on beside it: files "detector-KEY"
 * with the first bytes of their keys, the latest ones of which stay. */
#define SPECIAL_PREFIX "detector-"
#define SPECIAL_SUFFIX ".hsdb"
#define SPECIAL_KEY 8
#define SPECIAL_KEPT 4
/* 750 rules serialise to 4 MB; a file beyond this is not ours. */
#define CACHE_MAX (64U * 1024 * 1024)
/* The database begins on a page of its own, for its alignment and to be given
 * back alone; no page of ours is larger. */
#define IMAGE_ALIGN ((size_t)65536)

typedef struct {
  char magic[8];
  uint8_t key[SHA256_LEN];
  uint8_t digest[SHA256_LEN]; /* of all that follows */
  uint64_t pack_len, n_rules, database_len;
} CacheHeader;
#define DIGEST_FROM offsetof(CacheHeader, pack_len)

typedef struct {
  uint32_t flags, min_width, max_width;
} CacheRule;

struct cached {
  char *map; /* the whole file */
  size_t len;
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

static bool
is_ours(const struct stat *status)
{
  return status->st_uid == geteuid() &&
         (status->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/* The file, when nobody else may have written or could replace it; else -1. */
static int
open_ours(const char *dir, const char *path, size_t *len)
{
  struct stat status;
  int fd;

  if (lstat(dir, &status) != 0 || !S_ISDIR(status.st_mode) || !is_ours(&status))
    return -1;
  fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0)
    return -1;
  if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && is_ours(&status) &&
      status.st_size >= (off_t)sizeof(CacheHeader) &&
      status.st_size <= (off_t)CACHE_MAX) {
    *len = (size_t)status.st_size;
    return fd;
  }
  close(fd);
  return -1;
}

static size_t
table_end(const CacheHeader *header)
{
  return sizeof(*header) + header->pack_len +
         header->n_rules * sizeof(CacheRule);
}

static size_t
image_start(const CacheHeader *header)
{
  return (table_end(header) + IMAGE_ALIGN - 1) & ~(IMAGE_ALIGN - 1);
}

static bool
header_fits(const CacheHeader *header, const uint8_t key[32], size_t len)
{
  return memcmp(header->magic, CACHE_MAGIC, sizeof(header->magic)) == 0 &&
         memcmp(header->key, key, SHA256_LEN) == 0 &&
         header->pack_len <= CACHE_MAX && header->database_len <= CACHE_MAX &&
         header->n_rules <= CACHE_MAX &&
         len == image_start(header) + header->database_len;
}

/* The pages of the database leave the resident set; they come back from the
 * page cache. */
void
cached_rest(const Cached *cached)
{
  const size_t start = image_start(&cached->header);

  (void)madvise(cached->map + start, cached->len - start, MADV_DONTNEED);
}

Cached *
cache_open(const char *dir, const uint8_t key[32], bool special)
{
  g_autofree char *path = cache_path(dir, key, special);
  g_autoptr(Cached) cached = g_new0(Cached, 1);
  uint8_t digest[SHA256_LEN];
  const int fd = open_ours(dir, path, &cached->len);

  if (fd < 0)
    return NULL;
  cached->map = mmap(NULL, cached->len, PROT_READ, MAP_PRIVATE, fd, 0);
  close(fd);
  if (cached->map == MAP_FAILED) {
    cached->map = NULL;
    return NULL;
  }
  memcpy(&cached->header, cached->map, sizeof(cached->header));
  if (!header_fits(&cached->header, key, cached->len))
    return NULL;
  sha256(cached->map + DIGEST_FROM, cached->len - DIGEST_FROM, digest);
  if (memcmp(digest, cached->header.digest, SHA256_LEN) != 0)
    return NULL;
  cached_rest(cached);
  return g_steal_pointer(&cached);
}

void
cached_free(Cached *cached)
{
  if (cached == NULL)
    return;
  if (cached->map != NULL)
    munmap(cached->map, cached->len);
  g_free(cached);
}

RulePack *
cached_pack(const Cached *cached)
{
  /* A copy: the pack may live on when the file is gone. */
  g_autoptr(GBytes) bytes = g_bytes_new(cached->map + sizeof(cached->header),
                                        cached->header.pack_len);

  return rule_pack_thaw(bytes);
}

bool
cached_apply(const Cached *cached,
             CompiledRules *rules,
             hs_database_t **database)
{
  const CacheHeader *header = &cached->header;
  const char *rows = cached->map + sizeof(*header) + header->pack_len;
  hs_database_t *image =
      (hs_database_t *)(void *)(cached->map + image_start(header));
  size_t size;

  if (header->n_rules != rules->n)
    return false;
  if (rules->n > 0 && (header->database_len == 0 ||
                       hs_database_size(image, &size) != HS_SUCCESS ||
                       size != header->database_len))
    return false;
  for (unsigned i = 0; i < rules->n; i++) {
    CacheRule row;

    memcpy(&row, rows + i * sizeof(row), sizeof(row));
    rules->rules[i].flags = row.flags;
    rules->rules[i].min_width = row.min_width;
    rules->rules[i].max_width = row.max_width;
  }
  *database = rules->n > 0 ? image : NULL;
  return true;
}

/* As libhs has it in memory, at the same alignment as in the file. */
static bool
append_database(GByteArray *out, const hs_database_t *database, uint64_t *size)
{
  char *bytes = NULL;
  void *image = NULL;
  size_t len = 0, full = 0;
  bool good;

  *size = 0;
  if (database == NULL)
    return true;
  if (hs_serialize_database(database, &bytes, &len) != HS_SUCCESS)
    return false;
  good = hs_serialized_database_size(bytes, len, &full) == HS_SUCCESS &&
         full <= CACHE_MAX && posix_memalign(&image, IMAGE_ALIGN, full) == 0;
  if (good) {
    memset(image, 0, full);
    good = hs_deserialize_database_at(bytes, len, (hs_database_t *)image) ==
           HS_SUCCESS;
  }
  if (good) {
    g_byte_array_append(out, image, (guint)full);
    *size = full;
  }
  free(image);
  free(bytes);
  return good;
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
  g_byte_array_set_size(out, (guint)image_start(&header));
  memset(out->data + table_end(&header),
         0,
         image_start(&header) - table_end(&header));
  if (!append_database(out, database, &header.database_len))
    return;
  memcpy(out->data, &header, sizeof(header));
  sha256(out->data + DIGEST_FROM, out->len - DIGEST_FROM, header.digest);
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
