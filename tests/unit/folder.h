/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a test's temporary folder. */
#ifndef HOOP_TEST_FOLDER_H
#define HOOP_TEST_FOLDER_H

#include <glib/gstdio.h>

/* With all that is in it; links are removed, not followed. */
static void
remove_folder(const char *folder)
{
  g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
  const char *name;

  while (dir && (name = g_dir_read_name(dir))) {
    g_autofree char *path = g_build_filename(folder, name, NULL);

    if (!g_file_test(path, G_FILE_TEST_IS_SYMLINK) &&
        g_file_test(path, G_FILE_TEST_IS_DIR))
      remove_folder(path);
    else
      g_unlink(path);
  }
  g_rmdir(folder);
}

#endif
