/* SPDX-License-Identifier: Apache-2.0 */
/* The door as a whole: sockets that knock, clients that were let in, and never
 * more of them than configured. */
#include "front/state.h"
#include <unistd.h>

static unsigned
open_connections(const Front *front)
{
  return g_hash_table_size(front->knocks) + g_hash_table_size(front->clients) +
         front->n_tunnels;
}

void
front_make_room(Front *front)
{
  listener_pause(front->listener,
                 open_connections(front) >= front->options.connections);
}

void
front_tunnel_ended(void *data)
{
  Front *front = data;

  front->n_tunnels--;
  front_make_room(front);
}

static void
accepted(int fd, bool unix_socket, void *data)
{
  Front *front = data;

  (void)unix_socket;
  knock_begin(front, fd);
  front_make_room(front);
}

Front *
front_new(Loop *loop,
          WorkerPool *workers,
          Ca *ca,
          const FrontOptions *options,
          GError **error)
{
  g_autoptr(Front) front = g_new0(Front, 1);

  front->loop = loop;
  front->lookups = lookups_new(workers, loop);
  front->ca = ca;
  front->options = *options;
  front->knocks = g_hash_table_new(NULL, NULL);
  front->clients = g_hash_table_new(NULL, NULL);
  front->leaves = leaves_new(ca, error);
  front->peers = front->leaves ? peers_new(error) : NULL;
  front->listener = front->peers ? listener_new(loop, options, error) : NULL;
  return front->listener ? g_steal_pointer(&front) : NULL;
}

void
front_start(Front *front, ExchangeEnv *env)
{
  front->env = env;
  listener_start(front->listener, accepted, front);
}

void
front_stop(Front *front)
{
  listener_stop(front->listener);
}

static void
end_all(Front *front)
{
  g_autofree gpointer *knocks = NULL;
  g_autofree gpointer *clients = NULL;
  unsigned n;

  knocks = g_hash_table_get_keys_as_array(front->knocks, &n);
  for (unsigned i = 0; i < n; i++)
    knock_free(knocks[i]);
  clients = g_hash_table_get_keys_as_array(front->clients, &n);
  for (unsigned i = 0; i < n; i++)
    client_abort(clients[i]);
  /* `closed` comes from the loop. */
  if (n)
    loop_iterate(front->loop, 0);
}

void
front_free(Front *front)
{
  if (!front)
    return;
  if (front->listener)
    front_stop(front); /* nobody comes in while those who are in leave */
  end_all(front);
  listener_free(front->listener);
  lookups_free(front->lookups);
  peers_free(front->peers);
  leaves_free(front->leaves);
  g_hash_table_unref(front->knocks);
  g_hash_table_unref(front->clients);
  g_free(front);
}

uint16_t
front_port(const Front *front)
{
  return listener_port(front->listener);
}
