/* SPDX-License-Identifier: Apache-2.0 */
/* Cuts texts where their content says so, so that a text that was resent with
 * more around it yields the same parts; and joins them. */
#include "journal/parts.h"

#include "journal/body.h"

#include "kit/buf.h"

#include <string.h>

/* Parts are at least and at most this long, and about 8 KiB longer than the
 * least on average: short enough that one new message costs little, long
 * enough to be worth a row and to compress. */
#define PART_LEAST ((size_t)2 * 1024)
#define PART_MOST ((size_t)64 * 1024)
/* Cut where these bits of the hash are 0: the high ones, which depend on the
 * last 64 bytes. */
#define CUT_MASK (UINT64_C(0x1fff) << 51)

/* The constants of the splitmix64 generator (Steele, Lea and Flood, 2014): any
 * fixed table of random numbers would do, but it must stay the same. */
void
part_cutter_init(PartCutter *cutter)
{
  uint64_t state = 0;

  for (size_t i = 0; i < G_N_ELEMENTS(cutter->gear); i++) {
    uint64_t mixed = state += UINT64_C(0x9e3779b97f4a7c15);

    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    cutter->gear[i] = mixed ^ mixed >> 31;
  }
}

size_t
part_cut(const PartCutter *cutter, const uint8_t *text, size_t len)
{
  size_t most = MIN(len, PART_MOST);
  uint64_t hash = 0;

  if (len <= PART_LEAST)
    return len;
  for (size_t i = PART_LEAST - 64; i < most; i++) {
    hash = (hash << 1) + cutter->gear[text[i]];
    if ((hash & CUT_MASK) == 0 && i + 1 >= PART_LEAST)
      return i + 1;
  }
  return most;
}

void
part_id_write(uint8_t out[PART_ID_LEN], int64_t id)
{
  uint64_t big = GUINT64_TO_BE((uint64_t)id);

  memcpy(out, &big, PART_ID_LEN);
}

int64_t
part_id_read(const uint8_t in[PART_ID_LEN])
{
  uint64_t big;

  memcpy(&big, in, PART_ID_LEN);
  return (int64_t)GUINT64_FROM_BE(big);
}

sqlite3_stmt *
parts_prepare(sqlite3 *db, const char *path, GError **error)
{
  return schema_prepare(
      db, path, "SELECT digest, len, data FROM parts WHERE id = ?", error);
}

static bool
not_recorded(GError **error)
{
  g_set_error_literal(error,
                      JOURNAL_ERROR,
                      JOURNAL_ERROR_CORRUPT,
                      "a stored body is not what was recorded");
  return false;
}

static bool
add_part(sqlite3_stmt *stmt,
         int64_t id,
         Buf *text,
         size_t len,
         bool check,
         GError **error)
{
  uint8_t digest[SHA256_LEN];
  g_autoptr(GBytes) part = NULL;
  int64_t part_len;

  sqlite3_bind_int64(stmt, 1, id);
  if (sqlite3_step(stmt) != SQLITE_ROW ||
      !column_bytes(stmt, 0, digest, SHA256_LEN))
    return not_recorded(error);
  part_len = sqlite3_column_int64(stmt, 1);
  if (part_len < 0 || (uint64_t)part_len > len - text->len)
    return not_recorded(error);
  part = body_unpack(sqlite3_column_blob(stmt, 2),
                     (size_t)sqlite3_column_bytes(stmt, 2),
                     (size_t)part_len,
                     check ? digest : NULL,
                     error);
  return part &&
         buf_append(text, g_bytes_get_data(part, NULL), g_bytes_get_size(part));
}

GBytes *
parts_join(sqlite3_stmt *stmt,
           const uint8_t *data,
           size_t data_len,
           int64_t parts,
           size_t len,
           const uint8_t digest[SHA256_LEN],
           GError **error)
{
  g_auto(Buf) text = {0};
  uint8_t found[SHA256_LEN];

  if (parts == 0)
    return body_unpack(data, data_len, len, digest, error);
  if (stmt == NULL || len > BODY_MAX || parts < 0 ||
      (uint64_t)parts != data_len / PART_ID_LEN || data_len % PART_ID_LEN) {
    not_recorded(error);
    return NULL;
  }
  buf_init(&text, len);
  (void)buf_reserve(&text, len); /* growing would have some of it twice */
  for (size_t at = 0; at < data_len; at += PART_ID_LEN) {
    bool added = add_part(
        stmt, part_id_read(data + at), &text, len, digest != NULL, error);

    sqlite3_reset(stmt);
    if (!added)
      return NULL;
  }
  if (digest)
    sha256(buf_bytes(&text), text.len, found);
  if (text.len != len || (digest && memcmp(found, digest, SHA256_LEN) != 0)) {
    not_recorded(error);
    return NULL;
  }
  return buf_steal(&text);
}
