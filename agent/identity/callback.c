/* SPDX-License-Identifier: Apache-2.0 */
/* A listener for one answer. Whoever guesses the port still has to know the
 * state; who does not learns nothing and ends nothing. */
#include "config.h"

#include "http/http.h"
#include "identity/callback.h"
#include "identity/claims.h"
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATH "/callback"
/* Browsers open a second connection on a guess, and ask for an icon. */
#define MAX_GUESTS 8
/* Codes are a few hundred bytes; Entra's are 1.5 KiB. */
#define MAX_HEAD ((size_t)16 * 1024)
#define GUEST_S 10
#define HIGH_WATER ((size_t)64 * 1024)
/* Of the provider's words on the page. */
#define MAX_WORDS 300

struct callback {
  Loop *loop;
  LoopWatch *watch;
  int fd;
  char *host; /* 127.0.0.1:PORT */
  char *uri;
  char *state;
  bool (*is_ours)(int fd); /* or NULL */
  void (*done)(const CallbackAnswer *answer, void *data);
  void *data;
  HttpConn *guests[MAX_GUESTS];
};

/* ---- the query ----------------------------------------------------------- */

void
callback_answer_clear(CallbackAnswer *answer)
{
  g_clear_pointer(&answer->code, secret_unref);
  g_clear_pointer(&answer->error, g_free);
  g_clear_pointer(&answer->description, g_free);
  g_clear_pointer(&answer->issuer, g_free);
}

/* Decodes len bytes of a form; NULL when they are none. */
static GString *
decode(const char *text, size_t len)
{
  GString *out = g_string_sized_new(len + 1);

  for (size_t i = 0; i < len; i++) {
    int high, low;

    if (text[i] != '%') {
      g_string_append_c(out, text[i] == '+' ? ' ' : text[i]);
      continue;
    }
    high = i + 2 < len ? g_ascii_xdigit_value(text[i + 1]) : -1;
    low = high >= 0 ? g_ascii_xdigit_value(text[i + 2]) : -1;
    if (low < 0 || (high == 0 && low == 0)) {
      g_string_free(out, TRUE);
      return NULL;
    }
    g_string_append_c(out, (char)(high << 4 | low));
    i += 2;
  }
  return out;
}

static bool
is_visible(const GString *text)
{
  for (size_t i = 0; i < text->len; i++)
    if (text->str[i] < 0x20 || text->str[i] > 0x7e)
      return false;
  return text->len > 0;
}

static bool
keep_text(char **slot, const GString *value)
{
  if (*slot)
    return false;
  *slot = g_strdup(value->str);
  return true;
}

/* One parameter; false when it must not be there. */
static bool
take(CallbackAnswer *answer,
     char **state,
     const char *name,
     const GString *value)
{
  if (g_str_equal(name, "state"))
    return keep_text(state, value);
  if (g_str_equal(name, "error"))
    return keep_text(&answer->error, value);
  if (g_str_equal(name, "error_description"))
    return keep_text(&answer->description, value);
  if (g_str_equal(name, "iss"))
    return keep_text(&answer->issuer, value);
  if (!g_str_equal(name, "code"))
    return true;
  if (answer->code || !is_visible(value))
    return false;
  answer->code = secret_new(value->str, value->len);
  return true;
}

static bool
take_pair(CallbackAnswer *answer, char **state, const char *pair, size_t len)
{
  const char *equals = memchr(pair, '=', len);
  const size_t name_len = equals ? (size_t)(equals - pair) : len;
  GString *name = decode(pair, name_len);
  GString *value = NULL;
  bool good = false;

  if (name)
    value = equals ? decode(equals + 1, len - name_len - 1) : g_string_new("");
  if (value) {
    good = take(answer, state, name->str, value);
    secret_wipe(value->str, value->len);
    g_string_free(value, TRUE);
  }
  if (name)
    g_string_free(name, TRUE);
  return good;
}

static bool
is_state(const char *sent, const char *state)
{
  const size_t len = strlen(state);

  return sent && strlen(sent) == len && CRYPTO_memcmp(sent, state, len) == 0;
}

