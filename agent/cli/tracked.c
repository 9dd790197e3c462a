/* SPDX-License-Identifier: Apache-2.0 */
/* Reads git's index: what is tracked is part of the history whatever the
 * patterns say. */
#include "cli/tracked.h"
#include <stdint.h>
#include <string.h>

#define HEADER 12
/* Times, device, inode, mode, owner, size. */
#define STAT 40
#define MODE_AT 24
#define SHA1 20
#define SHA256 32
#define FLAG_EXTENDED 0x4000
#define NAME_MASK 0xfff
/* PATH_MAX: no work tree has longer names. */
#define MAX_NAME 4096

struct tracked {
  GString *names;  /* each with its NUL */
  GArray *offsets; /* size_t, in order of names */
};

typedef struct {
  const uint8_t *bytes;
  size_t len, at;
  unsigned version, hash;
  GString *name; /* of the last entry: version 4 repeats its beginning */
} IndexReader;

static uint32_t
number_at(const uint8_t *bytes)
{
  return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 |
         (uint32_t)bytes[2] << 8 | bytes[3];
}

/* A file, a link, a submodule, or a folder of a sparse index. */
static bool
is_mode(uint32_t mode)
{
  return mode == 0100644 || mode == 0100755 || mode == 0100664 ||
         mode == 0120000 || mode == 0160000 || mode == 040000;
}

/* How many bytes of the last name go: the coding of offsets in packs. */
static bool
read_varint(IndexReader *reader, size_t *value)
{
  size_t result = 0;
  uint8_t byte;

  do {
    if (reader->at >= reader->len || result > MAX_NAME)
      return false;
    byte = reader->bytes[reader->at++];
    result = (result << 7) + (byte & 0x7f);
    if (byte & 0x80)
      result++;
  } while (byte & 0x80);
  *value = result;
  return true;
}

static bool
read_name(IndexReader *reader, size_t begin, unsigned told)
{
  const uint8_t *from, *end;
  size_t drop = reader->name->len;

  if (reader->version == 4 &&
      (!read_varint(reader, &drop) || drop > reader->name->len))
    return false;
  from = reader->bytes + reader->at;
  end = memchr(from, '\0', reader->len - reader->at);
  if (!end || end - from > MAX_NAME)
    return false;
  g_string_truncate(reader->name, reader->name->len - drop);
  g_string_append_len(reader->name, (const char *)from, (gssize)(end - from));
  reader->at = (size_t)(end - reader->bytes) + 1;
  if (reader->version < 4)
    reader->at = begin + ((reader->at - begin + 7) & ~(size_t)7);
  return reader->name->len > 0 && reader->name->len <= MAX_NAME &&
         told == MIN(reader->name->len, NAME_MASK) && reader->at <= reader->len;
}

static bool
read_entry(IndexReader *reader)
{
  const size_t begin = reader->at;
  const uint8_t *entry = reader->bytes + begin;
  unsigned flags;

  if (reader->len - begin < STAT + reader->hash + 4u ||
      !is_mode(number_at(entry + MODE_AT)))
    return false;
  flags = (unsigned)entry[STAT + reader->hash] << 8 |
          entry[STAT + reader->hash + 1];
  reader->at += STAT + reader->hash + 2u;
  if (flags & FLAG_EXTENDED)
    reader->at += 2;
  return read_name(reader, begin, flags & NAME_MASK);
}

static const char *
name_at(const Tracked *tracked, guint i)
{
  return tracked->names->str + g_array_index(tracked->offsets, size_t, i);
}

static bool
read_entries(IndexReader *reader, uint32_t n, Tracked *tracked)
{
  for (uint32_t i = 0; i < n; i++) {
    const size_t offset = tracked->names->len;

    if (!read_entry(reader))
      return false;
    g_string_append_len(
        tracked->names, reader->name->str, (gssize)reader->name->len + 1);
    g_array_append_val(tracked->offsets, offset);
    /* Several stages of a merge have one name. */
    if (i && strcmp(name_at(tracked, i - 1), name_at(tracked, i)) > 0)
      return false;
  }
  return reader->len - reader->at < 4 ||
         memcmp(reader->bytes + reader->at, "link", 4) != 0;
}

static Tracked *
parse(const uint8_t *bytes, size_t len, unsigned hash)
{
  IndexReader reader = {bytes, len, HEADER, 0, hash, NULL};
  g_autoptr(Tracked) tracked = g_new0(Tracked, 1);
  bool fine;

  tracked->names = g_string_new(NULL);
  tracked->offsets = g_array_new(FALSE, FALSE, sizeof(size_t));
  reader.version = number_at(bytes + 4);
  reader.name = g_string_new(NULL);
  fine = reader.version >= 2 && reader.version <= 4 &&
         read_entries(&reader, number_at(bytes + 8), tracked);
  g_string_free(reader.name, TRUE);
  return fine ? g_steal_pointer(&tracked) : NULL;
}

Tracked *
tracked_parse(const void *bytes, size_t len)
{
  Tracked *tracked;

  if (len < HEADER || memcmp(bytes, "DIRC", 4) != 0)
    return NULL;
  tracked = parse(bytes, len, SHA1);
  return tracked ? tracked : parse(bytes, len, SHA256);
}

void
tracked_free(Tracked *tracked)
{
  if (!tracked)
    return;
  g_string_free(tracked->names, TRUE);
  g_array_unref(tracked->offsets);
  g_free(tracked);
}

unsigned
tracked_count(const Tracked *tracked)
{
  return tracked->offsets->len;
}

/* The first name that does not stand before `path`. */
static const char *
first_from(const Tracked *tracked, const char *path)
{
  guint low = 0, high = tracked->offsets->len;

  while (low < high) {
    const guint middle = low + (high - low) / 2;

    if (strcmp(name_at(tracked, middle), path) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low < tracked->offsets->len ? name_at(tracked, low) : NULL;
}

bool
tracked_has(const Tracked *tracked, const char *path)
{
  return g_strcmp0(first_from(tracked, path), path) == 0;
}

bool
tracked_below(const Tracked *tracked, const char *folder)
{
  g_autofree char *prefix = g_strconcat(folder, "/", NULL);
  const char *first = first_from(tracked, prefix);

  return first && g_str_has_prefix(first, prefix);
}
