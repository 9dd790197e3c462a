/* SPDX-License-Identifier: Apache-2.0 */
/* The way to the daemon: errors that say what to run, and the peer-to-peer
 * connection on the private socket. */
#include "bus/bus.h"
#include <gio/gunixsocketaddress.h>
#include <sys/stat.h>
#include <unistd.h>

/* A daemon that does not answer a local call in this time is stuck. */
#define TIMEOUT_MS 10000

static const GDBusErrorEntry entries[] = {
    {BUS_ERROR_NOT_RUNNING, "io.hoop.Agent1.Error.NotRunning"},
    {BUS_ERROR_FOREIGN, "io.hoop.Agent1.Error.Foreign"},
    {BUS_ERROR_NOT_FOUND, "io.hoop.Agent1.Error.NotFound"},
    {BUS_ERROR_REFUSED, "io.hoop.Agent1.Error.Refused"},
    {BUS_ERROR_INVALID, "io.hoop.Agent1.Error.Invalid"},
};

GQuark
bus_error_quark(void)
{
  static gsize quark;

  g_dbus_error_register_error_domain(
      "hoop-bus-error", &quark, entries, G_N_ELEMENTS(entries));
  return (GQuark)quark;
}

char *
bus_socket_path(const char *runtime_dir)
{
  return g_build_filename(runtime_dir, "control.sock", NULL);
}

/* A socket in somebody else's folder would be somebody else's daemon. */
static bool
folder_is_ours(const char *dir, GError **error)
{
  struct stat info;

  if (lstat(dir, &info) != 0) {
    g_set_error_literal(error,
                        BUS_ERROR,
                        BUS_ERROR_NOT_RUNNING,
                        "hoop-agent does not run. Start it with `systemctl "
                        "--user start hoop-agent` or `hoop-agent serve`.");
    return false;
  }
  if (S_ISDIR(info.st_mode) && info.st_uid == getuid() && !(info.st_mode & 077))
    return true;
  g_set_error(error,
              BUS_ERROR,
              BUS_ERROR_FOREIGN,
              "%s is not a folder of this user alone; remove it and restart "
              "hoop-agent",
              dir);
  return false;
}

HoopAgent1 *
bus_connect(const char *runtime_dir, GError **error)
{
  g_autofree char *path = bus_socket_path(runtime_dir);
  g_autofree char *escaped = g_dbus_address_escape_value(path);
  g_autofree char *address = g_strconcat("unix:path=", escaped, NULL);
  g_autoptr(GDBusConnection) connection = NULL;
  HoopAgent1 *agent;

  if (!folder_is_ours(runtime_dir, error))
    return NULL;
  connection = g_dbus_connection_new_for_address_sync(
      address, G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT, NULL, NULL, NULL);
  if (!connection) {
    g_set_error_literal(error,
                        BUS_ERROR,
                        BUS_ERROR_NOT_RUNNING,
                        "hoop-agent does not run. Start it with `systemctl "
                        "--user start hoop-agent` or `hoop-agent serve`.");
    return NULL;
  }
  agent = hoop_agent1_proxy_new_sync(connection,
                                     G_DBUS_PROXY_FLAGS_DO_NOT_LOAD_PROPERTIES,
                                     NULL,
                                     BUS_OBJECT_PATH,
                                     NULL,
                                     error);
  if (agent)
    g_dbus_proxy_set_default_timeout(G_DBUS_PROXY(agent), TIMEOUT_MS);
  return agent;
}
