/* SPDX-License-Identifier: Apache-2.0 */
/* Content codings: round trips in pieces of every size, streams in a row,
 * truncation, damage, bombs that stop at the buffer's limit; error bodies. */
#include "http/http.h"
#include "kit/json.h"
#include <brotli/encode.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

typedef struct {
  const char *coding;
  const char *made; /* how encode() makes it */
} Kind;

static const Kind kinds[] = {{"identity", "identity"},
                             {"gzip", "gzip"},
                             {"X-GZip", "gzip"},
                             {"deflate", "zlib"},
                             {"DEFLATE", "raw"},
                             {"br", "br"},
                             {"zstd", "zstd"}};

static GBytes *
encode_zlib(int window_bits, const void *bytes, size_t len)
{
  z_stream zlib = {0};
  g_assert_cmpint(
      deflateInit2(&zlib, 6, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY),
      ==,
      Z_OK);
  size_t bound = deflateBound(&zlib, len);
  uint8_t *out = g_malloc(bound);
  zlib.next_in = (Bytef *)(uintptr_t)bytes;
  zlib.avail_in = (uInt)len;
  zlib.next_out = out;
  zlib.avail_out = (uInt)bound;
  g_assert_cmpint(deflate(&zlib, Z_FINISH), ==, Z_STREAM_END);
  size_t made = zlib.total_out;
  deflateEnd(&zlib);
  return g_bytes_new_take(out, made);
}

static GBytes *
encode(const char *made, const void *bytes, size_t len)
{
  if (strcmp(made, "gzip") == 0)
    return encode_zlib(MAX_WBITS + 16, bytes, len);
  if (strcmp(made, "zlib") == 0)
    return encode_zlib(MAX_WBITS, bytes, len);
  if (strcmp(made, "raw") == 0)
    return encode_zlib(-MAX_WBITS, bytes, len);
  if (strcmp(made, "br") == 0) {
    size_t bound = BrotliEncoderMaxCompressedSize(len);
    uint8_t *out = g_malloc(bound);
    g_assert_true(BrotliEncoderCompress(
        5, 22, BROTLI_MODE_TEXT, len, bytes, &bound, out));
    return g_bytes_new_take(out, bound);
  }
  if (strcmp(made, "zstd") == 0) {
    size_t bound = ZSTD_compressBound(len);
    uint8_t *out = g_malloc(bound);
    size_t n = ZSTD_compress(out, bound, bytes, len, 3);
    g_assert_false(ZSTD_isError(n));
    return g_bytes_new_take(out, n);
  }
  return g_bytes_new(bytes, len);
}

/* Decodes in pieces of `step` bytes. Returns the error's message or NULL. */
static char *
decode(const char *coding, GBytes *coded, size_t step, Buf *out, int *code)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(HttpDecoder) decoder = http_decoder_new(coding, &error);
  g_assert_no_error(error);
  size_t len;
  const uint8_t *bytes = g_bytes_get_data(coded, &len);
  bool good = true;
  for (size_t pos = 0; pos < len && good; pos += step) {
    size_t n = MIN(step, len - pos);
    g_autofree uint8_t *copy = g_memdup2(bytes + pos, n);
    good = http_decoder_feed(decoder, copy, n, out, &error);
  }
  if (good && http_decoder_finish(decoder, &error))
    return NULL;
  g_assert_nonnull(error);
  g_assert_true(error->domain == HTTP_ERROR);
  if (code)
    *code = error->code;
  return g_strdup(error->message);
}

/* Text that compresses, with some noise in it. */
static GBytes *
sample(size_t len)
{
  uint8_t *bytes = g_malloc(len);
  uint32_t noise = 12345;
  for (size_t i = 0; i < len; i++) {
    noise = noise * 1103515245u + 12345u;
    bytes[i] = (noise >> 16) % 7 ? (uint8_t)("{\"content\":"[i % 11])
                                 : (uint8_t)(noise >> 24);
  }
  return g_bytes_new_take(bytes, len);
}

