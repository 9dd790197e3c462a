/* SPDX-License-Identifier: Apache-2.0 */
/* Client connections under random conditions (pieces of any size, pauses,
 * slow owners, answers of every framing): every request is answered, in order
 * and with its own body; and nothing breaks when either side stops anywhere. */
#include "http-peer.h"
#include <signal.h>
#include <string.h>

#define ROUNDS 120
#define REQUESTS 8

static const HttpConnLimits limits = {.max_head = 8192,
                                      .first_byte_timeout = 60,
                                      .idle_timeout = 60,
                                      .high_water = 3000};

static unsigned
roll(unsigned below)
{
  return (unsigned)g_test_rand_int_range(0, (gint32)below);
}

/* Requests whose bodies say which one they are; /hold lets the test answer. */
static void
append_request(GString *out, unsigned number)
{
  g_autofree char *body =
      g_strnfill(roll(3) ? roll(200) : roll(40000), (char)('a' + number));
  size_t len = strlen(body);
  g_string_append(out, "POST /hold HTTP/1.1\r\nHost: a\r\n");
  if (roll(2)) {
    g_string_append_printf(out, "Content-Length: %zu\r\n\r\n%s", len, body);
    return;
  }
  g_string_append(out, "Transfer-Encoding: chunked\r\n\r\n");
  for (size_t at = 0; at < len;) {
    size_t piece = 1 + roll(5000), n = MIN(len - at, piece);
    g_string_append_printf(out, "%zx\r\n%.*s\r\n", n, (int)n, body + at);
    at += n;
  }
  g_string_append(out, "0\r\n\r\n");
}

/* The owner of one connection: asks for bodies, sometimes stops them, and
 * answers with the first letter of the body, repeated. */
typedef struct {
  Peer *peer;
  GString *expected; /* the letters of the answers' bodies */
  unsigned answered;
  unsigned requests; /* "R" in the log so far */
  bool asked;
  bool open;
  size_t left;
  char letter;
} Owner;

static unsigned
count_events(const Peer *peer, char event)
{
  unsigned count = 0;
  for (const char *at = peer->log->str; *at; at++)
    count += *at == event && (at == peer->log->str || at[-1] == ' ');
  return count;
}

static void
owner_begin(Owner *owner)
{
  HttpConn *conn = owner->peer->conn;
  owner->letter = owner->peer->body->len ? owner->peer->body->str[0] : '-';
  owner->left = roll(3) ? roll(300) : roll(60000);
  g_autofree char *all = g_strnfill(owner->left, owner->letter);
  g_string_append(owner->expected, all);
  switch (roll(3)) {
  case 0:
    http_conn_reply(conn, 200, NULL, "text/plain", all, owner->left);
    owner->answered++;
    break;
  case 1:
    http_conn_send_head(conn, 200, NULL, HTTP_BODY_SIZED, (int64_t)owner->left);
    owner->open = true;
    break;
  default:
    http_conn_send_head(conn, 200, NULL, HTTP_BODY_CHUNKED, -1);
    owner->open = true;
    break;
  }
}

static void
owner_go_on(Owner *owner)
{
  HttpConn *conn = owner->peer->conn;
  while (owner->left > 0) {
    size_t some = 1 + roll(4000), n = MIN(owner->left, some);
    g_autofree char *piece = g_strnfill(n, owner->letter);
    owner->left -= n;
    if (!http_conn_send(conn, piece, n) || roll(3) == 0)
      return;
  }
  http_conn_end(conn);
  owner->open = false;
  owner->answered++;
}

static void
owner_act(Owner *owner)
{
  Peer *peer = owner->peer;
  if (!peer->conn || roll(3) == 0)
    return;
  unsigned requests = count_events(peer, 'R');
  unsigned ends = count_events(peer, 'E');
  if (owner->open) {
    owner_go_on(owner);
  } else if (requests > owner->answered && !owner->asked) {
    http_conn_read_body(peer->conn);
    owner->asked = true;
  } else if (owner->asked && ends > owner->answered) {
    http_conn_pause_body(peer->conn, false);
    owner->asked = false;
    owner_begin(owner);
  } else {
    http_conn_pause_body(peer->conn, roll(4) == 0);
  }
}

