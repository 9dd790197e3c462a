/* SPDX-License-Identifier: Apache-2.0 */
/* What TLS clients say first: the name that OpenSSL sends is read however its
 * message is cut, and what could be read in two ways is not read at all. */
#define _GNU_SOURCE
#include "exchange/hello.h"
#include <openssl/ssl.h>
#include <string.h>

#define HEADER 5 /* of a record */

/* ---- Hellos --------------------------------------------------------------
 */

static int
grease(SSL *ssl,
       unsigned type,
       const unsigned char **out,
       size_t *len,
       int *alert,
       void *data)
{
  (void)ssl;
  (void)type;
  (void)alert;
  (void)data;
  *out = (const unsigned char *)"\1\2\3";
  *len = 3;
  return 1;
}

/* The one record that OpenSSL sends first. */
static GByteArray *
openssl_hello(const char *name, bool ech)
{
  SSL_CTX *context = SSL_CTX_new(TLS_client_method());
  GByteArray *bytes = g_byte_array_new();
  BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
  char *data;
  long len;
  SSL *ssl;

  if (ech)
    g_assert_cmpint(SSL_CTX_add_client_custom_ext(
                        context, 0xfe0d, grease, NULL, NULL, NULL, NULL),
                    ==,
                    1);
  ssl = SSL_new(context);
  SSL_set_bio(ssl, in, out);
  if (name)
    SSL_set_tlsext_host_name(ssl, name);
  SSL_connect(ssl);
  len = BIO_get_mem_data(out, &data);
  g_byte_array_append(bytes, (const guint8 *)data, (guint)len);
  SSL_free(ssl);
  SSL_CTX_free(context);
  return bytes;
}

/* The same message in records of `size` bytes. */
static GByteArray *
in_records(const GByteArray *hello, unsigned size)
{
  GByteArray *cut = g_byte_array_new();

  for (unsigned at = HEADER; at < hello->len; at += size) {
    unsigned len = MIN(size, hello->len - at);
    const guint8 header[] = {
        0x16, 3, 1, (guint8)(len >> 8), (guint8)(len & 0xff)};

    g_byte_array_append(cut, header, sizeof header);
    g_byte_array_append(cut, hello->data + at, len);
  }
  return cut;
}

static void
assert_read(const GByteArray *bytes, const char *name, bool ech)
{
  g_auto(Hello) hello = {0};

  for (unsigned len = 0; len < bytes->len; len++) {
    g_auto(Hello) part = {0};

    g_assert_cmpint(hello_read(bytes->data, len, &part), ==, HELLO_MORE);
  }
  g_assert_cmpint(hello_read(bytes->data, bytes->len, &hello), ==, HELLO_READ);
  g_assert_cmpstr(hello.name, ==, name);
  g_assert_cmpint(hello.ech, ==, ech);
}

static void
assert_state(const GByteArray *bytes, HelloState state)
{
  g_auto(Hello) hello = {0};

  g_assert_cmpint(hello_read(bytes->data, bytes->len, &hello), ==, state);
  g_assert_null(hello.name);
}

/* ---- Tests ---------------------------------------------------------------
 */

static void
test_openssl(void)
{
  g_autoptr(GByteArray) plain = openssl_hello("api.githubcopilot.com", false);
  g_autoptr(GByteArray) mixed = openssl_hello("API.GitHubCopilot.com", false);
  g_autoptr(GByteArray) dot = openssl_hello("api.githubcopilot.com.", false);
  g_autoptr(GByteArray) none = openssl_hello(NULL, false);
  g_autoptr(GByteArray) ech = openssl_hello("cover.example", true);

  assert_read(plain, "api.githubcopilot.com", false);
  assert_read(mixed, "API.GitHubCopilot.com", false);
  assert_read(dot, "api.githubcopilot.com", false);
  assert_read(none, NULL, false);
  assert_read(ech, "cover.example", true);
}

static void
test_cut(void)
{
  static const unsigned sizes[] = {1, 2, 3, 4, 5, 50, 100, 250};
  g_autoptr(GByteArray) hello = openssl_hello("api.githubcopilot.com", false);

  for (unsigned i = 0; i < G_N_ELEMENTS(sizes); i++) {
    g_autoptr(GByteArray) cut = in_records(hello, sizes[i]);

    assert_read(cut, "api.githubcopilot.com", false);
  }
}

