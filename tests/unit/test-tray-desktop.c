/* SPDX-License-Identifier: Apache-2.0 */
/* The tray on a session bus of its own, between a panel's watcher, a
 * notification server and a daemon that this program plays: what they see of
 * it, and what of a person's clicks reaches the daemon. */
#include "tests/unit/desktop-kit.h"
#include <glib/gstdio.h>
#include <string.h>

/* No call to a bus or a child may keep a test longer. */
#define TEST_S 90

/* ---- The tray ------------------------------------------------------------
 */

static GPid
tray_spawn(Desktop *desktop)
{
  g_autofree char *program =
      g_test_build_filename(G_TEST_BUILT, "..", "hoop-agent-tray", NULL);
  g_autofree char *real = g_canonicalize_filename(program, NULL);
  char *words[] = {real, NULL};
  g_auto(GStrv) env = g_get_environ();
  g_autoptr(GError) error = NULL;
  GPid pid = 0;

  env =
      g_environ_setenv(env, "DBUS_SESSION_BUS_ADDRESS", desktop->address, TRUE);
  env = g_environ_setenv(env, "XDG_RUNTIME_DIR", desktop->dir, TRUE);
  env = g_environ_setenv(env, "GIO_USE_VFS", "local", TRUE);
  g_spawn_async(NULL,
                words,
                env,
                G_SPAWN_DO_NOT_REAP_CHILD,
                end_with_parent,
                NULL,
                &pid,
                &error);
  g_assert_no_error(error);
  return pid;
}

static int
tray_end(Desktop *desktop, int number)
{
  int status = 0;

  if (number)
    kill(desktop->tray, number);
  until(waitpid(desktop->tray, &status, WNOHANG) == desktop->tray);
  desktop->tray = 0;
  return status;
}

typedef struct {
  GVariant *value; /* NULL: it failed, where it may */
  bool may_fail, done;
} Reply;

static void
on_reply(GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr(GError) error = NULL;
  Reply *reply = data;

  reply->value =
      g_dbus_connection_call_finish(G_DBUS_CONNECTION(source), result, &error);
  if (!reply->may_fail)
    g_assert_no_error(error);
  reply->done = true;
}

/* Asks the tray as a panel does, while this program goes on playing. */
static GVariant *
try_to_ask(Desktop *desktop,
           const char *path,
           const char *interface,
           const char *method,
           GVariant *parameters,
           bool may_fail)
{
  Reply reply = {.may_fail = may_fail};

  g_dbus_connection_call(desktop->panel.bus,
                         desktop->panel.item,
                         path,
                         interface,
                         method,
                         parameters,
                         NULL,
                         G_DBUS_CALL_FLAGS_NONE,
                         -1,
                         NULL,
                         on_reply,
                         &reply);
  until(reply.done);
  return reply.value;
}

static GVariant *
ask(Desktop *desktop,
    const char *path,
    const char *interface,
    const char *method,
    GVariant *parameters)
{
  return try_to_ask(desktop, path, interface, method, parameters, false);
}

static char *
property(Desktop *desktop, const char *name)
{
  g_autoptr(GVariant) reply =
      ask(desktop,
          TRAY_ITEM_PATH,
          "org.freedesktop.DBus.Properties",
          "Get",
          g_variant_new("(ss)", "org.kde.StatusNotifierItem", name));
  g_autoptr(GVariant) value = NULL;

  g_variant_get(reply, "(v)", &value);
  return g_variant_is_of_type(value, G_VARIANT_TYPE_STRING)
             ? g_variant_dup_string(value, NULL)
             : g_variant_print(value, FALSE);
}

static bool
property_has(Desktop *desktop, const char *name, const char *text)
{
  g_autofree char *value = property(desktop, name);

  return strstr(value, text) != NULL;
}

/* The number of the row with this label, or -1. */
static int
row_in(GVariant *row, const char *label)
{
  g_autoptr(GVariant) properties = NULL;
  g_autoptr(GVariant) children = NULL;
  const char *own = NULL;
  int id, found = -1;

  g_variant_get(row, "(i@a{sv}@av)", &id, &properties, &children);
  if (g_variant_lookup(properties, "label", "&s", &own) && strstr(own, label))
    return id;
  for (gsize i = 0; found < 0 && i < g_variant_n_children(children); i++) {
    g_autoptr(GVariant) boxed = g_variant_get_child_value(children, i);
    g_autoptr(GVariant) child = g_variant_get_variant(boxed);

    found = row_in(child, label);
  }
  return found;
}

static int
menu_row(Desktop *desktop, const char *label)
{
  static const char *const none[] = {NULL};
  g_autoptr(GVariant) reply = ask(desktop,
                                  TRAY_MENU_PATH,
                                  "com.canonical.dbusmenu",
                                  "GetLayout",
                                  g_variant_new("(ii^as)", 0, -1, none));
  g_autoptr(GVariant) root = g_variant_get_child_value(reply, 1);

  return row_in(root, label);
}

