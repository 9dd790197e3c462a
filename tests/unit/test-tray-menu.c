/* SPDX-License-Identifier: Apache-2.0 */
/* The tray's menu and what it tells by itself, on a session bus of its own:
 * what a click asks of the daemon, and what of foreign texts a person sees. */
#include "tests/unit/tray-kit.h"

static void
test_menu_approves(Desktop *desktop, const void *data)
{
  (void)data;
  daemon_holds(desktop, 1);
  menu_click(desktop, "Approve once");
  until(desktop->daemon.answers == 1);
  g_assert_cmpstr(
      desktop->daemon.answer, ==, "approve req1 tray " DIGEST " " NONCE);
  until(menu_row(desktop, "Recent decisions") >= 0);
}

static void
test_menu_approves_masked(Desktop *desktop, const void *data)
{
  (void)data;
  daemon_holds(desktop, 1);
  menu_click(desktop, "Approve masked");
  until(desktop->daemon.answers == 1);
  g_assert_cmpstr(desktop->daemon.answer,
                  ==,
                  "approve-masked req1 tray masked" DIGEST " " NONCE);
}

static void
test_menu_denies_for_long(Desktop *desktop, const void *data)
{
  (void)data;
  daemon_holds(desktop, 1);
  until(menu_row(desktop, "Deny and remember") >= 0);
  menu_click(desktop, "For an hour");
  until(desktop->daemon.answers == 1);
  g_assert_cmpstr(
      desktop->daemon.answer, ==, "deny req1 tray " DIGEST " " NONCE " 3600 0");
  daemon_holds(desktop, 1);
  menu_click(desktop, "While this conversation");
  until(desktop->daemon.answers == 2);
  g_assert_cmpstr(
      desktop->daemon.answer, ==, "deny req1 tray " DIGEST " " NONCE " 0 1");
}

/* What nobody should approve unread has no such row. */
static void
test_menu_high_risk(Desktop *desktop, const void *data)
{
  (void)data;
  desktop->daemon.risk = "high";
  daemon_holds(desktop, 1);
  until(menu_row(desktop, "To approve it, review it") >= 0);
  g_assert_cmpint(menu_row(desktop, "Approve once"), ==, -1);
  g_assert_cmpint(menu_row(desktop, "Approve masked"), ==, -1);
  g_assert_cmpint(menu_row(desktop, "Deny"), >=, 0);
}

/* ---- What needs no answer ------------------------------------------------
 */

static void
test_news(Desktop *desktop, const void *data)
{
  (void)data;
  daemon_tells(desktop, "masked", 3);
  until(desktop->server.shown == 1);
  g_assert_cmpstr(desktop->server.headline, ==, "Masked 3 secrets");
  g_assert_cmpstr(desktop->server.body,
                  ==,
                  "In a request of x, connection copilot: aws-access-key");
  g_assert_cmpstr(desktop->server.actions, ==, "");
  /* Many more are kept for one that comes later. */
  for (unsigned i = 0; i < 50; i++)
    daemon_tells(desktop, i % 2 ? "masked" : "blocked", 1);
  daemon_holds(desktop, 1);
  until(property_has(desktop, "Status", "NeedsAttention"));
  until(desktop->server.shown == 2);
  g_assert_cmpstr(
      desktop->server.headline, ==, "A request waits for your answer");
}

/* Switched off in the menu, for the next tray too. */
static void
test_news_off(Desktop *desktop, const void *data)
{
  (void)data;
  menu_click(desktop, "Tell what is masked");
  for (unsigned round = 0; round < 2; round++) {
    daemon_tells(desktop, "blocked", 1);
    daemon_holds(desktop, 1);
    until(property_has(desktop, "Status", "NeedsAttention"));
    until(desktop->server.shown == 1 + round);
    g_assert_cmpstr(
        desktop->server.headline, ==, "A request waits for your answer");
    daemon_holds(desktop, 0);
    until(desktop->server.closed == 1 + round);
    g_assert_cmpint(tray_end(desktop, SIGTERM), ==, 0);
    desktop->tray = tray_spawn(desktop);
    until(desktop->panel.registered == 2 + round);
    until(property_has(desktop, "ToolTip", "Nothing waits"));
  }
  menu_click(desktop, "Tell what is masked");
  until(menu_row(desktop, "Tell what is masked") >= 0);
  daemon_tells(desktop, "blocked", 1);
  until(desktop->server.shown == 3);
  g_assert_cmpstr(desktop->server.headline, ==, "Blocked a request");
}

static void
test_signed_out(Desktop *desktop, const void *data)
{
  (void)data;
  desktop->daemon.signed_out = true;
  hoop_agent1_emit_state_changed(desktop->skeleton);
  until(desktop->server.shown == 1);
  g_assert_cmpstr(desktop->server.headline, ==, "hoop-agent: signed out");
  until(menu_row(desktop, "Sign in to corp") >= 0);
}

/* ---- Foreign texts -------------------------------------------------------
 */

/* Markup, line ends, direction marks, letters that are none, and a megabyte. */
static char *
hostile_name(void)
{
  GString *name = g_string_new("<b>&lt;a href='x'>\n\r\t\x1b[31m\xe2\x80\xae"
                               "gnp\xe2\x81\xa6\xf0\x9f\x92\xa3\xc2\xad__%s%n");

  while (name->len < 1024 * 1024)
    g_string_append(name, "<i>\xe2\x80\x8f&amp;\n");
  return g_string_free(name, FALSE);
}

