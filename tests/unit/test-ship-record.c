/* SPDX-License-Identifier: Apache-2.0 */
/* Records in their formats: keys and places, JSON that parses, syslog messages
 * within RFC 5424 and its size. */
#include "ship/format.h"

#include "kit/json.h"
#include "ship/ship.h"

#include <string.h>

#define JOURNAL "00112233445566778899aabbccddeeff"

static const ShipSource source = {.version = "0.1.0",
                                  .instance = JOURNAL,
                                  .host = "host name",
                                  .user = "dev"};

static void
test_keys(void)
{
  static const char *const bad[] = {"",
                                    JOURNAL,
                                    JOURNAL "-",
                                    JOURNAL "-0",
                                    JOURNAL "--1",
                                    JOURNAL "-1x",
                                    JOURNAL "-1cc",
                                    JOURNAL "-99999999999999999999",
                                    "ff112233445566778899aabbccddeeff-1"};
  const ShipPlace places[] = {
      {1, false}, {1, true}, {2, false}, {INT64_MAX, true}};
  char key[RECORD_KEY_SIZE];
  ShipPlace read;

  for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
    ship_key(JOURNAL, places[i], key);
    g_assert_true(ship_key_read(JOURNAL, key, &read));
    g_assert_cmpint(ship_place_compare(read, places[i]), ==, 0);
    if (i > 0)
      g_assert_cmpint(ship_place_compare(places[i - 1], places[i]), <, 0);
  }
  for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
    g_assert_false(ship_key_read(JOURNAL, bad[i], &read));
}

/* A row with everything in it, texts that want escaping included. */
static void
fill(JournalEntry *entry, size_t detail_len)
{
  JournalRow *row = journal_row_new(ROW_REQUEST);

  *entry = (JournalEntry){.seq = 7, .body_len = 10, .kept_len = 10, .row = row};
  row->exchange = g_strdup("7vvvvvvvvvvvvvvvvvvvvvvvvv");
  row->user = g_strdup("d\"e]v\\ \xc3\xa4");
  row->groups = g_strdup("a,b");
  row->connection = g_strdup("copilot");
  row->api = g_strdup("chat");
  row->model = g_strdup("gpt-4o");
  row->process = g_strnfill(4000, 'p');
  row->path = g_strnfill(2000, '"');
  row->client = g_strnfill(500, ']');
  row->host = g_strdup("api.example");
  row->verdict = g_strdup("mask");
  row->rule = g_strdup("credentials");
  row->bytes_in = 12;
  row->detail = g_strdup_printf(
      "{\"verdict\":{\"matched\":[{\"rule\":\"a\"},{\"rule\":\"b\"},"
      "{\"rule\":\"a\"}]},\"n_findings\":3,\"findings\":[{\"rule\":\"k\","
      "\"class\":\"secret\"}],\"masked\":{\"k\":2},\"pad\":\"%*s\"}",
      (int)detail_len,
      "");
}

static const Attribute *
find(const Record *record, const char *name)
{
  for (unsigned i = 0; i < record->attributes->len; i++) {
    const Attribute *one = &g_array_index(record->attributes, Attribute, i);

    if (g_str_equal(one->name, name))
      return one;
  }
  return NULL;
}

static void
test_row(void)
{
  g_auto(Record) record;
  JournalEntry entry;

  record_init(&record);
  fill(&entry, 10);
  record_set_row(&record, JOURNAL, &entry, NULL);
  g_assert_cmpstr(record.key, ==, JOURNAL "-7");
  g_assert_cmpstr(record.trace, ==, "ffffffffffffffffffffffffffffffff");
  g_assert_cmpint(find(&record, "hoop.findings.count")->number, ==, 3);
  g_assert_cmpint(find(&record, "hoop.masks.count")->number, ==, 2);
  g_assert_cmpuint(g_strv_length(find(&record, "hoop.rules")->list), ==, 2);
  g_assert_cmpuint(
      g_strv_length(find(&record, "hoop.user.groups")->list), ==, 2);
  g_assert_nonnull(find(&record, "hoop.detail"));
  g_assert_null(find(&record, "hoop.detail.sha256"));
  g_assert_null(find(&record, "hoop.bytes_out"));
  journal_row_free(entry.row);
  fill(&entry, RECORD_MAX_DETAIL);
  record_set_row(&record, JOURNAL, &entry, NULL);
  g_assert_null(find(&record, "hoop.detail"));
  g_assert_nonnull(find(&record, "hoop.detail.sha256"));
  journal_row_free(entry.row);
}

static void
assert_json(const char *text, size_t len)
{
  g_autoptr(GError) error = NULL;
  JsonReader reader;
  JsonToken token;

  json_reader_init(&reader, text, len);
  do
    g_assert_true(json_next(&reader, &token, &error));
  while (token.type != JSON_END);
}

