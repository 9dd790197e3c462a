/* SPDX-License-Identifier: Apache-2.0 */
/* Files that matter: who may own and read them, replacement that survives a
 * full disk, bounded reads, and messages that say what to do. */

#define _GNU_SOURCE /* unshare(2) */
#include "kit/file.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* A user that owns nothing, for the tests that run as root. */
#define NOBODY 65534

typedef struct {
  char *dir;
  char *path; /* dir/file, not there yet */
} Fixture;

static void
set_up(Fixture *f, const void *data)
{
  (void)data;
  f->dir = g_dir_make_tmp("test-kit-file-XXXXXX", NULL);
  g_assert_nonnull(f->dir);
  f->path = g_build_filename(f->dir, "file", NULL);
}

/* Two levels are all that these tests make. */
static void
remove_all(const char *path, int levels)
{
  g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
  const char *name;

  while (levels > 0 && dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
    g_autofree char *inner = g_build_filename(path, name, NULL);

    if (g_remove(inner) != 0)
      remove_all(inner, levels - 1);
  }
  g_remove(path);
}

static void
tear_down(Fixture *f, const void *data)
{
  (void)data;
  remove_all(f->dir, 4);
  g_free(f->dir);
  g_free(f->path);
}

static void
put(const char *path, const char *text, mode_t mode)
{
  g_assert_true(g_file_set_contents(path, text, -1, NULL));
  g_assert_cmpint(chmod(path, mode), ==, 0);
}

static mode_t
mode_of(const char *path)
{
  struct stat st;

  g_assert_cmpint(lstat(path, &st), ==, 0);
  return st.st_mode & 07777;
}

static guint
entries(const char *path)
{
  g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
  guint n = 0;

  while (g_dir_read_name(dir) != NULL)
    n++;
  return n;
}

/* The error is of this code and its message holds this text. */
static void
expect(GError **error, GFileError code, const char *text)
{
  g_assert_error(*error, G_FILE_ERROR, (gint)code);
  if (strstr((*error)->message, text) == NULL)
    g_error("no '%s' in: %s", text, (*error)->message);
  g_clear_error(error);
}

static void
test_private_dir(Fixture *f, const void *data)
{
  g_autofree char *deep = g_build_filename(f->dir, "a", "b", NULL);
  g_autofree char *parent = g_path_get_dirname(deep);
  g_autoptr(GError) error = NULL;

  (void)data;
  g_assert_true(file_private_dir(deep, &error));
  g_assert_no_error(error);
  g_assert_cmpuint(mode_of(deep), ==, 0700);
  g_assert_cmpuint(mode_of(parent), ==, 0700);
  g_assert_true(file_private_dir(deep, &error));
  /* Others may look, as in a usual home, but not write. */
  g_assert_cmpint(chmod(deep, 0755), ==, 0);
  g_assert_true(file_private_dir(deep, &error));
  g_assert_cmpint(chmod(deep, 0770), ==, 0);
  g_assert_false(file_private_dir(deep, &error));
  expect(&error, G_FILE_ERROR_PERM, "run chmod 700 /");
  g_assert_cmpint(chmod(deep, 01777), ==, 0);
  g_assert_false(file_private_dir(deep, &error));
  expect(&error, G_FILE_ERROR_PERM, deep);
}

static void
test_private_dir_is_none(Fixture *f, const void *data)
{
  g_autofree char *below = g_build_filename(f->path, "x", NULL);
  g_autoptr(GError) error = NULL;

  (void)data;
  put(f->path, "", 0600);
  g_assert_false(file_private_dir(f->path, &error));
  expect(&error, G_FILE_ERROR_NOTDIR, f->path);
  g_assert_false(file_private_dir(below, &error));
  expect(&error, G_FILE_ERROR_NOTDIR, "Cannot create folder");
}

