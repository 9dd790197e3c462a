/* SPDX-License-Identifier: Apache-2.0 */
/* The strict request parser: one head, line by line, then what its fields
 * mean together. Anything that two readers could read differently is refused.
 */
#include "http/request.h"
#include "http/syntax.h"
#include <string.h>

/* Longest method that is worth a table look-up; the registry's longest has 17
 * characters. */
#define MAX_METHOD 32
/* More fields than any client sends; bounds what a head of tiny fields can
 * cost in memory. */
#define MAX_FIELDS 256
/* Longest field name that an error repeats. */
#define MAX_SHOWN_NAME 40

G_DEFINE_QUARK(hoop_http_error, http_error)

typedef struct {
  const char *text;
  size_t len;
} Span;

static bool
fail(GError **error, HttpErrorCode code, const char *reason)
{
  g_set_error_literal(error, HTTP_ERROR, code, reason);
  return false;
}

static bool
fail_field(GError **error, const char *name, size_t len, const char *reason)
{
  if (syntax_is_token(name, len))
    g_set_error(error,
                HTTP_ERROR,
                HTTP_ERROR_BAD_REQUEST,
                "%.*s: %s",
                (int)MIN(len, MAX_SHOWN_NAME),
                name,
                reason);
  else
    fail(error, HTTP_ERROR_BAD_REQUEST, reason);
  return false;
}

typedef enum { LINE_WHOLE, LINE_MORE, LINE_BAD } LineResult;

/* Takes the line at *pos without its CRLF and moves *pos behind it. */
static LineResult
next_line(const uint8_t *bytes,
          size_t len,
          size_t max_head,
          size_t *pos,
          Span *line,
          GError **error)
{
  const uint8_t *from = bytes + *pos;
  const uint8_t *lf = memchr(from, '\n', len - *pos);
  size_t end = lf ? (size_t)(lf - bytes) + 1 : len;
  if (end > max_head) {
    fail(error, HTTP_ERROR_HEAD_TOO_LARGE, "the request head is too large");
    return LINE_BAD;
  }
  if (!lf)
    return LINE_MORE;
  size_t n = (size_t)(lf - from);
  if (n == 0 || from[n - 1] != '\r') {
    fail(error, HTTP_ERROR_BAD_REQUEST, "a line ends in a bare LF");
    return LINE_BAD;
  }
  if (memchr(from, '\r', n - 1)) {
    fail(error, HTTP_ERROR_BAD_REQUEST, "a bare CR in a line");
    return LINE_BAD;
  }
  *line = (Span){(const char *)from, n - 1};
  *pos = end;
  return LINE_WHOLE;
}

/* ---- The request line -------------------------------------------------- */

static bool
parse_version(HttpRequest *request, Span version, GError **error)
{
  const char *v = version.text;
  if (version.len != 8 || memcmp(v, "HTTP/", 5) != 0 ||
      !g_ascii_isdigit(v[5]) || v[6] != '.' || !g_ascii_isdigit(v[7]))
    return fail(error, HTTP_ERROR_BAD_REQUEST, "no HTTP version");
  if (v[5] != '1' || v[7] > '1')
    return fail(
        error, HTTP_ERROR_VERSION, "the HTTP version is neither 1.1 nor 1.0");
  request->http10 = v[7] == '0';
  return true;
}

/* Bytes of one class or percent-encoded octets (RFC 3986 section 2.1). */
static bool
is_encoded(const char *text, size_t len, unsigned class)
{
  for (size_t i = 0; i < len; i++) {
    if (syntax_is((uint8_t)text[i], class))
      continue;
    if (text[i] != '%' || len - i < 3 || !g_ascii_isxdigit(text[i + 1]) ||
        !g_ascii_isxdigit(text[i + 2]))
      return false;
    i += 2;
  }
  return true;
}

