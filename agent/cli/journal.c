/* SPDX-License-Identifier: Apache-2.0 */
/* journal list, show and verify: what was recorded, and whether it still is
 * what was written. */
#include "cli/replay.h"
#include "cli/rows.h"
#include "kit/clock.h"
#include "kit/digest.h"
#include "kit/file.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What is listed unless --limit says otherwise. */
#define LIST_TEXT 50
#define LIST_JSON 1000
/* The first 13 characters of an id are its time to the nanosecond. */
#define SHORT_ID 13
/* "SEQ:" and 64 digits, perhaps with a line end. */
#define MAX_HEAD 256

/* ---- list ----------------------------------------------------------------
 */

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

static const char *
about(const JournalRow *row)
{
  if (row->model)
    return row->model;
  return row->host;
}

static void
print_rows(GPtrArray *rows)
{
  Table *table = table_new((const char *[]){"TIME",
                                            "EXCHANGE",
                                            "KIND",
                                            "VERDICT",
                                            "RULE",
                                            "CLIENT",
                                            "MODEL OR HOST",
                                            "STATUS",
                                            NULL});

  for (unsigned i = 0; i < rows->len; i++) {
    const KeptRow *kept = rows->pdata[i];
    const JournalRow *row = kept->entry.row;
    g_autofree char *when = time_text(row->wall_us);
    g_autofree char *id =
        row->exchange ? g_strndup(row->exchange, SHORT_ID) : NULL;
    char status[16] = "-";

    if (row->status >= 0)
      g_snprintf(status, sizeof status, "%d", (int)row->status);
    table_add(table,
              (const char *[]){when,
                               id,
                               row_kind_name(row->kind),
                               row->verdict,
                               row->rule,
                               row->client,
                               about(row),
                               status,
                               NULL});
  }
  table_print(table);
}

static void
print_rows_json(GPtrArray *rows, JournalReader *bodies)
{
  struct json_object *list = json_object_new_array();

  for (unsigned i = 0; i < rows->len; i++) {
    const KeptRow *kept = rows->pdata[i];

    json_object_array_add(list, row_json(bodies, &kept->entry));
  }
  print_json(list);
}

static int
list(const Call *call, JournalReader *reader)
{
  JournalQuery query = {
      .rule = call_value(call, "rule"),
      .verdict = call_value(call, "verdict"),
      .limit = call_has(call, "json") ? LIST_JSON : LIST_TEXT,
  };
  g_autoptr(GPtrArray) rows = NULL;
  int code = CLI_DONE;

  if (!rows_limit(call, &query.limit) || !rows_filter(call, &query) ||
      !read_kind(call, &query.kind))
    return CLI_USAGE;
  rows = rows_query(call, reader, &query, &code);
  if (!rows)
    return code;
  if (call_has(call, "json"))
    print_rows_json(rows, NULL);
  else if (rows->len)
    print_rows(rows);
  else
    puts("The journal has no such rows.");
  return CLI_DONE;
}

/* ---- show ----------------------------------------------------------------
 */

static void
print_member(const char *key, struct json_object *value)
{
  g_autofree char *shown = NULL;
  const char *text =
      json_object_is_type(value, json_type_string)
          ? json_object_get_string(value)
          : json_object_to_json_string_ext(value,
                                           JSON_C_TO_STRING_SPACED |
                                               JSON_C_TO_STRING_NOSLASHESCAPE);

  if (g_str_equal(key, "body"))
    return;
  shown = visible(text, -1, false);
  printf("  %-16s %s\n", key, shown);
}

static void
print_whole_row(JournalReader *reader, const JournalEntry *entry)
{
  struct json_object *json = row_json(reader, entry);
  struct json_object *body = NULL;

  printf("%srow %" G_GINT64_FORMAT ": %s%s\n",
         ink(INK_BOLD),
         entry->seq,
         row_kind_name(entry->row->kind),
         ink(INK_PLAIN));
  json_object_object_foreach(json, key, value) print_member(key, value);
  if (json_object_object_get_ex(json, "body", &body)) {
    g_autofree char *shown = visible(
        json_object_get_string(body), json_object_get_string_len(body), true);

    printf("  body, as it was masked:\n%s\n", shown);
  }
  puts("");
  json_object_put(json);
}

static int
show(const Call *call, JournalReader *reader)
{
  int code = CLI_DONE;
  g_autoptr(GPtrArray) rows =
      rows_of_exchange(call, reader, call->args[1], &code);

  if (!rows)
    return code;
  if (call_has(call, "json")) {
    print_rows_json(rows, reader);
    return CLI_DONE;
  }
  for (unsigned i = 0; i < rows->len; i++) {
    const KeptRow *kept = rows->pdata[i];

    print_whole_row(reader, &kept->entry);
  }
  return CLI_DONE;
}

