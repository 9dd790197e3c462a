/* SPDX-License-Identifier: Apache-2.0 */
/* What a TLS client says first: however it is cut, no prefix says anything but
 * "more" that the whole does not say too, and a name is printable. */
#include "exchange/hello.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static HelloState
read_some(const uint8_t *data, size_t size, char **name)
{
  g_auto(Hello) hello = {0};
  HelloState state = hello_read(data, size, &hello);

  g_assert_true(state == HELLO_READ || (!hello.name && !hello.ech));
  *name = g_steal_pointer(&hello.name);
  return state;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  g_autofree char *whole_name = NULL;
  HelloState whole = read_some(data, size, &whole_name);

  for (const char *at = whole_name; at && *at; at++)
    g_assert_true(g_ascii_isgraph(*at));
  for (size_t len = 0; len < MIN(size, 2048); len++) {
    /* A copy, so that a read behind it is found. */
    g_autofree uint8_t *copy = g_memdup2(data, len);
    g_autofree char *name = NULL;
    HelloState state = read_some(copy, len, &name);

    if (state == HELLO_MORE)
      continue;
    g_assert_cmpint(state, ==, whole);
    g_assert_cmpstr(name, ==, whole_name);
  }
  return 0;
}
