/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's end: a private socket on which only this user's processes are
 * authenticated, by the kernel's word for who they are. */
#include "bus/bus.h"
#include "kit/file.h"
#include <errno.h>
#include <gio/gunixsocketaddress.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Command lines and one tray; more would be a loop. */
#define MAX_CONNECTIONS 64

struct bus_server {
  GDBusServer *server;
  GDBusAuthObserver *observer;
  HoopAgent1 *skeleton;
  char *path;
  unsigned connections;
};

static gboolean
allow_mechanism(GDBusAuthObserver *observer,
                const char *mechanism,
                gpointer data)
{
  (void)observer;
  (void)data;
  return g_str_equal(mechanism, "EXTERNAL");
}

/* Runs off the main thread: reads nothing but the kernel's answer. */
static gboolean
authorize(GDBusAuthObserver *observer,
          GIOStream *stream,
          GCredentials *credentials,
          gpointer data)
{
  (void)observer;
  (void)stream;
  (void)data;
  return credentials &&
         g_credentials_get_unix_user(credentials, NULL) == getuid();
}

static void
closed(GDBusConnection *connection,
       gboolean remote,
       GError *error,
       gpointer data)
{
  BusServer *server = data;

  (void)remote;
  (void)error;
  g_signal_handlers_disconnect_by_data(connection, server);
  g_dbus_interface_skeleton_unexport_from_connection(
      G_DBUS_INTERFACE_SKELETON(server->skeleton), connection);
  server->connections--;
  g_object_unref(connection);
}

static gboolean
new_connection(GDBusServer *dbus, GDBusConnection *connection, gpointer data)
{
  BusServer *server = data;

  (void)dbus;
  if (server->connections >= MAX_CONNECTIONS ||
      !g_dbus_interface_skeleton_export(
          G_DBUS_INTERFACE_SKELETON(server->skeleton),
          connection,
          BUS_OBJECT_PATH,
          NULL))
    return FALSE;
  server->connections++;
  g_signal_connect(
      g_object_ref(connection), "closed", G_CALLBACK(closed), server);
  return TRUE;
}

/* A socket that nobody answers on was left by a daemon that was killed. */
static bool
clear_stale(const char *path, GError **error)
{
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  bool live;

  g_strlcpy(address.sun_path, path, sizeof address.sun_path);
  live = fd >= 0 &&
         connect(fd, (const struct sockaddr *)&address, sizeof address) == 0;
  if (fd >= 0)
    close(fd);
  if (live) {
    g_set_error(error,
                BUS_ERROR,
                BUS_ERROR_REFUSED,
                "hoop-agent runs already: it answers on %s",
                path);
    return false;
  }
  if (g_unlink(path) == 0 || errno == ENOENT)
    return true;
  g_set_error(error,
              BUS_ERROR,
              BUS_ERROR_REFUSED,
              "%s: the old socket cannot be removed: %s",
              path,
              g_strerror(errno));
  return false;
}

/* Clients believe a socket only in a folder that is closed to others. */
static bool
make_private(const char *dir, GError **error)
{
  if (!file_private_dir(dir, error))
    return false;
  if (g_chmod(dir, 0700) == 0)
    return true;
  g_set_error(error,
              BUS_ERROR,
              BUS_ERROR_REFUSED,
              "%s: its mode cannot be set: %s",
              dir,
              g_strerror(errno));
  return false;
}

BusServer *
bus_server_new(const char *runtime_dir, HoopAgent1 *skeleton, GError **error)
{
  g_autoptr(BusServer) server = g_new0(BusServer, 1);
  g_autofree char *escaped = NULL;
  g_autofree char *address = NULL;
  g_autofree char *guid = g_dbus_generate_guid();

  server->path = bus_socket_path(runtime_dir);
  if (strlen(server->path) >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
    g_set_error(error,
                BUS_ERROR,
                BUS_ERROR_INVALID,
                "%s: longer than a socket's path can be; set a shorter "
                "XDG_RUNTIME_DIR",
                server->path);
    g_clear_pointer(&server->path, g_free);
    return NULL;
  }
  if (!make_private(runtime_dir, error) || !clear_stale(server->path, error)) {
    g_clear_pointer(&server->path, g_free); /* it is not ours to remove */
    return NULL;
  }
  escaped = g_dbus_address_escape_value(server->path);
  address = g_strconcat("unix:path=", escaped, NULL);
  server->skeleton = g_object_ref(skeleton);
  server->observer = g_dbus_auth_observer_new();
  g_signal_connect(
      server->observer, "allow-mechanism", G_CALLBACK(allow_mechanism), NULL);
  g_signal_connect(server->observer,
                   "authorize-authenticated-peer",
                   G_CALLBACK(authorize),
                   NULL);
  server->server = g_dbus_server_new_sync(
      address,
      G_DBUS_SERVER_FLAGS_AUTHENTICATION_REQUIRE_SAME_USER,
      guid,
      server->observer,
      NULL,
      error);
  if (!server->server)
    return NULL;
  if (g_chmod(server->path, 0600) != 0) {
    g_set_error(error,
                BUS_ERROR,
                BUS_ERROR_REFUSED,
                "%s: its mode cannot be set: %s",
                server->path,
                g_strerror(errno));
    return NULL;
  }
  g_signal_connect(
      server->server, "new-connection", G_CALLBACK(new_connection), server);
  g_dbus_server_start(server->server);
  return g_steal_pointer(&server);
}

void
bus_server_free(BusServer *server)
{
  if (!server)
    return;
  if (server->server) {
    g_dbus_server_stop(server->server);
    /* A connection may wait in the main loop to be told, with a reference. */
    g_signal_handlers_disconnect_by_data(server->server, server);
  }
  g_clear_object(&server->server);
  g_clear_object(&server->observer);
  if (server->skeleton) {
    g_autolist(GDBusConnection) all = g_dbus_interface_skeleton_get_connections(
        G_DBUS_INTERFACE_SKELETON(server->skeleton));

    for (GList *at = all; at; at = at->next)
      closed(at->data, FALSE, NULL, server);
  }
  g_clear_object(&server->skeleton);
  if (server->path)
    g_unlink(server->path);
  g_free(server->path);
  g_free(server);
}
