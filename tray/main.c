/* SPDX-License-Identifier: Apache-2.0 */
/* hoop-agent-tray: the agent's face on the desktop. It finds the session bus,
 * makes sure that it is the only one there, then joins four parts: the link to
 * the daemon keeps the model; item, menu and notices show it. */
#include "config.h"

#include "config/config.h"
#include "kit/log.h"
#include "kit/secret.h"
#include "tray/item.h"
#include "tray/launch.h"
#include "tray/link.h"
#include "tray/menu.h"
#include "tray/news.h"
#include "tray/notices.h"
#include "tray/report.h"
#include <glib-unix.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME "io.hoop.AgentTray"

typedef struct {
  GMainLoop *loop;
  GDBusConnection *bus;
  TrayItem *item;
  TrayMenu *menu;
  TrayNotices *notices;
  TrayNews *news;
  TrayReport *report;
  TrayLink *link;
  bool was_signed_out; /* it was told already */
  int code;
} Tray;

/* ---- What happens --------------------------------------------------------
 */

static void
tell_signed_out(Tray *tray, const TrayModel *model)
{
  const TraySession *session =
      model->connected ? tray_model_signed_out(model) : NULL;
  g_autofree char *body = NULL;

  if (session && !session->signing_in && !tray->was_signed_out &&
      !tray_news_quiet(tray->news)) {
    g_autofree char *name = tray_shown(session->name, 40);

    body = g_strdup_printf("Sign in to %s, or assistants get no answers. %s",
                           name,
                           session->problem ? session->problem : "");
    tray_notices_tell(tray->notices, "hoop-agent: signed out", body);
  }
  tray->was_signed_out = session != NULL;
}

static void
on_changed(void *data)
{
  Tray *tray = data;
  const TrayModel *model = tray_link_model(tray->link);

  tray_item_show(tray->item, model);
  tray_menu_show(tray->menu, model);
  tray_notices_show(tray->notices, model);
  tell_signed_out(tray, model);
}

static void
on_decided(const char *id, void *data)
{
  (void)id;
  (void)data; /* the model holds it no more, and on_changed() follows */
}

static void
on_happened(const char *kind, GVariant *what, void *data)
{
  tray_news_take(((Tray *)data)->news, kind, what);
}

static void
on_news(const char *headline, const char *body, void *data)
{
  tray_notices_tell(((Tray *)data)->notices, headline, body);
}

static void
on_failed(const char *message, void *data)
{
  Tray *tray = data;

  log_warning("%s", message);
  tray_notices_tell(tray->notices, "hoop-agent: it was not done", message);
}

/* ---- What a person chooses -----------------------------------------------
 */

static void
say_launched(Tray *tray, bool launched, GError *error)
{
  if (!launched)
    on_failed(error->message, tray);
  g_clear_error(&error);
}

static void
on_chosen(TrayAction action, const char *id, unsigned seconds, void *data)
{
  Tray *tray = data;
  GError *error = NULL;

  switch (action) {
  case TRAY_DO_REVIEW:
    say_launched(tray, launch_review(id, &error), error);
    break;
  case TRAY_DO_APPROVE:
    tray_link_answer(tray->link, id, "tray", "approve", seconds);
    break;
  case TRAY_DO_MASKED:
    tray_link_answer(tray->link, id, "tray", "approve-masked", 0);
    break;
  case TRAY_DO_DENY:
    tray_link_answer(tray->link, id, "tray", "deny", seconds);
    break;
  case TRAY_DO_PAUSE:
    tray_link_pause(tray->link, seconds);
    break;
  case TRAY_DO_RESUME:
    tray_link_resume(tray->link);
    break;
  case TRAY_DO_SIGN_IN:
    say_launched(tray, launch_sign_in(id, &error), error);
    break;
  case TRAY_DO_REPORT:
    tray_report_open(tray->report);
    break;
  case TRAY_DO_JOURNAL:
    say_launched(tray, launch_journal(&error), error);
    break;
  case TRAY_DO_NEWS:
    tray_news_set_quiet(tray->news, seconds == 0);
    tray_menu_set_news(tray->menu, seconds != 0);
    on_changed(tray);
    break;
  case TRAY_DO_QUIT:
  default:
    g_main_loop_quit(tray->loop);
    break;
  }
}

/* A click on the icon reviews what has waited longest. */
static void
on_activate(void *data)
{
  Tray *tray = data;
  const TrayModel *model = tray_link_model(tray->link);

  if (model->pending->len)
    on_chosen(TRAY_DO_REVIEW,
              ((const TrayPending *)model->pending->pdata[0])->id,
              0,
              tray);
}

static void
on_notice(NoticeAnswer answer, const char *id, void *data)
{
  static const char *const answers[] = {
      [NOTICE_APPROVE] = "approve", [NOTICE_DENY] = "deny"};

  if (answer == NOTICE_REVIEW)
    on_chosen(TRAY_DO_REVIEW, id, 0, data);
  else
    tray_link_answer(
        ((Tray *)data)->link, id, "notification", answers[answer], 0);
}

