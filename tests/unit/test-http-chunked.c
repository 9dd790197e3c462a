/* SPDX-License-Identifier: Apache-2.0 */
/* Chunked bodies: what is taken and what is refused, whole, byte by byte and
 * cut at every place. */
#include "http/http.h"
#include <string.h>

typedef struct {
  const char *coded;
  const char *expected; /* the body, or the error's message */
  bool good;
  const char *rest; /* what must be left unread behind a good body */
} Vector;

#define T "0\r\n\r\n"
#define GOOD(coded, body)                                                      \
  {                                                                            \
    coded, body, true, ""                                                      \
  }
#define BAD(coded, reason)                                                     \
  {                                                                            \
    coded, reason, false, ""                                                   \
  }
#define LONG60 "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff"
#define LONG240 LONG60 LONG60 LONG60 LONG60

static const char not_hex[] = "a chunk size is not hexadecimal";
static const char bad_size[] = "a chunk size line is malformed";
static const char bad_ext[] = "a chunk extension is malformed";
static const char ctl_ext[] = "a control byte in a chunk extension";
static const char bare_cr[] = "a bare CR in the chunked framing";
static const char too_long[] = "a chunk is longer than its size";
static const char bad_name[] = "a trailer field name is no token";
static const char bad_value[] = "a control byte in a trailer field";

static const Vector vectors[] = {
    GOOD(T, ""),
    GOOD("000000\r\n\r\n", ""),
    GOOD("3\r\nabc\r\n" T, "abc"),
    GOOD("003\r\nabc\r\n" T, "abc"),
    GOOD("a\r\n0123456789\r\n" T, "0123456789"),
    GOOD("A\r\n0123456789\r\n" T, "0123456789"),
    GOOD("1\r\na\r\n1\r\nb\r\n2\r\ncd\r\n" T, "abcd"),
    GOOD("2\r\n\r\n\r\n" T, "\r\n"),
    GOOD("5\r\n0\r\n\r\n\r\n" T, "0\r\n\r\n"),
    {"1\r\na\r\n" T "GET / HTTP/1.1", "a", true, "GET / HTTP/1.1"},
    {T "\r\n", "", true, "\r\n"},
    /* extensions */
    GOOD("1;a\r\nx\r\n" T, "x"),
    GOOD("1;a=b\r\nx\r\n" T, "x"),
    GOOD("1;a=b;c;d=\"e f;\\\" \t\"\r\nx\r\n" T, "x"),
    GOOD("1;a=\"\"\r\nx\r\n" T, "x"),
    GOOD("1 ; a = b ; c\r\nx\r\n" T, "x"),
    GOOD("1\t;\ta\t=\t\"b\"\t;c\r\nx\r\n" T, "x"),
    GOOD("1;a=\"\xc3\xa9\"\r\nx\r\n" T, "x"),
    GOOD("1\r\nx\r\n0;last\r\n\r\n", "x"),
    BAD("1;\r\nx\r\n" T, bad_ext),
    BAD("1;;a\r\nx\r\n" T, bad_ext),
    BAD("1;a=\r\nx\r\n" T, bad_ext),
    BAD("1;=b\r\nx\r\n" T, bad_ext),
    BAD("1;a=b=c\r\nx\r\n" T, bad_size),
    BAD("1;a=\"b\"c\r\nx\r\n" T, bad_size),
    BAD("1;a b\r\nx\r\n" T, bad_ext),
    BAD("1;a=b \r\nx\r\n" T, bad_size),
    BAD("1;a \r\nx\r\n" T, bad_ext),
    BAD("1;a=b\x01\r\nx\r\n" T, bad_size),
    BAD("1;a=\"b\x01\"\r\nx\r\n" T, ctl_ext),
    BAD("1;a=\"b\\\x01\"\r\nx\r\n" T, ctl_ext),
    BAD("1;a=\"b\r\n\"\r\nx\r\n" T, ctl_ext),
    BAD("1;a=\"b\n\"\r\nx\r\n" T, ctl_ext),
    BAD("1;a=b\r\rx\r\n" T, bare_cr),
    BAD("1;a=b\nx\r\n" T, bad_size),
    BAD("1;(a)\r\nx\r\n" T, bad_ext),
    BAD("1;a=\x7f\r\nx\r\n" T, bad_ext),
    BAD("1," LONG240, bad_size),
    BAD("1;" LONG240 LONG240 "\r\nx\r\n" T, "a chunk size line is too long"),
    BAD("1" LONG240, "a chunk is too large"),
    /* sizes */
    BAD("\r\n" T, not_hex),
    BAD("g\r\n", not_hex),
    BAD("-1\r\n", not_hex),
    BAD("+1\r\na\r\n" T, not_hex),
    BAD(" 1\r\na\r\n" T, not_hex),
    BAD("\t1\r\na\r\n" T, not_hex),
    BAD("0x1\r\na\r\n" T, bad_size),
    BAD("1h\r\na\r\n" T, bad_size),
    BAD("1_0\r\na\r\n" T, bad_size),
    BAD("1.0\r\na\r\n" T, bad_size),
    BAD("1 \r\na\r\n" T, bad_size),
    BAD("1 1\r\na\r\n" T, bad_size),
    BAD("\"1\"\r\na\r\n" T, not_hex),
    BAD("\xef\xbc\x91\r\na\r\n" T, not_hex),
    BAD("8000000000000000\r\n", "a chunk is too large"),
    BAD("ffffffffffffffff\r\n", "a chunk is too large"),
    BAD("10000000000000001\r\na", "a chunk is too large"),
    /* line ends */
    BAD("1\na\r\n" T, bad_size),
    BAD("1\r\na\n" T, too_long),
    BAD("1\ra\r\n" T, bare_cr),
    BAD("1\r\r\na\r\n" T, bare_cr),
    BAD("1\r\na\r\r\n" T, bare_cr),
    BAD("1\r\na" T, too_long),
    BAD("1\r\nab\r\n" T, too_long),
    BAD("1\r\na\r\n\r\n" T, not_hex),
    BAD("1\r\na\r\n0\n\n", bad_size),
    BAD("0\r\n\n", bad_name),
    BAD("0\r\n\rx", bare_cr),
    BAD("0\r\r\n", bare_cr),
    /* trailers */
    GOOD("0\r\nX: y\r\n\r\n", ""),
    GOOD("0\r\nX:\r\nContent-Length: 5\r\n\r\n", ""),
    GOOD("0\r\nX: \xc3\xa9\t \r\n\r\n", ""),
    BAD("0\r\nX\r\n\r\n", bad_name),
    BAD("0\r\nX : y\r\n\r\n", bad_name),
    BAD("0\r\n: y\r\n\r\n", bad_name),
    BAD("0\r\n X: y\r\n\r\n", bad_name),
    BAD("0\r\nX: y\r\n z\r\n\r\n", bad_name),
    BAD("0\r\nX: y\n\r\n", bad_value),
    BAD("0\r\nX: y\x01\r\n\r\n", bad_value),
    BAD("0\r\nX: y\x7f\r\n\r\n", bad_value),
    BAD("0\r\nX: y\r\r\n\r\n", bare_cr),
    BAD("0\r\nGET / HTTP/1.1\r\n\r\n", bad_name),
};

