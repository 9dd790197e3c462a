/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of policy files on its way into a bundle. */
#include "bundle/private.h"
#include "kit/file.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* Folders in folders. */
#define MAX_DEPTH 8
/* Names in all folders, those too that are passed over. */
#define MAX_NAMES 4096

static const char suffix[] = ".yaml", test_suffix[] = ".test.yaml";

typedef struct {
  Bundle *bundle, *tests;
  GPtrArray *others; /* paths */
  const char *dir;
  unsigned names;
} Packing;

static bool pack_folder(Packing *packing,
                        const char *below,
                        unsigned depth,
                        GError **error);

static bool
pack_file(Packing *packing, const char *path, const char *full, GError **error)
{
  g_autoptr(GError) why = NULL;
  g_autoptr(GBytes) bytes = NULL;

  if (!g_str_has_suffix(path, suffix)) {
    g_ptr_array_add(packing->others, g_strdup(path));
    return true;
  }
  bytes = file_read(full, BUNDLE_MAX_FILE, &why);
  if (!bytes)
    return bundle_fail(error, BUNDLE_ERROR_READ, "%s", why->message);
  if (bundle_add(g_str_has_suffix(path, test_suffix) ? packing->tests
                                                     : packing->bundle,
                 path,
                 bytes,
                 &why))
    return true;
  return bundle_fail(error, BUNDLE_ERROR_READ, "%s: %s", full, why->message);
}

static bool
pack_one(Packing *packing, const char *path, unsigned depth, GError **error)
{
  g_autofree char *full = g_build_filename(packing->dir, path, NULL);
  struct stat info;

  if (++packing->names > MAX_NAMES)
    return bundle_fail(error,
                       BUNDLE_ERROR_READ,
                       "%s holds more than %d names",
                       packing->dir,
                       MAX_NAMES);
  if (lstat(full, &info) != 0)
    return bundle_fail(
        error, BUNDLE_ERROR_READ, "%s: %s", full, g_strerror(errno));
  if (S_ISDIR(info.st_mode))
    return pack_folder(packing, path, depth + 1, error);
  if (S_ISREG(info.st_mode))
    return pack_file(packing, path, full, error);
  return bundle_fail(error,
                     BUNDLE_ERROR_READ,
                     "%s is neither a file nor a folder; links are not packed",
                     full);
}

/* `below` "": the folder itself. */
static bool
pack_folder(Packing *packing, const char *below, unsigned depth, GError **error)
{
  g_autofree char *full = g_build_filename(packing->dir, below, NULL);
  g_autoptr(GError) why = NULL;
  g_autoptr(GDir) dir = NULL;
  const char *name;

  if (depth > MAX_DEPTH)
    return bundle_fail(error, BUNDLE_ERROR_READ, "%s lies too deep", full);
  dir = g_dir_open(full, 0, &why);
  if (!dir)
    return bundle_fail(error, BUNDLE_ERROR_READ, "%s", why->message);
  while ((name = g_dir_read_name(dir))) {
    g_autofree char *path =
        *below ? g_build_filename(below, name, NULL) : g_strdup(name);

    if (*name != '.' && !pack_one(packing, path, depth, error))
      return false;
  }
  return true;
}

bool
bundle_read_dir(Bundle *bundle,
                const char *dir,
                Bundle **tests,
                char ***others,
                GError **error)
{
  g_autoptr(Bundle) cases = bundle_new("tests", 1);
  g_autoptr(GPtrArray) rest = g_ptr_array_new_with_free_func(g_free);
  Packing packing = {
      .bundle = bundle, .tests = cases, .others = rest, .dir = dir};

  if (!pack_folder(&packing, "", 0, error))
    return false;
  if (!bundle_get(bundle, BUNDLE_POLICY))
    return bundle_fail(error,
                       BUNDLE_ERROR_READ,
                       "%s: there is no " BUNDLE_POLICY
                       ", which a policy begins with",
                       dir);
  g_ptr_array_add(rest, NULL);
  *others = (char **)g_ptr_array_steal(rest, NULL);
  *tests = g_steal_pointer(&cases);
  return true;
}
