/* SPDX-License-Identifier: Apache-2.0 */
/* Allowed findings and the clocks: none lasts longer than was said, however the
 * wall clock is set, and one that was removed stays so. */
#include "daemon/private.h"
#include "folder.h"
#include "kit/clock.h"
#include <string.h>

#define S INT64_C(1000000)
#define FINGERPRINT "0123456789abcdef"
#define POLICY                                                                 \
  "version: 1\ndefault: allow\ntunnels: allow\nrules:\n"                       \
  "  - {id: a, match: {finding: {class: secret}}, action: mask, "              \
  "allow-fingerprints: true}\n"

static int64_t wall_us, boot_us;

/* In place of kit's: the test moves the clocks. */
int64_t __wrap_clock_wall_us(void);
int64_t __wrap_clock_boot_us(void);

int64_t
__wrap_clock_wall_us(void)
{
  return wall_us;
}

int64_t
__wrap_clock_boot_us(void)
{
  return boot_us;
}

typedef struct {
  struct agent agent;
  Config config;
  char *dir, *file;
} Fixture;

static void
start(Fixture *f)
{
  g_autoptr(Secret) mask = secret_new_random(32);
  g_autoptr(Secret) fingerprint = secret_new_random(32);

  f->agent.masker = masker_new(mask, fingerprint);
  allowed_load(&f->agent);
}

static void
stop(Fixture *f)
{
  allowed_free(&f->agent);
  g_clear_pointer(&f->agent.masker, masker_free);
}

static void
set_up(Fixture *f, const void *data)
{
  (void)data;
  *f = (Fixture){0};
  wall_us = 1000000 * S;
  boot_us = 1000 * S;
  f->dir = g_dir_make_tmp("hoop-allowed-XXXXXX", NULL);
  f->file = g_build_filename(f->dir, "allowed", NULL);
  f->config.state_dir = f->dir;
  f->agent.config = &f->config;
  f->agent.policy = policy_parse("p", POLICY, strlen(POLICY), NULL);
  start(f);
}

static void
tear_down(Fixture *f, const void *data)
{
  (void)data;
  stop(f);
  policy_unref(f->agent.policy);
  remove_folder(f->dir);
  g_free(f->file);
  g_free(f->dir);
}

static bool
allows(Fixture *f)
{
  const bool listed = allowed_list(&f->agent)->len == 1;

  g_assert_cmpint(masker_allows(f->agent.masker, FINGERPRINT), ==, listed);
  return listed;
}

static void
add(Fixture *f, unsigned seconds)
{
  g_autoptr(GError) error = NULL;

  allowed_add(&f->agent, FINGERPRINT, seconds, &error);
  g_assert_no_error(error);
  g_assert_true(allows(f));
}

static void
pass(int64_t seconds)
{
  wall_us += seconds * S;
  boot_us += seconds * S;
}

static void
restart(Fixture *f)
{
  stop(f);
  start(f);
}

static void
test_expires(Fixture *f, const void *data)
{
  (void)data;
  add(f, 600);
  pass(599);
  g_assert_true(allows(f));
  pass(1);
  g_assert_false(allows(f));
}

static void
test_set_back(Fixture *f, const void *data)
{
  (void)data;
  add(f, 600);
  pass(300);
  wall_us -= 100000 * S;
  g_assert_true(allows(f));
  restart(f);
  g_assert_true(allows(f));
  boot_us += 300 * S;
  g_assert_false(allows(f));
  restart(f);
  g_assert_false(allows(f));
}

static void
test_set_forward(Fixture *f, const void *data)
{
  (void)data;
  add(f, 600);
  wall_us += 600 * S;
  g_assert_false(allows(f));
}

