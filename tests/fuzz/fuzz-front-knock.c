/* SPDX-License-Identifier: Apache-2.0 */
/* What a client says first, in two pieces, to a real door over a socket: it
 * ends in TLS, a tunnel, an answer or silence, and gives its place back. */
#include "tests/unit/front-door.h"
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Enough for a CONNECT's answer, a refusal and an HTTP answer behind it. */
#define ROUNDS 12

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static Door *
the_door(void)
{
  static Door *door;
  FrontOptions options = door_options();

  if (!door) {
    options.plain_base_url = true;
    options.http.max_head = 2048;
    door = door_new(&options, NULL);
  }
  return door;
}

static void
rounds(Door *door, int fd, char *got, size_t room)
{
  size_t len = strlen(got);

  for (unsigned i = 0; i < ROUNDS; i++) {
    ssize_t n;

    loop_iterate(door->loop, 0);
    n = recv(fd, got + len, room - len - 1, 0);
    if (n > 0)
      len += (size_t)n;
    got[len] = '\0';
  }
}

/* Only what is in the clear can be looked at. */
static void
check(const Door *door, const char *got)
{
  if (*got && *got != 0x15 && *got != 0x16)
    g_assert_true(g_str_has_prefix(got, "HTTP/1."));
  for (unsigned i = 0; i < door->tunnels->len; i++) {
    const Tunnel *tunnel = door->tunnels->pdata[i];

    g_assert_true(*tunnel->host && tunnel->port);
    g_assert_null(conn_for_host(door->conns, tunnel->host, tunnel->port));
    g_assert_null(strpbrk(tunnel->host, "[]/@ \r\n"));
  }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  Door *door = the_door();
  size_t cut = size ? data[0] % size : 0;
  char got[16384] = "";
  int fds[2];

  if (size > 8192)
    return 0;
  g_assert_cmpint(
      socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds),
      ==,
      0);
  knock_begin(door->front, fds[0]);
  if (size && send(fds[1], data + 1, cut, MSG_NOSIGNAL) == (ssize_t)cut) {
    rounds(door, fds[1], got, sizeof got);
    send(fds[1], data + 1 + cut, size - 1 - cut, MSG_NOSIGNAL);
    rounds(door, fds[1], got, sizeof got);
  }
  check(door, got);
  close(fds[1]);
  g_ptr_array_set_size(door->tunnels, 0);
  for (unsigned i = 0; i < ROUNDS; i++)
    loop_iterate(door->loop, 0);
  g_assert_cmpuint(g_hash_table_size(door->front->knocks), ==, 0);
  g_assert_cmpuint(g_hash_table_size(door->front->clients), ==, 0);
  g_assert_cmpuint(door->front->n_tunnels, ==, 0);
  g_ptr_array_set_size(door->refused, 0);
  return 0;
}