bool
callback_read(const char *query, const char *state, CallbackAnswer *answer)
{
  g_auto(CallbackAnswer) found = {NULL};
  g_autofree char *sent = NULL;

  while (*query != '\0') {
    const size_t len = strcspn(query, "&");

    if (len > 0 && !take_pair(&found, &sent, query, len))
      return false;
    query += len + (query[len] == '&');
  }
  if (!is_state(sent, state) || (found.code != NULL) == (found.error != NULL))
    return false;
  *answer = found;
  found = (CallbackAnswer){NULL};
  return true;
}

/* ---- pages --------------------------------------------------------------- */

static const char style[] =
    "body{font:1.1em/1.5 system-ui,sans-serif;max-width:34em;margin:4em auto;"
    "padding:0 1em;color:#222;background:#fff}"
    "@media(prefers-color-scheme:dark){body{color:#ddd;background:#222}}";

/* Nothing may run or be loaded; the style is named by its digest. */
static HttpHeaders *
page_headers(void)
{
  HttpHeaders *headers = http_headers_new();
  g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
  g_autofree char *digest = NULL;
  g_autofree char *csp = NULL;
  guint8 bytes[32];
  gsize len = sizeof bytes;

  g_checksum_update(sum, (const guchar *)style, sizeof style - 1);
  g_checksum_get_digest(sum, bytes, &len);
  digest = g_base64_encode(bytes, len);
  csp = g_strdup_printf("default-src 'none'; style-src 'sha256-%s'; "
                        "base-uri 'none'; form-action 'none'; "
                        "frame-ancestors 'none'",
                        digest);
  http_headers_add(headers, "Content-Security-Policy", csp);
  http_headers_add(headers, "X-Content-Type-Options", "nosniff");
  http_headers_add(headers, "Referrer-Policy", "no-referrer");
  http_headers_add(headers, "Cache-Control", "no-store");
  return headers;
}

static void
reply(HttpConn *conn, int status, const char *title, const char *text)
{
  g_autoptr(HttpHeaders) headers = page_headers();
  g_autofree char *words = g_markup_escape_text(text, -1);
  g_autofree char *page = g_strdup_printf(
      "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<title>hoop-agent: %s</title><style>%s</style></head>"
      "<body><h1>%s</h1><p>%s</p></body></html>\n",
      title,
      style,
      title,
      words);

  http_conn_close_after(conn);
  http_conn_reply(
      conn, status, headers, "text/html; charset=utf-8", page, strlen(page));
}

static void
reply_answer(HttpConn *conn, const CallbackAnswer *answer)
{
  g_autofree char *word = NULL;
  g_autofree char *words = NULL;
  g_autofree char *text = NULL;

  if (answer->code) {
    reply(conn,
          200,
          "Back to the terminal",
          "hoop-agent has the answer and checks it. You can close this page.");
    return;
  }
  word = claims_printable(answer->error, MAX_WORDS);
  words = claims_printable(answer->description ? answer->description : "",
                           MAX_WORDS);
  text = g_strdup_printf(
      "The provider says: %s%s%s", word, *words ? ": " : "", words);
  reply(conn, 200, "Not signed in", text);
}

/* ---- guests -------------------------------------------------------------- */

static void
on_request(HttpConn *conn, HttpRequest *request, void *data)
{
  g_autoptr(HttpRequest) taken = request;
  Callback *callback = data;
  g_auto(CallbackAnswer) answer = {NULL};

  if (!callback || !callback->watch || !g_str_equal(taken->method, "GET") ||
      !g_str_equal(taken->path, PATH) || !taken->query ||
      g_strcmp0(taken->authority, callback->host) != 0) {
    reply(conn, 404, "Nothing here", "This address waits for one answer.");
    return;
  }
  if (!callback_read(taken->query, callback->state, &answer)) {
    reply(conn,
          400,
          "Not the answer",
          "This does not belong to the sign-in that is under way. Begin again "
          "with the address that hoop-agent showed.");
    return;
  }
  reply_answer(conn, &answer);
  callback_stop(callback);
  callback->done(&answer, callback->data);
}