/* The file as another boot would have left it. */
static void
reboot(Fixture *f)
{
  g_autofree char *text = NULL;
  g_auto(GStrv) lines = NULL;
  g_autofree char *other = NULL;

  stop(f);
  g_assert_true(g_file_get_contents(f->file, &text, NULL, NULL));
  lines = g_strsplit(text, "\n", 2);
  g_assert_true(g_str_has_prefix(lines[0], "hoop-agent allowed 2 "));
  other = g_strconcat("hoop-agent allowed 2 another\n", lines[1], NULL);
  g_unlink(f->file);
  g_assert_true(g_file_set_contents_full(
      f->file, other, -1, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
  boot_us = 5 * S;
  start(f);
}

static void
test_reboot(Fixture *f, const void *data)
{
  (void)data;
  add(f, 600);
  pass(300);
  reboot(f);
  g_assert_true(allows(f));
  pass(300);
  g_assert_false(allows(f));
}

/* While the machine was off, days back. */
static void
test_set_back_over_reboot(Fixture *f, const void *data)
{
  (void)data;
  add(f, 600);
  pass(300);
  wall_us -= 500000 * S;
  reboot(f);
  g_assert_true(allows(f));
  pass(299);
  g_assert_true(allows(f));
  pass(1);
  g_assert_false(allows(f));
}

/* As the former format had it: no boot clock. */
static void
test_former_file(Fixture *f, const void *data)
{
  g_autofree char *text =
      g_strdup_printf("hoop-agent allowed 1\n" FINGERPRINT " %" G_GINT64_FORMAT
                      " %" G_GINT64_FORMAT "\n",
                      wall_us + 500 * S,
                      wall_us - 100 * S);

  (void)data;
  stop(f);
  g_assert_true(g_file_set_contents_full(
      f->file, text, -1, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
  start(f);
  g_assert_true(allows(f));
  wall_us -= 10000 * S;
  boot_us += 600 * S;
  g_assert_false(allows(f));
}

static void
test_broken_file(Fixture *f, const void *data)
{
  static const char *const rows[] = {
      "",
      "hoop-agent allowed 3 x\n",
      "hoop-agent allowed 2 x\n" FINGERPRINT " 1 2 3\n",
      "hoop-agent allowed 2 x\n" FINGERPRINT " 9000000000000000 2 3 -4\n",
      "hoop-agent allowed 2 x\nxyz 9000000000000000 2 3 4\n"};

  (void)data;
  for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_unlink(f->file);
    g_assert_true(g_file_set_contents_full(
        f->file, rows[i], -1, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
    allowed_free(&f->agent);
    allowed_load(&f->agent);
    g_assert_false(allows(f));
  }
}

/* A folder in the file's place, which nothing can be renamed over. */
static void
test_unwritable(Fixture *f, const void *data)
{
  g_autofree char *inside = g_build_filename(f->file, "x", NULL);
  g_autoptr(GError) error = NULL;

  (void)data;
  add(f, 600);
  g_unlink(f->file);
  g_mkdir(f->file, 0700);
  g_mkdir(inside, 0700);
  g_assert_false(allowed_remove(&f->agent, FINGERPRINT, &error));
  g_assert_true(
      g_str_has_prefix(error->message, "it is allowed no longer, but"));
  g_assert_false(allows(f));
  g_clear_error(&error);
  g_assert_false(allowed_add(&f->agent, FINGERPRINT, 600, &error));
  g_assert_false(allows(f));
}

/* Written at the stop, if it can be by then. */
static void
test_unwritable_for_a_while(Fixture *f, const void *data)
{
  g_autofree char *gone = g_strconcat(f->dir, ".gone", NULL);
  g_autoptr(GError) error = NULL;

  (void)data;
  add(f, 600);
  g_assert_cmpint(g_rename(f->dir, gone), ==, 0);
  g_assert_false(allowed_remove(&f->agent, FINGERPRINT, &error));
  g_assert_false(allows(f));
  g_assert_cmpint(g_rename(gone, f->dir), ==, 0);
  restart(f);
  g_assert_false(allows(f));
}

#define TEST(name, func)                                                       \
  g_test_add("/daemon/allowed/" name, Fixture, NULL, set_up, func, tear_down)

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  TEST("expires", test_expires);
  TEST("set-back", test_set_back);
  TEST("set-forward", test_set_forward);
  TEST("reboot", test_reboot);
  TEST("set-back-over-reboot", test_set_back_over_reboot);
  TEST("former-file", test_former_file);
  TEST("broken-file", test_broken_file);
  TEST("unwritable", test_unwritable);
  TEST("unwritable-for-a-while", test_unwritable_for_a_while);
  return g_test_run();
}