/* False when the menu was made anew meanwhile and has no such row any more. */
static bool
menu_event(Desktop *desktop, int row, const char *event)
{
  g_autoptr(GVariant) reply = try_to_ask(
      desktop,
      TRAY_MENU_PATH,
      "com.canonical.dbusmenu",
      "Event",
      g_variant_new("(isvu)", row, event, g_variant_new_int32(0), (guint32)0),
      true);

  return reply != NULL;
}

static void
menu_click(Desktop *desktop, const char *label)
{
  int row;

  until((row = menu_row(desktop, label)) >= 0 &&
        menu_event(desktop, row, "clicked"));
}

/* ---- Set-up --------------------------------------------------------------
 */

static void
set_up(Desktop *desktop, const void *data)
{
  (void)data;
  alarm(TEST_S); /* ends the program, and with it what it started */
  memset(desktop, 0, sizeof *desktop);
  desktop->dir = g_dir_make_tmp("hoop-tray-XXXXXX", NULL);
  bus_start(desktop);
  panel_start(desktop);
  server_start(desktop);
  daemon_start(desktop);
  desktop->tray = tray_spawn(desktop);
  until(desktop->panel.registered == 1);
  until(property_has(desktop, "ToolTip", "Nothing waits"));
}

static void
remove_all(const char *dir)
{
  static const char *const names[] = {"hoop-agent/control.sock",
                                      "hoop-agent/tray-notification",
                                      "hoop-agent",
                                      "bus.conf"};

  for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
    g_autofree char *path = g_build_filename(dir, names[i], NULL);

    g_remove(path);
  }
  g_rmdir(dir);
}

static void
tear_down(Desktop *desktop, const void *data)
{
  (void)data;
  if (desktop->tray)
    g_assert_cmpint(tray_end(desktop, SIGTERM), ==, 0);
  daemon_stop(desktop);
  server_stop(desktop);
  panel_stop(desktop);
  bus_stop(desktop);
  remove_all(desktop->dir);
  g_free(desktop->dir);
  g_free(desktop->daemon.answer);
  g_free(desktop->panel.item);
  g_free(desktop->server.headline);
  g_free(desktop->server.body);
  g_free(desktop->server.actions);
  alarm(0);
}

static bool
file_says(const char *path, const char *wanted)
{
  g_autofree char *text = NULL;

  return g_file_get_contents(path, &text, NULL, NULL) &&
         g_str_equal(text, wanted);
}

/* ---- Tests ---------------------------------------------------------------
 */

static void
test_waits(Desktop *desktop, const void *data)
{
  (void)data;
  g_assert_true(property_has(desktop, "Status", "Active"));
  daemon_holds(desktop, 1);
  until(property_has(desktop, "Status", "NeedsAttention"));
  until(desktop->server.shown == 1);
  g_assert_cmpstr(
      desktop->server.headline, ==, "A request waits for your answer");
  /* Neither markup, nor line ends, nor the prompt. */
  g_assert_null(strpbrk(desktop->server.body, "<>&\n"));
  g_assert_null(strstr(desktop->server.body, "own words"));
  g_assert_nonnull(strstr(desktop->server.body, "2 findings"));
  g_assert_nonnull(strstr(desktop->server.actions, "deny"));
  g_assert_null(strstr(desktop->server.actions, "pprove"));
}

static void
test_deny_in_notification(Desktop *desktop, const void *data)
{
  (void)data;
  daemon_holds(desktop, 1);
  until(desktop->server.shown == 1);
  /* Behind the server's reply at once: the tray hears them in this order. */
  invoke(desktop->server.bus, desktop->server.next, "deny");
  until(desktop->daemon.answers == 1);
  g_assert_cmpstr(
      desktop->daemon.answer, ==, "deny req1 notification " DIGEST " " NONCE);
  until(desktop->server.closed == desktop->server.next);
  until(property_has(desktop, "Status", "Active"));
}

static void
test_approve_in_notification(Desktop *desktop, const void *data)
{
  (void)data;
  desktop->daemon.risk = "low";
  daemon_holds(desktop, 1);
  until(desktop->server.shown == 1);
  g_assert_nonnull(strstr(desktop->server.actions, "approve"));
  invoke(desktop->server.bus, desktop->server.next, "approve");
  until(desktop->daemon.answers == 1);
  g_assert_cmpstr(desktop->daemon.answer,
                  ==,
                  "approve req1 notification " DIGEST " " NONCE);
  /* Two at once: which of them would be meant? */
  daemon_holds(desktop, 2);
  until(desktop->server.shown == 2);
  g_assert_null(strstr(desktop->server.actions, "approve"));
}

/* A server that names an action which it was not given. */
static void
test_approve_not_offered(Desktop *desktop, const void *data)
{
  (void)data;
  desktop->daemon.risk = "high";
  daemon_holds(desktop, 1);
  until(desktop->server.shown == 1);
  g_assert_null(strstr(desktop->server.actions, "approve"));
  invoke(desktop->server.bus, desktop->server.next, "approve");
  invoke(desktop->server.bus, desktop->server.next, "deny");
  until(desktop->daemon.answers == 1);
  g_assert_true(g_str_has_prefix(desktop->daemon.answer, "deny "));
}

