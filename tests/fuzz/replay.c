/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in for a fuzzer: feeds a harness its whole corpus, one TAP line per
 * file, so that every input that ever mattered runs in `make check`. */

#include <errno.h>
#include <glib.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
compare_names(gconstpointer a, gconstpointer b)
{
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static GPtrArray *
list_corpus(const char *folder)
{
  g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
  g_autoptr(GPtrArray) files = g_ptr_array_new_with_free_func(g_free);
  const char *name;

  while (dir && (name = g_dir_read_name(dir)) != NULL) {
    if (name[0] != '.') {
      g_ptr_array_add(files, g_build_filename(folder, name, NULL));
    }
  }
  g_ptr_array_sort(files, compare_names);
  return g_steal_pointer(&files);
}

static gboolean
replay_file(const char *path)
{
  g_autofree char *data = NULL;
  g_autofree uint8_t *exact = NULL;
  gsize size;

  if (!g_file_get_contents(path, &data, &size, NULL)) {
    return FALSE;
  }
  /* A block of exactly this size, so that ASan sees a read past the end. */
  exact = g_memdup2(data, size);
  LLVMFuzzerTestOneInput(exact, size);
  return TRUE;
}

int
main(int argc, char **argv)
{
  g_autoptr(GPtrArray) files = NULL;
  gboolean good = TRUE;

  if (argc > 1) {
    files = g_ptr_array_new_with_free_func(g_free);
    for (int i = 1; i < argc; i++) {
      g_ptr_array_add(files, g_strdup(argv[i]));
    }
  } else {
    const char *top = g_getenv("HOOP_SRCDIR");
    g_autofree char *name = g_path_get_basename(argv[0]);
    const char *fuzz = strstr(name, "fuzz-");
    g_autofree char *folder = g_build_filename(
        top ? top : ".", "tests/fuzz/corpus", fuzz ? fuzz + 5 : name, NULL);
    files = list_corpus(folder);
    if (files->len == 0) {
      printf("1..1\nnot ok 1 - no corpus in %s\n", folder);
      return 1;
    }
  }

  printf("1..%u\n", files->len);
  for (guint i = 0; i < files->len; i++) {
    const char *path = g_ptr_array_index(files, i);
    g_autofree char *base = g_path_get_basename(path);
    gboolean read = replay_file(path);

    printf("%s %u - %s\n", read ? "ok" : "not ok", i + 1, base);
    fflush(stdout);
    good = good && read;
  }
  return good ? 0 : 1;
}
