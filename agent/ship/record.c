/* SPDX-License-Identifier: Apache-2.0 */
/* Rows and checkpoints as flat records, with the names of OpenTelemetry's
 * semantic conventions where it has one; hoop-ship(5) lists them all. */
#include "ship/record.h"

#include "kit/api.h"
#include "ship/derive.h"

#include <stdlib.h>
#include <string.h>

/* Of one list (groups, rules): what an index of such lists still takes. */
#define MAX_LIST 64

const char *
severity_name(Severity severity)
{
  switch (severity) {
  case SEVERITY_WARN:
    return "WARN";
  case SEVERITY_ERROR:
    return "ERROR";
  case SEVERITY_INFO:
    break;
  }
  return "INFO";
}

/* ---- Place and key ------------------------------------------------------- */

int
ship_place_compare(ShipPlace a, ShipPlace b)
{
  if (a.seq != b.seq)
    return a.seq < b.seq ? -1 : 1;
  return (int)a.checkpoint - (int)b.checkpoint;
}

void
ship_key(const char *journal, ShipPlace place, char out[RECORD_KEY_SIZE])
{
  g_snprintf(out,
             RECORD_KEY_SIZE,
             "%s-%lld%s",
             journal,
             (long long)place.seq,
             place.checkpoint ? "c" : "");
}

bool
ship_key_read(const char *journal, const char *key, ShipPlace *place)
{
  const size_t len = strlen(journal);
  const char *digits = key + len + 1;
  guint64 seq;
  char *end;

  if (strncmp(key, journal, len) != 0 || key[len] != '-' ||
      !g_ascii_isdigit(*digits))
    return false;
  seq = g_ascii_strtoull(digits, &end, 10);
  if (seq == 0 || seq > INT64_MAX || strcmp(end, *end == 'c' ? "c" : "") != 0)
    return false;
  *place = (ShipPlace){(int64_t)seq, *end == 'c'};
  return true;
}

/* ---- Attributes ---------------------------------------------------------- */

void
record_init(Record *record)
{
  *record = (Record){.attributes = g_array_new(FALSE, TRUE, sizeof(Attribute)),
                     .texts = g_string_chunk_new(1024),
                     .lists = g_ptr_array_new_with_free_func(
                         (GDestroyNotify)(void (*)(void))g_strfreev)};
}

void
record_clear(Record *record)
{
  if (!record->attributes)
    return;
  g_clear_pointer(&record->attributes, g_array_unref);
  g_clear_pointer(&record->texts, g_string_chunk_free);
  g_clear_pointer(&record->lists, g_ptr_array_unref);
}

static void
reset(Record *record, const char *journal, ShipPlace place)
{
  record->place = place;
  ship_key(journal, place, record->key);
  record->trace[0] = '\0';
  g_array_set_size(record->attributes, 0);
  g_string_chunk_clear(record->texts);
  g_ptr_array_set_size(record->lists, 0);
}

static void
add_text(Record *record, const char *name, const char *text)
{
  const Attribute attribute = {name, ATTRIBUTE_TEXT, .text = text};

  if (text && *text)
    g_array_append_val(record->attributes, attribute);
}

static void
add_number(Record *record, const char *name, int64_t number)
{
  const Attribute attribute = {name, ATTRIBUTE_NUMBER, .number = number};

  if (number >= 0)
    g_array_append_val(record->attributes, attribute);
}

/* Takes the list. */
static void
add_list(Record *record, const char *name, char **list)
{
  const Attribute attribute = {name, ATTRIBUTE_LIST, .list = list};

  g_ptr_array_add(record->lists, list);
  if (*list)
    g_array_append_val(record->attributes, attribute);
}

static void
add_hex(Record *record, const char *name, const uint8_t *bytes, size_t len)
{
  g_autofree char *hex = g_malloc(2 * len + 1);

  hex_encode(bytes, len, hex);
  add_text(record, name, g_string_chunk_insert(record->texts, hex));
}

