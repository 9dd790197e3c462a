/* SPDX-License-Identifier: Apache-2.0 */
/* The byte queue: its maximum, its order against a model, and that what left
 * it is wiped. Linked with --wrap=secret_wipe to see what is wiped. */

#include "kit/buf.h"

#include <string.h>

#define LIMIT 4096
#define STEPS 20000

/* The last wipe, as the linker's wrapper saw it. */
static const void *wiped_at;
static size_t wiped_len;
static size_t n_wipes;

void __real_secret_wipe(void *bytes, size_t len);
void __wrap_secret_wipe(void *bytes, size_t len);

void
__wrap_secret_wipe(void *bytes, size_t len)
{
  wiped_at = bytes;
  wiped_len = len;
  n_wipes++;
  __real_secret_wipe(bytes, len);
  for (size_t i = 0; i < len; i++)
    g_assert_cmpuint(((const uint8_t *)bytes)[i], ==, 0);
}

static void
check(const Buf *buf, const char *text)
{
  g_assert_cmpmem(buf_bytes(buf), buf->len, text, strlen(text));
}

static void
test_append(void)
{
  g_auto(Buf) buf;

  buf_init(&buf, 10);
  check(&buf, "");
  g_assert_true(buf_append_str(&buf, "abc"));
  g_assert_true(buf_append(&buf, "defg", 4));
  g_assert_true(buf_append(&buf, NULL, 0));
  check(&buf, "abcdefg");
  buf_consume(&buf, 2);
  check(&buf, "cdefg");
  buf_truncate(&buf, 3);
  buf_truncate(&buf, 5);
  check(&buf, "cde");
}

static void
test_maximum(void)
{
  g_auto(Buf) buf;

  buf_init(&buf, 5);
  g_assert_false(buf_append_str(&buf, "123456"));
  check(&buf, "");
  g_assert_true(buf_append_str(&buf, "12345"));
  g_assert_false(buf_append_str(&buf, "6"));
  g_assert_null(buf_reserve(&buf, 1));
  g_assert_null(buf_reserve(&buf, SIZE_MAX));
  g_assert_nonnull(buf_reserve(&buf, 0));
  check(&buf, "12345");
  buf_consume(&buf, 1);
  g_assert_null(buf_reserve(&buf, 2));
  g_assert_false(buf_append(&buf, "ab", SIZE_MAX));
  g_assert_true(buf_append_str(&buf, "6"));
  check(&buf, "23456");
}

static void
test_maximum_of_nothing(void)
{
  g_auto(Buf) buf;

  buf_init(&buf, 0);
  g_assert_false(buf_append_str(&buf, "1"));
  g_assert_true(buf_append_str(&buf, ""));
  g_assert_true(buf_printf(&buf, "%s", ""));
  g_assert_false(buf_printf(&buf, "%d", 1));
  check(&buf, "");
}

static void
test_printf(void)
{
  g_auto(Buf) buf;
  g_autofree char *wide = g_strnfill(2000, 'w');

  buf_init(&buf, 2100);
  g_assert_true(buf_printf(&buf, "%d-%s;", 42, "x"));
  check(&buf, "42-x;");
  g_assert_true(buf_printf(&buf, "%s", wide));
  g_assert_cmpuint(buf.len, ==, 2005);
  g_assert_cmpint(buf_bytes(&buf)[2004], ==, 'w');
  g_assert_false(buf_printf(&buf, "%096d", 7));
  g_assert_cmpuint(buf.len, ==, 2005);
  g_assert_true(buf_printf(&buf, "%095d", 7));
  g_assert_cmpuint(buf.len, ==, 2100);
  buf_consume(&buf, 2099);
  check(&buf, "7");
}

