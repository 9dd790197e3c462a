/* SPDX-License-Identifier: Apache-2.0 */
/* The strict request parser against a table of heads, each also cut at every
 * byte; the limits of a head; header lists. */
#include "http-vectors.h"
#include "http/http.h"
#include <string.h>

#define MAX_HEAD 65536

static const char *
or_quotes(const char *text)
{
  return *text ? text : "\"\"";
}

static char *
describe(const HttpRequest *request)
{
  g_autofree char *length = NULL;
  if (request->chunked)
    length = g_strdup("chunked");
  else if (request->content_length < 0)
    length = g_strdup("none");
  else
    length = g_strdup_printf("%" PRId64, request->content_length);
  return g_strdup_printf("%s %s %s %s %s %s%s",
                         request->method,
                         or_quotes(request->path),
                         request->query ? or_quotes(request->query) : "-",
                         request->authority,
                         length,
                         request->keep_alive ? "keep" : "close",
                         request->expect_continue ? " expect" : "");
}

/* Parses the first `len` bytes, alone in their own memory so that a sanitizer
 * sees any byte read behind them. Returns 0 (more are needed) or the status,
 * with *text as the table has it. */
static int
parse_prefix(const Vector *vector, size_t len, size_t *consumed, char **text)
{
  g_autofree uint8_t *copy = g_malloc(len);
  if (len)
    memcpy(copy, vector->bytes->data, len);
  g_autoptr(HttpRequest) request = NULL;
  g_autoptr(GError) error = NULL;
  bool good =
      http_request_parse(copy, len, MAX_HEAD, &request, consumed, &error);
  g_assert_cmpint(good, ==, error == NULL);
  if (error) {
    g_assert_null(request);
    g_assert_cmpuint(*consumed, ==, 0);
    *text = g_strdup(error->message);
    return http_error_status(error);
  }
  g_assert_cmpint(request == NULL, ==, *consumed == 0);
  *text = request ? describe(request) : NULL;
  return request ? 200 : 0;
}

static void
check_vector(const Vector *vector)
{
  size_t whole = 0;
  g_autofree char *text = NULL;
  int status = parse_prefix(vector, vector->bytes->len, &whole, &text);
  if (status != vector->status || g_strcmp0(text, vector->expected) != 0)
    g_error("http-requests.txt:%d: expected %d \"%s\", got %d \"%s\"",
            vector->line,
            vector->status,
            vector->expected,
            status,
            text);
  for (size_t len = 0; len < vector->bytes->len; len++) {
    size_t consumed = 0;
    g_autofree char *now = NULL;
    int early = parse_prefix(vector, len, &consumed, &now);
    bool same = early == 0 || (early == status && g_strcmp0(now, text) == 0);
    bool complete = status == 200 && len >= whole;
    if (!same || complete != (consumed == whole && whole > 0))
      g_error("http-requests.txt:%d: differs when cut at byte %zu: %d \"%s\"",
              vector->line,
              len,
              early,
              now);
  }
}

static void
test_vectors(void)
{
  g_autoptr(GPtrArray) vectors = vectors_load();
  unsigned accepted = 0, refused = 0;
  for (unsigned i = 0; i < vectors->len; i++) {
    const Vector *vector = vectors->pdata[i];
    check_vector(vector);
    accepted += vector->status == 200;
    refused += vector->status != 200;
  }
  g_test_message("%u accepted, %u refused", accepted, refused);
  g_assert_cmpuint(accepted + refused, >=, 220);
  g_assert_cmpuint(accepted, >=, 60);
}

static int
parse_text(const char *text, size_t len, size_t max_head)
{
  g_autoptr(HttpRequest) request = NULL;
  g_autoptr(GError) error = NULL;
  size_t consumed = 0;
  if (!http_request_parse(
          (const uint8_t *)text, len, max_head, &request, &consumed, &error))
    return http_error_status(error);
  return request ? 200 : 0;
}

static void
test_head_limit(void)
{
  const char head[] = "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n";
  size_t len = sizeof head - 1;
  g_assert_cmpint(parse_text(head, len, len), ==, 200);
  g_assert_cmpint(parse_text(head, len, len - 1), ==, 431);
  /* A line that never ends is refused as soon as it is too long. */
  g_autofree char *endless = g_strnfill(1000, 'A');
  g_assert_cmpint(parse_text(endless, 1000, 1000), ==, 0);
  g_assert_cmpint(parse_text(endless, 1000, 999), ==, 431);
  /* What follows the head does not count. */
  g_autofree char *more = g_strdup_printf("%s%s", head, endless);
  g_assert_cmpint(parse_text(more, len + 1000, len), ==, 200);
}

