/* SPDX-License-Identifier: Apache-2.0 */
/* The tray on a session bus of its own, between a panel's watcher, a
 * notification server and a daemon that this program plays: what they see of
 * it, and what of a person's clicks reaches the daemon. */
#include "tests/unit/tray-kit.h"

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

/* Nor that it was put away: it would be shown again. */
static void
test_forged_close(Desktop *desktop, const void *data)
{
  (void)data;
  daemon_holds(desktop, 1);
  until(desktop->server.shown == 1);
  dismiss(desktop->panel.bus, desktop->server.next);
  g_assert_true(property_has(desktop, "Status", "NeedsAttention"));
  daemon_holds(desktop, 2);
  until(desktop->server.shown == 2);
  /* What it took for its own is taken back when another comes. */
  until(desktop->server.closed == 1);
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
  dismiss(desktop->server.bus, desktop->server.next);
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

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  add_test("/tray/waits", test_waits);
  add_test("/tray/deny-in-notification", test_deny_in_notification);
  add_test("/tray/approve-in-notification", test_approve_in_notification);
  add_test("/tray/approve-not-offered", test_approve_not_offered);
  add_test("/tray/forged-click-ignored", test_forged_click);
  add_test("/tray/forged-close-ignored", test_forged_close);
  add_test("/tray/dismissed-is-not-denied", test_dismissed);
  add_test("/tray/notification-server-returns", test_server_returns);
  add_test("/tray/watcher-returns", test_watcher_returns);
  add_test("/tray/pause", test_pause);
  add_test("/tray/daemon-returns", test_daemon_returns);
  add_test("/tray/one-instance", test_one_instance);
  add_test("/tray/orphan-closed", test_orphan);
  return g_test_run();
}
