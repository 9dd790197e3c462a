/* SPDX-License-Identifier: Apache-2.0 */
/* A held request's text as a person reads it: part by part under headings, tool
 * calls laid out, findings labelled, and nothing in it that is not seen. */
#include "kit/secret.h"
#include "kit/visible.h"
#include "sheet/private.h"
#include <string.h>

/* Toolkits take seconds for longer ones. */
#define MAX_LINE 4000
/* Letters have one or two; more of them cover other lines. */
#define MAX_COMBINING 4
/* Of a heading. */
#define MAX_NAME 120
/* A level of laid out JSON, and how many of them move to the right. */
#define INDENT 2
#define MAX_DEPTH 20

typedef struct {
  SheetText *text;
  SheetStyle style;
  unsigned finding;
  size_t column;
  unsigned combining;
  bool json; /* lay it out */
  bool in_string, escaped;
  unsigned depth;
} Writer;

/* ---- Runs ------------------------------------------------------------------
 */

static void
put_as(Writer *writer, SheetStyle style, const char *bytes, size_t len)
{
  SheetText *text = writer->text;
  const unsigned finding =
      style == SHEET_FINDING || style == SHEET_SENT || style == SHEET_LABEL
          ? writer->finding
          : 0;
  SheetRun *last =
      text->runs->len
          ? &g_array_index(text->runs, SheetRun, text->runs->len - 1)
          : NULL;

  if (len == 0)
    return;
  if (!last || last->style != style || last->finding != finding) {
    const SheetRun run = {style, finding, text->text->len, text->text->len};

    g_array_append_val(text->runs, run);
    last = &g_array_index(text->runs, SheetRun, text->runs->len - 1);
  }
  g_string_append_len(text->text, bytes, (gssize)len);
  last->end = text->text->len;
  writer->column = bytes[len - 1] == '\n' ? 0 : writer->column + len;
}

static void
put_text(Writer *writer, SheetStyle style, const char *text)
{
  put_as(writer, style, text, strlen(text));
}

/* A character that is not seen; inside a finding it belongs to it. */
static void
put_hidden(Writer *writer, gunichar c)
{
  g_autoptr(GString) shown = g_string_new(NULL);

  char_append_visible(shown, c);
  put_as(writer,
         writer->style == SHEET_PLAIN ? SHEET_HIDDEN : writer->style,
         shown->str,
         shown->len);
}

static void
put_char(Writer *writer, const char *at, gunichar c)
{
  const char *next = g_utf8_next_char(at);

  writer->combining = g_unichar_ismark(c) ? writer->combining + 1 : 0;
  if (c == '\n' || c == '\t')
    put_as(writer, writer->style, at, 1);
  else if (char_is_hidden(c) || writer->combining > MAX_COMBINING)
    put_hidden(writer, c);
  else
    put_as(writer, writer->style, at, (size_t)(next - at));
  if (writer->column < MAX_LINE)
    return;
  put_text(writer, SHEET_HIDDEN, " (the line goes on)");
  put_text(writer, writer->style, "\n");
}

/* ---- Tool calls ------------------------------------------------------------
 */

/* The bounds of JSON; more than that does not matter to how it is laid out. */
static bool
looks_like_json(const char *text, size_t len)
{
  while (len && g_ascii_isspace(*text)) {
    text++;
    len--;
  }
  while (len && g_ascii_isspace(text[len - 1]))
    len--;
  return len > 1 && ((text[0] == '{' && text[len - 1] == '}') ||
                     (text[0] == '[' && text[len - 1] == ']'));
}

static void
put_line_end(Writer *writer)
{
  g_autofree char *line =
      g_strnfill(1 + INDENT * MIN(writer->depth, MAX_DEPTH), ' ');

  line[0] = '\n';
  put_text(writer, writer->style, line);
  writer->column = strlen(line) - 1;
}

/* Takes what is layout of JSON; false: the character is to be put as it is. */
static bool
lay_out(Writer *writer, const char *at, gunichar c)
{
  if (writer->in_string) {
    if (c == '"' && !writer->escaped)
      writer->in_string = false;
    writer->escaped = c == '\\' && !writer->escaped;
    return false;
  }
  switch (c) {
  case '"':
    writer->in_string = true;
    return false;
  case '{':
  case '[':
    writer->depth++;
    put_as(writer, writer->style, at, 1);
    put_line_end(writer);
    return true;
  case '}':
  case ']':
    writer->depth -= writer->depth > 0;
    put_line_end(writer);
    return false;
  case ',':
    put_as(writer, writer->style, at, 1);
    put_line_end(writer);
    return true;
  case ':':
    put_text(writer, writer->style, ": ");
    return true;
  default:
    return c < 0x80 && g_ascii_isspace((char)c);
  }
}

static void
put_body(Writer *writer, const char *text, size_t len)
{
  const char *end = text + len;

  while (text < end) {
    const gunichar c = g_utf8_get_char(text);

    if (!writer->json || !lay_out(writer, text, c))
      put_char(writer, text, c);
    text = g_utf8_next_char(text);
  }
}

/* ---- Findings --------------------------------------------------------------
 */