/* Sets path and query from origin-form text; an empty path is "/". */
static bool
set_path(HttpRequest *request, Span text, GError **error)
{
  const char *mark = memchr(text.text, '?', text.len);
  size_t path_len = mark ? (size_t)(mark - text.text) : text.len;
  size_t query_len = mark ? text.len - path_len - 1 : 0;
  if (!is_encoded(text.text, path_len, SYNTAX_PATH) ||
      (mark && !is_encoded(mark + 1, query_len, SYNTAX_QUERY)))
    return fail(error,
                HTTP_ERROR_BAD_REQUEST,
                "the target holds bytes that a URI must encode");
  request->path = path_len ? g_strndup(text.text, path_len) : g_strdup("/");
  request->query = mark ? g_strndup(mark + 1, query_len) : NULL;
  return true;
}

/* http(s)://authority[/path][?query]; the authority is kept for the
 * comparison with Host. */
static bool
parse_absolute(HttpRequest *request, Span target, GError **error)
{
  const char *text = strstr(request->target, "://");
  size_t scheme = text ? (size_t)(text - request->target) : 0;
  if (!(scheme == 4 && g_ascii_strncasecmp(target.text, "http", 4) == 0) &&
      !(scheme == 5 && g_ascii_strncasecmp(target.text, "https", 5) == 0))
    return fail(error, HTTP_ERROR_BAD_REQUEST, "the target's form is unknown");
  text += 3;
  size_t n = strcspn(text, "/?#");
  if (!syntax_is_authority(text, n, false))
    return fail(error, HTTP_ERROR_BAD_REQUEST, "the target's authority is odd");
  request->authority = g_ascii_strdown(text, (gssize)n);
  return set_path(request, (Span){text + n, strlen(text + n)}, error);
}

static bool
parse_target(HttpRequest *request, Span target, GError **error)
{
  if (memchr(target.text, '\0', target.len))
    return fail(error, HTTP_ERROR_BAD_REQUEST, "a control byte in the target");
  request->target = g_strndup(target.text, target.len);
  if (strcmp(request->method, "CONNECT") == 0) {
    if (!syntax_is_authority(target.text, target.len, true))
      return fail(
          error, HTTP_ERROR_BAD_REQUEST, "CONNECT's target is not host:port");
    request->authority = g_ascii_strdown(target.text, (gssize)target.len);
    request->path = g_strdup("");
    return true;
  }
  if (target.len == 1 && target.text[0] == '*') {
    if (strcmp(request->method, "OPTIONS") != 0)
      return fail(error,
                  HTTP_ERROR_BAD_REQUEST,
                  "the target * belongs to OPTIONS alone");
    request->path = g_strdup("*");
    return true;
  }
  if (target.text[0] == '/')
    return set_path(request, target, error);
  return parse_absolute(request, target, error);
}

static bool
parse_request_line(HttpRequest *request, Span line, GError **error)
{
  const char *end = line.text + line.len;
  const char *first = memchr(line.text, ' ', line.len);
  const char *second =
      first ? memchr(first + 1, ' ', (size_t)(end - first) - 1) : NULL;
  if (!second || second == first + 1)
    return fail(error,
                HTTP_ERROR_BAD_REQUEST,
                "the request line is not method, target, version");
  size_t method_len = (size_t)(first - line.text);
  if (!syntax_is_token(line.text, method_len))
    return fail(error, HTTP_ERROR_BAD_REQUEST, "the method is no token");
  if (method_len > MAX_METHOD)
    return fail(error, HTTP_ERROR_UNSUPPORTED, "the method is too long");
  if (!parse_version(
          request, (Span){second + 1, (size_t)(end - second) - 1}, error))
    return false;
  request->method = g_strndup(line.text, method_len);
  return parse_target(
      request, (Span){first + 1, (size_t)(second - first) - 1}, error);
}

/* ---- Fields ------------------------------------------------------------ */