/* ---- Rows ---------------------------------------------------------------- */

/* Members of a row that are shipped as they are. */
static const struct {
  const char *name;
  AttributeType type;
  size_t offset;
} members[] = {
    {"hoop.exchange", ATTRIBUTE_TEXT, offsetof(JournalRow, exchange)},
    {"user.name", ATTRIBUTE_TEXT, offsetof(JournalRow, user)},
    {"hoop.user.issuer", ATTRIBUTE_TEXT, offsetof(JournalRow, issuer)},
    {"hoop.client", ATTRIBUTE_TEXT, offsetof(JournalRow, client)},
    {"hoop.client.pid", ATTRIBUTE_NUMBER, offsetof(JournalRow, pid)},
    {"hoop.client.process", ATTRIBUTE_TEXT, offsetof(JournalRow, process)},
    {"hoop.connection", ATTRIBUTE_TEXT, offsetof(JournalRow, connection)},
    {"server.address", ATTRIBUTE_TEXT, offsetof(JournalRow, host)},
    {"http.request.method", ATTRIBUTE_TEXT, offsetof(JournalRow, method)},
    {"url.path", ATTRIBUTE_TEXT, offsetof(JournalRow, path)},
    {"hoop.api", ATTRIBUTE_TEXT, offsetof(JournalRow, api)},
    {"gen_ai.conversation.id",
     ATTRIBUTE_TEXT,
     offsetof(JournalRow, conversation)},
    {"hoop.verdict", ATTRIBUTE_TEXT, offsetof(JournalRow, verdict)},
    {"hoop.rule", ATTRIBUTE_TEXT, offsetof(JournalRow, rule)},
    {"hoop.policy.revision",
     ATTRIBUTE_TEXT,
     offsetof(JournalRow, policy_revision)},
    {"http.response.status_code",
     ATTRIBUTE_NUMBER,
     offsetof(JournalRow, status)},
    {"hoop.bytes_in", ATTRIBUTE_NUMBER, offsetof(JournalRow, bytes_in)},
    {"hoop.bytes_out", ATTRIBUTE_NUMBER, offsetof(JournalRow, bytes_out)},
    {"gen_ai.usage.input_tokens",
     ATTRIBUTE_NUMBER,
     offsetof(JournalRow, tokens_in)},
    {"gen_ai.usage.output_tokens",
     ATTRIBUTE_NUMBER,
     offsetof(JournalRow, tokens_out)},
    {"hoop.duration_us", ATTRIBUTE_NUMBER, offsetof(JournalRow, duration_us)},
    {"hoop.first_byte_us",
     ATTRIBUTE_NUMBER,
     offsetof(JournalRow, first_byte_us)},
    {"hoop.held_us", ATTRIBUTE_NUMBER, offsetof(JournalRow, held_us)},
};

static void
add_members(Record *record, const JournalRow *row)
{
  for (size_t i = 0; i < G_N_ELEMENTS(members); i++) {
    const void *member = (const char *)row + members[i].offset;

    if (members[i].type == ATTRIBUTE_TEXT)
      add_text(record, members[i].name, *(char *const *)member);
    else
      add_number(record, members[i].name, *(const int64_t *)member);
  }
}

/* Names of the GenAI conventions: gen_ai.operation.name. */
static const char *
operation(const char *api)
{
  Api shape = API_OTHER;

  if (!api || !api_from_name(api, &shape))
    return NULL;
  if (shape == API_CHAT || shape == API_RESPONSES || shape == API_MESSAGES)
    return "chat";
  if (shape == API_COMPLETIONS)
    return "text_completion";
  return shape == API_EMBEDDINGS ? "embeddings" : NULL;
}

/* gen_ai.provider.name has no name for Copilot's backend. */
static const char *
provider(const char *connection)
{
  return g_strcmp0(connection, "copilot") == 0 ? "github.copilot" : connection;
}

