/* SPDX-License-Identifier: Apache-2.0 */
/* A race in GLib's callbacks, which the suppressions of tests/tsan.supp must
 * not hide: without them or with them, ThreadSanitizer ends this program. */

#include <glib.h>
#include <string.h>

#define TURNS 10000

static char shared[64];

static void
one(void *data, void *user_data)
{
  (void)user_data;
  memset(shared, *(char *)data, sizeof shared);
}

static void *
run(void *data)
{
  GList *list = g_list_append(NULL, data);

  for (int i = 0; i < TURNS; i++)
    g_list_foreach(list, one, NULL);
  g_list_free(list);
  return NULL;
}

int
main(void)
{
  char a = 'a', b = 'b';
  GThread *thread = g_thread_new("a", run, &a);

  run(&b);
  g_thread_join(thread);
  return shared[0] == 0;
}