/* Any program of the user can say that a button was clicked. */
static void
test_forged_click(Desktop *desktop, const void *data)
{
  (void)data;
  daemon_holds(desktop, 1);
  until(desktop->server.shown == 1);
  for (unsigned i = 0; i < 20; i++)
    invoke(desktop->panel.bus, desktop->server.next, "deny");
  g_dbus_connection_flush_sync(desktop->panel.bus, NULL, NULL);
  /* The tray has read them when it answers what came behind them. */
  g_assert_true(property_has(desktop, "Status", "NeedsAttention"));
  g_assert_cmpuint(desktop->daemon.reviews, ==, 0);
  g_assert_cmpuint(desktop->daemon.answers, ==, 0);
}

static void
test_dismissed(Desktop *desktop, const void *data)
{
  g_autofree char *state =
      g_build_filename(desktop->dir, "hoop-agent", "tray-notification", NULL);

  (void)data;
  daemon_holds(desktop, 1);
  until(desktop->server.shown == 1);
  until(file_says(state, "1\n")); /* the tray knows which it is */
  g_dbus_connection_emit_signal(
      desktop->server.bus,
      NULL,
      "/org/freedesktop/Notifications",
      "org.freedesktop.Notifications",
      "NotificationClosed",
      g_variant_new("(uu)", (guint32)desktop->server.next, (guint32)2),
      NULL);
  g_dbus_connection_flush_sync(desktop->server.bus, NULL, NULL);
  daemon_holds(desktop, 1); /* the same again: no second notification */
  g_assert_true(property_has(desktop, "Status", "NeedsAttention"));
  g_assert_cmpuint(desktop->daemon.answers, ==, 0);
  g_assert_cmpuint(desktop->server.shown, ==, 1);
  daemon_holds(desktop, 2);
  until(desktop->server.shown == 2);
  g_assert_cmpstr(
      desktop->server.headline, ==, "2 requests wait for your answer");
  g_assert_null(strstr(desktop->server.actions, "deny"));
}

static void
test_server_returns(Desktop *desktop, const void *data)
{
  (void)data;
  daemon_holds(desktop, 1);
  until(desktop->server.shown == 1);
  server_stop(desktop);
  server_start(desktop);
  until(desktop->server.shown == 2);
  g_assert_cmpuint(desktop->daemon.answers, ==, 0);
}

static void
test_watcher_returns(Desktop *desktop, const void *data)
{
  (void)data;
  panel_stop(desktop);
  panel_start(desktop);
  until(desktop->panel.registered == 2);
}

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

static void
test_pause(Desktop *desktop, const void *data)
{
  (void)data;
  menu_click(desktop, "Pause for 10 minutes");
  until(desktop->daemon.paused == 600);
  until(property_has(desktop, "ToolTip", "Paused"));
  until(menu_row(desktop, "Resume") >= 0);
}

static void
test_daemon_returns(Desktop *desktop, const void *data)
{
  (void)data;
  daemon_stop(desktop);
  until(property_has(desktop, "ToolTip", "does not run"));
  daemon_start(desktop);
  until(property_has(desktop, "ToolTip", "Nothing waits"));
}

static void
test_one_instance(Desktop *desktop, const void *data)
{
  GPid first = desktop->tray;
  int status;

  (void)data;
  desktop->tray = tray_spawn(desktop);
  status = tray_end(desktop, 0);
  g_assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
  desktop->tray = first;
}

/* What a killed tray left on the screen is taken back by the next one. */
static void
test_orphan(Desktop *desktop, const void *data)
{
  g_autofree char *path =
      g_build_filename(desktop->dir, "hoop-agent", "tray-notification", NULL);
  g_autofree char *wanted = NULL;

  (void)data;
  daemon_holds(desktop, 1);
  until(desktop->server.shown == 1);
  wanted = g_strdup_printf("%u\n", desktop->server.next);
  until(file_says(path, wanted));
  tray_end(desktop, SIGKILL);
  g_assert_cmpuint(desktop->server.closed, ==, 0);
  desktop->tray = tray_spawn(desktop);
  until(desktop->server.closed == 1);
  until(desktop->server.shown == 2);
}

static void
add(const char *path, void (*test)(Desktop *, const void *))
{
  g_test_add(path, Desktop, NULL, set_up, test, tear_down);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  add("/tray/waits", test_waits);
  add("/tray/deny-in-notification", test_deny_in_notification);
  add("/tray/approve-in-notification", test_approve_in_notification);
  add("/tray/approve-not-offered", test_approve_not_offered);
  add("/tray/forged-click-ignored", test_forged_click);
  add("/tray/dismissed-is-not-denied", test_dismissed);
  add("/tray/notification-server-returns", test_server_returns);
  add("/tray/watcher-returns", test_watcher_returns);
  add("/tray/menu-approves", test_menu_approves);
  add("/tray/menu-approves-masked", test_menu_approves_masked);
  add("/tray/menu-frozen-while-open", test_menu_is_frozen);
  add("/tray/pause", test_pause);
  add("/tray/daemon-returns", test_daemon_returns);
  add("/tray/one-instance", test_one_instance);
  add("/tray/orphan-closed", test_orphan);
  return g_test_run();
}
