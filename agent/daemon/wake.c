/* SPDX-License-Identifier: Apache-2.0 */
/* Sleep and locked screens, as logind tells them: whoever comes back to the
 * machine finds what waits still waiting. Without logind nothing is lost but
 * that: deadlines do not run while the machine sleeps. */
#include "daemon/private.h"
#include "kit/log.h"
#include <gio/gio.h>

#define LOGIND "org.freedesktop.login1"
#define MANAGER "org.freedesktop.login1.Manager"
#define SESSION "org.freedesktop.login1.Session"

struct wake {
  struct agent *agent;
  GCancellable *cancel;
  GDBusConnection *bus;
};

static void
grace(const Wake *wake, const char *why)
{
  log_info(
      "%s: what waits can be answered for %d s at least", why, APPROVE_WAKE_S);
  approve_grace(wake->agent->approve, APPROVE_WAKE_S);
}

/* Before it sleeps, so that nothing ends in the moment between, and after. */
static void
on_sleep(GDBusConnection *bus,
         const char *sender,
         const char *path,
         const char *interface,
         const char *signal,
         GVariant *arguments,
         gpointer data)
{
  gboolean begins = FALSE;

  (void)bus;
  (void)sender;
  (void)path;
  (void)interface;
  (void)signal;
  if (!g_variant_is_of_type(arguments, G_VARIANT_TYPE("(b)")))
    return;
  g_variant_get(arguments, "(b)", &begins);
  grace(data, begins ? "the machine goes to sleep" : "the machine woke");
}

static void
on_unlock(GDBusConnection *bus,
          const char *sender,
          const char *path,
          const char *interface,
          const char *signal,
          GVariant *arguments,
          gpointer data)
{
  (void)bus;
  (void)sender;
  (void)path;
  (void)interface;
  (void)signal;
  (void)arguments;
  grace(data, "a session was unlocked");
}

/* Screen lockers that unlock by themselves say so by a property. */
static void
on_hint(GDBusConnection *bus,
        const char *sender,
        const char *path,
        const char *interface,
        const char *signal,
        GVariant *arguments,
        gpointer data)
{
  g_autoptr(GVariant) changed = NULL;
  gboolean locked = TRUE;

  (void)bus;
  (void)sender;
  (void)path;
  (void)interface;
  (void)signal;
  if (!g_variant_is_of_type(arguments, G_VARIANT_TYPE("(sa{sv}as)")))
    return;
  changed = g_variant_get_child_value(arguments, 1);
  if (g_variant_lookup(changed, "LockedHint", "b", &locked) && !locked)
    grace(data, "a session was unlocked");
}

static void
on_connected(GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr(GError) error = NULL;
  GDBusConnection *bus =
      g_dbus_connection_new_for_address_finish(result, &error);
  Wake *wake = data;

  (void)source;
  /* Cancelled: there is nothing any more that it was for. */
  if (!bus) {
    if (!g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
      log_info("no system bus, so nobody tells of sleep and locked screens: %s",
               error->message);
    return;
  }
  wake->bus = bus;
  g_dbus_connection_signal_subscribe(bus,
                                     LOGIND,
                                     MANAGER,
                                     "PrepareForSleep",
                                     NULL,
                                     NULL,
                                     G_DBUS_SIGNAL_FLAGS_NONE,
                                     on_sleep,
                                     wake,
                                     NULL);
  g_dbus_connection_signal_subscribe(bus,
                                     LOGIND,
                                     SESSION,
                                     "Unlock",
                                     NULL,
                                     NULL,
                                     G_DBUS_SIGNAL_FLAGS_NONE,
                                     on_unlock,
                                     wake,
                                     NULL);
  g_dbus_connection_signal_subscribe(bus,
                                     LOGIND,
                                     "org.freedesktop.DBus.Properties",
                                     "PropertiesChanged",
                                     NULL,
                                     SESSION,
                                     G_DBUS_SIGNAL_FLAGS_NONE,
                                     on_hint,
                                     wake,
                                     NULL);
}

GDBusConnection *
wake_bus(const struct agent *agent)
{
  return agent->wake ? agent->wake->bus : NULL;
}

void
wake_start(struct agent *agent)
{
  g_autofree char *address = NULL;
  g_autoptr(GError) error = NULL;

  address = g_dbus_address_get_for_bus_sync(G_BUS_TYPE_SYSTEM, NULL, &error);
  if (!address)
    return;
  agent->wake = g_new0(Wake, 1);
  agent->wake->agent = agent;
  agent->wake->cancel = g_cancellable_new();
  g_dbus_connection_new_for_address(
      address,
      G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
          G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
      NULL,
      agent->wake->cancel,
      on_connected,
      agent->wake);
}

void
wake_stop(struct agent *agent)
{
  Wake *wake = g_steal_pointer(&agent->wake);

  if (!wake)
    return;
  g_cancellable_cancel(wake->cancel);
  g_object_unref(wake->cancel);
  if (wake->bus)
    g_dbus_connection_close_sync(wake->bus, NULL, NULL);
  g_clear_object(&wake->bus);
  g_free(wake);
}