/* Nothing but what tray_shown() lets through and the tray's own signs. */
static void
assert_harmless(const char *text, size_t most)
{
  g_assert_cmpuint(strlen(text), <, most);
  g_assert_null(strpbrk(text, "<>&\r\t\x1b'\"%"));
  for (const char *at = text; *at; at = g_utf8_next_char(at)) {
    gunichar c = g_utf8_get_char(at);

    g_assert_true(c < 0x80 || c == 0xb7 || c == 0x2026);
  }
}

static void
assert_rows_harmless(GVariant *row)
{
  g_autoptr(GVariant) properties = g_variant_get_child_value(row, 1);
  g_autoptr(GVariant) children = g_variant_get_child_value(row, 2);
  const char *label = NULL;

  if (g_variant_lookup(properties, "label", "&s", &label)) {
    g_auto(GStrv) parts = g_strsplit(label, "'", -1); /* the tray's own */
    g_autofree char *apart = g_strjoinv("", parts);

    assert_harmless(apart, 400);
    g_assert_null(strchr(label, '\n'));
  }
  for (gsize i = 0; i < g_variant_n_children(children); i++) {
    g_autoptr(GVariant) boxed = g_variant_get_child_value(children, i);
    g_autoptr(GVariant) child = g_variant_get_variant(boxed);

    assert_rows_harmless(child);
  }
}

static void
assert_shown_harmless(Desktop *desktop)
{
  static const char *const none[] = {NULL};
  g_autoptr(GVariant) menu = ask(desktop,
                                 TRAY_MENU_PATH,
                                 "com.canonical.dbusmenu",
                                 "GetLayout",
                                 g_variant_new("(ii^as)", 0, -1, none));
  g_autoptr(GVariant) root = g_variant_get_child_value(menu, 1);
  g_autoptr(GVariant) reply =
      ask(desktop,
          TRAY_ITEM_PATH,
          "org.freedesktop.DBus.Properties",
          "Get",
          g_variant_new("(ss)", "org.kde.StatusNotifierItem", "ToolTip"));
  g_autoptr(GVariant) tip = NULL;
  g_autofree char *title = NULL;
  g_autofree char *text = NULL;

  assert_rows_harmless(root);
  g_variant_get(reply, "(v)", &tip);
  g_variant_get_child(tip, 2, "s", &title);
  g_variant_get_child(tip, 3, "s", &text);
  assert_harmless(title, 400);
  assert_harmless(text, 800);
  if (desktop->server.shown) {
    assert_harmless(desktop->server.headline, 400);
    assert_harmless(desktop->server.body, 800);
  }
}

static void
test_hostile_names(Desktop *desktop, const void *data)
{
  (void)data;
  desktop->daemon.name = hostile_name();
  daemon_holds(desktop, 3);
  until(desktop->server.shown == 1);
  hoop_agent1_emit_state_changed(desktop->skeleton);
  until(menu_row(desktop, "Signed in to") >= 0 &&
        menu_row(desktop, "of the record wait") >= 0);
  assert_shown_harmless(desktop);
  menu_click(desktop, "For an hour"); /* then a decision is told, too */
  until(menu_row(desktop, "Recent decisions") >= 0);
  assert_shown_harmless(desktop);
  daemon_holds(desktop, 0);
  menu_click(desktop, "Pause until");
  until(property_has(desktop, "ToolTip", "Nothing waits") ||
        property_has(desktop, "ToolTip", "Paused"));
  daemon_tells(desktop, "masked", 3);
  until(g_str_equal(desktop->server.headline, "Masked 3 secrets"));
  assert_shown_harmless(desktop);
  desktop->daemon.signed_out = true;
  hoop_agent1_emit_state_changed(desktop->skeleton);
  until(g_str_equal(desktop->server.headline, "hoop-agent: signed out"));
  assert_shown_harmless(desktop);
}

static void
test_menu_is_frozen(Desktop *desktop, const void *data)
{
  int row;

  (void)data;
  daemon_holds(desktop, 1);
  until(menu_row(desktop, "Deny") >= 0);
  g_assert_true(menu_event(desktop, 0, "opened"));
  /* The menu hears of it when the tray has nothing else to do. */
  for (unsigned i = 0; i < 5; i++)
    g_assert_true(property_has(desktop, "Status", "NeedsAttention"));
  row = menu_row(desktop, "Deny");
  daemon_holds(desktop, 3);
  until(property_has(desktop, "ToolTip", "3 requests"));
  g_assert_cmpint(menu_row(desktop, "Deny"), ==, row);
  g_assert_cmpint(menu_row(desktop, "3 requests"), ==, -1);
  g_assert_true(menu_event(desktop, 0, "closed"));
  until(menu_row(desktop, "3 requests") >= 0);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  add_test("/tray/menu-approves", test_menu_approves);
  add_test("/tray/menu-approves-masked", test_menu_approves_masked);
  add_test("/tray/menu-denies-for-long", test_menu_denies_for_long);
  add_test("/tray/menu-high-risk", test_menu_high_risk);
  add_test("/tray/news", test_news);
  add_test("/tray/news-off", test_news_off);
  add_test("/tray/signed-out", test_signed_out);
  add_test("/tray/hostile-names", test_hostile_names);
  add_test("/tray/menu-frozen-while-open", test_menu_is_frozen);
  return g_test_run();
}