static void
test_field_limit(void)
{
  for (unsigned extra = 254; extra <= 256; extra++) {
    GString *head = g_string_new("GET / HTTP/1.1\r\nHost: a\r\n");
    for (unsigned i = 0; i < extra; i++)
      g_string_append(head, "a:\r\n");
    g_string_append(head, "\r\n");
    g_assert_cmpint(parse_text(head->str, head->len, MAX_HEAD),
                    ==,
                    extra <= 255 ? 200 : 431);
    g_string_free(head, TRUE);
  }
}

static void
test_values_not_in_errors(void)
{
  const char *heads[] = {
      "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer s3cr3t\x01\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a s3cr3t\r\n\r\n",
      "GET /s3cr3t{} HTTP/1.1\r\nHost: a\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: s3cr3t\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: s3cr3t\r\n\r\n",
  };
  for (unsigned i = 0; i < G_N_ELEMENTS(heads); i++) {
    g_autoptr(HttpRequest) request = NULL;
    g_autoptr(GError) error = NULL;
    size_t consumed = 0;
    g_assert_false(http_request_parse((const uint8_t *)heads[i],
                                      strlen(heads[i]),
                                      MAX_HEAD,
                                      &request,
                                      &consumed,
                                      &error));
    g_assert_null(strstr(error->message, "s3cr3t"));
  }
}

static void
test_headers(void)
{
  g_autoptr(HttpHeaders) headers = http_headers_new();
  g_assert_true(http_headers_add(headers, "Accept", "a"));
  g_assert_true(http_headers_add(headers, "accept", "b , C"));
  g_assert_true(http_headers_add(headers, "X", ""));
  g_assert_false(http_headers_add(headers, "X Y", "v"));
  g_assert_false(http_headers_add(headers, "", "v"));
  g_assert_false(http_headers_add(headers, "X", "a\r\nEvil: 1"));
  g_assert_false(http_headers_set(headers, "Accept", "\x7f"));
  g_assert_cmpuint(http_headers_count(headers), ==, 3);
  g_assert_cmpuint(http_headers_occurrences(headers, "ACCEPT"), ==, 2);
  g_assert_cmpstr(http_headers_get(headers, "ACCEPT"), ==, "a");
  g_assert_null(http_headers_get(headers, "Accep"));
  g_assert_true(http_headers_has_token(headers, "Accept", "c"));
  g_assert_false(http_headers_has_token(headers, "Accept", "b ,"));
  g_assert_false(http_headers_has_token(headers, "X", ""));

  g_autoptr(HttpHeaders) copy = http_headers_copy(headers);
  /* The new value may be the old field's. */
  g_assert_true(
      http_headers_set(headers, "Accept", http_headers_get(headers, "Accept")));
  g_assert_cmpuint(http_headers_occurrences(headers, "Accept"), ==, 1);
  g_assert_cmpstr(http_headers_get(headers, "Accept"), ==, "a");
  http_headers_remove(headers, "x");
  g_assert_cmpuint(http_headers_count(headers), ==, 1);
  g_assert_cmpuint(http_headers_count(copy), ==, 3);
  g_assert_cmpstr(http_headers_name(copy, 1), ==, "accept");
  g_assert_cmpstr(http_headers_value(copy, 1), ==, "b , C");
  http_headers_free(NULL);
}

static void
test_hop_by_hop(void)
{
  static const char *const names[] = {"Connection",
                                      "Keep-Alive",
                                      "Proxy-Authorization",
                                      "Proxy-Connection",
                                      "proxy-x",
                                      "TE",
                                      "Trailer",
                                      "Transfer-Encoding",
                                      "Upgrade",
                                      "X-Named",
                                      "HTTP2-Settings"};
  g_autoptr(HttpHeaders) headers = http_headers_new();
  http_headers_add(headers, "Content-Type", "text/plain");
  for (unsigned i = 0; i < G_N_ELEMENTS(names); i++)
    http_headers_add(headers, names[i], "v");
  http_headers_add(headers, "Connection", "close, x-named ,,HTTP2-Settings");
  http_headers_add(headers, "Proxied", "stays");
  http_headers_remove_hop_by_hop(headers);
  g_assert_cmpuint(http_headers_count(headers), ==, 2);
  g_assert_cmpstr(http_headers_name(headers, 0), ==, "Content-Type");
  g_assert_cmpstr(http_headers_name(headers, 1), ==, "Proxied");
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/http/request/vectors", test_vectors);
  g_test_add_func("/http/request/head-limit", test_head_limit);
  g_test_add_func("/http/request/field-limit", test_field_limit);
  g_test_add_func("/http/request/values-not-in-errors",
                  test_values_not_in_errors);
  g_test_add_func("/http/headers/list", test_headers);
  g_test_add_func("/http/headers/hop-by-hop", test_hop_by_hop);
  return g_test_run();
}
