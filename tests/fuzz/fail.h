/* SPDX-License-Identifier: Apache-2.0 */
/* How a fuzz harness says that what must hold does not: abort(3) is what a
 * fuzzer catches, while g_error() traps. */
#ifndef HOOP_TEST_FUZZ_FAIL_H
#define HOOP_TEST_FUZZ_FAIL_H

#include <glib.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void fail(const char *format, ...) G_GNUC_PRINTF(1, 2) G_GNUC_NORETURN;

static void
fail(const char *format, ...)
{
  va_list args;

  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fputc('\n', stderr);
  abort();
}

#endif
