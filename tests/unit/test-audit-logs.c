/* SPDX-License-Identifier: Apache-2.0 */
/* OTLP at the hub: what an agent ships is recognised row by row, any other
 * client's records are taken, and nothing that is malformed. */
#include "hub/audit/logs.h"
#include "ship/batch.h"
#include "tests/unit/journal-kit.h"

#include <string.h>

static char *
replaced(const char *text, const char *what, const char *by)
{
  g_auto(GStrv) parts = g_strsplit(text, what, 2);

  g_assert_nonnull(parts[1]);
  return g_strjoinv(by, parts);
}

/* What an agent sends of a journal with a bit of everything. */
static char *
shipped(void)
{
  g_autoptr(TestJournal) test = test_journal_new();
  g_autoptr(JournalReader) reader = NULL;
  g_autoptr(Batch) batch = NULL;
  g_autoptr(GError) error = NULL;
  ShipSource source = {.version = "1", .host = "host", .user = "dev"};
  char journal[33];
  JournalRow *row;

  test->options.max_recorded_body = 8;
  test_journal_open(test);
  test_put(test, journal_row_new(ROW_START));
  for (unsigned i = 0; i < 120; i++) {
    g_autofree char *id = journal_new_id();

    test_append(test, test_request(id, "a body that is longer than that"));
    row = test_response(id, "short");
    g_free(row->groups);
    g_free(row->user);
    row->groups = g_strdup(i % 3 ? "" : "a,b,,c");
    row->user = g_strdup(i % 2 ? "dev" : "");
    test_append(test, row);
  }
  test_wait(test, 241);
  test_journal_close(test);
  reader = journal_reader_open(test->path, &error);
  g_assert_no_error(error);
  g_assert_true(journal_reader_id(reader, journal, &error));
  source.instance = journal;
  batch = batch_read(reader, &source, SHIP_OTLP, 0, 0, INT64_MAX, 1000, &error);
  g_assert_no_error(error);
  return g_string_free(
      batch_text(batch, SHIP_OTLP, &source, (Slice){0, batch->items->len}),
      FALSE);
}

static AuditLogs *
parsed(const char *text)
{
  g_autoptr(GError) error = NULL;
  AuditLogs *logs = audit_logs_parse(text, strlen(text), "me", &error);

  g_assert_no_error(error);
  return logs;
}

static const AuditRow *
row_at(const AuditLogs *logs, unsigned i)
{
  return &g_array_index(logs->rows, AuditRow, i);
}

static unsigned
count_content(const AuditLogs *logs, AuditContent content)
{
  unsigned n = 0;

  for (unsigned i = 0; i < logs->rows->len; i++)
    n += row_at(logs, i)->place.content == content;
  return n;
}

static void
test_agent(void)
{
  g_autofree char *text = shipped();
  g_autoptr(AuditLogs) logs = parsed(text);
  const uint8_t *link = NULL;
  unsigned checkpoints = 0;

  g_assert_cmpint(logs->rejected, ==, 0);
  g_assert_cmpuint(logs->rows->len, >, 241);
  g_assert_cmpuint(
      count_content(logs, AUDIT_CONTENT_GOOD), ==, logs->rows->len);
  for (unsigned i = 0; i < logs->rows->len; i++) {
    const AuditRow *row = row_at(logs, i);
    const AuditPlace *place = &row->place;

    g_assert_true(row->placed && place->has_link);
    g_assert_true(g_str_has_prefix(row->key, place->journal));
    if (!place->checkpoint && link)
      g_assert_cmpmem(link, SHA256_LEN, place->link, SHA256_LEN);
    link = place->checkpoint ? place->link : place->hash;
    checkpoints += place->checkpoint;
  }
  g_assert_cmpuint(checkpoints, >=, 3);
}

static void
test_edits(void)
{
  static const char *const edits[][2] = {
      {"\"hoop.verdict\",\"value\":{\"stringValue\":\"",
       "\"hoop.verdict\",\"value\":{\"stringValue\":\"x"},
      {"\"user.name\"", "\"user.nome\""},
      {"\"hoop.user.groups\"", "\"hoop.user.group\""},
      {"\"hoop.body.size\",\"value\":{\"intValue\":\"",
       "\"hoop.body.size\",\"value\":{\"intValue\":\"1"},
      {"\"timeUnixNano\":\"1", "\"timeUnixNano\":\"2"},
      {"\"hoop.checkpoint.wall_us\",\"value\":{\"intValue\":\"",
       "\"hoop.checkpoint.wall_us\",\"value\":{\"intValue\":\"1"},
  };
  g_autofree char *text = shipped();

  for (size_t i = 0; i < G_N_ELEMENTS(edits); i++) {
    g_autofree char *edited = replaced(text, edits[i][0], edits[i][1]);
    g_autoptr(AuditLogs) logs = parsed(edited);

    g_assert_cmpuint(count_content(logs, AUDIT_CONTENT_BAD), ==, 1);
  }
  {
    g_autofree char *edited =
        replaced(text, "hoop.chain.link", "hoop.chain.lonk");
    g_autoptr(AuditLogs) logs = parsed(edited);

    g_assert_cmpuint(count_content(logs, AUDIT_CONTENT_PARTIAL), ==, 1);
  }
}

#define RECORDS(records)                                                       \
  "{\"resourceLogs\":[{\"resource\":{\"attributes\":[{\"key\":\"a\",\"value\"" \
  ":{\"intValue\":1}}]},\"scopeLogs\":[{\"logRecords\":[" records "]}]}]}"

