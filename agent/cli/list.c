/* SPDX-License-Identifier: Apache-2.0 */
/* journal list, search and export: rows as tables, JSON, JSON lines and comma
 * separated values. */
#include "cli/csv.h"
#include "cli/progress.h"
#include "cli/show.h"
#include "kit/clock.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What is listed unless --limit says otherwise. */
#define LIST_TEXT 50
#define LIST_JSON 1000
#define LIST_FOUND 20
/* The first 13 characters of an id are its time to the nanosecond. */
#define SHORT_ID 13
/* Rows that the index has not before that is worth a word. */
#define BEHIND_SLOW 20000

typedef enum { FORM_TABLE, FORM_JSON, FORM_JSONL, FORM_CSV } Form;

static bool
read_form(const Call *call, Form *form)
{
  static const struct {
    const char *option;
    Form form;
  } forms[] = {{"json", FORM_JSON}, {"jsonl", FORM_JSONL}, {"csv", FORM_CSV}};
  bool given = false;

  for (unsigned i = 0; i < G_N_ELEMENTS(forms); i++) {
    if (!call_has(call, forms[i].option))
      continue;
    if (given) {
      complain(call, CLI_USAGE, "only one of --json, --jsonl and --csv");
      return false;
    }
    given = true;
    *form = forms[i].form;
  }
  return true;
}

void
show_index_state(const Call *call, JournalReader *reader)
{
  JournalIndexState state;

  if (!journal_index_state(reader, &state, NULL) || state.behind < BEHIND_SLOW)
    return;
  complain(call,
           CLI_DONE,
           "the search index lags by %" G_GINT64_FORMAT
           " rows, which are read one by one%s%s",
           state.behind,
           state.problem ? ": " : "",
           state.problem ? state.problem : "");
}

/* ---- Streams of rows -----------------------------------------------------
 */

typedef struct {
  FILE *out;
  Form form;
  JournalReader *bodies; /* for exports with bodies; or NULL */
  GString *line;
  uint64_t rows;
  Progress progress;
  bool failed;
} Writer;

