/* SPDX-License-Identifier: Apache-2.0 */
/* scan: findings in files as a linter prints them, or in a batch of JSON
 * lines. Works without the daemon. */
#include "cli/scan.h"
#include "kit/json.h"
#include <stdio.h>
#include <string.h>

/* As much of one text as the daemon takes for one body by default. */
#define MAX_TEXT ((size_t)32 * 1024 * 1024)
/* A line of --batch: every character of such a text escaped. */
#define MAX_LINE (6 * MAX_TEXT + 4096)

/* ---- Files ---------------------------------------------------------------
 */

typedef struct {
  const Call *call;
  Scanner scanner;
  struct json_object *list; /* with --json */
  size_t found, failed;
} Scan;

/* Line and column, both from 1; columns count bytes. */
static void
locate(const char *text, size_t at, unsigned *line, unsigned *column)
{
  const char *start = text;

  *line = 1;
  for (const char *end;
       (end = memchr(start, '\n', at - (size_t)(start - text)));
       start = end + 1)
    (*line)++;
  *column = (unsigned)(at - (size_t)(start - text)) + 1;
}

static void
add_json(Scan *scan,
         const char *name,
         const Found *found,
         unsigned line,
         unsigned column)
{
  struct json_object *json = json_object_new_object();

  json_object_object_add(json, "file", json_object_new_string(name));
  json_object_object_add(json, "line", json_object_new_int64(line));
  json_object_object_add(json, "column", json_object_new_int64(column));
  json_object_object_add(json, "start", json_object_new_uint64(found->start));
  json_object_object_add(json, "end", json_object_new_uint64(found->end));
  json_object_object_add(json, "rule", json_object_new_string(found->rule));
  json_object_object_add(
      json, "class", json_object_new_string(found->class_name));
  if (found->description)
    json_object_object_add(
        json, "description", json_object_new_string(found->description));
  json_object_array_add(scan->list, json);
}

static void
print_found(Scan *scan, const char *name, const char *text, const Found *found)
{
  g_autofree char *shown = visible(name, -1, false);
  unsigned line, column;

  locate(text, found->start, &line, &column);
  if (scan->list)
    add_json(scan, name, found, line, column);
  else
    printf("%s:%u:%u: %s%s%s: %s\n",
           shown,
           line,
           column,
           ink(INK_RED),
           found->rule,
           ink(INK_PLAIN),
           found->description ? found->description : found->class_name);
}

static void
scan_text(Scan *scan, const char *name, GBytes *bytes)
{
  g_auto(Scanned) scanned = {0};
  g_autoptr(GError) error = NULL;
  size_t len;
  const char *text = g_bytes_get_data(bytes, &len);

  if (!scanner_scan(&scan->scanner, text, len, &scanned, &error)) {
    scan->failed++;
    complain(scan->call, 0, "%s was not scanned: %s", name, error->message);
    return;
  }
  for (unsigned i = 0; i < scanned.found->len; i++)
    print_found(scan, name, text, &g_array_index(scanned.found, Found, i));
  scan->found += scanned.found->len;
}

static void
scan_file(Scan *scan, const char *name)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GBytes) bytes = read_input(name, MAX_TEXT, &error);

  if (bytes) {
    scan_text(scan, g_str_equal(name, "-") ? "<stdin>" : name, bytes);
    return;
  }
  scan->failed++;
  complain(scan->call, 0, "%s", error->message);
}

static int
scan_files(Scan *scan)
{
  static char standard[] = "-";
  char *only[] = {standard, NULL};
  char **names = scan->call->n_args ? scan->call->args : only;

  if (call_has(scan->call, "json"))
    scan->list = json_object_new_array();
  for (; *names; names++)
    scan_file(scan, *names);
  if (scan->list)
    print_json(scan->list);
  return scan->found || scan->failed ? CLI_FOUND : CLI_DONE;
}

/* ---- Batch ---------------------------------------------------------------
 */

/* The member "text" of one line's object, decoded. */
static GString *
batch_text(const char *line, size_t len, GError **error)
{
  g_autoptr(GString) text = NULL;
  JsonReader reader;
  JsonToken token;
  bool wanted = false;

  json_reader_init(&reader, line, len);
  do {
    if (!json_next(&reader, &token, error))
      return NULL;
    if (token.type == JSON_KEY && token.depth == 1) {
      wanted = json_token_is(line, &token, "text");
    } else if (wanted && token.depth == 1 && token.type == JSON_STRING) {
      if (text)
        g_string_truncate(text, 0);
      else
        text = g_string_new(NULL);
      json_unescape(line, &token, text);
      wanted = false;
    }
  } while (token.type != JSON_END);
  if (!text)
    g_set_error_literal(error,
                        JSON_ERROR,
                        JSON_ERROR_SYNTAX,
                        "not an object with a string \"text\"");
  return g_steal_pointer(&text);
}