static void
test_reserve_and_commit(void)
{
  g_auto(Buf) buf;
  uint8_t *to;

  buf_init(&buf, LIMIT);
  to = buf_reserve(&buf, 100);
  memcpy(to, "hello", 5);
  buf_commit(&buf, 5);
  check(&buf, "hello");
  to = buf_reserve(&buf, LIMIT - 5);
  memset(to, 'x', LIMIT - 5);
  buf_commit(&buf, LIMIT - 5);
  g_assert_cmpuint(buf.len, ==, LIMIT);
  g_assert_cmpmem(buf_bytes(&buf), 5, "hello", 5);
}

/* Random operations against a GByteArray. */
static void
test_model(void)
{
  g_autoptr(GRand) rand = g_rand_new_with_seed(1);
  g_autoptr(GByteArray) model = g_byte_array_new();
  g_auto(Buf) buf;
  uint8_t chunk[600];

  buf_init(&buf, LIMIT);
  for (int i = 0; i < STEPS; i++) {
    const size_t n = (size_t)g_rand_int_range(rand, 0, sizeof chunk);
    const size_t some = model->len ? n % (model->len + 1) : 0;

    memset(chunk, i & 0xff, n);
    switch (g_rand_int_range(rand, 0, 8)) {
    case 0:
    case 1:
    case 2:
    case 3:
      g_assert_true(buf_append(&buf, chunk, n) == (model->len + n <= LIMIT));
      if (model->len + n <= LIMIT)
        g_byte_array_append(model, chunk, (guint)n);
      break;
    case 4:
    case 5:
    case 6:
      buf_consume(&buf, some);
      if (some > 0)
        g_byte_array_remove_range(model, 0, (guint)some);
      break;
    default:
      buf_truncate(&buf, some);
      g_byte_array_set_size(model, (guint)some);
      break;
    }
    g_assert_cmpmem(buf_bytes(&buf), buf.len, model->data, model->len);
    g_assert_cmpuint(buf.capacity, <=, LIMIT);
  }
}

/* No byte that was consumed or cut lies in the memory any more. */
static void
test_leaves_nothing_behind(void)
{
  g_autoptr(GRand) rand = g_rand_new_with_seed(2);
  g_auto(Buf) buf;
  uint8_t chunk[100];

  buf_init(&buf, 1000);
  /* All of its memory, known to hold none at first. */
  memset(buf_reserve(&buf, 1000), 0, 1000);
  memset(chunk, 'S', sizeof chunk);
  for (int i = 0; i < STEPS; i++) {
    const size_t n = (size_t)g_rand_int_range(rand, 0, sizeof chunk);
    size_t there = 0;

    if (g_rand_boolean(rand))
      (void)!buf_append(&buf, chunk, n);
    else if (g_rand_boolean(rand))
      buf_consume(&buf, MIN(n, buf.len));
    else
      buf_truncate(&buf, buf.len - MIN(n, buf.len));
    g_assert_cmpuint(buf.capacity, ==, 1000);
    for (size_t j = 0; j < buf.capacity; j++)
      there += buf.data[j] == 'S';
    g_assert_cmpuint(there, ==, buf.len);
  }
}

static void
test_wiped_when_cleared(void)
{
  Buf buf;
  const void *data;

  buf_init(&buf, LIMIT);
  g_assert_true(buf_append_str(&buf, "secret"));
  data = buf.data;
  n_wipes = 0;
  buf_clear(&buf);
  g_assert_cmpuint(n_wipes, ==, 1);
  g_assert_true(wiped_at == data);
  g_assert_cmpuint(wiped_len, ==, 6);
  check(&buf, "");
  g_assert_true(buf_append_str(&buf, "again"));
  check(&buf, "again");
  buf_clear(&buf);
  n_wipes = 0;
  buf_clear(&buf);
  g_assert_cmpuint(n_wipes, ==, 0);
}

/* What was written and never counted, or was there before, is wiped; memory
 * that nobody had is not touched. */