static void
put_label(Writer *writer, const SheetMark *mark, const char *more)
{
  g_autofree char *rules = sheet_line(mark->name, MAX_NAME);
  g_autofree char *label =
      g_strdup_printf(" ‹%u: %s%s›", mark->finding, rules, more);

  put_text(writer, SHEET_LABEL, label);
}

static void
put_mark(Writer *writer, const SheetMark *mark, const char *text, bool masked)
{
  const size_t len = mark->end - mark->start;
  const bool sent = masked && *mark->more;

  writer->finding = mark->finding;
  if (g_str_equal(mark->kind, "gap")) {
    put_as(writer, SHEET_GAP, text + mark->start, len);
  } else if (g_str_equal(mark->kind, "masked")) {
    writer->style = SHEET_MASKED;
    put_body(writer, text + mark->start, len);
  } else {
    const bool json = writer->json;

    writer->json = json && !sent;
    writer->style = sent ? SHEET_SENT : SHEET_FINDING;
    put_body(writer,
             sent ? mark->more : text + mark->start,
             sent ? strlen(mark->more) : len);
    writer->json = json;
    put_label(writer,
              mark,
              !masked ? ""
              : sent  ? ", masked"
                      : ", sent as it is");
  }
  writer->style = SHEET_PLAIN;
  writer->finding = 0;
}

/* ---- Parts -----------------------------------------------------------------
 */

static const struct {
  const char *name, *heading;
} headings[] = {
    {"prompt", "Prompt"},
    {"instructions", "Instructions"},
    {"earlier answer", "Earlier answer of the model"},
    {"tool result", "Tool result"},
    {"tool call", "Tool call"},
    {"data", "Other data"},
};

static void
put_heading(Writer *writer, const SheetMark *part)
{
  g_autofree char *tool = sheet_line(part->more, MAX_NAME);
  g_autofree char *where = sheet_line(part->where, MAX_NAME);
  const char *heading = "Text";

  for (unsigned i = 0; i < G_N_ELEMENTS(headings); i++)
    if (g_str_equal(part->name, headings[i].name))
      heading = headings[i].heading;
  if (writer->text->text->len)
    put_text(writer, SHEET_PLAIN, writer->column ? "\n\n" : "\n");
  put_text(writer, SHEET_HEADING, heading);
  if (*tool) {
    put_text(writer, SHEET_HEADING, ": ");
    put_text(writer, SHEET_HEADING, tool);
  }
  if (*where) {
    put_text(writer, SHEET_DETAIL, "   ");
    put_text(writer, SHEET_DETAIL, where);
  }
  put_text(writer, SHEET_PLAIN, "\n");
}

/* From the part's mark on; returns the next that is not in it. */
static unsigned
put_part(Writer *writer, const Sheet *sheet, unsigned at, bool masked)
{
  const char *text = sheet_get(sheet, "text");
  const SheetMark *part = &g_array_index(sheet->marks, SheetMark, at);
  size_t from = part->start;

  put_heading(writer, part);
  writer->json = g_str_equal(part->name, "tool call") &&
                 looks_like_json(text + part->start, part->end - part->start);
  writer->in_string = writer->escaped = false;
  writer->depth = 0;
  for (at++; at < sheet->marks->len; at++) {
    const SheetMark *mark = &g_array_index(sheet->marks, SheetMark, at);

    if (mark->start >= part->end)
      break;
    if (mark->start < from || g_str_equal(mark->kind, "part"))
      continue;
    put_body(writer, text + from, mark->start - from);
    put_mark(writer, mark, text, masked);
    from = mark->end;
  }
  if (from < part->end)
    put_body(writer, text + from, part->end - from);
  writer->json = false;
  return at;
}

static void
put_all(Writer *writer, const Sheet *sheet, bool masked)
{
  const char *whole = sheet_get(sheet, masked ? "masked_text" : "text");
  unsigned n_parts = 0;

  for (unsigned i = 0; i < sheet->marks->len; i++)
    n_parts +=
        g_str_equal(g_array_index(sheet->marks, SheetMark, i).kind, "part");
  if (!n_parts) {
    put_body(writer, whole, strlen(whole));
    return;
  }
  for (unsigned i = 0; i < sheet->marks->len;) {
    const SheetMark *mark = &g_array_index(sheet->marks, SheetMark, i);

    if (g_str_equal(mark->kind, "part")) {
      i = put_part(writer, sheet, i, masked);
      continue;
    }
    put_text(writer, SHEET_PLAIN, "\n");
    put_mark(writer, mark, sheet_get(sheet, "text"), masked);
    i++;
  }
}

SheetText *
sheet_text_new(const Sheet *sheet, bool masked)
{
  SheetText *text = g_new0(SheetText, 1);
  Writer writer = {.text = text};

  text->text = g_string_sized_new(strlen(sheet_get(sheet, "text")) + 256);
  text->runs = g_array_new(FALSE, FALSE, sizeof(SheetRun));
  put_all(&writer, sheet, masked);
  if (writer.column)
    put_text(&writer, SHEET_PLAIN, "\n");
  return text;
}

void
sheet_text_free(SheetText *text)
{
  if (!text)
    return;
  secret_wipe(text->text->str, text->text->len);
  g_string_free(text->text, TRUE);
  g_array_unref(text->runs);
  g_free(text);
}