static void
print_scanned(const Scanned *scanned)
{
  g_autoptr(GString) out = g_string_new("{\"findings\":[");

  for (unsigned i = 0; i < scanned->found->len; i++) {
    const Found *found = &g_array_index(scanned->found, Found, i);

    g_string_append_printf(out,
                           "%s{\"rule\":\"%s\",\"start\":%zu,\"end\":%zu}",
                           i ? "," : "",
                           found->rule,
                           found->start,
                           found->end);
  }
  g_string_append(out, "],\"masked\":\"");
  json_escape(out, scanned->masked, (gssize)scanned->masked_len);
  g_string_append(out, "\"}");
  puts(out->str);
}

static bool
batch_line(Scan *scan, const char *line, size_t len, size_t chunk)
{
  g_auto(Scanned) scanned = {0};
  g_autoptr(GError) error = NULL;
  g_autoptr(GString) text = batch_text(line, len, &error);
  /* As a body a text with NULs would be refused; a JSON string may hold them.
   */
  size_t whole = text && memchr(text->str, '\0', text->len) ? text->len : 0;
  bool fine =
      text &&
      (chunk || whole
           ? scanner_stream(&scan->scanner,
                            text->str,
                            text->len,
                            chunk ? chunk : whole,
                            &scanned,
                            &error)
           : scanner_scan(
                 &scan->scanner, text->str, text->len, &scanned, &error));

  if (fine) {
    print_scanned(&scanned);
    scan->found += scanned.found->len;
  } else {
    g_autoptr(GString) out = g_string_new("{\"error\":\"");

    json_escape(out, error->message, -1);
    g_string_append(out, "\"}");
    puts(out->str);
  }
  fflush(stdout);
  return fine;
}

/* The next line without its end; false behind the last, or beyond MAX_LINE
 * (then `*too_long`). */
static bool
read_line(Buf *line, bool *too_long)
{
  char piece[4096];
  bool any = false;

  buf_truncate(line, 0);
  while (fgets(piece, sizeof piece, stdin)) {
    size_t len = strcspn(piece, "\n");
    bool whole = piece[len] == '\n';

    any = true;
    if (!buf_append(line, piece, len)) {
      *too_long = true;
      return false;
    }
    if (whole)
      break;
  }
  return any;
}

/* One answer for each line, in order; a line that cannot be read is answered
 * with an error, an empty one is passed over. */
static int
batch(Scan *scan, size_t chunk)
{
  g_auto(Buf) line = {0};
  bool fine = true, too_long = false;

  buf_init(&line, MAX_LINE);
  while (read_line(&line, &too_long)) {
    const char *text = (const char *)buf_bytes(&line);
    size_t len = line.len;

    if (len && text[len - 1] == '\r')
      len--;
    if (len)
      fine = batch_line(scan, text, len, chunk) && fine;
  }
  if (too_long)
    return complain(
        scan->call, CLI_USAGE, "a line is longer than %zu bytes", MAX_LINE);
  if (!fine)
    return complain(scan->call, CLI_USAGE, "some lines could not be read");
  return scan->found ? CLI_FOUND : CLI_DONE;
}

/* ---- The verb ------------------------------------------------------------
 */

static bool
options_fit(const Call *call, size_t *chunk)
{
  const char *chunks = call_value(call, "chunks");
  guint64 value = 0;

  if (call_has(call, "sarif")) {
    complain(
        call, CLI_USAGE, "SARIF is not written by this version; --json is");
    return false;
  }
  if (call_has(call, "batch") && (call->n_args || call_has(call, "json"))) {
    complain(call,
             CLI_USAGE,
             "--batch reads JSON lines from standard input and writes JSON "
             "lines: no FILE and no --json beside it");
    return false;
  }
  if (chunks && !call_has(call, "batch")) {
    complain(call, CLI_USAGE, "--chunks goes with --batch");
    return false;
  }
  if (chunks &&
      !g_ascii_string_to_unsigned(chunks, 10, 1, MAX_TEXT, &value, NULL)) {
    complain(call, CLI_USAGE, "--chunks takes a number of bytes, 1 or more");
    return false;
  }
  *chunk = value;
  return true;
}

int
verb_scan(const Call *call)
{
  Scan scan = {.call = call};
  g_autoptr(Config) config = NULL;
  int code = CLI_DONE;
  size_t chunk;

  if (!options_fit(call, &chunk))
    return CLI_USAGE;
  config = cli_config(call, &code);
  if (!config || !scanner_init(call, config, &scan.scanner, &code)) {
    scanner_clear(&scan.scanner);
    return code;
  }
  code = call_has(call, "batch") ? batch(&scan, chunk) : scan_files(&scan);
  scanner_clear(&scan.scanner);
  return code;
}
