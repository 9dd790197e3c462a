/* SPDX-License-Identifier: Apache-2.0 */
/* The way to the daemon: errors that say what to run, and the peer-to-peer
 * connection on the private socket. */
#include "bus/bus.h"
#include <gio/gunixsocketaddress.h>
#include <pthread.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A daemon that does not answer a local call in this time is stuck. */
#define TIMEOUT_MS 10000
/* Nor is one well that does not say who it is: the kernel takes connections
 * for a stopped process too. */
#define CONNECT_S 5

static const GDBusErrorEntry entries[] = {
    {BUS_ERROR_NOT_RUNNING, "io.hoop.Agent1.Error.NotRunning"},
    {BUS_ERROR_FOREIGN, "io.hoop.Agent1.Error.Foreign"},
    {BUS_ERROR_NOT_FOUND, "io.hoop.Agent1.Error.NotFound"},
    {BUS_ERROR_REFUSED, "io.hoop.Agent1.Error.Refused"},
    {BUS_ERROR_INVALID, "io.hoop.Agent1.Error.Invalid"},
    {BUS_ERROR_SILENT, "io.hoop.Agent1.Error.Silent"},
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

/* ---- A limit on the authentication, which GIO has none for
 * ------------------------------------------------------------------------ */

typedef struct {
  pthread_t thread;
  pthread_mutex_t lock;
  pthread_cond_t over;
  bool done;
  GCancellable *cancel;
} Limit;

static void *
wait_for_it(void *data)
{
  Limit *limit = data;
  struct timespec until;
  bool late = false;

  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += CONNECT_S;
  pthread_mutex_lock(&limit->lock);
  while (!limit->done && !late)
    late = pthread_cond_timedwait(&limit->over, &limit->lock, &until) != 0;
  late = !limit->done;
  pthread_mutex_unlock(&limit->lock);
  if (late)
    g_cancellable_cancel(limit->cancel);
  return NULL;
}

static void
limit_clear(Limit *limit)
{
  pthread_cond_destroy(&limit->over);
  pthread_mutex_destroy(&limit->lock);
  g_object_unref(limit->cancel);
}

/* False when there is no thread to be had. */
static bool
limit_start(Limit *limit)
{
  pthread_condattr_t attributes;

  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&limit->over, &attributes);
  pthread_condattr_destroy(&attributes);
  pthread_mutex_init(&limit->lock, NULL);
  limit->done = false;
  limit->cancel = g_cancellable_new();
  if (pthread_create(&limit->thread, NULL, wait_for_it, limit) == 0)
    return true;
  limit_clear(limit);
  return false;
}

static void
limit_end(Limit *limit)
{
  pthread_mutex_lock(&limit->lock);
  limit->done = true;
  pthread_cond_signal(&limit->over);
  pthread_mutex_unlock(&limit->lock);
  pthread_join(limit->thread, NULL);
  limit_clear(limit);
}

static GDBusConnection *
open_connection(const char *path, GError **error)
{
  g_autofree char *escaped = g_dbus_address_escape_value(path);
  g_autofree char *address = g_strconcat("unix:path=", escaped, NULL);
  g_autoptr(GError) why = NULL;
  GDBusConnection *connection;
  Limit limit;

  if (!limit_start(&limit)) {
    g_set_error_literal(error,
                        BUS_ERROR,
                        BUS_ERROR_SILENT,
                        "this process may start no thread to wait for it");
    return NULL;
  }
  connection = g_dbus_connection_new_for_address_sync(
      address,
      G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT,
      NULL,
      limit.cancel,
      &why);
  limit_end(&limit);
  if (connection)
    return connection;
  if (g_error_matches(why, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    g_set_error(error,
                BUS_ERROR,
                BUS_ERROR_SILENT,
                "no word from it in %d s. It is stopped or stuck: `systemctl "
                "--user restart hoop-agent`, or end it and run `hoop-agent "
                "serve`.",
                CONNECT_S);
  else
    g_set_error_literal(error,
                        BUS_ERROR,
                        BUS_ERROR_NOT_RUNNING,
                        "hoop-agent does not run. Start it with `systemctl "
                        "--user start hoop-agent` or `hoop-agent serve`.");
  return NULL;
}

HoopAgent1 *
bus_connect(const char *runtime_dir, GError **error)
{
  g_autofree char *path = bus_socket_path(runtime_dir);
  g_autoptr(GDBusConnection) connection = NULL;
  HoopAgent1 *agent;

  /* Registered, so that the daemon's errors are known by their names. */
  (void)BUS_ERROR;
  if (!folder_is_ours(runtime_dir, error))
    return NULL;
  connection = open_connection(path, error);
  if (!connection)
    return NULL;
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
