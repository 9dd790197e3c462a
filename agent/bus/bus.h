/* SPDX-License-Identifier: Apache-2.0 */
/* The control interface: generated skeleton and proxy, and how a program of
 * the same user reaches the daemon. */
#ifndef HOOP_BUS_H
#define HOOP_BUS_H

#include "bus/hoop-agent-bus.h"
#include <stdbool.h>

#define BUS_OBJECT_PATH "/io/hoop/Agent"

/* What Status tells of the interface: how much of it the daemon has. */
#define BUS_INTERFACE 2

#define BUS_ERROR (bus_error_quark())
GQuark bus_error_quark(void);
typedef enum {
  BUS_ERROR_NOT_RUNNING, /* no daemon answers; the message says what to run */
  BUS_ERROR_FOREIGN,     /* the socket's folder is not private to this user */
  /* What methods fail with, mapped to io.hoop.Agent1.Error.NAME */
  BUS_ERROR_NOT_FOUND,
  BUS_ERROR_REFUSED,
  BUS_ERROR_INVALID,
  BUS_ERROR_SILENT /* a daemon took the connection and said nothing for 5 s */
} BusErrorCode;

/* RUNTIME_DIR/control.sock; g_free. */
char *bus_socket_path(const char *runtime_dir);

/* Connects to the daemon of this user: EXTERNAL authentication on the private
 * socket, no bus daemon. Blocks for 5 s at most, and 10 s for each call then.
 * g_object_unref() the proxy. */
HoopAgent1 *bus_connect(const char *runtime_dir, GError **error);

/* Serves on RUNTIME_DIR/control.sock (0600 in a folder of 0700; a stale socket
 * is replaced, a live one is an error): peers must have this process's uid and
 * use EXTERNAL. Each new connection exports `skeleton`. */
typedef struct bus_server BusServer;
BusServer *bus_server_new(const char *runtime_dir,
                          HoopAgent1 *skeleton,
                          GError **error);
void bus_server_free(BusServer *server);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BusServer, bus_server_free)

#endif
