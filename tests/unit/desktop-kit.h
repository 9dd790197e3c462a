/* SPDX-License-Identifier: Apache-2.0 */
/* A desktop for tests of the tray: a session bus of its own, a panel's watcher,
 * a notification server and a daemon, all played by the test program. */
#ifndef HOOP_TEST_DESKTOP_KIT_H
#define HOOP_TEST_DESKTOP_KIT_H

#include "bus/bus.h"
#include "tray/item.h"
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the daemon says that it holds. */
#define DIGEST "1122"
#define NONCE "n0"
#define LONG_S 30

typedef struct {
  unsigned waits;   /* requests that wait */
  const char *risk; /* of each, or NULL */
  char *name;       /* each foreign text that a person sees; NULL: harmless */
  bool signed_out;
  unsigned reviews;
  char *answer; /* the last, "ANSWER ID HOW DIGEST NONCE" */
  unsigned answers;
  unsigned paused;
} Daemon;

typedef struct {
  GDBusConnection *bus; /* the panel's */
  guint name, object;
  unsigned registered;
  char *item; /* the tray's unique name */
} Panel;

typedef struct {
  GDBusConnection *bus; /* the server's */
  guint name, object;
  unsigned next, shown;
  guint32 closed; /* the last id */
  char *headline, *body, *actions;
} Server;

typedef struct {
  char *dir;
  GPid bus;      /* the session bus */
  char *address; /* its */
  Panel panel;
  Server server;
  Daemon daemon;
  HoopAgent1 *skeleton;
  BusServer *control;
  GPid tray;
} Desktop;

#define until(condition)                                                       \
  do {                                                                         \
    int64_t end_ = g_get_monotonic_time() + LONG_S * G_USEC_PER_SEC;           \
    while (!(condition)) {                                                     \
      g_assert_cmpint(g_get_monotonic_time(), <, end_);                        \
      if (!g_main_context_iteration(NULL, FALSE))                              \
        g_usleep(1000);                                                        \
    }                                                                          \
  } while (0)

/* ---- The daemon ----------------------------------------------------------
 */

static const char *
named(const Daemon *daemon, const char *harmless)
{
  return daemon->name ? daemon->name : harmless;
}

static inline gboolean
on_status(HoopAgent1 *skeleton, GDBusMethodInvocation *call, gpointer data)
{
  const Daemon *daemon = data;
  GVariantDict dict;

  g_variant_dict_init(&dict, NULL);
  g_variant_dict_insert(&dict, "journal", "s", "ok");
  g_variant_dict_insert(&dict, "notices", "b", TRUE);
  if (daemon->paused)
    g_variant_dict_insert(&dict, "paused", "s", named(daemon, "ann"));
  if (daemon->name) {
    GVariantDict shipping;

    g_variant_dict_init(&shipping, NULL);
    g_variant_dict_insert(&shipping, "problem", "s", daemon->name);
    g_variant_dict_insert_value(
        &dict, "shipping", g_variant_dict_end(&shipping));
  }
  hoop_agent1_complete_status(skeleton, call, g_variant_dict_end(&dict));
  return TRUE;
}

static inline gboolean
on_sessions(HoopAgent1 *skeleton, GDBusMethodInvocation *call, gpointer data)
{
  const Daemon *daemon = data;
  GVariantBuilder list;

  g_variant_builder_init(&list, G_VARIANT_TYPE("aa{sv}"));
  if (daemon->name || daemon->signed_out) {
    GVariantDict dict;

    g_variant_dict_init(&dict, NULL);
    g_variant_dict_insert(&dict, "name", "s", named(daemon, "corp"));
    g_variant_dict_insert(&dict, "issuer", "s", "https://id.example");
    if (!daemon->signed_out)
      g_variant_dict_insert(&dict, "user", "s", daemon->name);
    g_variant_dict_insert(&dict, "problem", "s", named(daemon, "it ended"));
    g_variant_builder_add_value(&list, g_variant_dict_end(&dict));
  }
  hoop_agent1_complete_sessions(skeleton, call, g_variant_builder_end(&list));
  return TRUE;
}

