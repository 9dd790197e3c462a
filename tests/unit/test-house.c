/* SPDX-License-Identifier: Apache-2.0 */
/* The house stands: the library that every room is built on links and is at
 * least the version that configure asked for. */

#include <glib.h>

static void
test_glib_version(void)
{
  g_assert_null(glib_check_version(2, 74, 0));
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/house/glib-version", test_glib_version);
  return g_test_run();
}