static void
test_round_trips(void)
{
  static const size_t lens[] = {0, 1, 2, 100, 16383, 16384, 16385, 200000};
  static const size_t steps[] = {1, 2, 3, 7, 1000, 1000000};
  for (unsigned k = 0; k < G_N_ELEMENTS(kinds); k++)
    for (unsigned l = 0; l < G_N_ELEMENTS(lens); l++)
      for (unsigned s = 0; s < G_N_ELEMENTS(steps); s++) {
        if (lens[l] > 20000 && steps[s] < 7)
          continue;
        g_autoptr(GBytes) plain = sample(lens[l]);
        g_autoptr(GBytes) coded =
            encode(kinds[k].made, g_bytes_get_data(plain, NULL), lens[l]);
        g_auto(Buf) out;
        /* The limit is met exactly, never exceeded. */
        buf_init(&out, MAX(lens[l], 1));
        g_autofree char *message =
            decode(kinds[k].coding, coded, steps[s], &out, NULL);
        g_assert_cmpstr(message, ==, NULL);
        g_assert_cmpmem(
            buf_bytes(&out), out.len, g_bytes_get_data(plain, NULL), lens[l]);
      }
}

static GBytes *
join(GBytes *a, GBytes *b)
{
  GByteArray *both = g_byte_array_new();
  g_byte_array_append(
      both, g_bytes_get_data(a, NULL), (guint)g_bytes_get_size(a));
  g_byte_array_append(
      both, g_bytes_get_data(b, NULL), (guint)g_bytes_get_size(b));
  return g_byte_array_free_to_bytes(both);
}

/* gzip members and zstd frames follow one another; behind the others nothing
 * may come. */
static void
test_streams_in_a_row(void)
{
  for (unsigned k = 1; k < G_N_ELEMENTS(kinds); k++)
    for (size_t step = 1; step <= 1000; step *= 10) {
      g_autoptr(GBytes) one = encode(kinds[k].made, "hello ", 6);
      g_autoptr(GBytes) two = encode(kinds[k].made, "world", 5);
      g_autoptr(GBytes) both = join(one, two);
      g_auto(Buf) out;
      buf_init(&out, 100);
      g_autofree char *message =
          decode(kinds[k].coding, both, step, &out, NULL);
      bool many = strcmp(kinds[k].made, "gzip") == 0 ||
                  strcmp(kinds[k].made, "zstd") == 0;
      g_assert_cmpint(message == NULL, ==, many);
      if (many)
        g_assert_cmpmem(buf_bytes(&out), out.len, "hello world", 11);
    }
}

static void
test_trailing_garbage(void)
{
  g_autoptr(GBytes) garbage = g_bytes_new_static("\0garbage", 8);
  for (unsigned k = 1; k < G_N_ELEMENTS(kinds); k++) {
    g_autoptr(GBytes) coded = encode(kinds[k].made, "hello", 5);
    g_autoptr(GBytes) both = join(coded, garbage);
    for (size_t step = 1; step <= 100; step *= 10) {
      g_auto(Buf) out;
      buf_init(&out, 100);
      int code = -1;
      g_autofree char *message =
          decode(kinds[k].coding, both, step, &out, &code);
      g_assert_nonnull(message);
      g_assert_cmpint(code, ==, HTTP_ERROR_CODING);
    }
  }
}

static void
test_truncated(void)
{
  g_autoptr(GBytes) plain = sample(300);
  for (unsigned k = 1; k < G_N_ELEMENTS(kinds); k++) {
    g_autoptr(GBytes) coded =
        encode(kinds[k].made, g_bytes_get_data(plain, NULL), 300);
    for (size_t len = 1; len < g_bytes_get_size(coded); len++) {
      g_autoptr(GBytes) part = g_bytes_new_from_bytes(coded, 0, len);
      g_auto(Buf) out;
      buf_init(&out, 1000);
      g_autofree char *message = decode(kinds[k].coding, part, len, &out, NULL);
      g_assert_nonnull(message);
    }
  }
}

