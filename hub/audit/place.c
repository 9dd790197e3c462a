/* SPDX-License-Identifier: Apache-2.0 */
/* From a shipped record back to the row or checkpoint that it is, and whether
 * it is what its hash or signature covers (hoop-ship(5), hoop-journal(5)). */
#include "hub/audit/logs.h"
#include "journal/journal.h"

#include <string.h>

#define MAX_ITEMS 4096

static bool
number_of(const Document *in, const char *name, int64_t *out)
{
  const Document *value = document_member(in, name);

  if (!json_object_is_type(value, json_type_int))
    return false;
  *out = json_object_get_int64(value);
  return true;
}

static bool
hex_of(const Document *in, const char *name, uint8_t *out, size_t len)
{
  const char *text = document_text(in, name);

  return text && hex_decode(text, out, len);
}

/* ---- rows -----------------------------------------------------------------
 */

static const struct {
  const char *name;
  bool text;
  size_t offset;
} members[] = {
    {"hoop.exchange", true, offsetof(JournalRow, exchange)},
    {"user.name", true, offsetof(JournalRow, user)},
    {"hoop.user.issuer", true, offsetof(JournalRow, issuer)},
    {"hoop.client", true, offsetof(JournalRow, client)},
    {"hoop.client.pid", false, offsetof(JournalRow, pid)},
    {"hoop.client.process", true, offsetof(JournalRow, process)},
    {"hoop.connection", true, offsetof(JournalRow, connection)},
    {"server.address", true, offsetof(JournalRow, host)},
    {"http.request.method", true, offsetof(JournalRow, method)},
    {"url.path", true, offsetof(JournalRow, path)},
    {"hoop.api", true, offsetof(JournalRow, api)},
    {"gen_ai.conversation.id", true, offsetof(JournalRow, conversation)},
    {"hoop.verdict", true, offsetof(JournalRow, verdict)},
    {"hoop.rule", true, offsetof(JournalRow, rule)},
    {"hoop.detail", true, offsetof(JournalRow, detail)},
    {"hoop.policy.revision", true, offsetof(JournalRow, policy_revision)},
    {"http.response.status_code", false, offsetof(JournalRow, status)},
    {"hoop.bytes_in", false, offsetof(JournalRow, bytes_in)},
    {"hoop.bytes_out", false, offsetof(JournalRow, bytes_out)},
    {"gen_ai.usage.input_tokens", false, offsetof(JournalRow, tokens_in)},
    {"gen_ai.usage.output_tokens", false, offsetof(JournalRow, tokens_out)},
    {"hoop.duration_us", false, offsetof(JournalRow, duration_us)},
    {"hoop.first_byte_us", false, offsetof(JournalRow, first_byte_us)},
    {"hoop.held_us", false, offsetof(JournalRow, held_us)},
};

static void
read_members(const Document *in, JournalRow *row)
{
  for (size_t i = 0; i < G_N_ELEMENTS(members); i++) {
    void *member = (char *)row + members[i].offset;

    if (members[i].text)
      *(char **)member = g_strdup(document_text(in, members[i].name));
    else
      number_of(in, members[i].name, member);
  }
  row->model = g_strdup(document_text(in,
                                      row->kind == ROW_RESPONSE
                                          ? "gen_ai.response.model"
                                          : "gen_ai.request.model"));
}

/* The list is the row's text, cut at its commas. */
static void
read_groups(const Document *in, JournalRow *row)
{
  const Document *list = document_member(in, "hoop.user.groups");
  GString *out;

  if (!json_object_is_type(list, json_type_array))
    return;
  out = g_string_new(NULL);
  for (size_t i = 0; i < json_object_array_length(list) && i < MAX_ITEMS; i++) {
    Document *one = json_object_array_get_idx(list, i);

    if (i)
      g_string_append_c(out, ',');
    if (json_object_is_type(one, json_type_string))
      g_string_append(out, json_object_get_string(one));
  }
  row->groups = g_string_free(out, FALSE);
}

static bool
read_body(const Document *in, JournalEntry *entry)
{
  entry->body_len = entry->kept_len = -1;
  if (!number_of(in, "hoop.body.size", &entry->body_len))
    return true;
  number_of(in, "hoop.body.kept", &entry->kept_len);
  entry->cut_body =
      hex_of(in, "hoop.body.kept_sha256", entry->kept_digest, SHA256_LEN);
  return entry->body_len >= 0 &&
         hex_of(in, "hoop.body.sha256", entry->body_digest, SHA256_LEN);
}