static bool
parse_field(HttpRequest *request, Span line, GError **error)
{
  if (line.text[0] == ' ' || line.text[0] == '\t')
    return fail(error, HTTP_ERROR_BAD_REQUEST, "a folded field line");
  const char *colon = memchr(line.text, ':', line.len);
  if (!colon)
    return fail(error, HTTP_ERROR_BAD_REQUEST, "a field line without a colon");
  size_t name_len = (size_t)(colon - line.text);
  if (name_len > 0 && (colon[-1] == ' ' || colon[-1] == '\t')) {
    while (name_len > 0 && g_ascii_isspace(line.text[name_len - 1]))
      name_len--;
    return fail_field(
        error, line.text, name_len, "white space before the colon");
  }
  const char *value = colon + 1, *end = line.text + line.len;
  while (value < end && (*value == ' ' || *value == '\t'))
    value++;
  while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
    end--;
  if (http_headers_count(request->headers) >= MAX_FIELDS)
    return fail(
        error, HTTP_ERROR_HEAD_TOO_LARGE, "the request has too many fields");
  if (headers_add_len(
          request->headers, line.text, name_len, value, (size_t)(end - value)))
    return true;
  if (!syntax_is_token(line.text, name_len))
    return fail(error, HTTP_ERROR_BAD_REQUEST, "a field name is no token");
  return fail_field(error, line.text, name_len, "a control byte in the value");
}

static bool
check_host(HttpRequest *request, GError **error)
{
  unsigned hosts = http_headers_occurrences(request->headers, "Host");
  bool is_connect = strcmp(request->method, "CONNECT") == 0;
  if (hosts > 1)
    return fail(error, HTTP_ERROR_BAD_REQUEST, "Host: stands twice");
  if (hosts == 0) {
    /* HTTP/1.0 tunnels (Python's http.client) come without: the target says
     * it all. */
    if (is_connect && request->http10)
      return true;
    return fail(error, HTTP_ERROR_BAD_REQUEST, "Host: is missing");
  }
  const char *host = http_headers_get(request->headers, "Host");
  if (!syntax_is_authority(host, strlen(host), false))
    return fail(error, HTTP_ERROR_BAD_REQUEST, "Host: is not host[:port]");
  if (is_connect)
    return true; /* its target decides (RFC 9112 section 3.2.3) */
  if (request->authority && g_ascii_strcasecmp(request->authority, host) != 0)
    return fail(error,
                HTTP_ERROR_BAD_REQUEST,
                "Host: differs from the target's authority");
  if (!request->authority)
    request->authority = g_ascii_strdown(host, -1);
  return true;
}

static bool
parse_length(HttpRequest *request, const char *text, GError **error)
{
  int64_t length = 0;
  size_t digits = strspn(text, "0123456789");
  if (digits == 0 || text[digits])
    return fail(
        error, HTTP_ERROR_BAD_REQUEST, "Content-Length: is not a number");
  for (const char *at = text; *at; at++) {
    if (length > (INT64_MAX - 9) / 10)
      return fail(error, HTTP_ERROR_TOO_LARGE, "Content-Length: is too large");
    length = length * 10 + (*at - '0');
  }
  request->content_length = length;
  return true;
}

static bool
is_chunked(const char *item, size_t len)
{
  return len == 7 && g_ascii_strncasecmp(item, "chunked", 7) == 0;
}

/* RFC 9112 section 6.1 and 6.3: a list whose last coding is not chunked is
 * 400, another coding before it 501. */
static bool
parse_transfer_coding(HttpRequest *request, const char *text, GError **error)
{
  SyntaxList list = {text};
  const char *item;
  size_t len;
  unsigned codings = 0, chunked = 0;
  bool last_chunked = false;
  while (syntax_list_next(&list, &item, &len)) {
    codings++;
    last_chunked = is_chunked(item, len);
    chunked += last_chunked;
    if (!syntax_is_token(item, len))
      return fail(error, HTTP_ERROR_BAD_REQUEST, "Transfer-Encoding: is odd");
  }
  if (!last_chunked || chunked > 1)
    return fail(error,
                HTTP_ERROR_BAD_REQUEST,
                "Transfer-Encoding: does not end in one chunked");
  if (codings > 1)
    return fail(error,
                HTTP_ERROR_UNSUPPORTED,
                "Transfer-Encoding: only chunked is supported");
  if (strlen(text) != len) /* ",chunked": an empty element */
    return fail(error, HTTP_ERROR_BAD_REQUEST, "Transfer-Encoding: is odd");
  request->chunked = true;
  return true;
}

