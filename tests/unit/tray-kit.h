/* SPDX-License-Identifier: Apache-2.0 */
/* The tray itself on the desktop of desktop-kit.h: started, asked as a panel
 * asks it, clicked, ended. */
#ifndef HOOP_TEST_TRAY_KIT_H
#define HOOP_TEST_TRAY_KIT_H

#include "tests/unit/desktop-kit.h"
#include <glib/gstdio.h>

/* No call to a bus or a child may keep a test longer. */
#define TEST_S 90

/* ---- The tray ------------------------------------------------------------
 */

static inline GPid
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
  env = g_environ_setenv(env, "XDG_STATE_HOME", desktop->dir, TRUE);
  env = g_environ_setenv(env, "XDG_CACHE_HOME", desktop->dir, TRUE);
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

static inline int
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

static inline void
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
static inline GVariant *
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

static inline GVariant *
ask(Desktop *desktop,
    const char *path,
    const char *interface,
    const char *method,
    GVariant *parameters)
{
  return try_to_ask(desktop, path, interface, method, parameters, false);
}

static inline char *
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

static inline bool
property_has(Desktop *desktop, const char *name, const char *text)
{
  g_autofree char *value = property(desktop, name);

  return strstr(value, text) != NULL;
}

/* The number of the row with this label, or -1. */
static inline int
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

static inline int
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
static inline bool
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

static inline void
menu_click(Desktop *desktop, const char *label)
{
  int row;

  until((row = menu_row(desktop, label)) >= 0 &&
        menu_event(desktop, row, "clicked"));
}

/* ---- Set-up --------------------------------------------------------------
 */

static inline void
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

static inline void
remove_all(const char *dir)
{
  static const char *const names[] = {"hoop-agent/control.sock",
                                      "hoop-agent/tray-notification",
                                      "hoop-agent/tray-quiet",
                                      "hoop-agent",
                                      "bus.conf"};

  for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
    g_autofree char *path = g_build_filename(dir, names[i], NULL);

    g_remove(path);
  }
  g_rmdir(dir);
}

static inline void
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
  g_free(desktop->daemon.name);
  g_free(desktop->panel.item);
  g_free(desktop->server.headline);
  g_free(desktop->server.body);
  g_free(desktop->server.actions);
  alarm(0);
}

static inline void
dismiss(GDBusConnection *bus, unsigned id)
{
  g_dbus_connection_emit_signal(bus,
                                NULL,
                                "/org/freedesktop/Notifications",
                                "org.freedesktop.Notifications",
                                "NotificationClosed",
                                g_variant_new("(uu)", (guint32)id, (guint32)2),
                                NULL);
  g_dbus_connection_flush_sync(bus, NULL, NULL);
}

static inline bool
file_says(const char *path, const char *wanted)
{
  g_autofree char *text = NULL;

  return g_file_get_contents(path, &text, NULL, NULL) &&
         g_str_equal(text, wanted);
}

static inline void
add_test(const char *path, void (*test)(Desktop *, const void *))
{
  g_test_add(path, Desktop, NULL, set_up, test, tear_down);
}

#endif
