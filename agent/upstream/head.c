/* SPDX-License-Identifier: Apache-2.0 */
/* Response heads, checked more strictly than curl does: bytes that could be
 * read in two ways end the request. */
#include "upstream/head.h"

#include <string.h>

/* The agent never offers an upgrade. */
#define SWITCHING_PROTOCOLS 101

void
head_clear(Head *head)
{
  g_clear_pointer(&head->headers, http_headers_free);
}

static bool
is_status_line(const char *line, size_t len)
{
  return len >= 5 && memcmp(line, "HTTP/", 5) == 0;
}

/* "HTTP/1.1 200 OK" or "HTTP/2 200". */
static const char *
begin(Head *head, const char *line, size_t len)
{
  const char *code = memchr(line, ' ', len);

  if (code == NULL || (size_t)(line + len - code) < 4 ||
      !g_ascii_isdigit(code[1]) || !g_ascii_isdigit(code[2]) ||
      !g_ascii_isdigit(code[3]))
    return "its status line is malformed";
  head->status = (code[1] - '0') * 100 + (code[2] - '0') * 10 + (code[3] - '0');
  head->multiplexed = line[5] == '2';
  if (head->status < 100)
    return "its status line is malformed";
  if (head->status == SWITCHING_PROTOCOLS)
    return "it switched protocols unasked";
  head_clear(head);
  head->headers = http_headers_new();
  return NULL;
}

static bool
is_blank(char c)
{
  return c == ' ' || c == '\t';
}

static const char *
add_field(Head *head, const char *line, size_t len)
{
  const char *colon = memchr(line, ':', len);
  g_autofree char *name = NULL;
  g_autofree char *value = NULL;
  const char *start;
  size_t n;

  if (is_blank(line[0]))
    return "a header field is folded";
  if (colon == NULL || memchr(line, '\0', len) != NULL)
    return "a header field is malformed";
  start = colon + 1;
  n = (size_t)(line + len - start);
  while (n > 0 && is_blank(*start)) {
    start++;
    n--;
  }
  while (n > 0 && is_blank(start[n - 1]))
    n--;
  name = g_strndup(line, (gsize)(colon - line));
  value = g_strndup(start, n);
  if (!http_headers_add(head->headers, name, value))
    return "a header field is malformed";
  return NULL;
}

static bool
is_length(const char *value)
{
  size_t n = strspn(value, "0123456789");

  return n > 0 && n <= 18 && value[n] == '\0';
}

/* RFC 9112 section 6.3: what could be framed in two ways is an error. */
static const char *
check_framing(const Head *head)
{
  const char *coding = http_headers_get(head->headers, "Transfer-Encoding");
  const char *length = NULL;

  if (head->multiplexed)
    return NULL;
  if (coding != NULL &&
      (g_ascii_strcasecmp(coding, "chunked") != 0 ||
       http_headers_occurrences(head->headers, "Transfer-Encoding") != 1))
    return "its transfer coding is not chunked";
  if (http_headers_occurrences(head->headers, "Content-Length") == 0)
    return NULL;
  if (coding != NULL)
    return "it is framed both by length and by chunks";
  for (unsigned i = 0; i < http_headers_count(head->headers); i++) {
    const char *value = http_headers_value(head->headers, i);

    if (g_ascii_strcasecmp(http_headers_name(head->headers, i),
                           "Content-Length") != 0)
      continue;
    if (!is_length(value) || (length != NULL && strcmp(length, value) != 0))
      return "its Content-Length is malformed or given twice";
    length = value;
  }
  return NULL;
}

const char *
head_line(Head *head, const char *line, size_t len, bool *final)
{
  *final = false;
  head->bytes += len;
  if (head->bytes > HEAD_MAX)
    return "its header exceeds 64 KiB";
  if (head->complete)
    return NULL;
  while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r'))
    len--;
  if (is_status_line(line, len))
    return begin(head, line, len);
  if (head->headers == NULL)
    return "its status line is missing";
  if (len > 0)
    return add_field(head, line, len);
  if (head->status < 200)
    return NULL;
  head->complete = true;
  *final = true;
  return check_framing(head);
}

bool
head_is_close_delimited(const Head *head, bool head_request)
{
  return !head->multiplexed && !head_request && head->status != 204 &&
         head->status != 304 &&
         http_headers_get(head->headers, "Content-Length") == NULL &&
         http_headers_get(head->headers, "Transfer-Encoding") == NULL;
}