static void
on_body(HttpConn *conn, const uint8_t *bytes, size_t len, void *data)
{
  (void)conn;
  (void)bytes;
  (void)len;
  (void)data;
}

static void
on_nothing(HttpConn *conn, void *data)
{
  (void)conn;
  (void)data;
}

static void
on_closed(HttpConn *conn, void *data)
{
  Callback *callback = data;

  for (unsigned i = 0; callback && i < MAX_GUESTS; i++)
    if (callback->guests[i] == conn)
      callback->guests[i] = NULL;
}

static void
on_accept(uint32_t events, void *data)
{
  static const HttpConnEvents told = {.request = on_request,
                                      .body = on_body,
                                      .body_end = on_nothing,
                                      .finished = on_nothing,
                                      .writable = on_nothing,
                                      .closed = on_closed};
  static const HttpConnLimits limits = {.max_head = MAX_HEAD,
                                        .first_byte_timeout = GUEST_S,
                                        .idle_timeout = GUEST_S,
                                        .high_water = HIGH_WATER};
  Callback *callback = data;
  const int fd =
      accept4(callback->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  unsigned i = 0;

  (void)events;
  if (fd < 0)
    return;
  while (i < MAX_GUESTS && callback->guests[i])
    i++;
  if (i == MAX_GUESTS || (callback->is_ours && !callback->is_ours(fd))) {
    close(fd);
    return;
  }
  callback->guests[i] =
      http_conn_new(callback->loop, fd, NULL, &limits, &told, callback);
}

/* ---- the listener -------------------------------------------------------- */

static int
listen_on(uint16_t port, uint16_t *chosen)
{
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons(port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof address;
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int fault;

  if (fd < 0)
    return -1;
  /* A fixed port may still be held by the last sign-in's connections. */
  if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) == 0 &&
      bind(fd, (struct sockaddr *)&address, len) == 0 &&
      listen(fd, MAX_GUESTS) == 0 &&
      getsockname(fd, (struct sockaddr *)&address, &len) == 0) {
    *chosen = ntohs(address.sin_port);
    return fd;
  }
  fault = errno;
  close(fd);
  errno = fault;
  return -1;
}

Callback *
callback_new(Loop *loop,
             uint16_t port,
             const char *state,
             bool (*is_ours)(int fd),
             void (*done)(const CallbackAnswer *answer, void *data),
             void *data,
             GError **error)
{
  g_autoptr(Callback) callback = g_new0(Callback, 1);
  uint16_t chosen = 0;

  callback->loop = loop;
  callback->fd = listen_on(port, &chosen);
  if (callback->fd >= 0)
    callback->watch =
        loop_watch_new(loop, callback->fd, EPOLLIN, on_accept, callback);
  if (!callback->watch) {
    g_set_error(error,
                IDENTITY_ERROR,
                IDENTITY_ERROR_CONFIG,
                "cannot listen on 127.0.0.1 port %u for the browser's answer "
                "(redirect-port): %s",
                (unsigned)port,
                g_strerror(errno));
    return NULL;
  }
  callback->host = g_strdup_printf("127.0.0.1:%u", (unsigned)chosen);
  callback->uri = g_strdup_printf("http://%s" PATH, callback->host);
  callback->state = g_strdup(state);
  callback->is_ours = is_ours;
  callback->done = done;
  callback->data = data;
  return g_steal_pointer(&callback);
}

const char *
callback_uri(const Callback *callback)
{
  return callback->uri;
}

void
callback_stop(Callback *callback)
{
  loop_watch_free(g_steal_pointer(&callback->watch));
  if (callback->fd >= 0)
    close(callback->fd);
  callback->fd = -1;
}

void
callback_free(Callback *callback)
{
  if (!callback)
    return;
  callback_stop(callback);
  for (unsigned i = 0; i < MAX_GUESTS; i++)
    if (callback->guests[i]) {
      http_conn_set_data(callback->guests[i], NULL);
      http_conn_abort(callback->guests[i]);
    }
  g_free(callback->host);
  g_free(callback->uri);
  g_free(callback->state);
  g_free(callback);
}
