/* SPDX-License-Identifier: Apache-2.0 */
/* How the command line speaks: complaints, colours, times, tables, and text
 * from outside in which nothing can act on the terminal. */
#include "cli/verb.h"
#include "kit/visible.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define US_PER_S G_USEC_PER_SEC

/* ---- Text from outside ----------------------------------------------------
 */

char *
visible(const char *text, gssize len, bool lines)
{
  GString *out = g_string_new(NULL);
  const char *at = text, *end = text + (len < 0 ? strlen(text) : (size_t)len);

  while (at < end) {
    gunichar c = g_utf8_get_char_validated(at, end - at);

    if (c == (gunichar)-1 || c == (gunichar)-2) {
      g_string_append_printf(out, "<%02X>", (unsigned)(guchar)*at++);
      continue;
    }
    if (lines && (c == '\n' || c == '\t'))
      g_string_append_c(out, (char)c);
    else if (char_is_hidden(c))
      char_append_visible(out, c);
    else
      g_string_append_unichar(out, c);
    at = g_utf8_next_char(at);
  }
  return g_string_free(out, FALSE);
}

char *
visible_format(bool lines, const char *format, va_list args)
{
  g_autofree char *text = g_strdup_vprintf(format, args);

  return visible(text, -1, lines);
}

void
say_field(const char *name, const char *format, ...)
{
  g_autofree char *shown = NULL;
  va_list args;

  va_start(args, format);
  shown = visible_format(false, format, args);
  va_end(args);
  printf("  %-10s %s\n", name, shown);
}

/* ---- Complaints ----------------------------------------------------------
 */

int
complain(const Call *call, int code, const char *format, ...)
{
  g_autofree char *shown = NULL;
  va_list args;

  va_start(args, format);
  shown = visible_format(true, format, args);
  va_end(args);
  fflush(stdout);
  fprintf(stderr, "hoop-agent %s: %s\n", call->verb->name, shown);
  return code;
}

static int
error_code(const GError *error)
{
  if (error->domain == CONFIG_ERROR)
    return CLI_USAGE;
  if (g_error_matches(error, BUS_ERROR, BUS_ERROR_NOT_RUNNING) ||
      g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CLOSED))
    return CLI_NOT_RUNNING;
  if (g_error_matches(error, BUS_ERROR, BUS_ERROR_SILENT) ||
      g_error_matches(error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT) ||
      g_error_matches(error, G_DBUS_ERROR, G_DBUS_ERROR_NO_REPLY))
    return CLI_UNREACHABLE;
  return CLI_FOUND;
}

int
complain_error(const Call *call, const GError *error)
{
  g_autoptr(GError) copy = g_error_copy(error);
  int code = error_code(error);

  g_dbus_error_strip_remote_error(copy);
  if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CLOSED))
    return complain(call, code, "the agent ended while it was asked");
  if (code == CLI_UNREACHABLE)
    return complain(call, code, "the agent does not answer: %s", copy->message);
  return complain(call, code, "%s", copy->message);
}

/* ---- Colours -------------------------------------------------------------
 */

const char *
ink(Ink which)
{
  static const char *const codes[] = {
      [INK_PLAIN] = "\033[0m",
      [INK_BOLD] = "\033[1m",
      [INK_DIM] = "\033[2m",
      [INK_RED] = "\033[31m",
      [INK_YELLOW] = "\033[33m",
      [INK_GREEN] = "\033[32m",
  };
  const char *off = g_getenv("NO_COLOR");
  const char *terminal = g_getenv("TERM");

  if ((off && *off) || g_strcmp0(terminal, "dumb") == 0 ||
      !isatty(STDOUT_FILENO))
    return "";
  return codes[which];
}

/* ---- Times ---------------------------------------------------------------
 */

char *
span_text(int64_t us)
{
  int64_t s = MAX(us, 0) / US_PER_S;

  if (s < 60)
    return g_strdup_printf("%d s", (int)s);
  if (s < 60 * 60)
    return g_strdup_printf("%d min %d s", (int)(s / 60), (int)(s % 60));
  if (s < 24 * 60 * 60)
    return g_strdup_printf(
        "%d h %d min", (int)(s / 3600), (int)(s % 3600 / 60));
  return g_strdup_printf(
      "%d days %d h", (int)(s / 86400), (int)(s % 86400 / 3600));
}

char *
time_text(int64_t wall_us)
{
  g_autoptr(GDateTime) utc = g_date_time_new_from_unix_utc(wall_us / US_PER_S);
  g_autoptr(GDateTime) local = utc ? g_date_time_to_local(utc) : NULL;

  return local ? g_date_time_format(local, "%Y-%m-%d %H:%M:%S") : g_strdup("?");
}

/* ---- JSON ----------------------------------------------------------------
 */

void
print_json(struct json_object *json)
{
  puts(json_object_to_json_string_ext(json,
                                      JSON_C_TO_STRING_PRETTY |
                                          JSON_C_TO_STRING_SPACED |
                                          JSON_C_TO_STRING_NOSLASHESCAPE));
  json_object_put(json);
}

/* ---- Tables --------------------------------------------------------------
 */

struct table {
  GPtrArray *rows; /* char **, the headings first */
  unsigned columns;
};

Table *
table_new(const char *const *headings)
{
  Table *table = g_new0(Table, 1);

  table->rows = g_ptr_array_new_with_free_func((GDestroyNotify)g_strfreev);
  table->columns = g_strv_length((char **)(uintptr_t)headings);
  table_add(table, headings);
  return table;
}

void
table_add(Table *table, const char *const *cells)
{
  char **row = g_new0(char *, table->columns + 1);

  for (unsigned i = 0; i < table->columns; i++)
    row[i] = cells[i] ? visible(cells[i], -1, false) : g_strdup("-");
  g_ptr_array_add(table->rows, row);
}

/* Columns on the screen, wide characters counted twice. */
static int
cell_width(const char *cell)
{
  int width = 0;

  for (const char *at = cell; *at; at = g_utf8_next_char(at)) {
    gunichar c = g_utf8_get_char(at);

    width += g_unichar_iszerowidth(c) ? 0 : g_unichar_iswide(c) ? 2 : 1;
  }
  return width;
}

void
table_free(Table *table)
{
  g_ptr_array_unref(table->rows);
  g_free(table);
}

void
table_print(Table *table)
{
  g_autofree int *widths = g_new0(int, table->columns);

  for (unsigned i = 0; i < table->rows->len; i++)
    for (unsigned j = 0; j < table->columns; j++)
      widths[j] =
          MAX(widths[j], cell_width(((char **)table->rows->pdata[i])[j]));
  for (unsigned i = 0; i < table->rows->len; i++) {
    char **row = table->rows->pdata[i];

    fputs(i == 0 ? ink(INK_BOLD) : "", stdout);
    for (unsigned j = 0; j < table->columns; j++)
      printf("%s%*s",
             row[j],
             j + 1 < table->columns ? widths[j] - cell_width(row[j]) + 2 : 0,
             "");
    printf("%s\n", i == 0 ? ink(INK_PLAIN) : "");
  }
  table_free(table);
}