static void
test_wiped_as_far_as_used(void)
{
  Buf buf;

  buf_init(&buf, LIMIT);
  g_assert_true(buf_append_str(&buf, "secret"));
  memset(buf_reserve(&buf, 100), 'x', 100);
  buf_commit(&buf, 1);
  buf_truncate(&buf, 3);
  g_assert_true(buf_append_str(&buf, "t"));
  g_assert_cmpuint(buf.capacity, >, 106);
  buf_clear(&buf);
  g_assert_cmpuint(wiped_len, ==, 106);

  /* A text that was begun where it does not fit. */
  g_assert_nonnull(buf_reserve(&buf, 1));
  n_wipes = 0;
  g_assert_true(buf_printf(&buf, "%*d", (int)buf.capacity + 1, 7));
  g_assert_cmpuint(n_wipes, ==, 1);
  g_assert_cmpuint(wiped_len, >=, 512);
  buf_clear(&buf);
}

/* Growing leaves the old memory wiped as well. */
static void
test_wiped_when_grown(void)
{
  g_auto(Buf) buf;
  const void *data;
  size_t capacity;

  buf_init(&buf, LIMIT);
  g_assert_true(buf_append_str(&buf, "secret"));
  data = buf.data;
  capacity = buf.capacity;
  n_wipes = 0;
  g_assert_nonnull(buf_reserve(&buf, capacity));
  g_assert_cmpuint(n_wipes, ==, 1);
  g_assert_true(wiped_at == data);
  g_assert_cmpuint(wiped_len, ==, 6);
  check(&buf, "secret");
}

static void
test_steal(void)
{
  for (size_t n = 0; n <= 2000; n += 250) {
    g_auto(Buf) buf;
    g_autoptr(GBytes) bytes = NULL;
    g_autofree char *text = g_strnfill(n, 's');

    buf_init(&buf, LIMIT);
    g_assert_true(buf_append_str(&buf, "xx"));
    g_assert_true(buf_append_str(&buf, text));
    buf_consume(&buf, 2);
    bytes = buf_steal(&buf);
    g_assert_cmpint(
        ((const char *)g_bytes_get_data(bytes, NULL))[g_bytes_get_size(bytes)],
        ==,
        '\0');
    g_assert_cmpmem(
        g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), text, n);
    check(&buf, "");
    g_assert_true(buf_append_str(&buf, "usable"));
    check(&buf, "usable");
    n_wipes = 0;
    g_clear_pointer(&bytes, g_bytes_unref);
    g_assert_cmpuint(n_wipes, ==, n > 0 ? 1 : 0);
    g_assert_cmpuint(wiped_len, >=, n);
  }
}

static void
test_bytes_new_wiped(void)
{
  GBytes *bytes = bytes_new_wiped("key", 3);
  const void *data = g_bytes_get_data(bytes, NULL);

  g_assert_cmpmem(data, g_bytes_get_size(bytes), "key", 3);
  g_bytes_unref(bytes);
  g_assert_true(wiped_at == data);
  g_assert_cmpuint(wiped_len, >=, 3);
  bytes = bytes_new_wiped(NULL, 0);
  g_assert_cmpuint(g_bytes_get_size(bytes), ==, 0);
  g_bytes_unref(bytes);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/kit/buf/append", test_append);
  g_test_add_func("/kit/buf/maximum", test_maximum);
  g_test_add_func("/kit/buf/maximum-of-nothing", test_maximum_of_nothing);
  g_test_add_func("/kit/buf/printf", test_printf);
  g_test_add_func("/kit/buf/reserve-and-commit", test_reserve_and_commit);
  g_test_add_func("/kit/buf/model", test_model);
  g_test_add_func("/kit/buf/leaves-nothing-behind", test_leaves_nothing_behind);
  g_test_add_func("/kit/buf/wiped-when-cleared", test_wiped_when_cleared);
  g_test_add_func("/kit/buf/wiped-when-far", test_wiped_as_far_as_used);
  g_test_add_func("/kit/buf/wiped-when-grown", test_wiped_when_grown);
  g_test_add_func("/kit/buf/steal", test_steal);
  g_test_add_func("/kit/buf/bytes-new-wiped", test_bytes_new_wiped);
  return g_test_run();
}
