/* SPDX-License-Identifier: Apache-2.0 */
/* The page's parts without a hub: what is written into HTML, what forms and
 * cookies are read as, what is said of the configuration. */
#include "folder.h"
#include "hub/page/form.h"
#include "hub/page/html.h"
#include "hub/settings.h"
#include <string.h>

#define NASTY "<script>alert('x')</script>\" onload=x `&amp;"
#define NASTY_SAFE                                                             \
  "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot; onload=x "            \
  "&#96;&amp;amp;"

static void
is_written(const Html *html, const char *expected)
{
  size_t len;

  g_assert_cmpstr(html_peek(html, &len), ==, expected);
  g_assert_cmpuint(len, ==, strlen(expected));
}

static void
test_text(void)
{
  g_autoptr(Html) html = html_new();

  html_raw(html, "<p>");
  html_text(html, NASTY);
  html_text(html, NULL);
  is_written(html, "<p>" NASTY_SAFE);
}

static void
test_attr(void)
{
  g_autoptr(Html) html = html_new();

  html_attr(html, "value", NASTY "\n\xe2\x80\xae");
  is_written(html, " value=\"" NASTY_SAFE "\\n&lt;U+202E&gt;\"");
}

static void
test_field(void)
{
  g_autoptr(Html) html = html_new();

  html_field(html, "</textarea>\n\x01");
  is_written(html, "&lt;/textarea&gt;\n^A");
}

static void
test_link(void)
{
  static const struct {
    const char *rest, *says;
  } rows[] = {
      {NULL, " href=\"/x/\""},
      {"a-1", " href=\"/x/a-1\""},
      {"/evil", " href=\"/x/%2Fevil\""},
      {"?a=b#c", " href=\"/x/%3Fa%3Db%23c\""},
      {"\"><b>", " href=\"/x/%22%3E%3Cb%3E\""},
      {"\xc3\xa4\n", " href=\"/x/%C3%A4%0A\""},
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(Html) html = html_new();

    html_link(html, "href", "/x/", rows[i].rest);
    is_written(html, rows[i].says);
  }
}

static void
test_hidden(void)
{
  g_autoptr(Html) html = html_new();

  html_text(html, "a\x07\xe2\x80\x8b\xff\xc3");
  is_written(html,
             "a<span class=\"hid\">^G</span>"
             "<span class=\"hid\">&lt;U+200B&gt;</span>\xef\xbf\xbd"
             "\xef\xbf\xbd");
}

static void
test_brief(void)
{
  g_autoptr(Html) html = html_new();

  html_brief(html, "\xc3\xa4\xc3\xb6\xc3\xbc", 2);
  html_gist(html, " a \n\n b", 9);
  html_gist(html, "abc", 2);
  is_written(html, "\xc3\xa4\xc3\xb6… a bab…");
}

static void
test_masks(void)
{
  g_autoptr(Html) html = html_new();

  g_assert_cmpuint(
      html_prompt(html,
                  "k=[aws-access-key:k5mq7tw2abcd]\n[no:short] "
                  "[x:k5mq7tw2abcd] [A:k5mq7tw2abcd] [x:k5mq7tw2abcd"),
      ==,
      2);
  is_written(html,
             "k=<mark id=\"m1\">[aws-access-key:k5mq7tw2abcd]</mark>\n"
             "[no:short] <mark id=\"m2\">[x:k5mq7tw2abcd]</mark> "
             "[A:k5mq7tw2abcd] [x:k5mq7tw2abcd");
}

/* ---- what browsers send ---------------------------------------------------
 */

static void
test_form(void)
{
  static const char text[] = "a=1+2&b=%c3%a4%0D%0Ax&&c&d=%3D=";
  g_autoptr(Form) form = form_parse(text, strlen(text));

  g_assert_nonnull(form);
  g_assert_cmpstr(form_get(form, "a"), ==, "1 2");
  g_assert_cmpstr(form_get(form, "b"), ==, "\xc3\xa4\nx");
  g_assert_cmpstr(form_get(form, "c"), ==, "");
  g_assert_cmpstr(form_get(form, "d"), ==, "==");
  g_assert_null(form_get(form, "e"));
  g_assert_null(form_get(NULL, "e"));
}