static AuditContent
judge_row(const Document *in, const AuditPlace *place, int64_t at_us)
{
  JournalEntry entry = {.seq = place->seq};
  g_autoptr(JournalRow) row = NULL;
  uint8_t hash[SHA256_LEN];
  int64_t number = 0;
  const char *kind = document_text(in, "hoop.kind");
  RowKind of;

  if (!place->has_link || !kind || !journal_row_kind(kind, &of) ||
      document_has(in, "hoop.detail.sha256"))
    return AUDIT_CONTENT_PARTIAL;
  entry.row = row = journal_row_new(of);
  row->wall_us = at_us;
  read_members(in, row);
  read_groups(in, row);
  if (number_of(in, "hoop.chain.empty", &number))
    journal_row_set_empty(row, (uint64_t)number);
  if (!read_body(in, &entry))
    return AUDIT_CONTENT_BAD;
  if (number_of(in, "hoop.cut", &number))
    entry.cut = (uint64_t)number;
  entry.sealed =
      hex_of(in, "hoop.sealed.sha256", entry.sealed_digest, SHA256_LEN);
  journal_row_hash(&entry, place->link, hash);
  return memcmp(hash, place->hash, SHA256_LEN) == 0 ? AUDIT_CONTENT_GOOD
                                                    : AUDIT_CONTENT_BAD;
}

/* ---- checkpoints ----------------------------------------------------------
 */

static const char *
read_checkpoint(const Document *in, AuditPlace *place)
{
  JournalCheckpoint checkpoint = {.seq = place->seq};
  uint8_t id[16];
  int64_t created_us;

  memcpy(checkpoint.hash, place->hash, SHA256_LEN);
  if (!hex_of(in,
              "hoop.checkpoint.public_key",
              checkpoint.public_key,
              sizeof checkpoint.public_key) ||
      !hex_of(in,
              "hoop.checkpoint.signature",
              checkpoint.signature,
              sizeof checkpoint.signature) ||
      !number_of(in, "hoop.checkpoint.wall_us", &checkpoint.wall_us))
    return "its checkpoint is not whole";
  memcpy(place->public_key, checkpoint.public_key, sizeof place->public_key);
  /* Older agents do not say when the journal was begun. */
  if (!number_of(in, "hoop.chain.created_us", &created_us)) {
    place->content = AUDIT_CONTENT_PARTIAL;
    return NULL;
  }
  if (!hex_decode(place->journal, id, sizeof id))
    return "its journal is none";
  journal_genesis(id, place->public_key, created_us, place->genesis);
  place->content = journal_checkpoint_signed(place->genesis, &checkpoint)
                       ? AUDIT_CONTENT_GOOD
                       : AUDIT_CONTENT_BAD;
  place->has_link = true;
  journal_checkpoint_link(place->genesis, &checkpoint, place->link);
  return NULL;
}

bool
audit_place_read(const Document *attributes,
                 int64_t at_us,
                 bool *placed,
                 AuditPlace *out,
                 const char **why)
{
  const char *journal = document_text(attributes, "hoop.chain.journal");
  AuditPlace place = {0};
  uint8_t id[16];

  *placed = false;
  if (!journal)
    return true;
  *why = "its place in the chain is not whole";
  if (!hex_decode(journal, id, sizeof id) ||
      !number_of(attributes, "hoop.chain.seq", &place.seq) || place.seq < 1 ||
      !hex_of(attributes, "hoop.chain.hash", place.hash, SHA256_LEN))
    return false;
  hex_encode(id, sizeof id, place.journal);
  place.checkpoint =
      g_strcmp0(document_text(attributes, "hoop.kind"), "checkpoint") == 0;
  if (place.checkpoint) {
    const char *fault = read_checkpoint(attributes, &place);

    if (fault) {
      *why = fault;
      return false;
    }
  } else {
    place.has_link =
        hex_of(attributes, "hoop.chain.link", place.link, SHA256_LEN);
    place.content = judge_row(attributes, &place, at_us);
  }
  *placed = true;
  *out = place;
  return true;
}