static void
test_other(void)
{
  static const char *const words[] = {"SSH-2.0-x\r\n",
                                      "GET / HTTP/1.1\r\n",
                                      "EHLO x\r\n",
                                      "\x16",
                                      "\x16\x01\x02",
                                      "\x80\x2e\x01\x03\x01"};
  g_auto(Hello) hello = {0};

  g_assert_cmpint(hello_read(NULL, 0, &hello), ==, HELLO_MORE);
  for (unsigned i = 0; i < G_N_ELEMENTS(words); i++)
    g_assert_cmpint(
        hello_read((const uint8_t *)words[i], strlen(words[i]), &hello),
        ==,
        strlen(words[i]) == 1 ? HELLO_MORE : HELLO_OTHER);
}

/* Where the name's text stands in the record. */
static guint8 *
find(GByteArray *hello, const char *name)
{
  guint8 *at = memmem(hello->data, hello->len, name, strlen(name));

  g_assert_nonnull(at);
  return at;
}

static void
test_broken(void)
{
  static const char name[] = "api.githubcopilot.com";
  /* Changes around the name: where from its first byte, by how much. */
  static const struct {
    int at;
    int by;
  } changes[] = {
      {0, -'a'}, /* a NUL in it */
      {-1, 1},   /* its length */
      {-1, -1},  /* and less: something behind it */
      {-3, 1},   /* the kind of name */
      {-4, 1},   /* the list's length */
      {-6, 1},   /* the extension's length */
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(changes); i++) {
    g_autoptr(GByteArray) hello = openssl_hello(name, false);

    find(hello, name)[changes[i].at] += (guint8)changes[i].by;
    assert_state(hello, HELLO_BROKEN);
  }
}

static void
test_broken_records(void)
{
  g_autoptr(GByteArray) hello = openssl_hello("a.example", false);
  g_autoptr(GByteArray) cut = in_records(hello, 50);
  g_autoptr(GByteArray) longer = in_records(hello, 50);
  g_autoptr(GByteArray) empty = in_records(hello, 50);
  g_autoptr(GByteArray) other = openssl_hello("a.example", false);
  static const guint8 more[] = {0x16, 3, 1, 0, 1, 0};

  cut->data[HEADER + 50] = 0x15; /* an alert between its pieces */
  assert_state(cut, HELLO_BROKEN);
  longer->data[HEADER + 1] = 1; /* a message of 64 KiB and more */
  assert_state(longer, HELLO_BROKEN);
  empty->data[3] = empty->data[4] = 0;
  assert_state(empty, HELLO_BROKEN);
  other->data[HEADER] = 2; /* a ServerHello */
  assert_state(other, HELLO_BROKEN);
  /* What comes in records behind it is the server's to judge. */
  g_byte_array_append(hello, more, sizeof more);
  {
    g_auto(Hello) read = {0};

    g_assert_cmpint(hello_read(hello->data, hello->len, &read), ==, HELLO_READ);
  }
}

/* A second name in the same message: one server takes the first, another the
 * last. */
static void
test_two_names(void)
{
  g_autoptr(GByteArray) hello = openssl_hello("one.example", false);
  static const char name[] = "two.example";
  const unsigned add = 4 + 5 + sizeof name - 1;
  guint8 *bytes;
  unsigned end, at;

  /* An extension at the end, and four lengths that cover it. */
  end = hello->len;
  g_byte_array_set_size(hello, end + add);
  bytes = hello->data;
  memcpy(bytes + end, "\0\0\0\x10\0\x0e\0\0\x0b", 9);
  memcpy(bytes + end + 9, name, sizeof name - 1);
  at = HEADER + 4 + 2 + 32;
  at += 1u + bytes[at];
  at += 2u + ((unsigned)bytes[at] << 8 | bytes[at + 1]);
  at += 1u + bytes[at];
#define ADD(high)                                                              \
  do {                                                                         \
    unsigned sum_ = ((unsigned)bytes[high] << 8 | bytes[(high) + 1]) + add;    \
    bytes[high] = (guint8)(sum_ >> 8);                                         \
    bytes[(high) + 1] = (guint8)(sum_ & 0xff);                                 \
  } while (0)
  ADD(3);
  ADD(HEADER + 2);
  ADD(at);
#undef ADD
  assert_state(hello, HELLO_BROKEN);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/exchange/hello/openssl", test_openssl);
  g_test_add_func("/exchange/hello/cut", test_cut);
  g_test_add_func("/exchange/hello/other", test_other);
  g_test_add_func("/exchange/hello/broken", test_broken);
  g_test_add_func("/exchange/hello/broken-records", test_broken_records);
  g_test_add_func("/exchange/hello/two-names", test_two_names);
  return g_test_run();
}
