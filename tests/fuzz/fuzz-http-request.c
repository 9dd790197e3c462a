/* SPDX-License-Identifier: Apache-2.0 */
/* The request parser: a head that arrives in pieces means the same as the
 * whole, and what was accepted holds what the contract promises. */
#include "http/http.h"
#include <string.h>

#define MAX_HEAD 4096
/* Cutting at every byte is quadratic. */
#define MAX_CUTS 600

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_accepted(const HttpRequest *request, size_t consumed, size_t size)
{
  const HttpHeaders *headers = request->headers;
  g_assert_true(consumed > 0 && consumed <= size && consumed <= MAX_HEAD);
  g_assert_true(request->method[0] && request->target[0]);
  g_assert_true(!(request->chunked && request->content_length >= 0));
  g_assert_cmpuint(http_headers_occurrences(headers, "Host"), <=, 1);
  g_assert_cmpuint(http_headers_occurrences(headers, "Content-Length") +
                       http_headers_occurrences(headers, "Transfer-Encoding"),
                   <=,
                   1);
  g_assert_true(request->authority && request->authority[0]);
  for (const char *at = request->authority; *at; at++)
    g_assert_true(*at > ' ' && *at < 0x7f && !g_ascii_isupper(*at));
  for (const char *at = request->target; *at; at++)
    g_assert_true(*at > ' ' && *at < 0x7f && *at != '#');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  g_autoptr(HttpRequest) whole = NULL;
  g_autoptr(GError) error = NULL;
  size_t consumed = 0;
  http_request_parse(data, size, MAX_HEAD, &whole, &consumed, &error);
  if (whole)
    check_accepted(whole, consumed, size);
  for (size_t cut = 0; cut < MIN(size, MAX_CUTS); cut++) {
    g_autofree uint8_t *part = g_memdup2(data, cut);
    g_autoptr(HttpRequest) early = NULL;
    g_autoptr(GError) early_error = NULL;
    size_t early_consumed = 0;
    http_request_parse(
        part, cut, MAX_HEAD, &early, &early_consumed, &early_error);
    if (early)
      g_assert_cmpuint(early_consumed, ==, consumed);
    if (early_error) {
      g_assert_nonnull(error);
      g_assert_cmpstr(early_error->message, ==, error->message);
    }
  }
  return 0;
}
