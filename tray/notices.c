/* SPDX-License-Identifier: Apache-2.0 */
/* Notifications. libnotify is not used: its calls wait for the server, and a
 * server that hangs would hang the tray. A proxy hears signals of the name's
 * owner alone, so nobody else can say that a button was clicked. */
#include "tray/notices.h"
#include <string.h>

#define SERVER "org.freedesktop.Notifications"
#define SERVER_PATH "/org/freedesktop/Notifications"
#define BODY_CHARS 200
#define QUIET_US (10 * G_USEC_PER_SEC)
#define URGENCY_NORMAL 1
#define URGENCY_CRITICAL 2
/* The server decides / never by itself. */
#define EXPIRES_DEFAULT (-1)
#define EXPIRES_NEVER 0
/* What a server may say of a notification before its number is known here. */
#define MAX_EARLY 16

/* A signal of the server; action NULL: it was closed. */
typedef struct {
  guint32 id;
  char *action;
} Said;

struct tray_notices {
  GDBusProxy *server; /* NULL until there is one */
  GCancellable *cancel;
  char *state_file;
  NoticeAnswered answered;
  void *data;

  guint32 id;       /* of what is shown about what waits, 0: nothing */
  bool sending;     /* its Notify runs */
  bool stale;       /* the model changed meanwhile */
  bool actions;     /* the server takes them */
  bool approvable;  /* Approve is offered */
  GPtrArray *early; /* Said while Notify runs: its number comes after */
  char *first;      /* the request that it shows first */
  char *dismissed;  /* requests that a person has put away, joined */
  char *shown;      /* the requests, headline and body as shown */
  const TrayModel *model;
  char *untold_headline, *untold_body; /* there was no server yet */
  char *told;                          /* the last other headline, and when */
  int64_t told_us;
};

/* ---- What is remembered --------------------------------------------------
 */

static void
remember(const TrayNotices *notices)
{
  g_autofree char *text = g_strdup_printf("%u\n", notices->id);

  g_file_set_contents_full(
      notices->state_file, text, -1, G_FILE_SET_CONTENTS_NONE, 0600, NULL);
}

static void
close_id(TrayNotices *notices, guint32 id)
{
  g_dbus_proxy_call(notices->server,
                    "CloseNotification",
                    g_variant_new("(u)", id),
                    G_DBUS_CALL_FLAGS_NONE,
                    -1,
                    NULL,
                    NULL,
                    NULL);
}

static void
close_orphan(TrayNotices *notices)
{
  g_autofree char *text = NULL;
  guint64 id = 0;

  if (g_file_get_contents(notices->state_file, &text, NULL, NULL))
    id = g_ascii_strtoull(text, NULL, 10);
  if (id > 0 && id <= G_MAXUINT32)
    close_id(notices, (guint32)id);
}

/* ---- What waits ----------------------------------------------------------
 */

static char *
ids_of(const TrayModel *model)
{
  GString *ids = g_string_new(NULL);

  for (unsigned i = 0; i < model->pending->len; i++)
    g_string_append_printf(
        ids, "%s ", ((const TrayPending *)model->pending->pdata[i])->id);
  return g_string_free(ids, FALSE);
}

/* True when every request that waits was put away already. */
static bool
all_dismissed(const TrayNotices *notices)
{
  for (unsigned i = 0; notices->dismissed && i < notices->model->pending->len;
       i++) {
    const TrayPending *pending = notices->model->pending->pdata[i];

    if (!strstr(notices->dismissed, pending->id))
      return false;
  }
  return notices->dismissed != NULL;
}

static void hear(TrayNotices *notices, guint32 id, const char *action);

static void
forget_shown(TrayNotices *notices)
{
  notices->id = 0;
  g_clear_pointer(&notices->first, g_free);
  g_clear_pointer(&notices->shown, g_free);
}

static void
said_free(gpointer data)
{
  Said *said = data;

  g_free(said->action);
  g_free(said);
}

/* The number is known: what was said of it meanwhile counts. */
static void
hear_early(TrayNotices *notices)
{
  g_autoptr(GPtrArray) early = g_steal_pointer(&notices->early);

  notices->early = g_ptr_array_new_with_free_func(said_free);
  for (unsigned i = 0; i < early->len; i++) {
    const Said *said = early->pdata[i];

    hear(notices, said->id, said->action);
  }
}

static void
on_notified(GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) reply =
      g_dbus_proxy_call_finish(G_DBUS_PROXY(source), result, &error);
  TrayNotices *notices = data;

  if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return;
  notices->sending = false;
  if (reply) {
    g_variant_get(reply, "(u)", &notices->id);
    remember(notices);
  } else {
    forget_shown(notices);
  }
  hear_early(notices);
  if (notices->stale)
    tray_notices_show(notices, notices->model);
}

/* The buttons move on the screen when others come and go: a click meant for
 * one of those must not let more out than the rule's author thought harmless.
 * And which of several would be answered is for the menu to ask. */