static void
test_bad_forms(void)
{
  static const char *const rows[] = {
      "a=1&a=2",
      "a=1&%61=2",
      "a=%",
      "a=%1",
      "a=%zz",
      "a=%00",
      "a=%ff",
      "%e4=1",
      "a&b&c&d&e&f&g&h&i&j&k&l&m&n&o&p&q",
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
    if (form_parse(rows[i], strlen(rows[i])))
      g_error("taken: %s", rows[i]);
}

static void
test_cookies(void)
{
  static const struct {
    const char *field, *value;
  } rows[] = {
      {"__Host-x=abc", "abc"},
      {"a=1; __Host-x=a-b_C9; c=2", "a-b_C9"},
      {"__Host-x=a;__Host-y=b", "a"},
      {"__Host-xx=a", NULL},
      {"a__Host-x=a", NULL},
      {"__host-x=a", NULL},
      {"__Host-x=a; __Host-x=a", NULL},
      {"__Host-x=\"a\"", NULL},
      {"__Host-x=a b", NULL},
      {"__Host-x=", NULL},
      {"__Host-x", NULL},
      {"", NULL},
      {NULL, NULL},
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autofree char *value = cookie_get(rows[i].field, "__Host-x");

    g_assert_cmpstr(value, ==, rows[i].value);
  }
}

/* ---- what is configured ---------------------------------------------------
 */

#define HUB "[hub]\naudience=hub\nstate-dir=/srv/hub\n"
#define CORP "[identity \"corp\"]\nissuer=https://idp.example\n"

static void
test_settings(void)
{
  static const struct {
    const char *text, *says; /* NULL: it is good */
  } rows[] = {
      {HUB "[page]\nurl=https://hub.example:8790\n" CORP "client-id=p\n", NULL},
      {HUB CORP, NULL},
      {HUB "[page]\nurl=https://hub.example\n" CORP, "client-id"},
      {HUB CORP "client-id=p\n", "[page] url"},
      {HUB CORP "client-secret-file=/s\n", "client-id is missing"},
      {HUB "[page]\nurl=http://hub.example\n" CORP "client-id=p\n", "https"},
      {HUB "[page]\nurl=https://hub.example/\n" CORP "client-id=p\n", "https"},
      {HUB "[page]\nurl=https://a@hub\n" CORP "client-id=p\n", "https"},
      {HUB "[page]\nurl=https://hub:443\n" CORP "client-id=p\n", "https"},
      {HUB "[page]\nurl=https://\n" CORP "client-id=p\n", "https"},
      {HUB "[webhook]\nurl-file=/w\n" CORP, "needs the page"},
      {HUB "[page]\nidle=1\n" CORP, "idle"},
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autofree char *folder = g_dir_make_tmp("hub-page-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "hub.conf", NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(HubConfig) config = NULL;

    g_assert_true(g_file_set_contents(path, rows[i].text, -1, NULL));
    config = hub_config_load(path, &error);
    remove_folder(folder);
    if (!rows[i].says)
      g_assert_no_error(error);
    else if (!error || !strstr(error->message, rows[i].says))
      g_error("row %zu: %s", i, error ? error->message : "taken");
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/hub/page/text", test_text);
  g_test_add_func("/hub/page/attr", test_attr);
  g_test_add_func("/hub/page/field", test_field);
  g_test_add_func("/hub/page/link", test_link);
  g_test_add_func("/hub/page/hidden", test_hidden);
  g_test_add_func("/hub/page/brief", test_brief);
  g_test_add_func("/hub/page/masks", test_masks);
  g_test_add_func("/hub/page/form", test_form);
  g_test_add_func("/hub/page/bad-forms", test_bad_forms);
  g_test_add_func("/hub/page/cookies", test_cookies);
  g_test_add_func("/hub/page/settings", test_settings);
  return g_test_run();
}
