/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes and encodings against the published vectors of their standards. */

#include "kit/digest.h"

#include <string.h>

static void
check_sha256(const char *text, size_t len, const char *want)
{
  uint8_t out[SHA256_LEN];
  char hex[SHA256_HEX_SIZE];

  sha256(text, len, out);
  hex_encode(out, sizeof out, hex);
  g_assert_cmpstr(hex, ==, want);
}

/* FIPS 180-4 examples. */
static void
test_sha256(void)
{
  g_autofree char *million = g_strnfill(1000000, 'a');

  check_sha256(
      "",
      0,
      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  check_sha256(
      "abc",
      3,
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  check_sha256(
      million,
      1000000,
      "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/* In pieces is the same as at once, and looking does not disturb. */
static void
test_sha256_pieces(void)
{
  const char *text = "The quick brown fox jumps over the lazy dog, twice over.";

  for (size_t cut = 0; cut <= strlen(text); cut++) {
    g_autoptr(Sha256) ctx = sha256_new();
    uint8_t whole[SHA256_LEN], pieces[SHA256_LEN], first[SHA256_LEN];

    sha256_update(ctx, text, cut);
    sha256_peek(ctx, pieces);
    sha256(text, cut, first);
    g_assert_cmpmem(pieces, SHA256_LEN, first, SHA256_LEN);
    sha256_update(ctx, text + cut, strlen(text) - cut);
    sha256_peek(ctx, pieces);
    sha256(text, strlen(text), whole);
    g_assert_cmpmem(pieces, SHA256_LEN, whole, SHA256_LEN);
  }
  sha256_free(NULL);
}

static void
check_hmac(const void *key,
           size_t key_len,
           const void *text,
           size_t len,
           const char *want)
{
  uint8_t out[SHA256_LEN];
  char hex[SHA256_HEX_SIZE];

  hmac_sha256(key, key_len, text, len, out);
  hex_encode(out, sizeof out, hex);
  g_assert_cmpstr(hex, ==, want);
}

/* RFC 4231 sections 4.2, 4.3, 4.7; and the empty key. */
static void
test_hmac(void)
{
  const char *larger = "Test Using Larger Than Block-Size Key - Hash Key First";
  uint8_t key[131];

  memset(key, 0x0b, 20);
  check_hmac(
      key,
      20,
      "Hi There",
      8,
      "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  check_hmac(
      "Jefe",
      4,
      "what do ya want for nothing?",
      28,
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  memset(key, 0xaa, sizeof key);
  check_hmac(
      key,
      sizeof key,
      larger,
      strlen(larger),
      "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
  check_hmac(
      NULL,
      0,
      "",
      0,
      "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void
test_crc32(void)
{
  g_assert_cmphex(crc32_of("123456789", 9), ==, 0xcbf43926);
  g_assert_cmphex(crc32_of("", 0), ==, 0);
}

static void
test_hex(void)
{
  uint8_t out[3] = {1, 2, 3};
  char hex[7];

  hex_encode("\x00\xab\xff", 3, hex);
  g_assert_cmpstr(hex, ==, "00abff");
  g_assert_true(hex_decode("00aBFf", out, 3));
  g_assert_cmpmem(out, 3, "\x00\xab\xff", 3);
  g_assert_false(hex_decode("00abf", out, 3));
  g_assert_false(hex_decode("00abff0", out, 3));
  g_assert_false(hex_decode("00abff00", out, 3));
  g_assert_false(hex_decode("", out, 3));
  g_assert_false(hex_decode("11111g", out, 3));
  g_assert_false(hex_decode("1 1111", out, 3));
  g_assert_cmpmem(out, 3, "\x00\xab\xff", 3);
  g_assert_true(hex_decode("", out, 0));
}

/* RFC 4648 section 10, in lower case and without padding. */
static void
test_base32(void)
{
  static const char *const rows[][2] = {
      {"", ""},
      {"f", "my"},
      {"fo", "mzxq"},
      {"foo", "mzxw6"},
      {"foob", "mzxw6yq"},
      {"fooba", "mzxw6ytb"},
      {"foobar", "mzxw6ytboi"},
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    const size_t chars = strlen(rows[i][1]);

    for (size_t n = 0; n <= chars; n++) {
      g_autofree char *want = g_strndup(rows[i][1], n);
      char out[16];

      base32_encode(rows[i][0], strlen(rows[i][0]), out, n);
      g_assert_cmpstr(out, ==, want);
    }
  }
}

/* Against GLib's base64, translated. */
static void
test_base64url(void)
{
  uint8_t bytes[70];

  for (size_t i = 0; i < sizeof bytes; i++)
    bytes[i] = (uint8_t)(i * 151 + 250);
  for (size_t len = 0; len <= sizeof bytes; len++) {
    g_autofree char *got = base64url_encode(bytes, len);
    g_autofree char *want = g_base64_encode(bytes, len);

    g_strdelimit(want, "+", '-');
    g_strdelimit(want, "/", '_');
    want[strcspn(want, "=")] = '\0';
    g_assert_cmpstr(got, ==, want);
  }
}

/* Every text of up to three characters decodes only when it is what its bytes
 * encode to, so that one value has one text. */
static void
test_base64url_decode(void)
{
  static const char wrong[] = "=+/ \n\r\t.~\x7f\x80\xff";
  uint8_t out[64];
  size_t n;
  char text[4];

  for (unsigned value = 0; value < 1U << 24; value += 37) {
    size_t len;

    text[0] = (char)(value >> 16);
    text[1] = (char)(value >> 8 & 255);
    text[2] = (char)(value & 255);
    text[3] = '\0';
    len = strlen(text);
    n = 99;
    if (base64url_decode(text, len, out, &n)) {
      g_autofree char *again = base64url_encode(out, n);

      g_assert_cmpstr(again, ==, text);
    } else {
      g_assert_cmpuint(n, ==, 99);
    }
  }
  for (size_t len = 0; len <= 48; len++) {
    uint8_t bytes[48];
    g_autofree char *encoded = NULL;

    random_bytes(bytes, sizeof bytes);
    encoded = base64url_encode(bytes, len);
    g_assert_true(base64url_decode(encoded, strlen(encoded), out, &n));
    g_assert_cmpmem(out, n, bytes, len);
    for (size_t i = 0; encoded[i]; i++)
      for (size_t j = 0; j < sizeof wrong; j++) { /* NUL as well */
        const char kept = encoded[i];

        encoded[i] = wrong[j];
        g_assert_false(base64url_decode(encoded, (len * 4 + 2) / 3, out, &n));
        encoded[i] = kept;
      }
  }
}

static void
test_random_bytes(void)
{
  uint8_t a[300] = {0}, b[300] = {0};
  int zeros = 0;

  random_bytes(a, sizeof a);
  random_bytes(b, sizeof b);
  g_assert_cmpint(memcmp(a, b, sizeof a), !=, 0);
  for (size_t i = 0; i < sizeof a; i++)
    zeros += a[i] == 0;
  g_assert_cmpint(zeros, <, 30);
  random_bytes(NULL, 0);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/kit/digest/sha256", test_sha256);
  g_test_add_func("/kit/digest/sha256-pieces", test_sha256_pieces);
  g_test_add_func("/kit/digest/hmac", test_hmac);
  g_test_add_func("/kit/digest/crc32", test_crc32);
  g_test_add_func("/kit/digest/hex", test_hex);
  g_test_add_func("/kit/digest/base32", test_base32);
  g_test_add_func("/kit/digest/base64url", test_base64url);
  g_test_add_func("/kit/digest/base64url-decode", test_base64url_decode);
  g_test_add_func("/kit/digest/random-bytes", test_random_bytes);
  return g_test_run();
}