/* One damaged byte is an error or changes nothing but the content of a
 * coding without a checksum; it never crashes or exceeds the limit. */
static void
test_damaged(void)
{
  g_autoptr(GBytes) plain = sample(500);
  for (unsigned k = 1; k < G_N_ELEMENTS(kinds); k++) {
    g_autoptr(GBytes) coded =
        encode(kinds[k].made, g_bytes_get_data(plain, NULL), 500);
    size_t len = g_bytes_get_size(coded);
    for (size_t at = 0; at < len; at++)
      for (unsigned bit = 0; bit < 8; bit++) {
        g_autofree uint8_t *copy =
            g_memdup2(g_bytes_get_data(coded, NULL), len);
        copy[at] ^= (uint8_t)(1u << bit);
        g_autoptr(GBytes) bad = g_bytes_new(copy, len);
        g_auto(Buf) out;
        buf_init(&out, 2000);
        g_autofree char *message =
            decode(kinds[k].coding, bad, len, &out, NULL);
        g_assert_cmpuint(out.len, <=, 2000);
        if (!message && strcmp(kinds[k].made, "gzip") == 0)
          g_assert_cmpmem(
              buf_bytes(&out), out.len, g_bytes_get_data(plain, NULL), 500);
      }
  }
}

static void
test_bombs(void)
{
  g_autofree uint8_t *zeros = g_malloc0(64 << 20);
  for (unsigned k = 0; k < G_N_ELEMENTS(kinds); k++) {
    g_autoptr(GBytes) coded = encode(kinds[k].made, zeros, 64 << 20);
    g_auto(Buf) out;
    buf_init(&out, 1 << 20);
    int code = -1;
    g_autofree char *message =
        decode(kinds[k].coding, coded, 1 << 16, &out, &code);
    g_assert_cmpstr(message, ==, "the decoded body exceeds 1048576 bytes");
    g_assert_cmpint(code, ==, HTTP_ERROR_TOO_LARGE);
    g_assert_cmpuint(out.len, <=, 1 << 20);
  }
}

/* A frame that asks for more window than the web allows. */
static void
test_zstd_window(void)
{
  static const uint8_t wide[] = {
      0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x88, 0x01, 0x00, 0x00};
  g_autoptr(GBytes) coded = g_bytes_new_static(wide, sizeof wide);
  g_auto(Buf) out;
  buf_init(&out, 100);
  g_autofree char *message = decode("zstd", coded, 100, &out, NULL);
  g_assert_cmpstr(message, ==, "the zstd data are broken");
}

/* `head` before, or behind, a frame that is fine. Returns the error. */
static char *
around(const uint8_t *head, size_t len, bool behind, size_t step)
{
  g_autoptr(GBytes) frame = encode("zstd", "text", 4);
  g_autoptr(GByteArray) all = g_byte_array_new();
  g_auto(Buf) out;
  if (!behind)
    g_byte_array_append(all, head, (guint)len);
  g_byte_array_append(
      all, g_bytes_get_data(frame, NULL), (guint)g_bytes_get_size(frame));
  if (behind)
    g_byte_array_append(all, head, (guint)len);
  g_autoptr(GBytes) coded = g_bytes_new(all->data, all->len);
  buf_init(&out, 100);
  char *message = decode("zstd", coded, step, &out, NULL);
  if (!message)
    g_assert_cmpmem(buf_bytes(&out), out.len, "text", 4);
  return message;
}

/* Skippable frames are passed over; what libzstd wrote before the standard,
 * and could read, is none of its frames. */