static inline gboolean
on_pending(HoopAgent1 *skeleton, GDBusMethodInvocation *call, gpointer data)
{
  static const char *const approvers[] = {"developer", NULL};
  const Daemon *daemon = data;
  const char *rules[] = {named(daemon, "<b>cards</b>\n"), NULL};
  GVariantBuilder list;

  g_variant_builder_init(&list, G_VARIANT_TYPE("aa{sv}"));
  for (unsigned i = 0; i < daemon->waits; i++) {
    g_autofree char *id = g_strdup_printf("req%u", i + 1);
    GVariantDict dict;

    g_variant_dict_init(&dict, NULL);
    g_variant_dict_insert(&dict, "id", "s", id);
    g_variant_dict_insert(&dict, "rules", "^as", rules);
    g_variant_dict_insert(&dict, "approvers", "^as", approvers);
    g_variant_dict_insert(
        &dict, "process", "s", named(daemon, "/usr/bin/code"));
    g_variant_dict_insert(&dict, "model", "s", named(daemon, ""));
    g_variant_dict_insert(&dict, "can_remember", "b", TRUE);
    g_variant_dict_insert(&dict, "findings", "u", (guint32)2);
    if (daemon->risk)
      g_variant_dict_insert(&dict, "risk", "s", daemon->risk);
    g_variant_dict_insert(&dict, "can_mask", "b", TRUE);
    g_variant_dict_insert(&dict, "can_grant", "b", TRUE);
    g_variant_builder_add_value(&list, g_variant_dict_end(&dict));
  }
  hoop_agent1_complete_pending(skeleton, call, g_variant_builder_end(&list));
  return TRUE;
}

static inline gboolean
on_review(HoopAgent1 *skeleton,
          GDBusMethodInvocation *call,
          const char *id,
          gpointer data)
{
  Daemon *daemon = data;
  GVariantDict dict;

  (void)id;
  daemon->reviews++;
  g_variant_dict_init(&dict, NULL);
  g_variant_dict_insert(&dict, "text", "s", "the prompt's own words");
  g_variant_dict_insert(&dict, "digest", "s", DIGEST);
  g_variant_dict_insert(&dict, "masked_digest", "s", "masked" DIGEST);
  g_variant_dict_insert(&dict, "nonce", "s", NONCE);
  hoop_agent1_complete_review(skeleton, call, g_variant_dict_end(&dict));
  return TRUE;
}

static inline gboolean
on_answer(HoopAgent1 *skeleton,
          GDBusMethodInvocation *call,
          const char *id,
          const char *how,
          const char *answer,
          const char *digest,
          const char *nonce,
          const char *reason,
          gpointer data)
{
  Daemon *daemon = data;

  (void)reason;
  g_free(daemon->answer);
  daemon->answer = g_strjoin(" ", answer, id, how, digest, nonce, NULL);
  daemon->answers++;
  daemon->waits--;
  hoop_agent1_complete_answer(skeleton, call, answer);
  hoop_agent1_emit_decided(skeleton, id, answer, "ann");
  return TRUE;
}

static inline gboolean
on_answer_for(HoopAgent1 *skeleton,
              GDBusMethodInvocation *call,
              const char *id,
              const char *how,
              const char *answer,
              const char *digest,
              const char *nonce,
              const char *reason,
              guint seconds,
              gboolean session,
              gpointer data)
{
  Daemon *daemon = data;

  (void)reason;
  g_free(daemon->answer);
  daemon->answer = g_strdup_printf(
      "%s %s %s %s %s %u %d", answer, id, how, digest, nonce, seconds, session);
  daemon->answers++;
  daemon->waits--;
  hoop_agent1_complete_answer_for(skeleton, call, answer, "g1");
  hoop_agent1_emit_decided(skeleton, id, answer, named(daemon, "ann"));
  return TRUE;
}

static inline gboolean
on_pause(HoopAgent1 *skeleton,
         GDBusMethodInvocation *call,
         guint seconds,
         gpointer data)
{
  Daemon *daemon = data;

  daemon->paused = seconds;
  hoop_agent1_complete_pause(skeleton, call);
  hoop_agent1_emit_state_changed(skeleton);
  return TRUE;
}

static inline void
daemon_start(Desktop *desktop)
{
  g_autofree char *dir = g_build_filename(desktop->dir, "hoop-agent", NULL);
  g_autoptr(GError) error = NULL;
  HoopAgent1 *skeleton = hoop_agent1_skeleton_new();
  Daemon *daemon = &desktop->daemon;

  g_signal_connect(skeleton, "handle-status", G_CALLBACK(on_status), daemon);
  g_signal_connect(
      skeleton, "handle-sessions", G_CALLBACK(on_sessions), daemon);
  g_signal_connect(skeleton, "handle-pending", G_CALLBACK(on_pending), daemon);
  g_signal_connect(skeleton, "handle-review", G_CALLBACK(on_review), daemon);
  g_signal_connect(skeleton, "handle-answer", G_CALLBACK(on_answer), daemon);
  g_signal_connect(
      skeleton, "handle-answer-for", G_CALLBACK(on_answer_for), daemon);
  g_signal_connect(skeleton, "handle-pause", G_CALLBACK(on_pause), daemon);
  desktop->skeleton = skeleton;
  desktop->control = bus_server_new(dir, skeleton, &error);
  g_assert_no_error(error);
}