/* Our own link is our own choice; another user's is not. */
static void
test_private_dir_by_link(Fixture *f, const void *data)
{
  g_autofree char *real = g_build_filename(f->dir, "real", NULL);
  g_autoptr(GError) error = NULL;

  (void)data;
  g_assert_cmpint(mkdir(real, 0700), ==, 0);
  g_assert_cmpint(symlink(real, f->path), ==, 0);
  g_assert_true(file_private_dir(f->path, &error));
  if (geteuid() != 0) {
    g_test_skip("needs root to make another user's link");
    return;
  }
  g_assert_cmpint(lchown(f->path, NOBODY, NOBODY), ==, 0);
  g_assert_false(file_private_dir(f->path, &error));
  expect(&error, G_FILE_ERROR_PERM, "symbolic link that another user made");
  g_assert_cmpint(chown(real, NOBODY, NOBODY), ==, 0);
  g_assert_false(file_private_dir(real, &error));
  expect(&error, G_FILE_ERROR_PERM, "belongs to another user (uid 65534)");
}

static void
test_replace(Fixture *f, const void *data)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GBytes) bytes = NULL;
  const mode_t before = umask(0077);

  (void)data;
  g_assert_true(file_replace(f->path, "one", 3, 0644, &error));
  g_assert_no_error(error);
  umask(before);
  g_assert_cmpuint(mode_of(f->path), ==, 0644);
  g_assert_true(file_replace(f->path, "second", 6, 0600, &error));
  g_assert_cmpuint(mode_of(f->path), ==, 0600);
  bytes = file_read(f->path, 6, &error);
  g_assert_no_error(error);
  g_assert_cmpmem(
      g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), "second", 6);
  g_assert_true(file_replace(f->path, NULL, 0, 0600, &error));
  g_assert_cmpuint(entries(f->dir), ==, 1);
}

/* The link goes, what it pointed to stays. */
static void
test_replace_a_link(Fixture *f, const void *data)
{
  g_autofree char *target = g_build_filename(f->dir, "target", NULL);
  g_autofree char *text = NULL;

  (void)data;
  put(target, "kept", 0600);
  g_assert_cmpint(symlink(target, f->path), ==, 0);
  g_assert_true(file_replace(f->path, "new", 3, 0600, NULL));
  g_assert_true(g_file_get_contents(target, &text, NULL, NULL));
  g_assert_cmpstr(text, ==, "kept");
  g_assert_false(g_file_test(f->path, G_FILE_TEST_IS_SYMLINK));
}

static void
test_replace_refused(Fixture *f, const void *data)
{
  g_autofree char *missing = g_build_filename(f->dir, "no", "file", NULL);
  g_autofree char *inner = g_build_filename(f->path, "inner", NULL);
  g_autoptr(GError) error = NULL;

  (void)data;
  g_assert_false(file_replace(missing, "x", 1, 0600, &error));
  expect(&error, G_FILE_ERROR_NOENT, "Cannot create");
  /* A folder that is not empty stands where the file should. */
  g_assert_cmpint(mkdir(f->path, 0700), ==, 0);
  put(inner, "", 0600);
  g_assert_false(file_replace(f->path, "x", 1, 0600, &error));
  expect(&error, G_FILE_ERROR_ISDIR, "Cannot replace");
  g_assert_cmpuint(entries(f->dir), ==, 1);
}

/* Runs func in a child; returns its exit status. */
static int
in_child(int (*func)(Fixture *f), Fixture *f)
{
  const pid_t child = fork();
  int status;

  g_assert_cmpint(child, >=, 0);
  if (child == 0)
    _exit(func(f));
  g_assert_cmpint(waitpid(child, &status, 0), ==, child);
  g_assert_true(WIFEXITED(status));
  return WEXITSTATUS(status);
}

static int
replace_beyond_limit(Fixture *f)
{
  const struct rlimit limit = {4096, 4096};
  g_autofree char *large = g_strnfill(65536, 'x');
  g_autoptr(GError) error = NULL;

  signal(SIGXFSZ, SIG_IGN);
  if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
    return 77;
  if (file_replace(f->path, large, 65536, 0600, &error))
    return 1;
  return strstr(error->message, "Cannot write") != NULL ? 0 : 2;
}

static void
check_old_is_whole(const char *dir, const char *path)
{
  g_autofree char *text = NULL;

  g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
  g_assert_cmpstr(text, ==, "old");
  g_assert_cmpuint(entries(dir), ==, 1);
}