static void
test_others(void)
{
  static const char text[] = RECORDS(
      "{\"timeUnixNano\":1700000000000000000,\"severityNumber\":9,"
      "\"traceId\":\"5B8EFFF798038103D269B633813FC60C\",\"body\":"
      "{\"stringValue\":\"hello\"},\"attributes\":[{\"key\":\"n\",\"value\":"
      "{\"intValue\":\"-7\"}},{\"key\":\"l\",\"value\":{\"arrayValue\":"
      "{\"values\":[{\"boolValue\":true},{}]}}},{\"key\":\"user.name\","
      "\"value\":{\"stringValue\":\"ann\"}}],\"later\":{}},"
      "{\"body\":{\"stringValue\":\"twice\"}},"
      "{\"body\":{\"stringValue\":\"twice\"}}");
  g_autoptr(AuditLogs) logs = parsed(text);
  g_autoptr(AuditLogs) again = parsed(text);
  const AuditRow *row = row_at(logs, 0);

  g_assert_cmpuint(logs->rows->len, ==, 3);
  g_assert_cmpint(row->at_us, ==, INT64_C(1700000000000000));
  g_assert_cmpstr(row->trace, ==, "5b8efff798038103d269b633813fc60c");
  g_assert_cmpstr(row->said, ==, "hello");
  g_assert_cmpstr(row->user, ==, "ann");
  g_assert_cmpstr(row->attributes,
                  ==,
                  "{\"n\":-7,\"l\":[true,null],\"user.name\":\"ann\"}");
  g_assert_cmpstr(logs->resources->pdata[0], ==, "{\"a\":1}");
  g_assert_cmpstr(row_at(logs, 1)->key, !=, row_at(logs, 2)->key);
  for (unsigned i = 0; i < 3; i++)
    g_assert_cmpstr(row_at(logs, i)->key, ==, row_at(again, i)->key);
}

static const char no_place[] =
    "{\"attributes\":[{\"key\":\"hoop.chain.journal\",\"value\":"
    "{\"stringValue\":\"zz\"}}]}";

static void
test_rejected(void)
{
  static const char *const records[] = {
      "7",
      "{\"timeUnixNano\":\"-1\"}",
      "{\"timeUnixNano\":\"x\"}",
      "{\"timeUnixNano\":9223372036854775808}",
      "{\"severityNumber\":25}",
      "{\"traceId\":\"abc\"}",
      "{\"spanId\":\"5B8EFFF798038103D269B633813FC60C\"}",
      "{\"body\":{\"stringValue\":7}}",
      "{\"body\":{\"stringValue\":\"a\",\"intValue\":1}}",
      "{\"body\":{\"intValue\":\"1.5\"}}",
      "{\"body\":{\"intValue\":1.5}}",
      "{\"attributes\":{}}",
      "{\"attributes\":[{\"key\":\"\",\"value\":{}}]}",
      "{\"attributes\":[{\"key\":\"a\"},{\"key\":\"a\"}]}",
      no_place,
  };

  for (size_t i = 0; i < G_N_ELEMENTS(records); i++) {
    g_autofree char *text =
        g_strdup_printf("{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":["
                        "%s,{}]}]}]}",
                        records[i]);
    g_autoptr(AuditLogs) logs = parsed(text);

    g_test_message("%s", records[i]);
    g_assert_cmpint(logs->rejected, ==, 1);
    g_assert_true(g_str_has_prefix(logs->why, "record 1: "));
    g_assert_cmpuint(logs->rows->len, ==, 1);
  }
}

static void
test_refused(void)
{
  static const char *const texts[] = {
      "",
      "[]",
      "{\"resourceLogs\":{}}",
      "{\"resourceLogs\":[7]}",
      "{\"resourceLogs\":[{\"scopeLogs\":7}]}",
      "{\"resourceLogs\":[{\"resource\":7}]}",
      "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":7}]}]}",
      "{\"resourceLogs\":[],\"resourceLogs\":[]}",
      "{\"resourceLogs\":[]} x",
  };

  for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
    g_autoptr(GError) error = NULL;

    g_assert_null(audit_logs_parse(texts[i], strlen(texts[i]), "me", &error));
    g_assert_error(error, AUDIT_ERROR, AUDIT_ERROR_FORM);
  }
  {
    g_autoptr(AuditLogs) logs = parsed("{}");

    g_assert_cmpuint(logs->rows->len, ==, 0);
  }
}

static void
test_too_many(void)
{
  GString *text = g_string_new("{\"resourceLogs\":[{\"scopeLogs\":[{"
                               "\"logRecords\":[{}");
  g_autoptr(GError) error = NULL;

  for (unsigned i = 0; i < AUDIT_MAX_ROWS; i++)
    g_string_append(text, ",{}");
  g_string_append(text, "]}]}]}");
  g_assert_null(audit_logs_parse(text->str, text->len, "me", &error));
  g_assert_error(error, AUDIT_ERROR, AUDIT_ERROR_TOO_LARGE);
  g_string_free(text, TRUE);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/audit/logs/agent", test_agent);
  g_test_add_func("/audit/logs/edits", test_edits);
  g_test_add_func("/audit/logs/others", test_others);
  g_test_add_func("/audit/logs/rejected", test_rejected);
  g_test_add_func("/audit/logs/refused", test_refused);
  g_test_add_func("/audit/logs/too-many", test_too_many);
  return g_test_run();
}
