/* SPDX-License-Identifier: Apache-2.0 */
/* Reads rows of the journal for people and programs. */
#include "cli/rows.h"
#include "cli/when.h"
#include "kit/clock.h"
#include "kit/digest.h"
#include <string.h>

/* Of --limit. */
#define MAX_LIST 1000000

JournalReader *
rows_open(const Call *call, const Config *config, int *code)
{
  g_autoptr(GError) error = NULL;
  JournalReader *reader;

  if (!config->journal) {
    *code = complain(
        call, CLI_FOUND, "[journal] enabled=false: nothing is recorded");
    return NULL;
  }
  if (!g_file_test(config->journal_path, G_FILE_TEST_EXISTS)) {
    *code = complain(call,
                     CLI_FOUND,
                     "there is no journal at %s yet; the agent makes it when "
                     "it starts",
                     config->journal_path);
    return NULL;
  }
  reader = journal_reader_open(config->journal_path, &error);
  if (!reader)
    *code = complain_error(call, error);
  return reader;
}

/* ---- Which rows ----------------------------------------------------------
 */

bool
rows_limit(const Call *call, unsigned *limit)
{
  const char *text = call_value(call, "limit");
  guint64 value;

  if (!text)
    return true;
  if (!g_ascii_string_to_unsigned(text, 10, 0, MAX_LIST, &value, NULL)) {
    complain(call, CLI_USAGE, "--limit takes a number of rows, 0 for all");
    return false;
  }
  *limit = (unsigned)value;
  return true;
}

static bool
read_time(const Call *call, const char *option, bool end, int64_t *us)
{
  const char *text = call_value(call, option);
  g_autoptr(GTimeZone) zone = g_time_zone_new_local();

  if (!text || when_parse(text, clock_wall_us(), zone, end, us))
    return true;
  complain(
      call,
      CLI_USAGE,
      "--%s takes a time such as 10m, 2h or 7d (ago), yesterday, 14:30, or "
      "a date such as 2026-03-01 or 2026-03-01T14:30, not %s",
      option,
      text);
  return false;
}

bool
rows_times(const Call *call, JournalQuery *query)
{
  if (!read_time(call, "since", false, &query->since_us) ||
      !read_time(call, "until", true, &query->until_us))
    return false;
  if (query->until_us && query->since_us >= query->until_us) {
    complain(call, CLI_USAGE, "--since is not before --until");
    return false;
  }
  return true;
}

bool
rows_filter(const Call *call, JournalQuery *query)
{
  query->user = call_value(call, "user");
  query->client = call_value(call, "client");
  query->model = call_value(call, "model");
  query->connection = call_value(call, "connection");
  query->api = call_value(call, "api");
  return rows_times(call, query);
}

static bool
read_kind(const Call *call, int *kind)
{
  const char *text = call_value(call, "kind");
  const char *names[N_ROW_KINDS];
  const char *near;

  *kind = -1;
  if (!text)
    return true;
  for (unsigned i = 0; i < N_ROW_KINDS; i++) {
    names[i] = row_kind_name((RowKind)i);
    if (g_str_equal(names[i], text)) {
      *kind = (int)i;
      return true;
    }
  }
  near = nearest_word(text, names, N_ROW_KINDS);
  complain(call,
           CLI_USAGE,
           "--kind %s: there are no such rows%s%s%s",
           text,
           near ? "; did you mean " : "",
           near ? near : "",
           near ? "?" : "");
  return false;
}

bool
rows_find(const Call *call, JournalQuery *query)
{
  query->group = call_value(call, "group");
  query->process = call_value(call, "process");
  query->conversation = call_value(call, "conversation");
  query->rule = call_value(call, "rule");
  query->verdict = call_value(call, "verdict");
  return rows_limit(call, &query->limit) && rows_filter(call, query) &&
         read_kind(call, &query->kind);
}

/* ---- One row as JSON -----------------------------------------------------
 */

static void
add_text(struct json_object *json, const char *key, const char *text)
{
  if (text)
    json_object_object_add(json, key, json_object_new_string(text));
}

static void
add_number(struct json_object *json, const char *key, int64_t number)
{
  if (number >= 0)
    json_object_object_add(json, key, json_object_new_int64(number));
}

static void
add_texts(struct json_object *json, const JournalRow *row)
{
  const struct {
    const char *key, *text;
  } texts[] = {
      {"exchange", row->exchange},
      {"user", row->user},
      {"groups", row->groups},
      {"issuer", row->issuer},
      {"client", row->client},
      {"process", row->process},
      {"connection", row->connection},
      {"host", row->host},
      {"method", row->method},
      {"path", row->path},
      {"api", row->api},
      {"model", row->model},
      {"conversation", row->conversation},
      {"verdict", row->verdict},
      {"rule", row->rule},
      {"policy_revision", row->policy_revision},
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++)
    add_text(json, texts[i].key, texts[i].text);
}