/* A write that fails half-way leaves the old file and nothing beside it. */
static void
test_replace_fails_half_way(Fixture *f, const void *data)
{
  (void)data;
  put(f->path, "old", 0600);
  g_assert_cmpint(in_child(replace_beyond_limit, f), ==, 0);
  check_old_is_whole(f->dir, f->path);
}

/* The same on a disk that is really full, in a mount namespace of its own. */
static int
replace_on_full_disk(Fixture *f)
{
  g_autofree char *large = g_strnfill(65536, 'x');
  g_autoptr(GError) error = NULL;
  g_autofree char *text = NULL;

  if (unshare(CLONE_NEWNS) != 0 ||
      mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) != 0 ||
      mount("tmpfs", f->dir, "tmpfs", 0, "size=16k") != 0)
    return 77;
  if (!file_replace(f->path, "old", 3, 0600, &error))
    return 1;
  if (file_replace(f->path, large, 65536, 0600, &error) ||
      !g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOSPC))
    return 2;
  if (!g_file_get_contents(f->path, &text, NULL, NULL) ||
      strcmp(text, "old") != 0 || entries(f->dir) != 1)
    return 3;
  return 0;
}

static void
test_replace_on_full_disk(Fixture *f, const void *data)
{
  const int status = in_child(replace_on_full_disk, f);

  (void)data;
  if (status == 77)
    g_test_skip("cannot mount a small tmpfs");
  else
    g_assert_cmpint(status, ==, 0);
}

static void
test_read(Fixture *f, const void *data)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GBytes) bytes = NULL;
  g_autoptr(GBytes) none = NULL;

  (void)data;
  put(f->path, "12345", 0644);
  bytes = file_read(f->path, 5, &error);
  g_assert_no_error(error);
  g_assert_cmpmem(
      g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), "12345", 5);
  g_assert_null(file_read(f->path, 4, &error));
  expect(&error, G_FILE_ERROR_FAILED, "longer than 4 bytes");
  put(f->path, "", 0644);
  none = file_read(f->path, 0, &error);
  g_assert_no_error(error);
  g_assert_cmpuint(g_bytes_get_size(none), ==, 0);
  g_assert_null(file_read(f->dir, 5, &error));
  expect(&error, G_FILE_ERROR_INVAL, "not a regular file");
  g_assert_null(file_read("/dev/full", 5, &error));
  expect(&error, G_FILE_ERROR_INVAL, "not a regular file");
}

/* A file that says it is empty and is not, as the kernel's do. */
static void
test_read_beyond_its_size(Fixture *f, const void *data)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GBytes) bytes = NULL;

  (void)f;
  (void)data;
  bytes = file_read("/proc/self/maps", 1 << 20, &error);
  g_assert_no_error(error);
  g_assert_cmpuint(g_bytes_get_size(bytes), >, 4096);
  g_assert_null(file_read("/proc/self/maps", 100, &error));
  expect(&error, G_FILE_ERROR_FAILED, "longer than 100 bytes");
}

/* Nobody writes to the FIFO: a read that waited would hang. */
static void
test_read_fifo(Fixture *f, const void *data)
{
  g_autoptr(GError) error = NULL;

  (void)data;
  g_assert_cmpint(mkfifo(f->path, 0600), ==, 0);
  g_assert_null(file_read(f->path, 5, &error));
  expect(&error, G_FILE_ERROR_INVAL, "not a regular file");
  g_assert_null(file_read_secret(f->path, &error));
  expect(&error, G_FILE_ERROR_INVAL, "not a regular file");
}

static void
check_secret(const char *path, const char *text, const char *want)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(Secret) secret = NULL;

  put(path, text, 0600);
  secret = file_read_secret(path, &error);
  g_assert_no_error(error);
  g_assert_cmpuint(secret_len(secret), ==, strlen(want));
  g_assert_cmpstr(secret_text(secret), ==, want);
}

