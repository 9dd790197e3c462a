/* SPDX-License-Identifier: Apache-2.0 */
/* doctor's look at the desktop: where what waits for a person can be shown.
 * Nothing here fails: the terminal always answers. */
#include "cli/doctor.h"
#include <gio/gio.h>

/* A desktop that is well answers at once. */
#define ASK_MS 2000

#define TRAY "io.hoop.AgentTray"
#define WATCHER "org.kde.StatusNotifierWatcher"
#define SERVER "org.freedesktop.Notifications"

static bool
is_set(const char *variable)
{
  const char *value = g_getenv(variable);

  return value && *value;
}

/* NULL when there is no session bus: none is started for this. */
static GDBusConnection *
session_bus(void)
{
  g_autofree char *usual =
      g_build_filename(g_get_user_runtime_dir(), "bus", NULL);

  if (!is_set("DBUS_SESSION_BUS_ADDRESS") &&
      !g_file_test(usual, G_FILE_TEST_EXISTS))
    return NULL;
  return g_bus_get_sync(G_BUS_TYPE_SESSION, NULL, NULL);
}

static bool
has_owner(GDBusConnection *bus, const char *name)
{
  g_autoptr(GVariant) reply =
      g_dbus_connection_call_sync(bus,
                                  "org.freedesktop.DBus",
                                  "/org/freedesktop/DBus",
                                  "org.freedesktop.DBus",
                                  "NameHasOwner",
                                  g_variant_new("(s)", name),
                                  G_VARIANT_TYPE("(b)"),
                                  G_DBUS_CALL_FLAGS_NONE,
                                  ASK_MS,
                                  NULL,
                                  NULL);
  gboolean owned = FALSE;

  if (reply)
    g_variant_get(reply, "(b)", &owned);
  return owned;
}

static void
check_icon(Doctor *doctor, GDBusConnection *bus)
{
  if (!has_owner(bus, TRAY))
    doctor_say(doctor,
               "tray",
               HEALTH_WARN,
               "start hoop-agent-tray, or sign in to the desktop again",
               "the icon does not run: what waits shows in the terminal only");
  else if (!has_owner(bus, WATCHER))
    doctor_say(doctor,
               "tray",
               HEALTH_WARN,
               "add a status tray to the panel (GNOME: the AppIndicator "
               "extension); notifications work without it",
               "no panel shows status icons");
  else
    doctor_say(doctor, "tray", HEALTH_OK, NULL, "the icon is in the panel");
}

/* Starts a server that the bus can activate, as the tray does. */
static void
check_notifications(Doctor *doctor, GDBusConnection *bus)
{
  g_autoptr(GVariant) reply =
      g_dbus_connection_call_sync(bus,
                                  SERVER,
                                  "/org/freedesktop/Notifications",
                                  SERVER,
                                  "GetCapabilities",
                                  NULL,
                                  G_VARIANT_TYPE("(as)"),
                                  G_DBUS_CALL_FLAGS_NONE,
                                  ASK_MS,
                                  NULL,
                                  NULL);
  g_autofree const char **list = NULL;

  if (reply)
    g_variant_get(reply, "(^a&s)", &list);
  if (!list)
    doctor_say(doctor,
               "notices",
               HEALTH_WARN,
               "install a notification server, or use the icon's menu and "
               "hoop-agent pending",
               "no notification server answers");
  else if (!g_strv_contains(list, "actions"))
    doctor_say(doctor,
               "notices",
               HEALTH_WARN,
               "use the icon's menu or hoop-agent pending to answer",
               "the notification server has no buttons");
  else
    doctor_say(doctor,
               "notices",
               HEALTH_OK,
               NULL,
               "notifications can be shown and answered");
}

void
check_desktop(Doctor *doctor)
{
  bool graphical = is_set("DISPLAY") || is_set("WAYLAND_DISPLAY");
  g_autoptr(GDBusConnection) bus = graphical ? session_bus() : NULL;

  if (!bus) {
    doctor_say(doctor,
               "desktop",
               HEALTH_OK,
               NULL,
               "none here: hoop-agent pending, review, approve and deny answer "
               "what waits");
    return;
  }
  check_icon(doctor, bus);
  check_notifications(doctor, bus);
}