static bool
is_approvable(const TrayModel *model)
{
  const TrayPending *first = model->pending->pdata[0];

  return model->pending->len == 1 && first->ours && first->low_risk;
}

static GVariant *
actions_of(const TrayNotices *notices)
{
  /* One server draws a button for `default`, another takes a click on the
   * body for it. */
  const char *words[] = {"default",
                         "Review\xe2\x80\xa6",
                         "deny",
                         "Deny",
                         "approve",
                         "Approve once"};
  bool one = notices->model->pending->len == 1;

  if (!notices->actions)
    return g_variant_new_strv(NULL, 0);
  return g_variant_new_strv(words, notices->approvable ? 6 : one ? 4 : 2);
}

static GVariant *
hints_of(unsigned urgency)
{
  GVariantDict hints;

  g_variant_dict_init(&hints, NULL);
  g_variant_dict_insert(&hints, "urgency", "y", (guchar)urgency);
  g_variant_dict_insert(&hints, "desktop-entry", "s", "hoop-agent-tray");
  return g_variant_dict_end(&hints);
}

static void
send_waiting(TrayNotices *notices)
{
  const TrayPending *first = notices->model->pending->pdata[0];
  g_autofree char *headline = tray_model_headline(notices->model);
  g_autofree char *body = tray_model_details(notices->model);
  g_autofree char *ids = ids_of(notices->model);
  g_autofree char *shown = g_strconcat(ids, "\n", headline, "\n", body, NULL);

  if (g_strcmp0(shown, notices->shown) == 0)
    return;
  /* Another in its place: one server loses the buttons of what is replaced. */
  if (notices->id)
    close_id(notices, notices->id);
  forget_shown(notices);
  notices->shown = g_steal_pointer(&shown);
  notices->first = g_strdup(first->id);
  notices->approvable = is_approvable(notices->model);
  notices->sending = true;
  notices->stale = false;
  g_dbus_proxy_call(notices->server,
                    "Notify",
                    g_variant_new("(susss@as@a{sv}i)",
                                  "hoop-agent",
                                  (guint32)0,
                                  "dialog-question",
                                  headline,
                                  body,
                                  actions_of(notices),
                                  hints_of(URGENCY_CRITICAL),
                                  EXPIRES_NEVER),
                    G_DBUS_CALL_FLAGS_NONE,
                    -1,
                    notices->cancel,
                    on_notified,
                    notices);
}

void
tray_notices_show(TrayNotices *notices, const TrayModel *model)
{
  notices->model = model;
  if (!notices->server)
    return;
  if (notices->sending) {
    notices->stale = true;
    return;
  }
  notices->stale = false;
  if (!model->pending->len) {
    if (notices->id)
      close_id(notices, notices->id);
    forget_shown(notices);
    g_clear_pointer(&notices->dismissed, g_free);
    remember(notices);
    return;
  }
  if (!all_dismissed(notices))
    send_waiting(notices);
}

/* ---- What the server says ------------------------------------------------
 */

static void
on_action(TrayNotices *notices, const char *action)
{
  g_autofree char *first = g_strdup(notices->first);

  if (g_str_equal(action, "deny"))
    notices->answered(NOTICE_DENY, first, notices->data);
  else if (g_str_equal(action, "approve") && notices->approvable)
    notices->answered(NOTICE_APPROVE, first, notices->data);
  else if (g_str_equal(action, "default"))
    notices->answered(NOTICE_REVIEW, first, notices->data);
}

/* action NULL: it was closed. */
static void
hear(TrayNotices *notices, guint32 id, const char *action)
{
  if (!id || id != notices->id)
    return;
  if (action) {
    if (notices->first)
      on_action(notices, action);
    return;
  }
  /* Put away or expired is no answer: it waits on, in the menu. */
  g_free(notices->dismissed);
  notices->dismissed = ids_of(notices->model);
  forget_shown(notices);
}

static void
on_signal(GDBusProxy *proxy,
          const char *sender,
          const char *signal,
          GVariant *parameters,
          gpointer data)
{
  TrayNotices *notices = data;
  const char *action = NULL;
  guint32 id, reason;

  (void)proxy;
  (void)sender;
  if (g_str_equal(signal, "ActionInvoked") &&
      g_variant_is_of_type(parameters, G_VARIANT_TYPE("(us)")))
    g_variant_get(parameters, "(u&s)", &id, &action);
  else if (g_str_equal(signal, "NotificationClosed") &&
           g_variant_is_of_type(parameters, G_VARIANT_TYPE("(uu)")))
    g_variant_get(parameters, "(uu)", &id, &reason);
  else
    return;
  if (notices->sending && notices->early->len < MAX_EARLY) {
    Said *said = g_new0(Said, 1);

    said->id = id;
    said->action = g_strdup(action);
    g_ptr_array_add(notices->early, said);
  } else {
    hear(notices, id, action);
  }
}

