/* SPDX-License-Identifier: Apache-2.0 */
/* scan --batch: JSON lines in, JSON lines out. */
#include "cli/scan.h"
#include "kit/buf.h"
#include "kit/json.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A line: every character of such a text escaped. */
#define MAX_LINE (6 * SCAN_MAX_TEXT + 4096)
#define READ_STEP ((size_t)64 * 1024)

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

static void
print_error(size_t number, const char *what)
{
  g_autoptr(GString) out = g_string_new(NULL);

  g_string_append_printf(out, "{\"error\":\"line %zu: ", number);
  json_escape(out, what, -1);
  g_string_append(out, "\"}");
  puts(out->str);
}

static bool
batch_line(Scan *scan,
           size_t number,
           const char *line,
           size_t len,
           size_t *found)
{
  g_auto(Scanned) scanned = {0};
  g_autoptr(GError) error = NULL;
  g_autoptr(GString) text = batch_text(line, len, &error);
  /* As a body a text with NULs would be refused; a JSON string may hold them.
   */
  const bool nuls = text && memchr(text->str, '\0', text->len);
  const size_t chunk = scan->chunk ? scan->chunk : nuls ? text->len : 0;
  bool fine = text && (chunk ? scanner_stream(&scan->scanner,
                                              scan->wanted,
                                              text->str,
                                              text->len,
                                              chunk,
                                              &scanned,
                                              &error)
                             : scanner_scan(&scan->scanner,
                                            scan->wanted,
                                            text->str,
                                            text->len,
                                            &scanned,
                                            &error));

  if (fine) {
    print_scanned(&scanned);
    *found += scanned.found->len;
  } else {
    print_error(number, error->message);
  }
  return fine;
}

/* ---- Lines ---------------------------------------------------------------
 */

typedef struct {
  Buf line;
  bool too_long; /* the line is dropped, so is the rest of it */
  size_t number, bad, first_bad, found;
} Batch;

static void
end_line(Scan *scan, Batch *batch)
{
  const char *text = (const char *)buf_bytes(&batch->line);
  size_t len = batch->line.len;
  bool fine = true;

  batch->number++;
  if (len && text[len - 1] == '\r')
    len--;
  if (batch->too_long) {
    print_error(batch->number, "longer than what is read of one line");
    fine = false;
  } else if (len) {
    fine = batch_line(scan, batch->number, text, len, &batch->found);
  }
  if (!fine && !batch->bad++)
    batch->first_bad = batch->number;
  buf_clear(&batch->line);
  batch->too_long = false;
  fflush(stdout);
}

static void
take_bytes(Scan *scan, Batch *batch, const char *bytes, size_t len)
{
  const char *end = bytes + len, *newline;

  for (; (newline = memchr(bytes, '\n', (size_t)(end - bytes)));
       bytes = newline + 1) {
    if (!buf_append(&batch->line, bytes, (size_t)(newline - bytes)))
      batch->too_long = true;
    end_line(scan, batch);
  }
  if (batch->too_long || buf_append(&batch->line, bytes, (size_t)(end - bytes)))
    return;
  batch->too_long = true;
  buf_clear(&batch->line);
}

/* One answer for each line, in order; a line that cannot be read is answered
 * with an error, an empty one is passed over. */
int
scan_batch(Scan *scan)
{
  g_autofree char *bytes = g_malloc(READ_STEP);
  Batch batch = {0};
  ssize_t n;

  buf_init(&batch.line, MAX_LINE);
  do {
    n = read(STDIN_FILENO, bytes, READ_STEP);
    if (n > 0)
      take_bytes(scan, &batch, bytes, (size_t)n);
  } while ((n > 0 || (n < 0 && errno == EINTR)) && !ferror(stdout));
  if (batch.line.len || batch.too_long)
    end_line(scan, &batch);
  buf_clear(&batch.line);
  if (n < 0)
    return complain(scan->call,
                    CLI_USAGE,
                    "standard input cannot be read: %s",
                    g_strerror(errno));
  if (ferror(stdout))
    return complain(scan->call, CLI_USAGE, "the answers cannot be written");
  if (batch.bad)
    return complain(scan->call,
                    CLI_USAGE,
                    "%zu of %zu lines could not be read; the first is line %zu",
                    batch.bad,
                    batch.number,
                    batch.first_bad);
  return batch.found ? CLI_FOUND : CLI_DONE;
}
