/* SPDX-License-Identifier: Apache-2.0 */
/* The content decoders: the first byte picks the coding and the steps; result
 * and body are those of the whole and never exceed the limit. */
#include "http/http.h"
#include <string.h>

#define MAX_BODY 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
decode(const char *coding,
       const uint8_t *data,
       size_t size,
       size_t step,
       Buf *body)
{
  g_autoptr(HttpDecoder) decoder = http_decoder_new(coding, NULL);
  g_assert_nonnull(decoder);
  for (size_t pos = 0; pos < size; pos += step) {
    size_t n = MIN(step, size - pos);
    g_autofree uint8_t *part = g_memdup2(data + pos, n);
    if (!http_decoder_feed(decoder, part, n, body, NULL))
      return false;
  }
  return http_decoder_finish(decoder, NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static const char *const codings[] = {
      "gzip", "deflate", "br", "zstd", "identity"};
  if (size < 1)
    return 0;
  const char *coding = codings[data[0] % G_N_ELEMENTS(codings)];
  size_t step = 1 + data[0] / G_N_ELEMENTS(codings);
  Buf whole, parts;
  buf_init(&whole, MAX_BODY);
  buf_init(&parts, MAX_BODY);
  bool good = decode(coding, data + 1, size - 1, size, &whole);
  g_assert_cmpint(decode(coding, data + 1, size - 1, step, &parts), ==, good);
  g_assert_cmpuint(whole.len, <=, MAX_BODY);
  if (good)
    g_assert_cmpmem(buf_bytes(&whole), whole.len, buf_bytes(&parts), parts.len);
  buf_clear(&whole);
  buf_clear(&parts);
  return 0;
}