/* ---- verify --------------------------------------------------------------
 */

static void
progress(int64_t done, int64_t total, void *data)
{
  (void)data;
  fprintf(stderr,
          "\r%" G_GINT64_FORMAT " of %" G_GINT64_FORMAT " rows%s",
          done,
          total,
          done == total ? "\n" : "");
}

/* --head names a file that holds SEQ:HASH, or is that itself. */
static char *
read_head(const Call *call, int *code)
{
  const char *text = call_value(call, "head");
  g_autoptr(GError) error = NULL;
  g_autoptr(GBytes) bytes = NULL;

  if (g_ascii_isdigit(text[0]) && strchr(text, ':') &&
      !g_file_test(text, G_FILE_TEST_EXISTS))
    return g_strdup(text);
  bytes = file_read(text, MAX_HEAD, &error);
  if (!bytes) {
    *code = complain(call, CLI_USAGE, "--head: %s", error->message);
    return NULL;
  }
  return g_strstrip(
      g_strndup(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes)));
}

static void
say_verification(const JournalVerification *seen, const char *head)
{
  if (seen->intact)
    printf("%sintact%s: %" G_GINT64_FORMAT " rows, %" G_GINT64_FORMAT
           " signed checkpoints, head %s\n",
           ink(INK_GREEN),
           ink(INK_PLAIN),
           seen->rows,
           seen->checkpoints,
           head);
  else
    printf("%snot intact%s, from row %" G_GINT64_FORMAT " on: %s\n",
           ink(INK_RED),
           ink(INK_PLAIN),
           seen->first_bad_seq,
           seen->reason);
}

static void
say_verification_json(const JournalVerification *seen, const char *head)
{
  struct json_object *json = json_object_new_object();
  const struct {
    const char *key;
    int64_t number;
  } numbers[] = {{"rows", seen->rows},
                 {"checkpoints", seen->checkpoints},
                 {"first_seq", seen->first_seq},
                 {"signed_seq", seen->signed_seq},
                 {"first_bad_seq", seen->first_bad_seq},
                 {"head_seq", seen->head_seq}};

  json_object_object_add(json, "intact", json_object_new_boolean(seen->intact));
  for (unsigned i = 0; i < G_N_ELEMENTS(numbers); i++)
    json_object_object_add(
        json, numbers[i].key, json_object_new_int64(numbers[i].number));
  json_object_object_add(json, "head", json_object_new_string(head));
  if (seen->reason)
    json_object_object_add(
        json, "reason", json_object_new_string(seen->reason));
  print_json(json);
}

static int
verify(const Call *call, JournalReader *reader)
{
  JournalVerification seen = {0};
  g_autofree char *wanted = NULL;
  g_autofree char *head = NULL;
  g_autoptr(GError) error = NULL;
  char hash[SHA256_HEX_SIZE];
  int code = CLI_DONE;

  if (call_has(call, "head")) {
    wanted = read_head(call, &code);
    if (!wanted)
      return code;
  }
  if (!journal_verify(reader,
                      wanted,
                      isatty(STDERR_FILENO) ? progress : NULL,
                      NULL,
                      &seen,
                      &error))
    return complain_error(call, error);
  hex_encode(seen.head, SHA256_LEN, hash);
  head = g_strdup_printf("%" G_GINT64_FORMAT ":%s", seen.head_seq, hash);
  if (call_has(call, "json"))
    say_verification_json(&seen, head);
  else
    say_verification(&seen, head);
  code = seen.intact ? CLI_DONE : CLI_FOUND;
  journal_verification_clear(&seen);
  return code;
}

int
verb_journal(const Call *call)
{
  const char *word = call->args[0];
  bool shows = g_str_equal(word, "show");
  g_autoptr(Config) config = NULL;
  g_autoptr(JournalReader) reader = NULL;
  int code = CLI_DONE;

  if (call->n_args == 1 && g_str_equal(word, "replay"))
    return journal_replay(call);
  if (call->n_args == 1 && g_str_equal(word, "stats"))
    return journal_stats(call);
  if (call->n_args != (shows ? 2 : 1))
    return complain(call,
                    CLI_USAGE,
                    "usage: hoop-agent journal %s%s [OPTION]...",
                    word,
                    shows ? " ID" : "");
  config = cli_config(call, &code);
  reader = config ? rows_open(call, config, &code) : NULL;
  if (!reader)
    return code;
  if (shows)
    return show(call, reader);
  return g_str_equal(word, "list") ? list(call, reader) : verify(call, reader);
}
