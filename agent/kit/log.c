/* SPDX-License-Identifier: Apache-2.0 */
/* The log that edges write: one bounded line a fact on standard error, in
 * which text from outside cannot pose as anything but text. */
#include "kit/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

/* Longest line; a longer one is cut and says so. */
#define MAX_LINE 4096
#define CUT_MARK "...[cut]"

/* The one setting that every thread reads; set once, before they start. */
static atomic_int max_level = LOG_AT_INFO;

/* sd-daemon(3) prefixes, and what a person at a terminal reads instead. */
static const struct {
  const char *prefix;
  const char *word;
} levels[] = {
    [LOG_AT_ERROR] = {"<3>", "error: "},
    [LOG_AT_WARNING] = {"<4>", "warning: "},
    [LOG_AT_INFO] = {"<6>", ""},
    [LOG_AT_DEBUG] = {"<7>", "debug: "},
};

/* True for characters that a terminal or a log reader would act on: controls,
 * line separators, and the invisible ones that reorder text. */
static bool
must_escape(gunichar c)
{
  switch ((int)g_unichar_type(c)) {
  case G_UNICODE_CONTROL:
  case G_UNICODE_FORMAT:
  case G_UNICODE_SURROGATE:
  case G_UNICODE_LINE_SEPARATOR:
  case G_UNICODE_PARAGRAPH_SEPARATOR:
    return true;
  default:
    return c == '\\';
  }
}

/* Appends one character of `text` and returns where the next one begins. */
static const char *
append_escaped(GString *line, const char *text)
{
  gunichar c = g_utf8_get_char_validated(text, -1);
  const char *next;

  if (c == (gunichar)-1 || c == (gunichar)-2) {
    g_string_append_printf(line, "\\x%02x", (unsigned)(guchar)*text);
    return text + 1;
  }
  next = g_utf8_next_char(text);
  if (!must_escape(c))
    g_string_append_len(line, text, next - text);
  else if (c == '\n')
    g_string_append(line, "\\n");
  else if (c == '\\')
    g_string_append(line, "\\\\");
  else if (c < 0x80)
    g_string_append_printf(line, "\\x%02x", c);
  else
    g_string_append_printf(line, "\\u{%x}", c);
  return next;
}

void
log_set_level(LogLevel level)
{
  atomic_store(&max_level, (int)level);
}

void
log_line(LogLevel level, const char *format, ...)
{
  g_autoptr(GString) line = NULL;
  g_autofree char *text = NULL;
  const char *at;
  va_list args;
  ssize_t n;

  if ((int)level > atomic_load_explicit(&max_level, memory_order_relaxed))
    return;
  va_start(args, format);
  text = g_strdup_vprintf(format, args);
  va_end(args);
  line = g_string_new(isatty(STDERR_FILENO) ? levels[level].word
                                            : levels[level].prefix);
  for (at = text; *at != '\0' && line->len < MAX_LINE;)
    at = append_escaped(line, at);
  if (*at != '\0')
    g_string_append(line, CUT_MARK);
  g_string_append_c(line, '\n');
  /* One write(2) a line, so that threads do not mix theirs. */
  do {
    n = write(STDERR_FILENO, line->str, line->len);
  } while (n < 0 && errno == EINTR);
}
