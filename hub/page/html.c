/* SPDX-License-Identifier: Apache-2.0 */
/* Writes HTML; each kind of place has its own escape. */
#include "hub/page/html.h"
#include "kit/visible.h"
#include <string.h>

#define US_PER_S INT64_C(1000000)
/* Masks are a class, a colon and base32 in brackets. */
#define MASK_MAX_CLASS 64
#define MASK_MIN_CODE 12
#define MASK_MAX_CODE 64

struct html {
  GString *out;
};

Html *
html_new(void)
{
  Html *html = g_new0(Html, 1);

  html->out = g_string_sized_new(8192);
  return html;
}

void
html_free(Html *html)
{
  if (!html)
    return;
  g_string_free(html->out, TRUE);
  g_free(html);
}

const char *
html_peek(const Html *html, size_t *len)
{
  *len = html->out->len;
  return html->out->str;
}

void
html_put_literal(Html *html, const char *literal)
{
  g_string_append(html->out, literal);
}

/* ---- characters -----------------------------------------------------------
 */

static void
put_escaped(GString *out, gunichar c)
{
  const char *entity = char_html(c);

  if (entity)
    g_string_append(out, entity);
  else
    g_string_append_unichar(out, c);
}

/* The next character of the text; what is no UTF-8 is one byte of U+FFFD. */
static gunichar
next(const char **text)
{
  const gunichar c = g_utf8_get_char_validated(*text, -1);

  if (c == (gunichar)-1 || c == (gunichar)-2) {
    (*text)++;
    return 0xfffd;
  }
  *text = g_utf8_next_char(*text);
  return c;
}

static void
put_code(GString *out, gunichar c)
{
  g_autoptr(GString) code = g_string_new(NULL);

  char_append_visible(code, c);
  for (size_t i = 0; i < code->len; i++)
    put_escaped(out, (guchar)code->str[i]);
}

static void
put_char(GString *out, gunichar c)
{
  if (!char_is_hidden(c)) {
    put_escaped(out, c);
    return;
  }
  g_string_append(out, "<span class=\"hid\">");
  put_code(out, c);
  g_string_append(out, "</span>");
}

/* ---- places ---------------------------------------------------------------
 */

void
html_brief(Html *html, const char *text, size_t max)
{
  for (size_t n = 0; text && *text; n++) {
    if (n == max) {
      g_string_append(html->out, "…");
      return;
    }
    put_char(html->out, next(&text));
  }
}

void
html_text(Html *html, const char *text)
{
  html_brief(html, text, SIZE_MAX);
}

void
html_gist(Html *html, const char *text, size_t max)
{
  for (size_t n = 0; text && *text; n++) {
    const size_t blank = strspn(text, " \t\r\n");

    if (n == max) {
      g_string_append(html->out, "…");
      return;
    }
    if (blank > 0)
      g_string_append_c(html->out, ' ');
    else
      put_char(html->out, next(&text));
    text += blank;
  }
}

/* The length of a mask that begins here; 0: none does. */
static size_t
mask_len(const char *text)
{
  static const char base32[] = "abcdefghijklmnopqrstuvwxyz234567";
  size_t class, code;

  if (*text != '[')
    return 0;
  class = strspn(text + 1, "abcdefghijklmnopqrstuvwxyz0123456789-");
  if (class == 0 || class > MASK_MAX_CLASS || text[1 + class] != ':')
    return 0;
  code = strspn(text + 2 + class, base32);
  if (code < MASK_MIN_CODE || code > MASK_MAX_CODE ||
      text[2 + class + code] != ']')
    return 0;
  return class + code + 3;
}

static void
put_mask(GString *out, const char *text, size_t len, unsigned n)
{
  g_string_append_printf(out, "<mark id=\"m%u\">", n);
  for (size_t i = 0; i < len; i++)
    put_escaped(out, (guchar)text[i]);
  g_string_append(out, "</mark>");
}

unsigned
html_prompt(Html *html, const char *text)
{
  unsigned n = 0;

  while (text && *text) {
    const size_t mask = mask_len(text);

    if (mask > 0) {
      put_mask(html->out, text, mask, ++n);
      text += mask;
      continue;
    }
    if (*text == '\n' || *text == '\t')
      g_string_append_c(html->out, *text++);
    else
      put_char(html->out, next(&text));
  }
  return n;
}

void
html_lines(Html *html, const char *text)
{
  while (text && *text) {
    if (*text == '\n' || *text == '\t')
      g_string_append_c(html->out, *text++);
    else
      put_char(html->out, next(&text));
  }
}

void
html_field(Html *html, const char *text)
{
  while (text && *text) {
    const gunichar c = next(&text);

    if (char_is_hidden(c) && c != '\n' && c != '\t')
      put_code(html->out, c);
    else
      put_escaped(html->out, c);
  }
}

void
html_add(Html *html, const Html *part)
{
  g_string_append_len(html->out, part->out->str, (gssize)part->out->len);
}

void
html_number(Html *html, int64_t number)
{
  g_string_append_printf(html->out, "%" G_GINT64_FORMAT, number);
}

void
html_put_attr(Html *html, const char *name, const char *value)
{
  g_string_append_printf(html->out, " %s=\"", name);
  while (value && *value) {
    const gunichar c = next(&value);

    if (char_is_hidden(c))
      put_code(html->out, c);
    else
      put_escaped(html->out, c);
  }
  g_string_append_c(html->out, '"');
}

void
html_put_link(Html *html, const char *name, const char *first, const char *rest)
{
  static const char safe[] = "abcdefghijklmnopqrstuvwxyz"
                             "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";

  g_string_append_printf(html->out, " %s=\"%s", name, first);
  for (; rest && *rest; rest++) {
    if (strchr(safe, *rest))
      g_string_append_c(html->out, *rest);
    else
      g_string_append_printf(html->out, "%%%02X", (guchar)*rest);
  }
  g_string_append_c(html->out, '"');
}

void
html_time(Html *html, int64_t wall_us)
{
  g_autoptr(GDateTime) at = g_date_time_new_from_unix_utc(wall_us / US_PER_S);
  g_autofree char *iso =
      at ? g_date_time_format(at, "%Y-%m-%dT%H:%M:%SZ") : NULL;
  g_autofree char *words = at ? g_date_time_format(at, "%-d %b %H:%M") : NULL;

  html_raw(html, "<time");
  html_attr(html, "datetime", iso);
  html_raw(html, ">");
  html_text(html, words);
  html_raw(html, " UTC</time>");
}