static bool
check_framing(HttpRequest *request, GError **error)
{
  const HttpHeaders *headers = request->headers;
  unsigned lengths = http_headers_occurrences(headers, "Content-Length");
  unsigned codings = http_headers_occurrences(headers, "Transfer-Encoding");
  if (lengths && codings)
    return fail(error,
                HTTP_ERROR_BAD_REQUEST,
                "Content-Length: beside Transfer-Encoding");
  if (lengths > 1)
    return fail(error, HTTP_ERROR_BAD_REQUEST, "Content-Length: stands twice");
  if (codings > 1)
    return fail(
        error, HTTP_ERROR_BAD_REQUEST, "Transfer-Encoding: stands twice");
  if (codings && request->http10)
    return fail(
        error, HTTP_ERROR_BAD_REQUEST, "Transfer-Encoding: on HTTP/1.0");
  if (codings &&
      !parse_transfer_coding(
          request, http_headers_get(headers, "Transfer-Encoding"), error))
    return false;
  if (lengths && !parse_length(request,
                               http_headers_get(headers, "Content-Length"),
                               error))
    return false;
  if (strcmp(request->method, "CONNECT") == 0 && request_has_body(request))
    return fail(error, HTTP_ERROR_BAD_REQUEST, "CONNECT with a body");
  return true;
}

static bool
finish(HttpRequest *request, GError **error)
{
  if (!check_framing(request, error) || !check_host(request, error))
    return false;
  const HttpHeaders *headers = request->headers;
  request->keep_alive =
      !http_headers_has_token(headers, "Connection", "close") &&
      (!request->http10 ||
       http_headers_has_token(headers, "Connection", "keep-alive"));
  request->expect_continue =
      !request->http10 && request_has_body(request) &&
      http_headers_has_token(headers, "Expect", "100-continue");
  return true;
}

/* ---- Public ------------------------------------------------------------ */

bool
request_has_body(const HttpRequest *request)
{
  return request->chunked || request->content_length > 0;
}

void
http_request_free(HttpRequest *request)
{
  if (!request)
    return;
  g_free(request->method);
  g_free(request->target);
  g_free(request->path);
  g_free(request->query);
  g_free(request->authority);
  http_headers_free(request->headers);
  g_free(request);
}

bool
http_request_parse(const uint8_t *bytes,
                   size_t len,
                   size_t max_head,
                   HttpRequest **out,
                   size_t *consumed,
                   GError **error)
{
  g_autoptr(HttpRequest) request = NULL;
  size_t pos = 0;
  bool empty_line = false;
  *out = NULL;
  *consumed = 0;
  if (len == 0)
    return true; /* `bytes` may be NULL then */
  for (;;) {
    Span line;
    LineResult got = next_line(bytes, len, max_head, &pos, &line, error);
    if (got != LINE_WHOLE)
      return got == LINE_MORE;
    if (line.len == 0 && !request) {
      /* One is forgiven in front of a request (RFC 9112 section 2.2). */
      if (empty_line)
        return fail(
            error, HTTP_ERROR_BAD_REQUEST, "empty lines before the request");
      empty_line = true;
    } else if (!request) {
      request = g_new0(HttpRequest, 1);
      request->content_length = -1;
      request->headers = http_headers_new();
      if (!parse_request_line(request, line, error))
        return false;
    } else if (line.len > 0) {
      if (!parse_field(request, line, error))
        return false;
    } else {
      break;
    }
  }
  if (!finish(request, error))
    return false;
  *consumed = pos;
  *out = g_steal_pointer(&request);
  return true;
}

int
http_error_status(const GError *error)
{
  if (!error || error->domain != HTTP_ERROR)
    return 400;
  switch ((HttpErrorCode)error->code) {
  case HTTP_ERROR_HEAD_TOO_LARGE:
    return 431;
  case HTTP_ERROR_TOO_LARGE:
    return 413;
  case HTTP_ERROR_VERSION:
    return 505;
  case HTTP_ERROR_UNSUPPORTED:
    return 501;
  case HTTP_ERROR_BAD_REQUEST:
  case HTTP_ERROR_CODING:
    break;
  }
  return 400;
}