static void
add_model(Record *record, const JournalRow *row)
{
  const char *name = operation(row->api);

  if (name) {
    add_text(record, "gen_ai.operation.name", name);
    add_text(record, "gen_ai.provider.name", provider(row->connection));
  }
  add_text(record,
           row->kind == ROW_RESPONSE ? "gen_ai.response.model"
                                     : "gen_ai.request.model",
           row->model);
}

static void
add_body(Record *record, const JournalEntry *entry)
{
  if (entry->body_len < 0)
    return;
  add_hex(record, "hoop.body.sha256", entry->body_digest, SHA256_LEN);
  add_number(record, "hoop.body.size", entry->body_len);
  add_number(record, "hoop.body.kept", entry->kept_len);
  if (entry->cut_body)
    add_hex(record, "hoop.body.kept_sha256", entry->kept_digest, SHA256_LEN);
}

static void
add_detail(Record *record, const char *detail)
{
  const size_t len = detail ? strlen(detail) : 0;
  Derived derived = {0};
  uint8_t digest[SHA256_LEN];

  if (!detail)
    return;
  if (derive(detail, len, MAX_LIST, &derived)) {
    add_list(record, "hoop.rules", g_steal_pointer(&derived.rules));
    add_number(record, "hoop.findings.count", derived.n_findings);
    add_list(
        record, "hoop.findings.rules", g_steal_pointer(&derived.found_rules));
    add_list(
        record, "hoop.findings.classes", g_steal_pointer(&derived.classes));
    add_number(record, "hoop.masks.count", derived.n_masks);
    add_list(record, "hoop.approvals", g_steal_pointer(&derived.approvals));
  }
  if (len <= RECORD_MAX_DETAIL) {
    add_text(record, "hoop.detail", detail);
    return;
  }
  sha256(detail, len, digest);
  add_number(record, "hoop.detail.size", (int64_t)len);
  add_hex(record, "hoop.detail.sha256", digest, sizeof digest);
}

/* The exchange's 128 bits, which its 26 base32hex digits stand for, make one
 * trace of its rows. */
static void
set_trace(Record *record, const char *exchange)
{
  uint64_t high = 0, low = 0;

  if (!exchange || strlen(exchange) != 26 ||
      strspn(exchange, "0123456789abcdefghijklmnopqrstuv") != 26)
    return;
  for (const char *c = exchange; *c; c++) {
    const unsigned digit =
        g_ascii_isdigit(*c) ? (unsigned)(*c - '0') : (unsigned)(*c - 'a') + 10;

    high = high << 5 | low >> 59;
    low = low << 5 | digit;
  }
  if (high || low)
    g_snprintf(record->trace,
               sizeof record->trace,
               "%016llx%016llx",
               (unsigned long long)high,
               (unsigned long long)low);
}

static const char *const events[N_ROW_KINDS] = {
    [ROW_START] = "hoop.start",
    [ROW_STOP] = "hoop.stop",
    [ROW_REQUEST] = "hoop.request",
    [ROW_RESPONSE] = "hoop.response",
    [ROW_APPROVAL] = "hoop.approval",
    [ROW_TOOL] = "hoop.tool",
    [ROW_TUNNEL] = "hoop.tunnel",
    [ROW_REFUSED] = "hoop.refused",
    [ROW_POLICY] = "hoop.policy",
    [ROW_PAUSE] = "hoop.pause",
    [ROW_ERROR] = "hoop.error",
    [ROW_SIGNIN] = "hoop.signin",
    [ROW_PRUNE] = "hoop.prune",
};

/* The answer of a model is what the GenAI conventions have an event for. */
static const char *
event_name(const JournalRow *row)
{
  if (row->kind == ROW_RESPONSE && operation(row->api))
    return "gen_ai.client.inference.operation.details";
  return events[row->kind] ? events[row->kind] : "hoop.row";
}