/* Feeds `coded` in two pieces, the second one byte by byte when `cut` is
 * beyond its end. Returns the error's message or NULL. */
static char *
decode(const char *coded,
       size_t cut,
       Buf *out,
       size_t *consumed,
       bool *done,
       size_t step)
{
  size_t len = strlen(coded), pos = 0;
  HttpChunked chunked;
  http_chunked_init(&chunked);
  *done = false;
  while (pos < len && !*done) {
    size_t end = pos < cut ? MIN(cut, len) : MIN(pos + step, len);
    g_autofree uint8_t *copy = g_memdup2(coded + pos, end - pos);
    g_autoptr(GError) error = NULL;
    size_t n = 0;
    if (!http_chunked_decode(
            &chunked, copy, end - pos, &n, out, done, &error)) {
      g_assert_error(error, HTTP_ERROR, error->code);
      return g_strdup(error->message);
    }
    g_assert_true(*done || n == end - pos);
    pos += n;
  }
  *consumed = pos;
  return NULL;
}

static void
check(const Vector *vector, size_t cut, size_t step)
{
  g_auto(Buf) out;
  size_t consumed = 0;
  bool done = false;
  buf_init(&out, 4096);
  g_autofree char *message =
      decode(vector->coded, cut, &out, &consumed, &done, step);
  if (!vector->good) {
    g_assert_cmpstr(message, ==, vector->expected);
    return;
  }
  g_assert_null(message);
  g_assert_true(done);
  g_assert_cmpmem(
      buf_bytes(&out), out.len, vector->expected, strlen(vector->expected));
  g_assert_cmpstr(vector->coded + consumed, ==, vector->rest);
}

static void
test_vectors(void)
{
  for (unsigned i = 0; i < G_N_ELEMENTS(vectors); i++) {
    size_t len = strlen(vectors[i].coded);
    check(&vectors[i], len, len);
    check(&vectors[i], 0, 1);
    for (size_t cut = 1; cut < len; cut++)
      check(&vectors[i], cut, len);
  }
}

/* A good body cut short is neither an error nor done. */
static void
test_truncated(void)
{
  const char coded[] = "3;a=b\r\nabc\r\n0\r\nX: y\r\n\r\n";
  for (size_t len = 0; len < sizeof coded - 1; len++) {
    g_autofree char *part = g_strndup(coded, len);
    g_auto(Buf) out;
    size_t consumed = 0;
    bool done = false;
    buf_init(&out, 4096);
    g_assert_null(decode(part, len, &out, &consumed, &done, 1));
    g_assert_false(done);
    g_assert_cmpuint(consumed, ==, len);
  }
}

static void
test_limits(void)
{
  g_auto(Buf) out;
  size_t consumed = 0;
  bool done = false;
  buf_init(&out, 4);
  g_autofree char *fits =
      decode("4\r\nabcd\r\n" T, 100, &out, &consumed, &done, 1);
  g_assert_null(fits);
  buf_clear(&out);
  g_autofree char *over =
      decode("4\r\nabcd\r\n1\r\ne\r\n" T, 100, &out, &consumed, &done, 1);
  g_assert_cmpstr(over, ==, "the body is too large");

  GString *trailers = g_string_new("0\r\n");
  for (unsigned i = 0; i < 900; i++)
    g_string_append(trailers, "X: yyyyyy\r\n");
  g_autofree char *message =
      decode(trailers->str, trailers->len, &out, &consumed, &done, 1);
  g_assert_cmpstr(message, ==, "the trailer section is too large");
  g_string_free(trailers, TRUE);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/http/chunked/vectors", test_vectors);
  g_test_add_func("/http/chunked/truncated", test_truncated);
  g_test_add_func("/http/chunked/limits", test_limits);
  return g_test_run();
}
