/* SPDX-License-Identifier: Apache-2.0 */
/* Changed files: in place, renamed over, through links, gone and back. */

#include "folder.h"
#include "kit/watch.h"
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#define SETTLE_MS 30
#define PATIENCE_MS 10000

typedef struct {
  char *dir, *file;
  Watch *watch;
  unsigned changes;
  bool late;
} Fixture;

/* In place of the C library's: a user has only so many. */
int __real_inotify_init1(int flags);
int __wrap_inotify_init1(int flags);
int __real_inotify_add_watch(int fd, const char *path, uint32_t mask);
int __wrap_inotify_add_watch(int fd, const char *path, uint32_t mask);
static bool no_instances, no_watches;

int
__wrap_inotify_init1(int flags)
{
  if (!no_instances)
    return __real_inotify_init1(flags);
  errno = EMFILE;
  return -1;
}

int
__wrap_inotify_add_watch(int fd, const char *path, uint32_t mask)
{
  if (!no_watches)
    return __real_inotify_add_watch(fd, path, mask);
  errno = ENOSPC;
  return -1;
}

static void
on_changed(void *data)
{
  Fixture *f = data;

  f->changes++;
}

static gboolean
on_late(gpointer data)
{
  Fixture *f = data;

  f->late = true;
  return G_SOURCE_REMOVE;
}

