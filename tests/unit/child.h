/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a forked child of a test. */
#ifndef HOOP_TEST_CHILD_H
#define HOOP_TEST_CHILD_H

#include <glib.h>
#include <unistd.h>

/* Through another program: what the child has of its parent's memory is no
 * leak of its own, which valgrind would make of it. */
static G_NORETURN void
child_exit(int code)
{
  g_autofree char *text = g_strdup_printf("exit %d", code);

  execl("/bin/sh", "sh", "-c", text, NULL);
  _exit(127);
}

#endif