static void
test_json(void)
{
  g_autoptr(GString) otlp = g_string_new(NULL);
  g_autoptr(GString) line = g_string_new(NULL);
  g_auto(Record) record;
  JournalEntry entry;

  record_init(&record);
  fill(&entry, 100);
  record_set_row(&record, JOURNAL, &entry, NULL);
  otlp_open(otlp, &source);
  otlp_write(otlp, &record);
  otlp_close(otlp);
  assert_json(otlp->str, otlp->len);
  jsonl_write(line, &record, &source);
  g_assert_cmpint(line->str[line->len - 1], ==, '\n');
  g_assert_true(strchr(line->str, '\n') == line->str + line->len - 1);
  assert_json(line->str, line->len - 1);
  journal_row_free(entry.row);
}

/* The value of a parameter, escapes undone; NULL when it is not there. */
static char *
parameter(const char *message, const char *name)
{
  g_autofree char *begin = g_strdup_printf(" %s=\"", name);
  const char *at = strstr(message, begin);
  GString *out;

  if (!at)
    return NULL;
  out = g_string_new(NULL);
  for (at += strlen(begin); *at != '"'; at++) {
    g_assert_cmpint(*at, !=, ']');
    g_assert_cmpint(*at, !=, '\0');
    if (*at == '\\')
      at++;
    g_string_append_c(out, *at);
  }
  return g_string_free(out, FALSE);
}

static void
test_syslog(void)
{
  g_autoptr(GString) out = g_string_new(NULL);
  g_auto(Record) record;
  g_autofree char *user = NULL;
  g_autofree char *left_out = NULL;
  JournalEntry entry;
  char *end;
  guint64 len;

  record_init(&record);
  fill(&entry, 100);
  record_set_row(&record, JOURNAL, &entry, NULL);
  for (unsigned i = 0; i < 12; i++) { /* beyond what a message takes */
    const Attribute more = {
        "x.more", ATTRIBUTE_TEXT, .text = entry.row->process};

    g_array_append_val(record.attributes, more);
  }
  syslog_write(out, &record, &source);
  len = g_ascii_strtoull(out->str, &end, 10);
  g_assert_cmpint(*end, ==, ' ');
  g_assert_cmpuint(len, ==, strlen(end + 1));
  g_assert_cmpuint(len, <=, SYSLOG_MAX_MESSAGE);
  g_assert_true(g_utf8_validate(out->str, -1, NULL));
  g_assert_true(g_str_has_prefix(end + 1, "<110>1 "));
  g_assert_nonnull(
      strstr(end, " host_name hoop-agent - hoop.request [hoop@32473 "));
  user = parameter(end, "user.name");
  g_assert_cmpstr(user, ==, entry.row->user);
  left_out = parameter(end, "hoop.left_out");
  g_assert_nonnull(left_out);
  g_assert_null(strstr(end, "hoop.detail="));
  journal_row_free(entry.row);
}

static void
test_endpoints(void)
{
  static const struct {
    ShipFormat format;
    const char *endpoint;
    bool good;
  } cases[] = {
      {SHIP_OTLP, "https://collector.example", true},
      {SHIP_OTLP, "https://collector.example:4318/v1/logs?x=y", true},
      {SHIP_OTLP, "http://127.0.0.1:4318", true},
      {SHIP_OTLP, "http://[::1]:4318/", true},
      {SHIP_OTLP, "http://localhost:4318/", true},
      {SHIP_OTLP, "http://collector.example/", false},
      {SHIP_OTLP, "http://localhost.example/", false},
      {SHIP_OTLP, "collector.example", false},
      {SHIP_OTLP, "https://", false},
      {SHIP_OTLP, "https://user:word@collector.example/", false},
      {SHIP_OTLP, "https://collector.example/ x", false},
      {SHIP_JSONL, "/var/log/record.jsonl", true},
      {SHIP_JSONL, "record.jsonl", false},
      {SHIP_SYSLOG, "syslog.example", true},
      {SHIP_SYSLOG, "syslog.example:6514", true},
      {SHIP_SYSLOG, "[::1]:6514", true},
      {SHIP_SYSLOG, "[::1]", true},
      {SHIP_SYSLOG, "[::1", false},
      {SHIP_SYSLOG, "[::1]x", false},
      {SHIP_SYSLOG, "syslog.example:99999", false},
      {SHIP_SYSLOG, "https://syslog.example/", false},
  };

  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    const ShipOptions options = {.endpoint = cases[i].endpoint,
                                 .format = cases[i].format};
    g_autoptr(GError) error = NULL;

    g_test_message("%s", cases[i].endpoint);
    g_assert_cmpint(ship_check(&options, &error), ==, cases[i].good);
    if (!cases[i].good)
      g_assert_error(error, SHIP_ERROR, SHIP_ERROR_CONFIG);
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/ship/record/keys", test_keys);
  g_test_add_func("/ship/record/row", test_row);
  g_test_add_func("/ship/record/json", test_json);
  g_test_add_func("/ship/record/syslog", test_syslog);
  g_test_add_func("/ship/record/endpoints", test_endpoints);
  return g_test_run();
}