static void
on_capabilities(GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) reply =
      g_dbus_proxy_call_finish(G_DBUS_PROXY(source), result, &error);
  g_autofree const char **list = NULL;
  TrayNotices *notices = data;

  if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return;
  if (reply && g_variant_is_of_type(reply, G_VARIANT_TYPE("(as)")))
    g_variant_get(reply, "(^a&s)", &list);
  notices->actions = list && g_strv_contains(list, "actions");
  notices->sending = false;
  if (notices->model)
    tray_notices_show(notices, notices->model);
}

/* A server that came, or came back with nothing of ours on the screen. */
static void
on_owner(GDBusProxy *proxy, GParamSpec *spec, gpointer data)
{
  g_autofree char *owner = g_dbus_proxy_get_name_owner(proxy);
  TrayNotices *notices = data;

  (void)spec;
  if (!owner)
    return;
  forget_shown(notices);
  notices->sending = true; /* nothing is shown before this is known */
  g_dbus_proxy_call(proxy,
                    "GetCapabilities",
                    NULL,
                    G_DBUS_CALL_FLAGS_NONE,
                    -1,
                    notices->cancel,
                    on_capabilities,
                    notices);
}

static void
on_proxy(GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr(GError) error = NULL;
  GDBusProxy *proxy = g_dbus_proxy_new_finish(result, &error);
  TrayNotices *notices = data;

  (void)source;
  if (!proxy)
    return; /* cancelled; an absent server is no error */
  notices->server = proxy;
  g_signal_connect(proxy, "g-signal", G_CALLBACK(on_signal), notices);
  g_signal_connect(
      proxy, "notify::g-name-owner", G_CALLBACK(on_owner), notices);
  close_orphan(notices);
  if (notices->untold_headline) {
    tray_notices_tell(notices, notices->untold_headline, notices->untold_body);
    g_clear_pointer(&notices->untold_headline, g_free);
    g_clear_pointer(&notices->untold_body, g_free);
  }
  /* The call starts a server that the bus can activate. */
  notices->sending = true;
  g_dbus_proxy_call(proxy,
                    "GetCapabilities",
                    NULL,
                    G_DBUS_CALL_FLAGS_NONE,
                    -1,
                    notices->cancel,
                    on_capabilities,
                    notices);
}

/* ---- Others --------------------------------------------------------------
 */

void
tray_notices_tell(TrayNotices *notices, const char *headline, const char *body)
{
  g_autofree char *shown = tray_shown(body, BODY_CHARS);
  int64_t now = g_get_monotonic_time();

  if (!notices->server) {
    g_free(notices->untold_headline);
    g_free(notices->untold_body);
    notices->untold_headline = g_strdup(headline);
    notices->untold_body = g_strdup(body);
    return;
  }
  if (g_strcmp0(headline, notices->told) == 0 &&
      now - notices->told_us < QUIET_US)
    return;
  g_free(notices->told);
  notices->told = g_strdup(headline);
  notices->told_us = now;
  g_dbus_proxy_call(notices->server,
                    "Notify",
                    g_variant_new("(susss@as@a{sv}i)",
                                  "hoop-agent",
                                  (guint32)0,
                                  "dialog-information",
                                  headline,
                                  shown,
                                  g_variant_new_strv(NULL, 0),
                                  hints_of(URGENCY_NORMAL),
                                  EXPIRES_DEFAULT),
                    G_DBUS_CALL_FLAGS_NONE,
                    -1,
                    NULL,
                    NULL,
                    NULL);
}

TrayNotices *
tray_notices_new(GDBusConnection *bus,
                 const char *state_file,
                 NoticeAnswered answered,
                 void *data)
{
  TrayNotices *notices = g_new0(TrayNotices, 1);

  notices->state_file = g_strdup(state_file);
  notices->answered = answered;
  notices->data = data;
  notices->cancel = g_cancellable_new();
  notices->early = g_ptr_array_new_with_free_func(said_free);
  g_dbus_proxy_new(bus,
                   G_DBUS_PROXY_FLAGS_DO_NOT_LOAD_PROPERTIES |
                       G_DBUS_PROXY_FLAGS_DO_NOT_AUTO_START_AT_CONSTRUCTION,
                   NULL,
                   SERVER,
                   SERVER_PATH,
                   SERVER,
                   notices->cancel,
                   on_proxy,
                   notices);
  return notices;
}

void
tray_notices_free(TrayNotices *notices)
{
  if (!notices)
    return;
  g_cancellable_cancel(notices->cancel);
  g_object_unref(notices->cancel);
  if (notices->server) {
    if (notices->id)
      close_id(notices, notices->id);
    g_signal_handlers_disconnect_by_data(notices->server, notices);
    g_dbus_connection_flush_sync(
        g_dbus_proxy_get_connection(notices->server), NULL, NULL);
  }
  g_clear_object(&notices->server);
  forget_shown(notices);
  g_ptr_array_unref(notices->early);
  g_free(notices->dismissed);
  g_free(notices->untold_headline);
  g_free(notices->untold_body);
  g_free(notices->told);
  g_free(notices->state_file);
  g_free(notices);
}
