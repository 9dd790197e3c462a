/* SPDX-License-Identifier: Apache-2.0 */
/* The chain for whoever has rows and checkpoints, but not the journal: the same
 * encoding as the writer's. */
#include "journal/reader.h"
#include "journal/row.h"

#include <string.h>

static Checkpoint
private_form(const JournalCheckpoint *checkpoint)
{
  Checkpoint out = {.seq = checkpoint->seq, .wall_us = checkpoint->wall_us};

  memcpy(out.hash, checkpoint->hash, sizeof out.hash);
  memcpy(out.public_key, checkpoint->public_key, sizeof out.public_key);
  memcpy(out.signature, checkpoint->signature, sizeof out.signature);
  return out;
}

void
journal_genesis(const uint8_t id[16],
                const uint8_t public_key[32],
                int64_t created_us,
                uint8_t out[SHA256_LEN])
{
  chain_genesis(id, public_key, created_us, out);
}

bool
journal_checkpoint_signed(const uint8_t genesis[SHA256_LEN],
                          const JournalCheckpoint *checkpoint)
{
  const Checkpoint form = private_form(checkpoint);

  return chain_signed(genesis, &form);
}

void
journal_checkpoint_link(const uint8_t genesis[SHA256_LEN],
                        const JournalCheckpoint *checkpoint,
                        uint8_t out[SHA256_LEN])
{
  const Checkpoint form = private_form(checkpoint);

  chain_link(genesis, &form, out);
}

/* ---- Rows ---------------------------------------------------------------- */

static void
put_members(GByteArray *out, const JournalRow *row, int first, int last)
{
  for (size_t i = 0; i < n_row_fields; i++) {
    const RowField *field = &row_fields[i];
    const char *member = (const char *)row + field->offset;

    if (field->number < first || field->number > last)
      continue;
    if (field->type == ROW_TEXT) {
      const char *text = *(char *const *)(const void *)member;

      if (text)
        chain_text(out, field->number, text, strlen(text));
    } else {
      const int64_t number = *(const int64_t *)(const void *)member;

      if (number != -1 || field->number == FIELD_WALL_US)
        chain_int(out, field->number, number);
    }
  }
}

static void
put_body(GByteArray *out, const JournalEntry *entry)
{
  if (entry->body_len < 0)
    return;
  chain_blob(out, FIELD_BODY_DIGEST, entry->body_digest, SHA256_LEN);
  chain_int(out, FIELD_BODY_LEN, entry->body_len);
  if (entry->cut_body)
    chain_blob(out, FIELD_KEPT_DIGEST, entry->kept_digest, SHA256_LEN);
  if (entry->kept_len >= 0)
    chain_int(out, FIELD_KEPT_LEN, entry->kept_len);
}

void
journal_row_hash(const JournalEntry *entry,
                 const uint8_t link[SHA256_LEN],
                 uint8_t out[SHA256_LEN])
{
  const char *kind = row_kind_name(entry->row->kind);
  g_autoptr(GByteArray) encoded = g_byte_array_sized_new(1024);

  chain_begin(encoded, CHAIN_ROW, link);
  chain_int(encoded, FIELD_SEQ, entry->seq);
  chain_text(encoded, FIELD_KIND, kind, strlen(kind));
  put_members(encoded, entry->row, FIELD_WALL_US, FIELD_BODY_DIGEST - 1);
  put_body(encoded, entry);
  if (entry->cut)
    chain_int(encoded, FIELD_CUT, (int64_t)entry->cut);
  put_members(encoded, entry->row, FIELD_HASH + 1, FIELD_LAST);
  if (entry->sealed)
    chain_blob(encoded, FIELD_SEALED_DIGEST, entry->sealed_digest, SHA256_LEN);
  chain_hash(encoded, out);
}

bool
journal_row_kind(const char *name, RowKind *out)
{
  const int kind = row_kind_of(name);

  if (kind < 0)
    return false;
  *out = (RowKind)kind;
  return true;
}

uint64_t
journal_row_empty(const JournalRow *row)
{
  uint64_t empty = 0;

  for (size_t i = 0; i < n_row_fields; i++) {
    const char *member = (const char *)row + row_fields[i].offset;
    const char *text = row_fields[i].type == ROW_TEXT
                           ? *(char *const *)(const void *)member
                           : NULL;

    if (text && !*text)
      empty |= UINT64_C(1) << row_fields[i].number;
  }
  return empty;
}

void
journal_row_set_empty(JournalRow *row, uint64_t empty)
{
  for (size_t i = 0; i < n_row_fields; i++) {
    char **text =
        row_fields[i].type == ROW_TEXT ? row_text(row, &row_fields[i]) : NULL;

    if (text && !*text && empty & UINT64_C(1) << row_fields[i].number)
      *text = g_strdup("");
  }
}

/* ---- Of a journal that is here ------------------------------------------- */

bool
journal_origin(JournalReader *reader, JournalOrigin *out, GError **error)
{
  JournalMeta meta;

  if (!schema_read_meta(reader->db, reader->path, &meta, error))
    return false;
  out->created_us = meta.created_us;
  memcpy(out->genesis, meta.genesis, SHA256_LEN);
  return true;
}

bool
journal_link(JournalReader *reader,
             const JournalOrigin *origin,
             int64_t seq,
             uint8_t out[SHA256_LEN],
             GError **error)
{
  g_autoptr(sqlite3_stmt) stmt = NULL;
  JournalCheckpoint one = {.seq = seq};
  int result;

  memcpy(out, origin->genesis, SHA256_LEN);
  if (seq == 0)
    return true;
  if (!schema_limit_work(reader->db, reader->path, &reader->budget, error))
    return false;
  stmt = schema_prepare(
      reader->db,
      reader->path,
      "SELECT coalesce(c.hash, r.hash), c.wall_us, c.public_key, c.signature "
      "FROM (SELECT ?1 AS seq) AS s "
      "LEFT JOIN rows r ON r.seq = s.seq LEFT JOIN checkpoints c ON "
      "c.seq = s.seq",
      error);
  if (!stmt)
    return false;
  sqlite3_bind_int64(stmt, 1, seq);
  result = sqlite3_step(stmt);
  if (result == SQLITE_ROW && column_bytes(stmt, 0, one.hash, SHA256_LEN)) {
    memcpy(out, one.hash, SHA256_LEN);
    one.wall_us = sqlite3_column_int64(stmt, 1);
    if (column_bytes(stmt, 2, one.public_key, sizeof one.public_key) &&
        column_bytes(stmt, 3, one.signature, sizeof one.signature))
      journal_checkpoint_link(origin->genesis, &one, out);
    return true;
  }
  if (result != SQLITE_ROW)
    schema_set_error(error, reader->db, reader->path, "read");
  else
    g_set_error(error,
                JOURNAL_ERROR,
                JOURNAL_ERROR_NOT_FOUND,
                "row %lld of the journal %s is not there",
                (long long)seq,
                reader->path);
  return false;
}