static Severity
severity_of(const JournalRow *row)
{
  static const char *const warn[] = {"block",
                                     "blocked",
                                     "refused",
                                     "denied",
                                     "timeout",
                                     "revoked",
                                     "interrupted",
                                     "cut",
                                     "renewal-failed"};

  if (row->kind == ROW_ERROR)
    return SEVERITY_ERROR;
  for (size_t i = 0; row->verdict && i < G_N_ELEMENTS(warn); i++)
    if (g_str_equal(row->verdict, warn[i]))
      return SEVERITY_WARN;
  return row->kind == ROW_REFUSED ? SEVERITY_WARN : SEVERITY_INFO;
}

/* "request mask by credentials-in-prompt: chat gpt-4o for dev via copilot" */
static const char *
sentence(Record *record, const JournalRow *row)
{
  g_autoptr(GString) out = g_string_new(row_kind_name(row->kind));

  if (row->verdict)
    g_string_append_printf(out, " %s", row->verdict);
  if (row->rule)
    g_string_append_printf(out, " by %s", row->rule);
  if (row->api || row->model)
    g_string_append_printf(out,
                           ": %s%s%s",
                           row->api ? row->api : "",
                           row->api && row->model ? " " : "",
                           row->model ? row->model : "");
  if (row->user)
    g_string_append_printf(out, " for %s", row->user);
  if (row->connection)
    g_string_append_printf(out, " via %s", row->connection);
  else if (row->host)
    g_string_append_printf(out, " to %s", row->host);
  return g_string_chunk_insert_len(record->texts, out->str, (gssize)out->len);
}

void
record_set_row(Record *record,
               const char *journal,
               const JournalEntry *entry,
               const uint8_t *link)
{
  const JournalRow *row = entry->row;
  const uint64_t empty = journal_row_empty(row);

  reset(record, journal, (ShipPlace){entry->seq, false});
  record->wall_us = row->wall_us;
  record->severity = severity_of(row);
  record->event = event_name(row);
  record->said = sentence(record, row);
  set_trace(record, row->exchange);
  add_text(record, "hoop.key", record->key);
  add_text(record, "hoop.kind", row_kind_name(row->kind));
  add_text(record, "hoop.chain.journal", journal);
  add_number(record, "hoop.chain.seq", entry->seq);
  add_hex(record, "hoop.chain.hash", entry->hash, SHA256_LEN);
  if (link)
    add_hex(record, "hoop.chain.link", link, SHA256_LEN);
  if (empty)
    add_number(record, "hoop.chain.empty", (int64_t)empty);
  add_members(record, row);
  if (row->groups)
    add_list(
        record, "hoop.user.groups", g_strsplit(row->groups, ",", MAX_LIST));
  add_model(record, row);
  add_body(record, entry);
  if (entry->cut)
    add_number(record, "hoop.cut", (int64_t)entry->cut);
  if (entry->sealed)
    add_hex(record, "hoop.sealed.sha256", entry->sealed_digest, SHA256_LEN);
  add_detail(record, row->detail);
}

void
record_set_checkpoint(Record *record,
                      const char *journal,
                      const JournalCheckpoint *checkpoint,
                      int64_t created_us)
{
  reset(record, journal, (ShipPlace){checkpoint->seq, true});
  record->wall_us = checkpoint->wall_us;
  record->severity = SEVERITY_INFO;
  record->event = "hoop.checkpoint";
  record->said = "checkpoint";
  add_text(record, "hoop.key", record->key);
  add_text(record, "hoop.kind", "checkpoint");
  add_text(record, "hoop.chain.journal", journal);
  add_number(record, "hoop.chain.seq", checkpoint->seq);
  add_hex(record, "hoop.chain.hash", checkpoint->hash, SHA256_LEN);
  add_hex(record,
          "hoop.checkpoint.public_key",
          checkpoint->public_key,
          sizeof checkpoint->public_key);
  add_hex(record,
          "hoop.checkpoint.signature",
          checkpoint->signature,
          sizeof checkpoint->signature);
  add_number(record, "hoop.checkpoint.wall_us", checkpoint->wall_us);
  add_number(record, "hoop.chain.created_us", created_us);
}