static bool
write_row(const JournalEntry *entry, void *data)
{
  Writer *writer = data;

  g_string_truncate(writer->line, 0);
  if (writer->form == FORM_CSV) {
    csv_row(writer->line, entry);
  } else {
    struct json_object *json = row_json(writer->bodies, entry);

    g_string_append(
        writer->line,
        json_object_to_json_string_ext(
            json, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    g_string_append_c(writer->line, '\n');
    json_object_put(json);
  }
  writer->rows++;
  progress_count(&writer->progress, writer->rows, "rows");
  writer->failed =
      fwrite(writer->line->str, 1, writer->line->len, writer->out) !=
      writer->line->len;
  return !writer->failed;
}

static int
write_rows(const Call *call,
           JournalReader *reader,
           const JournalQuery *query,
           Writer *writer)
{
  g_autoptr(GString) line = g_string_new(NULL);
  g_autoptr(GError) error = NULL;
  bool good;

  writer->line = line;
  progress_init(&writer->progress);
  if (writer->form == FORM_CSV) {
    csv_head(line);
    fwrite(line->str, 1, line->len, writer->out);
  }
  good = journal_query(reader, query, write_row, writer, &error);
  progress_hide(&writer->progress);
  if (!good)
    return complain_error(call, error);
  if (writer->failed || fflush(writer->out) != 0)
    return complain(
        call, CLI_FOUND, "it cannot be written: %s", g_strerror(errno));
  return CLI_DONE;
}

/* ---- list ----------------------------------------------------------------
 */

static const char *
about(const JournalRow *row)
{
  if (row->model)
    return row->model;
  return row->host;
}

static void
print_rows(GPtrArray *rows, bool newest_first)
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
    const KeptRow *kept = rows->pdata[newest_first ? rows->len - 1 - i : i];
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
print_rows_json(GPtrArray *rows, bool newest_first)
{
  struct json_object *list = json_object_new_array();

  for (unsigned i = 0; i < rows->len; i++) {
    const KeptRow *kept = rows->pdata[newest_first ? rows->len - 1 - i : i];

    json_object_array_add(list, row_json(NULL, &kept->entry));
  }
  print_json(list);
}

/* The rows that were asked for, as lines in their order. */
static int
list_lines(const Call *call, GPtrArray *rows, Form form, bool newest_first)
{
  g_autoptr(GString) line = g_string_new(NULL);
  Writer writer = {.out = stdout, .form = form, .line = line};

  if (form == FORM_CSV) {
    csv_head(line);
    fputs(line->str, stdout);
  }
  for (unsigned i = 0; i < rows->len && !writer.failed; i++) {
    const KeptRow *kept = rows->pdata[newest_first ? rows->len - 1 - i : i];

    write_row(&kept->entry, &writer);
  }
  if (writer.failed)
    return complain(
        call, CLI_FOUND, "it cannot be written: %s", g_strerror(errno));
  return CLI_DONE;
}

int
journal_list(const Call *call, JournalReader *reader)
{
  JournalQuery query = {.oldest_first = call_has(call, "oldest")};
  bool newest_first = call_has(call, "reverse");
  g_autoptr(GPtrArray) rows = NULL;
  Form form = FORM_TABLE;
  int code = CLI_DONE;

  if (!read_form(call, &form))
    return CLI_USAGE;
  query.limit = form == FORM_TABLE ? LIST_TEXT : LIST_JSON;
  if (!rows_find(call, &query))
    return CLI_USAGE;
  rows = rows_query(call, reader, &query, &code);
  if (!rows)
    return code;
  if (form == FORM_JSON)
    print_rows_json(rows, newest_first);
  else if (form != FORM_TABLE)
    return list_lines(call, rows, form, newest_first);
  else if (rows->len)
    print_rows(rows, newest_first);
  else
    puts("The journal has no such rows.");
  return CLI_DONE;
}

/* ---- search --------------------------------------------------------------
 */

typedef struct {
  Form form;
  struct json_object *list;
  unsigned n;
} Found;

static void
print_hit(const JournalEntry *entry, const JournalHit *hit)
{
  const JournalRow *row = entry->row;
  g_autofree char *when = time_text(row->wall_us);
  g_autofree char *about_row = visible(about(row) ?: "-", -1, false);
  g_autofree char *user = visible(row->user ?: "-", -1, false);
  unsigned at = 0;

  printf("%s%.*s%s  %s  %s, %s, %s\n    ",
         ink(INK_BOLD),
         SHORT_ID,
         row->exchange ? row->exchange : "-",
         ink(INK_PLAIN),
         when,
         user,
         about_row,
         hit->role);
  for (unsigned i = 0; i <= hit->n_marks; i++) {
    unsigned start =
        i < hit->n_marks ? hit->marks[i].start : (unsigned)strlen(hit->snippet);
    g_autofree char *before =
        visible(hit->snippet + at, (gssize)(start - at), false);
    g_autofree char *marked = NULL;

    fputs(before, stdout);
    if (i == hit->n_marks)
      break;
    at = hit->marks[i].end;
    marked = visible(hit->snippet + start, (gssize)(at - start), false);
    printf("%s%s%s%s%s",
           *ink(INK_RED) ? "" : "[",
           ink(INK_RED),
           marked,
           ink(INK_PLAIN),
           *ink(INK_RED) ? "" : "]");
  }
  puts("");
}

static struct json_object *
hit_json(const JournalEntry *entry, const JournalHit *hit)
{
  struct json_object *json = row_json(NULL, entry);
  struct json_object *marks = json_object_new_array();

  for (unsigned i = 0; i < hit->n_marks; i++) {
    struct json_object *mark = json_object_new_array();

    json_object_array_add(mark, json_object_new_int64(hit->marks[i].start));
    json_object_array_add(mark, json_object_new_int64(hit->marks[i].end));
    json_object_array_add(marks, mark);
  }
  json_object_object_add(json, "role", json_object_new_string(hit->role));
  json_object_object_add(json, "snippet", json_object_new_string(hit->snippet));
  json_object_object_add(json, "marks", marks);
  return json;
}

static bool
see_hit(const JournalEntry *entry, const JournalHit *hit, void *data)
{
  Found *found = data;

  found->n++;
  if (found->form == FORM_TABLE)
    print_hit(entry, hit);
  else if (found->form == FORM_JSON)
    json_object_array_add(found->list, hit_json(entry, hit));
  else {
    struct json_object *json = hit_json(entry, hit);

    puts(json_object_to_json_string_ext(
        json, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(json);
  }
  return true;
}

int
journal_find(const Call *call, JournalReader *reader)
{
  JournalQuery query = {.oldest_first = call_has(call, "oldest"),
                        .limit = LIST_FOUND};
  Found found = {.form = FORM_TABLE};
  g_autoptr(GError) error = NULL;

  if (!read_form(call, &found.form) || !rows_find(call, &query))
    return CLI_USAGE;
  if (found.form == FORM_CSV)
    return complain(call, CLI_USAGE, "search has --json and --jsonl");
  show_index_state(call, reader);
  found.list = json_object_new_array();
  if (!journal_search(reader, call->args[1], &query, see_hit, &found, &error)) {
    json_object_put(found.list);
    return g_error_matches(error, JOURNAL_ERROR, JOURNAL_ERROR_NOT_FOUND)
               ? complain(call, CLI_USAGE, "%s", error->message)
               : complain_error(call, error);
  }
  if (found.form == FORM_JSON)
    print_json(g_steal_pointer(&found.list));
  json_object_put(found.list);
  if (!found.n && found.form == FORM_TABLE)
    puts("Nobody said that in what the journal keeps.");
  return found.n ? CLI_DONE : CLI_FOUND;
}

/* ---- export --------------------------------------------------------------
 */

static int
export_to(const Call *call,
          JournalReader *reader,
          const JournalQuery *query,
          Form form,
          FILE *out)
{
  Writer writer = {
      .out = out,
      .form = form,
      .bodies = call_has(call, "bodies") ? reader : NULL,
  };
  int code = write_rows(call, reader, query, &writer);

  if (code == CLI_DONE && isatty(STDERR_FILENO))
    fprintf(stderr, "%" G_GUINT64_FORMAT " rows\n", writer.rows);
  return code;
}

int
journal_export(const Call *call, JournalReader *reader)
{
  JournalQuery query = {.oldest_first = true};
  const char *path = call->n_args > 1 ? call->args[1] : NULL;
  Form form = FORM_JSONL;
  FILE *out;
  int code;

  if (!read_form(call, &form) || !rows_find(call, &query))
    return CLI_USAGE;
  if (form == FORM_JSON)
    return complain(call, CLI_USAGE, "export has --jsonl and --csv");
  if (form == FORM_CSV && call_has(call, "bodies"))
    return complain(call, CLI_USAGE, "--bodies goes with --jsonl");
  if (!path || g_str_equal(path, "-"))
    return export_to(call, reader, &query, form, stdout);
  /* What was recorded is for its owner, as the journal is. */
  out = fopen(path, "wxe");
  if (!out)
    return complain(
        call, CLI_USAGE, "%s cannot be made: %s", path, g_strerror(errno));
  if (fchmod(fileno(out), S_IRUSR | S_IWUSR) != 0) {
    fclose(out);
    return complain(call, CLI_FOUND, "%s: %s", path, g_strerror(errno));
  }
  code = export_to(call, reader, &query, form, out);
  if (fclose(out) != 0 && code == CLI_DONE)
    code = complain(
        call, CLI_FOUND, "%s cannot be written: %s", path, g_strerror(errno));
  return code;
}