static inline void
daemon_stop(Desktop *desktop)
{
  g_clear_pointer(&desktop->control, bus_server_free);
  g_signal_handlers_disconnect_by_data(desktop->skeleton, &desktop->daemon);
  g_clear_object(&desktop->skeleton);
}

static inline void
daemon_holds(Desktop *desktop, unsigned waits)
{
  desktop->daemon.waits = waits;
  hoop_agent1_emit_pending_changed(desktop->skeleton, "req1");
}

/* It masked or blocked something. */
static inline void
daemon_tells(Desktop *desktop, const char *kind, unsigned count)
{
  const char *name = named(&desktop->daemon, "aws-access-key");
  GVariantDict dict;

  g_variant_dict_init(&dict, NULL);
  g_variant_dict_insert(&dict, "times", "u", (guint32)1);
  g_variant_dict_insert(&dict, "count", "u", (guint32)count);
  g_variant_dict_insert(&dict, "rule", "s", name);
  g_variant_dict_insert(
      &dict, "client", "s", named(&desktop->daemon, "/bin/x"));
  g_variant_dict_insert(&dict, "connection", "s", "copilot");
  hoop_agent1_emit_happened(desktop->skeleton, kind, g_variant_dict_end(&dict));
}

/* ---- The panel and the notification server -------------------------------
 */

/* A session bus that starts no services of the machine. */
static const char bus_config[] =
    "<busconfig><type>session</type><listen>unix:tmpdir=/tmp</listen>"
    "<policy context='default'><allow send_destination='*' eavesdrop='true'/>"
    "<allow eavesdrop='true'/><allow own='*'/></policy></busconfig>";

