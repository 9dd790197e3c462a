/* SPDX-License-Identifier: Apache-2.0 */
/* The chunked decoder: the first byte says in which steps the rest is fed;
 * result, body and length are those of the whole. */
#include "http/http.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct {
  Buf body;
  size_t consumed;
  bool good;
  bool done;
} Result;

static void
decode(const uint8_t *data, size_t size, size_t step, Result *result)
{
  HttpChunked chunked;
  http_chunked_init(&chunked);
  *result = (Result){.good = true};
  buf_init(&result->body, 2048);
  while (result->good && !result->done && result->consumed < size) {
    size_t n = MIN(step, size - result->consumed), used = 0;
    g_autofree uint8_t *part = g_memdup2(data + result->consumed, n);
    g_autoptr(GError) error = NULL;
    result->good = http_chunked_decode(
        &chunked, part, n, &used, &result->body, &result->done, &error);
    g_assert_cmpint(result->good, ==, error == NULL);
    g_assert_true(!result->good || result->done || used == n);
    result->consumed += used;
  }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size < 2)
    return 0;
  Result whole, parts;
  decode(data + 1, size - 1, size, &whole);
  decode(data + 1, size - 1, 1 + data[0] % 16, &parts);
  g_assert_cmpint(whole.good, ==, parts.good);
  g_assert_cmpint(whole.done, ==, parts.done);
  if (whole.good) {
    g_assert_cmpuint(whole.consumed, ==, parts.consumed);
    g_assert_cmpmem(buf_bytes(&whole.body),
                    whole.body.len,
                    buf_bytes(&parts.body),
                    parts.body.len);
  }
  buf_clear(&whole.body);
  buf_clear(&parts.body);
  return 0;
}