/* ---- Life ----------------------------------------------------------------
 */

static gboolean
on_signal(gpointer data)
{
  g_main_loop_quit(((Tray *)data)->loop);
  return G_SOURCE_REMOVE;
}

static void
on_bus_closed(GDBusConnection *bus,
              gboolean remote,
              GError *error,
              gpointer data)
{
  (void)bus;
  (void)remote;
  (void)error;
  g_main_loop_quit(((Tray *)data)->loop); /* the desktop session ended */
}

/* True when no other tray of this session has the name. */
static bool
is_only_one(GDBusConnection *bus, GError **error)
{
  const guint32 do_not_queue = 4, primary_owner = 1;
  g_autoptr(GVariant) reply =
      g_dbus_connection_call_sync(bus,
                                  "org.freedesktop.DBus",
                                  "/org/freedesktop/DBus",
                                  "org.freedesktop.DBus",
                                  "RequestName",
                                  g_variant_new("(su)", NAME, do_not_queue),
                                  G_VARIANT_TYPE("(u)"),
                                  G_DBUS_CALL_FLAGS_NONE,
                                  -1,
                                  NULL,
                                  error);
  guint32 outcome = 0;

  if (!reply)
    return false;
  g_variant_get(reply, "(u)", &outcome);
  if (outcome == primary_owner)
    return true;
  g_set_error_literal(error,
                      G_IO_ERROR,
                      G_IO_ERROR_EXISTS,
                      "hoop-agent-tray runs already in this session");
  return false;
}

static bool
tray_start(Tray *tray, GError **error)
{
  static const TrayLinkEvents events = {.changed = on_changed,
                                        .decided = on_decided,
                                        .happened = on_happened,
                                        .failed = on_failed};
  g_autofree char *dir = config_runtime_dir();
  g_autofree char *state = g_build_filename(dir, "tray-notification", NULL);
  g_autofree char *page = g_build_filename(
      g_get_user_cache_dir(), "hoop-agent", "report.html", NULL);
  g_autofree char *quiet = g_build_filename(
      g_get_user_state_dir(), "hoop-agent", "tray-quiet", NULL);

  tray->bus = g_bus_get_sync(G_BUS_TYPE_SESSION, NULL, error);
  if (!tray->bus || !is_only_one(tray->bus, error))
    return false;
  g_dbus_connection_set_exit_on_close(tray->bus, FALSE);
  g_signal_connect(tray->bus, "closed", G_CALLBACK(on_bus_closed), tray);
  tray->item = tray_item_new(tray->bus, on_activate, tray, error);
  if (!tray->item)
    return false;
  tray->menu = tray_menu_new(TRAY_MENU_PATH, on_chosen, tray);
  tray->notices = tray_notices_new(tray->bus, state, on_notice, tray);
  tray->news = tray_news_new(quiet, on_news, tray);
  tray->report = tray_report_new(page, on_failed, tray);
  tray_menu_set_news(tray->menu, !tray_news_quiet(tray->news));
  tray->link = tray_link_new(dir, &events, tray, error);
  if (!tray->link)
    return false;
  on_changed(tray);
  return true;
}

static void
tray_stop(Tray *tray)
{
  tray_report_free(tray->report);
  tray_news_free(tray->news);
  tray_notices_free(tray->notices);
  tray_menu_free(tray->menu);
  tray_item_free(tray->item);
  tray_link_free(tray->link);
  if (tray->bus)
    g_signal_handlers_disconnect_by_data(tray->bus, tray);
  g_clear_object(&tray->bus);
  g_main_loop_unref(tray->loop);
}

static int
run(void)
{
  Tray tray = {.loop = g_main_loop_new(NULL, FALSE)};
  g_autoptr(GError) error = NULL;

  g_unix_signal_add(SIGTERM, on_signal, &tray);
  g_unix_signal_add(SIGINT, on_signal, &tray);
  if (tray_start(&tray, &error)) {
    g_main_loop_run(tray.loop);
  } else {
    fprintf(stderr, "hoop-agent-tray: %s\n", error->message);
    tray.code = EXIT_FAILURE;
  }
  tray_stop(&tray);
  return tray.code;
}

int
main(int argc, char **argv)
{
  setlocale(LC_ALL, "");
  if (argc == 2 && g_str_equal(argv[1], "--version")) {
    puts("hoop-agent-tray " PACKAGE_VERSION);
    return EXIT_SUCCESS;
  }
  if (argc > 1) {
    bool asked = g_str_equal(argv[1], "--help");

    fputs("usage: hoop-agent-tray [--version | --help]\n"
          "The agent's icon, menu and notifications; hoop-agent-tray(1).\n",
          asked ? stdout : stderr);
    return asked ? EXIT_SUCCESS : 2;
  }
  if (!secret_harden_process()) {
    fputs("hoop-agent-tray: the kernel refused to close this process to "
          "debuggers and core dumps\n",
          stderr);
    return EXIT_FAILURE;
  }
  return run();
}
