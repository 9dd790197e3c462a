/* SPDX-License-Identifier: Apache-2.0 */
/* What browsers send to the hub's page and what it shows of texts from outside:
 * forms are texts, cookies are plain, and no markup comes of any text. */
#include "hub/page/form.h"
#include "hub/page/html.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_form(const char *text, size_t size)
{
  static const char *const names[] = {"answer", "digest", "reason", "proof"};
  g_autoptr(Form) form = form_parse(text, size);

  for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
    const char *value = form_get(form, names[i]);

    g_assert_true(!value || g_utf8_validate(value, -1, NULL));
  }
}

static void
check_cookie(const char *text)
{
  g_autofree char *value = cookie_get(text, "__Host-x");

  for (const char *c = value; c && *c; c++)
    g_assert_true(g_ascii_isalnum(*c) || *c == '-' || *c == '_');
}

/* The length of a tag of the writer's own that begins here; 0: none. */
static size_t
own_tag(const char *at)
{
  static const char *const tags[] = {
      "<span class=\"hid\">", "</span>", "</mark>"};
  size_t digits;

  for (size_t i = 0; i < G_N_ELEMENTS(tags); i++)
    if (g_str_has_prefix(at, tags[i]))
      return strlen(tags[i]);
  if (!g_str_has_prefix(at, "<mark id=\"m"))
    return 0;
  digits = strspn(at + 11, "0123456789");
  g_assert_true(g_str_has_prefix(at + 11 + digits, "\">"));
  return 13 + digits;
}

static void
check_markup(const Html *html, bool tags)
{
  size_t len;
  const char *at = html_peek(html, &len);

  g_assert_cmpuint(strlen(at), ==, len);
  g_assert_true(g_utf8_validate(at, -1, NULL));
  while (*at) {
    const size_t tag = tags ? own_tag(at) : 0;

    g_assert_true(tag > 0 || !strchr("<>\"'`", *at));
    at += tag > 0 ? tag : 1;
  }
}

static void
check_attribute(const char *text)
{
  g_autoptr(Html) html = html_new();
  size_t len;
  const char *out;

  html_attr(html, "value", text);
  html_link(html, "href", "/", text);
  out = html_peek(html, &len);
  g_assert_true(g_str_has_prefix(out, " value=\""));
  out = strchr(out + 8, '"');
  g_assert_nonnull(out);
  g_assert_true(g_str_has_prefix(out, "\" href=\"/"));
  out = strchr(out + 9, '"');
  g_assert_nonnull(out);
  g_assert_cmpint(out[1], ==, '\0');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  g_autofree char *text =
      size ? g_strndup((const char *)data, size) : g_strdup("");
  g_autoptr(Html) shown = html_new();
  g_autoptr(Html) plain = html_new();

  check_form((const char *)data, size);
  check_cookie(text);
  html_text(shown, text);
  html_gist(shown, text, 40);
  html_prompt(shown, text);
  html_lines(shown, text);
  check_markup(shown, true);
  html_field(plain, text);
  check_markup(plain, false);
  check_attribute(text);
  return 0;
}