static void
test_secret(Fixture *f, const void *data)
{
  g_autofree char *largest = g_strnfill((1 << 20) - 1, 'k');

  (void)data;
  check_secret(f->path, "token", "token");
  check_secret(f->path, "token\n", "token");
  check_secret(f->path, "token\n\n", "token\n");
  check_secret(f->path, "a\nb\r\n", "a\nb\r");
  check_secret(f->path, " x", " x");
  check_secret(f->path, largest, largest);
}

static void
test_secret_modes(Fixture *f, const void *data)
{
  static const mode_t open_modes[] = {0640, 0604, 0644, 0620, 0602, 0601, 0610};
  g_autofree char *advice = g_strdup_printf("run chmod 600 %s", f->path);
  g_autoptr(GError) error = NULL;
  g_autoptr(Secret) strict = NULL;

  (void)data;
  for (size_t i = 0; i < G_N_ELEMENTS(open_modes); i++) {
    put(f->path, "hush-hush", open_modes[i]);
    g_assert_null(file_read_secret(f->path, &error));
    g_assert_null(strstr(error->message, "hush-hush"));
    expect(&error, G_FILE_ERROR_PERM, advice);
  }
  put(f->path, "hush-hush", 0400);
  strict = file_read_secret(f->path, &error);
  g_assert_no_error(error);
  g_assert_cmpstr(secret_text(strict), ==, "hush-hush");
}

static void
test_secret_refused(Fixture *f, const void *data)
{
  g_autofree char *link = g_build_filename(f->dir, "link", NULL);
  g_autofree char *large = g_strnfill(1 << 20, 'k');
  g_autoptr(GError) error = NULL;

  (void)data;
  g_assert_null(file_read_secret(f->path, &error));
  expect(&error, G_FILE_ERROR_NOENT, "Cannot open");
  put(f->path, "", 0600);
  g_assert_null(file_read_secret(f->path, &error));
  expect(&error, G_FILE_ERROR_INVAL, "is empty");
  put(f->path, "\n", 0600);
  g_assert_null(file_read_secret(f->path, &error));
  expect(&error, G_FILE_ERROR_INVAL, "is empty");
  put(f->path, large, 0600);
  g_assert_null(file_read_secret(f->path, &error));
  expect(&error, G_FILE_ERROR_FAILED, "longer than 1048575 bytes");
  put(f->path, "token", 0600);
  g_assert_cmpint(symlink(f->path, link), ==, 0);
  g_assert_null(file_read_secret(link, &error));
  expect(&error, G_FILE_ERROR_LOOP, "symbolic link: name the file itself");
  g_assert_null(file_read_secret(f->dir, &error));
  expect(&error, G_FILE_ERROR_INVAL, "not a regular file");
}

/* Another user's file, even one that only they can read. */
static void
test_secret_of_another_user(Fixture *f, const void *data)
{
  g_autoptr(GError) error = NULL;

  (void)data;
  if (geteuid() != 0) {
    g_test_skip("needs root to make another user's file");
    return;
  }
  put(f->path, "token", 0600);
  g_assert_cmpint(chown(f->path, NOBODY, NOBODY), ==, 0);
  g_assert_null(file_read_secret(f->path, &error));
  expect(&error, G_FILE_ERROR_PERM, "belongs to another user (uid 65534)");
}

#define ADD(name, func)                                                        \
  g_test_add("/kit/file/" name, Fixture, NULL, set_up, func, tear_down)

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  ADD("private-dir", test_private_dir);
  ADD("private-dir-is-none", test_private_dir_is_none);
  ADD("private-dir-by-link", test_private_dir_by_link);
  ADD("replace", test_replace);
  ADD("replace-a-link", test_replace_a_link);
  ADD("replace-refused", test_replace_refused);
  ADD("replace-fails-half-way", test_replace_fails_half_way);
  ADD("replace-on-full-disk", test_replace_on_full_disk);
  ADD("read", test_read);
  ADD("read-beyond-its-size", test_read_beyond_its_size);
  ADD("read-fifo", test_read_fifo);
  ADD("secret", test_secret);
  ADD("secret-modes", test_secret_modes);
  ADD("secret-refused", test_secret_refused);
  ADD("secret-of-another-user", test_secret_of_another_user);
  return g_test_run();
}