static void
add_numbers(struct json_object *json, const JournalEntry *entry)
{
  const JournalRow *row = entry->row;

  add_number(json, "pid", row->pid);
  add_number(json, "status", row->status);
  add_number(json, "bytes_in", row->bytes_in);
  add_number(json, "bytes_out", row->bytes_out);
  add_number(json, "tokens_in", row->tokens_in);
  add_number(json, "tokens_out", row->tokens_out);
  add_number(json, "duration_us", row->duration_us);
  add_number(json, "body_len", entry->body_len);
  add_number(json, "kept_len", entry->kept_len);
}

static void
add_digest(struct json_object *json, const char *key, const uint8_t *digest)
{
  char hex[SHA256_HEX_SIZE];

  hex_encode(digest, SHA256_LEN, hex);
  add_text(json, key, hex);
}

/* What was stored is JSON; were it not, it is shown as text. */
static void
add_detail(struct json_object *json, const char *detail)
{
  struct json_object *parsed = detail ? json_tokener_parse(detail) : NULL;

  if (parsed)
    json_object_object_add(json, "detail", parsed);
  else
    add_text(json, "detail", detail);
}

static void
add_body(struct json_object *json,
         JournalReader *reader,
         const JournalEntry *entry)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GBytes) body = NULL;
  g_autofree char *text = NULL;

  if (!entry->has_body)
    return;
  body = journal_body(reader, entry->body_digest, &error);
  if (!body) {
    add_text(json, "body_error", error->message);
    return;
  }
  text = g_utf8_make_valid(g_bytes_get_data(body, NULL),
                           (gssize)g_bytes_get_size(body));
  json_object_object_add(
      json, "body", json_object_new_string_len(text, (int)strlen(text)));
}

struct json_object *
row_json(JournalReader *reader, const JournalEntry *entry)
{
  struct json_object *json = json_object_new_object();
  g_autofree char *when = clock_rfc3339(entry->row->wall_us);

  add_number(json, "seq", entry->seq);
  add_text(json, "kind", row_kind_name(entry->row->kind));
  add_text(json, "time", when);
  add_number(json, "wall_us", entry->row->wall_us);
  add_texts(json, entry->row);
  add_numbers(json, entry);
  add_detail(json, entry->row->detail);
  if (entry->body_len >= 0)
    add_digest(json, "body_digest", entry->body_digest);
  add_digest(json, "hash", entry->hash);
  if (reader)
    add_body(json, reader, entry);
  return json;
}

/* ---- Rows that are kept --------------------------------------------------
 */

static void
kept_free(void *data)
{
  KeptRow *kept = data;

  journal_row_free(kept->entry.row);
  g_free(kept);
}

JournalRow *
row_copy(const JournalRow *row)
{
  JournalRow *copy = g_memdup2(row, sizeof *row);
  char **const texts[] = {
      &copy->exchange,
      &copy->user,
      &copy->groups,
      &copy->issuer,
      &copy->client,
      &copy->process,
      &copy->connection,
      &copy->host,
      &copy->method,
      &copy->path,
      &copy->api,
      &copy->model,
      &copy->conversation,
      &copy->verdict,
      &copy->rule,
      &copy->detail,
      &copy->policy_revision,
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++)
    *texts[i] = g_strdup(*texts[i]);
  copy->body = NULL;
  return copy;
}

static bool
keep(const JournalEntry *entry, void *data)
{
  KeptRow *kept = g_new0(KeptRow, 1);

  kept->entry = *entry;
  kept->entry.row = row_copy(entry->row);
  g_ptr_array_add(data, kept);
  return true;
}

static void
reverse(GPtrArray *rows)
{
  for (unsigned i = 0, j = rows->len; i + 1 < j; i++) {
    void *spare = rows->pdata[i];

    rows->pdata[i] = rows->pdata[--j];
    rows->pdata[j] = spare;
  }
}

GPtrArray *
rows_query(const Call *call,
           JournalReader *reader,
           const JournalQuery *query,
           int *code)
{
  g_autoptr(GPtrArray) rows = g_ptr_array_new_with_free_func(kept_free);
  g_autoptr(GError) error = NULL;

  if (!journal_query(reader, query, keep, rows, &error)) {
    *code = complain_error(call, error);
    return NULL;
  }
  if (!query->oldest_first)
    reverse(rows);
  return g_steal_pointer(&rows);
}

GPtrArray *
rows_of_exchange(const Call *call,
                 JournalReader *reader,
                 const char *prefix,
                 int *code)
{
  JournalQuery query = {.exchange = prefix, .kind = -1};
  GPtrArray *rows = rows_query(call, reader, &query, code);
  const KeptRow *first, *one;

  if (!rows)
    return NULL;
  if (!rows->len) {
    *code = complain(call,
                     CLI_FOUND,
                     "the journal has no exchange %s; `hoop-agent journal "
                     "list` shows those it has",
                     prefix);
    g_ptr_array_unref(rows);
    return NULL;
  }
  first = rows->pdata[0];
  for (unsigned i = 1; i < rows->len; i++) {
    one = rows->pdata[i];
    if (g_str_equal(one->entry.row->exchange, first->entry.row->exchange))
      continue;
    *code = complain(call,
                     CLI_FOUND,
                     "%s is the beginning of several exchanges' ids: give "
                     "more of it",
                     prefix);
    g_ptr_array_unref(rows);
    return NULL;
  }
  return rows;
}