static void
test_zstd_frames(void)
{
  uint8_t skipped[] = {0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 'a', 'b', 'c'};
  uint8_t old[] = {
      0x1e, 0xb5, 0x2f, 0xfd, 0xcb, 0x04, 0x67, 0x65, 0, 0, 0, 0, 0, 0, 0, 0};
  for (size_t step = 1; step < 40; step++) {
    for (skipped[0] = 0x50; skipped[0] < 0x60; skipped[0]++) {
      g_autofree char *before = around(skipped, sizeof skipped, false, step);
      g_autofree char *behind = around(skipped, sizeof skipped, true, step);
      g_assert_cmpstr(before, ==, NULL);
      g_assert_cmpstr(behind, ==, NULL);
    }
    for (old[0] = 0x1e; old[0] < 0x28; old[0]++) {
      g_autofree char *before = around(old, sizeof old, false, step);
      g_autofree char *behind = around(old, sizeof old, true, step);
      g_assert_cmpstr(before, ==, "the zstd data are broken");
      g_assert_cmpstr(behind, ==, "the zstd data are broken");
    }
  }
}

static void
test_unknown(void)
{
  static const char *const names[] = {
      "", "gzip,br", "gzip ", "compress", "br;q=1", "zstandard"};
  for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
    g_autoptr(GError) error = NULL;
    g_assert_null(http_decoder_new(names[i], &error));
    g_assert_error(error, HTTP_ERROR, HTTP_ERROR_CODING);
  }
  http_decoder_free(NULL);
}

static void
test_error_bodies(void)
{
  g_autofree char *chat = http_error_body(
      API_CHAT, 400, "policy_denied", "No \"keys\"\n\xff please");
  g_assert_cmpstr(chat,
                  ==,
                  "{\"error\":{\"message\":"
                  "\"No \\\"keys\\\"\\n\xef\xbf\xbd please\","
                  "\"type\":\"invalid_request_error\","
                  "\"code\":\"policy_denied\"}}");
  g_autofree char *plain = http_error_body(API_OTHER, 502, NULL, "gone");
  g_assert_cmpstr(plain,
                  ==,
                  "{\"error\":{\"message\":\"gone\",\"type\":\"server_error\","
                  "\"code\":null}}");
  g_autofree char *messages =
      http_error_body(API_MESSAGES, 429, "rate", "slow down");
  g_assert_cmpstr(messages,
                  ==,
                  "{\"type\":\"error\",\"error\":{\"message\":"
                  "\"slow down\",\"type\":\"rate_limit_error\","
                  "\"code\":\"rate\"}}");
  g_autofree char *mcp = http_error_body(API_MCP, 400, "policy_denied", "no");
  g_assert_cmpstr(mcp,
                  ==,
                  "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32600,"
                  "\"message\":\"no\",\"data\":{\"status\":400,"
                  "\"code\":\"policy_denied\"}}}");
  for (unsigned api = 0; api < N_APIS; api++) {
    g_autofree char *body = http_error_body((Api)api, 500, "x", "y");
    JsonReader reader;
    JsonToken token = {.type = JSON_NULL};
    g_autoptr(GError) error = NULL;
    json_reader_init(&reader, body, strlen(body));
    while (json_next(&reader, &token, &error) && token.type != JSON_END)
      ;
    g_assert_no_error(error);
  }
}

static void
test_request_id(void)
{
  g_autofree char *one = http_request_id_new();
  g_autofree char *two = http_request_id_new();
  g_assert_cmpstr(one, !=, two);
  g_assert_true(
      g_regex_match_simple("^[0-9A-F]{4}(:[0-9A-F]{6,8}){4}$", one, 0, 0));
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/http/coding/round-trips", test_round_trips);
  g_test_add_func("/http/coding/streams-in-a-row", test_streams_in_a_row);
  g_test_add_func("/http/coding/trailing-garbage", test_trailing_garbage);
  g_test_add_func("/http/coding/truncated", test_truncated);
  g_test_add_func("/http/coding/damaged", test_damaged);
  g_test_add_func("/http/coding/bombs", test_bombs);
  g_test_add_func("/http/coding/zstd-window", test_zstd_window);
  g_test_add_func("/http/coding/zstd-frames", test_zstd_frames);
  g_test_add_func("/http/coding/unknown", test_unknown);
  g_test_add_func("/http/errors/bodies", test_error_bodies);
  g_test_add_func("/http/errors/request-id", test_request_id);
  return g_test_run();
}