/* Ends with the test, whatever becomes of that. */
static inline void
end_with_parent(gpointer data)
{
  (void)data;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* A bus daemon that tells its address within the usual time. */
static inline void
bus_start(Desktop *desktop)
{
  g_autofree char *config = g_build_filename(desktop->dir, "bus.conf", NULL);
  g_autofree char *option = g_strconcat("--config-file=", config, NULL);
  char *words[] = {(char *)"dbus-daemon",
                   option,
                   (char *)"--nofork",
                   (char *)"--print-address=1",
                   NULL};
  g_autoptr(GError) error = NULL;
  GString *line = g_string_new(NULL);
  int out = -1;
  char byte;

  g_file_set_contents(config, bus_config, -1, &error);
  g_assert_no_error(error);
  g_spawn_async_with_pipes(NULL,
                           words,
                           NULL,
                           G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD,
                           end_with_parent,
                           NULL,
                           &desktop->bus,
                           NULL,
                           &out,
                           NULL,
                           &error);
  g_assert_no_error(error);
  do {
    GPollFD ready = {.fd = out, .events = G_IO_IN};

    g_assert_cmpint(g_poll(&ready, 1, LONG_S * 1000), ==, 1);
    g_assert_cmpint(read(out, &byte, 1), ==, 1);
    g_string_append_c(line, byte);
  } while (byte != '\n');
  close(out);
  desktop->address = g_strchomp(g_string_free(line, FALSE));
}

static inline void
bus_stop(Desktop *desktop)
{
  int status;

  kill(desktop->bus, SIGTERM);
  g_assert_cmpint(waitpid(desktop->bus, &status, 0), ==, desktop->bus);
  g_clear_pointer(&desktop->address, g_free);
}

static inline GDBusConnection *
connect_to(const char *address)
{
  g_autoptr(GError) error = NULL;
  GDBusConnection *bus = g_dbus_connection_new_for_address_sync(
      address,
      G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
          G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
      NULL,
      NULL,
      &error);

  g_assert_no_error(error);
  return bus;
}

static inline void
on_register(GDBusConnection *bus,
            const char *sender,
            const char *path,
            const char *interface,
            const char *method,
            GVariant *parameters,
            GDBusMethodInvocation *call,
            gpointer data)
{
  Panel *panel = data;
  const char *object;

  (void)bus;
  (void)path;
  (void)interface;
  g_assert_cmpstr(method, ==, "RegisterStatusNotifierItem");
  g_variant_get(parameters, "(&s)", &object);
  g_assert_cmpstr(object, ==, TRAY_ITEM_PATH);
  g_free(panel->item);
  panel->item = g_strdup(sender);
  panel->registered++;
  g_dbus_method_invocation_return_value(call, NULL);
}

static inline void
on_notification(GDBusConnection *bus,
                const char *sender,
                const char *path,
                const char *interface,
                const char *method,
                GVariant *parameters,
                GDBusMethodInvocation *call,
                gpointer data)
{
  static const char *const abilities[] = {"actions", "body", NULL};
  Server *server = data;

  (void)bus;
  (void)sender;
  (void)path;
  (void)interface;
  if (g_str_equal(method, "GetCapabilities")) {
    g_dbus_method_invocation_return_value(call,
                                          g_variant_new("(^as)", abilities));
  } else if (g_str_equal(method, "CloseNotification")) {
    g_variant_get(parameters, "(u)", &server->closed);
    g_dbus_method_invocation_return_value(call, NULL);
  } else {
    g_autofree const char **actions = NULL;

    g_free(server->headline);
    g_free(server->body);
    g_free(server->actions);
    g_variant_get_child(parameters, 3, "s", &server->headline);
    g_variant_get_child(parameters, 4, "s", &server->body);
    g_variant_get_child(parameters, 5, "^a&s", &actions);
    server->actions = g_strjoinv(" ", (char **)actions);
    server->shown++;
    g_dbus_method_invocation_return_value(
        call, g_variant_new("(u)", (guint32)++server->next));
  }
}

static const char interfaces[] =
    "<node><interface name='org.kde.StatusNotifierWatcher'>"
    "<method name='RegisterStatusNotifierItem'>"
    "<arg type='s' direction='in'/></method></interface>"
    "<interface name='org.freedesktop.Notifications'>"
    "<method name='GetCapabilities'><arg type='as' direction='out'/></method>"
    "<method name='CloseNotification'><arg type='u' direction='in'/></method>"
    "<method name='Notify'><arg type='s' direction='in'/>"
    "<arg type='u' direction='in'/><arg type='s' direction='in'/>"
    "<arg type='s' direction='in'/><arg type='s' direction='in'/>"
    "<arg type='as' direction='in'/><arg type='a{sv}' direction='in'/>"
    "<arg type='i' direction='in'/><arg type='u' direction='out'/></method>"
    "</interface></node>";

/* Serves one of the two interfaces under its name; returns the name's number,
 * which g_bus_unown_name() takes. */
static inline guint
serve(GDBusConnection *bus,
      const char *interface,
      const char *path,
      GDBusInterfaceMethodCallFunc method,
      guint *object,
      void *data)
{
  static const GDBusInterfaceVTable watcher = {.method_call = on_register};
  static const GDBusInterfaceVTable server = {.method_call = on_notification};
  g_autoptr(GError) error = NULL;
  GDBusNodeInfo *node = g_dbus_node_info_new_for_xml(interfaces, &error);
  guint name;

  g_assert_no_error(error);
  *object = g_dbus_connection_register_object(
      bus,
      path,
      g_dbus_node_info_lookup_interface(node, interface),
      method == on_register ? &watcher : &server,
      data,
      NULL,
      &error);
  g_assert_no_error(error);
  g_dbus_node_info_unref(node);
  name = g_bus_own_name_on_connection(
      bus, interface, G_BUS_NAME_OWNER_FLAGS_NONE, NULL, NULL, NULL, NULL);
  return name;
}

static inline void
panel_start(Desktop *desktop)
{
  desktop->panel.bus = connect_to(desktop->address);
  desktop->panel.name = serve(desktop->panel.bus,
                              "org.kde.StatusNotifierWatcher",
                              "/StatusNotifierWatcher",
                              on_register,
                              &desktop->panel.object,
                              &desktop->panel);
}

static inline void
panel_stop(Desktop *desktop)
{
  if (!desktop->panel.bus)
    return;
  g_bus_unown_name(desktop->panel.name);
  /* Or a call that is on its way would find what is freed by then. */
  g_dbus_connection_unregister_object(desktop->panel.bus,
                                      desktop->panel.object);
  g_dbus_connection_close_sync(desktop->panel.bus, NULL, NULL);
  g_clear_object(&desktop->panel.bus);
}

static inline void
server_start(Desktop *desktop)
{
  desktop->server.bus = connect_to(desktop->address);
  desktop->server.name = serve(desktop->server.bus,
                               "org.freedesktop.Notifications",
                               "/org/freedesktop/Notifications",
                               on_notification,
                               &desktop->server.object,
                               &desktop->server);
}

static inline void
server_stop(Desktop *desktop)
{
  if (!desktop->server.bus)
    return;
  g_bus_unown_name(desktop->server.name);
  /* Or a call that is on its way would find what is freed by then. */
  g_dbus_connection_unregister_object(desktop->server.bus,
                                      desktop->server.object);
  g_dbus_connection_close_sync(desktop->server.bus, NULL, NULL);
  g_clear_object(&desktop->server.bus);
}

/* A click, or what a stranger claims to be one. */
static inline void
invoke(GDBusConnection *bus, guint32 id, const char *action)
{
  g_dbus_connection_emit_signal(bus,
                                NULL,
                                "/org/freedesktop/Notifications",
                                "org.freedesktop.Notifications",
                                "ActionInvoked",
                                g_variant_new("(us)", id, action),
                                NULL);
}

#endif