/* All answers came, in order, each with the body that its owner gave it. */
static void
check_answers(const Peer *peer, const Owner *owner)
{
  const char *at = peer->got->str;
  g_autoptr(GString) letters = g_string_new(NULL);
  for (unsigned i = 0; i < REQUESTS; i++) {
    const char *head = strstr(at, "HTTP/1.1 200 OK\r\n");
    g_assert_true(head == at);
    const char *body = strstr(at, "\r\n\r\n") + 4;
    const char *length = strstr(at, "Content-Length: ");
    if (length && length < body) {
      size_t n = (size_t)g_ascii_strtoull(length + 16, NULL, 10);
      g_string_append_len(letters, body, (gssize)n);
      at = body + n;
      continue;
    }
    HttpChunked chunked;
    g_auto(Buf) out;
    size_t consumed = 0;
    bool done = false;
    g_autoptr(GError) error = NULL;
    buf_init(&out, 1 << 20);
    http_chunked_init(&chunked);
    http_chunked_decode(&chunked,
                        (const uint8_t *)body,
                        strlen(body),
                        &consumed,
                        &out,
                        &done,
                        &error);
    g_assert_no_error(error);
    g_assert_true(done);
    g_string_append_len(
        letters, (const char *)buf_bytes(&out), (gssize)out.len);
    at = body + consumed;
  }
  g_assert_cmpstr(at, ==, "");
  g_assert_cmpstr(letters->str, ==, owner->expected->str);
}

static void
one_round(Peer *peer, bool leave)
{
  Owner owner = {.peer = peer, .expected = g_string_new(NULL)};
  g_autoptr(GString) input = g_string_new(NULL);
  for (unsigned i = 0; i < REQUESTS; i++)
    append_request(input, i);
  size_t put = 0, stop = leave ? roll((unsigned)input->len) : SIZE_MAX;
  int64_t end = g_get_monotonic_time() + 20 * G_USEC_PER_SEC;
  peer->wait_ms = 0;
  while (count_events(peer, 'F') < REQUESTS && put < stop && peer->conn) {
    size_t n = roll(2) ? 1 + roll(20) : 1 + roll(20000);
    put += peer_push(peer, input->str + put, MIN(n, input->len - put));
    peer->idle = roll(4) == 0;
    loop_iterate(peer->loop, 0);
    peer_turn(peer);
    owner_act(&owner);
    g_assert_cmpint(g_get_monotonic_time(), <, end);
  }
  peer->idle = false;
  peer->wait_ms = 2;
  if (leave && roll(2)) {
    peer_close(peer);
    for (unsigned i = 0; i < 50 && peer->conn; i++) {
      loop_iterate(peer->loop, 1);
      owner_act(&owner);
    }
  } else if (!leave) {
    peer_rest(peer);
    check_answers(peer, &owner);
  }
  g_string_free(owner.expected, TRUE);
}

static void
test_plain(void)
{
  for (unsigned i = 0; i < ROUNDS; i++) {
    g_autoptr(Peer) peer = roll(2) ? peer_new(&limits) : peer_new_tcp(&limits);
    one_round(peer, i % 3 == 0);
  }
}

static void
test_tls(void)
{
  SSL_CTX *server = peer_server_ctx(), *client = peer_client_ctx();
  for (unsigned i = 0; i < ROUNDS; i++) {
    g_autoptr(Peer) peer = peer_new_tls(&limits, server, client, "a");
    one_round(peer, i % 3 == 0);
  }
  SSL_CTX_free(server);
  SSL_CTX_free(client);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  signal(SIGPIPE, SIG_IGN);
  g_test_add_func("/http/conn-chaos/plain", test_plain);
  g_test_add_func("/http/conn-chaos/tls", test_tls);
  return g_test_run();
}