static void
put(const char *path, const char *text)
{
  g_assert_true(g_file_set_contents_full(
      path, text, -1, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
}

static void
set_up(Fixture *f, const void *data)
{
  (void)data;
  *f = (Fixture){0};
  f->dir = g_dir_make_tmp("hoop-watch-XXXXXX", NULL);
  f->file = g_build_filename(f->dir, "p.yaml", NULL);
}

static void
tear_down(Fixture *f, const void *data)
{
  (void)data;
  watch_free(f->watch);
  remove_folder(f->dir);
  g_free(f->dir);
  g_free(f->file);
}

static void
watch_path(Fixture *f, const char *path)
{
  const char *paths[] = {path, NULL};

  f->watch = watch_new(paths, SETTLE_MS, on_changed, f);
}

static void
wait_ms(Fixture *f, unsigned ms, unsigned changes)
{
  guint timer = g_timeout_add(ms, on_late, f);

  f->late = false;
  while (!f->late && f->changes < changes)
    g_main_context_iteration(NULL, TRUE);
  if (!f->late)
    g_source_remove(timer);
}

static void
expect(Fixture *f, unsigned changes)
{
  wait_ms(f, PATIENCE_MS, changes);
  g_assert_cmpuint(f->changes, ==, changes);
}

/* Long enough for what would come. */
static void
expect_nothing(Fixture *f)
{
  const unsigned before = f->changes;

  wait_ms(f, 5 * SETTLE_MS, before + 1);
  g_assert_cmpuint(f->changes, ==, before);
}

static void
test_in_place(Fixture *f, const void *data)
{
  (void)data;
  put(f->file, "one");
  watch_path(f, f->file);
  expect_nothing(f);
  put(f->file, "two and more");
  expect(f, 1);
  expect_nothing(f);
  g_assert_cmpint(g_chmod(f->file, 0644), ==, 0);
  expect(f, 2);
}

static void
replace(Fixture *f, const char *text)
{
  g_autofree char *fresh = g_build_filename(f->dir, "p.tmp", NULL);

  put(fresh, text);
  g_assert_cmpint(g_rename(fresh, f->file), ==, 0);
}

static void
test_renamed_over(Fixture *f, const void *data)
{
  (void)data;
  put(f->file, "one");
  watch_path(f, f->file);
  replace(f, "two");
  expect(f, 1);
  replace(f, "three");
  expect(f, 2);
}

/* What an editor does that keeps the old file: away, then the new one. */
static void
test_dance(Fixture *f, const void *data)
{
  g_autofree char *old = g_build_filename(f->dir, "p.yaml~", NULL);

  (void)data;
  put(f->file, "one");
  watch_path(f, f->file);
  g_assert_cmpint(g_rename(f->file, old), ==, 0);
  wait_ms(f, 3 * SETTLE_MS, 1);
  put(f->file, "two");
  expect(f, 1);
  g_assert_true(g_file_test(f->file, G_FILE_TEST_EXISTS));
  expect_nothing(f);
}

static void
test_gone_and_back(Fixture *f, const void *data)
{
  (void)data;
  put(f->file, "one");
  watch_path(f, f->file);
  g_unlink(f->file);
  expect(f, 1);
  put(f->file, "one");
  expect(f, 2);
}

static void
test_folder_comes(Fixture *f, const void *data)
{
  g_autofree char *folder = g_build_filename(f->dir, "a", "b", NULL);
  g_autofree char *outer = g_build_filename(f->dir, "a", NULL);
  g_autofree char *file = g_build_filename(folder, "x", NULL);

  (void)data;
  watch_path(f, file);
  g_assert_cmpint(g_mkdir_with_parents(folder, 0700), ==, 0);
  put(file, "one");
  expect(f, 1);
  remove_folder(outer);
  expect(f, 2);
  g_assert_cmpint(g_mkdir_with_parents(folder, 0700), ==, 0);
  expect_nothing(f);
  put(file, "one");
  expect(f, 3);
}

/* As mounted configuration maps do: the file is a link through a link, and the
 * latter becomes another one. */
static void
test_links(Fixture *f, const void *data)
{
  g_autofree char *one = g_build_filename(f->dir, "one", NULL);
  g_autofree char *two = g_build_filename(f->dir, "two", NULL);
  g_autofree char *current = g_build_filename(f->dir, "current", NULL);
  g_autofree char *fresh = g_build_filename(f->dir, "fresh", NULL);
  g_autofree char *in_one = g_build_filename(one, "p.yaml", NULL);
  g_autofree char *in_two = g_build_filename(two, "p.yaml", NULL);

  (void)data;
  g_mkdir(one, 0700);
  g_mkdir(two, 0700);
  put(in_one, "one");
  put(in_two, "two");
  g_assert_cmpint(symlink("one", current), ==, 0);
  g_assert_cmpint(symlink("current/p.yaml", f->file), ==, 0);
  watch_path(f, f->file);
  put(in_one, "one more");
  expect(f, 1);
  g_assert_cmpint(symlink("two", fresh), ==, 0);
  g_assert_cmpint(g_rename(fresh, current), ==, 0);
  expect(f, 2);
  put(in_two, "two more");
  expect(f, 3);
  put(in_one, "of no interest");
  expect_nothing(f);
}

static void
test_link_round(Fixture *f, const void *data)
{
  (void)data;
  g_assert_cmpint(symlink("p.yaml", f->file), ==, 0);
  watch_path(f, f->file);
  g_unlink(f->file);
  put(f->file, "one");
  expect(f, 1);
}

static void
test_folder(Fixture *f, const void *data)
{
  g_autofree char *other = g_build_filename(f->dir, "notes.txt", NULL);

  (void)data;
  watch_path(f, f->dir);
  put(f->file, "one");
  expect(f, 1);
  put(f->file, "two two");
  expect(f, 2);
  g_unlink(f->file);
  expect(f, 3);
  /* The folder itself says that something came; that is no harm. */
  put(other, "x");
  wait_ms(f, 5 * SETTLE_MS, 5);
}

/* A file that is written for a while is told of once, at the end. */
static void
test_settles(Fixture *f, const void *data)
{
  (void)data;
  put(f->file, "");
  watch_path(f, f->file);
  for (unsigned i = 1; i < 20; i++) {
    g_autofree char *text = g_strnfill(i, 'x');

    put(f->file, text);
    wait_ms(f, SETTLE_MS / 6, 1);
  }
  g_assert_cmpuint(f->changes, <, 10);
  wait_ms(f, 10 * SETTLE_MS, 10);
  g_assert_cmpuint(f->changes, >, 0);
  expect_nothing(f);
}

static void
check_polling(Fixture *f)
{
  put(f->file, "one");
  watch_path(f, f->file);
  replace(f, "two and more");
  expect(f, 1);
}

static void
test_no_instances(Fixture *f, const void *data)
{
  (void)data;
  no_instances = true;
  check_polling(f);
  no_instances = false;
  /* It is told by the kernel again, once there is room. */
  replace(f, "three");
  expect(f, 2);
}

static void
test_no_watches(Fixture *f, const void *data)
{
  (void)data;
  no_watches = true;
  check_polling(f);
  no_watches = false;
}

#define TEST(name, func)                                                       \
  g_test_add("/kit/watch/" name, Fixture, NULL, set_up, func, tear_down)

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  TEST("in-place", test_in_place);
  TEST("renamed-over", test_renamed_over);
  TEST("dance", test_dance);
  TEST("gone-and-back", test_gone_and_back);
  TEST("folder-comes", test_folder_comes);
  TEST("links", test_links);
  TEST("link-round", test_link_round);
  TEST("folder", test_folder);
  TEST("settles", test_settles);
  TEST("no-instances", test_no_instances);
  TEST("no-watches", test_no_watches);
  return g_test_run();
}
