/* SPDX-License-Identifier: Apache-2.0 */
/* gitignore(5): each of its sentences as a row, and random patterns against
 * git itself; and the index that git writes. */
#include "cli/ignore.h"
#include "cli/tracked.h"
#include <gio/gio.h>
#include <stdlib.h>
#include <string.h>

/* As a walk asks: each folder on the way down, then the path itself. */
static bool
ignored(const Ignore *ignore, const char *path, bool is_dir)
{
  g_autofree char *part = g_strdup(path);

  for (char *slash = part; (slash = strchr(slash, '/')); *slash++ = '/') {
    *slash = '\0';
    if (ignore_matches(ignore, part, true))
      return true;
  }
  return ignore_matches(ignore, path, is_dir);
}

/* ---- The manual's rules --------------------------------------------------
 */

typedef struct {
  const char *patterns, *path;
  bool ignored;
} Row;

/* A path with a slash at its end is a folder. */
static const Row rows[] = {
    /* blank lines and comments */
    {"\n\n", "a", false},
    {"#a", "#a", false},
    {"\\#a", "#a", true},
    /* blanks at the end, unless quoted */
    {"a  ", "a", true},
    {"a\\ ", "a ", true},
    {"a\\ ", "a", false},
    {"a\\  ", "a ", true},
    {"a b", "a b", true},
    {" a", "a", false},
    {" a", " a", true},
    {"a\t", "a", false},
    /* negation; not below an excluded folder */
    {"*\n!a", "a", false},
    {"*\n!a", "b", true},
    {"!a\n*", "a", true},
    {"d\n!d/a", "d/a", true},
    {"d/*\n!d/a", "d/a", false},
    {"\\!a", "!a", true},
    {"!", "!", false},
    {"/*\n!/foo\n/foo/*\n!/foo/bar", "foo/bar/x", false},
    {"/*\n!/foo\n/foo/*\n!/foo/bar", "foo/baz", true},
    {"/*\n!/foo\n/foo/*\n!/foo/bar", "x", true},
    /* a slash at the beginning or in the middle: relative to the file */
    {"/a", "a", true},
    {"/a", "d/a", false},
    {"doc/frotz", "doc/frotz", true},
    {"doc/frotz", "a/doc/frotz", false},
    {"/doc/frotz", "doc/frotz", true},
    {"a", "d/e/a", true},
    {"a", "a/b/c", true},
    /* a slash at the end: folders alone */
    {"frotz/", "frotz/", true},
    {"frotz/", "frotz", false},
    {"frotz/", "a/frotz/", true},
    {"doc/frotz/", "a/doc/frotz/", false},
    {"frotz/", "a/frotz/x", true},
    {"/", "a", false},
    {"//", "a", false},
    /* one star and one question mark stop at slashes */
    {"foo/*", "foo/test.json", true},
    {"foo/*", "foo/bar/", true},
    {"foo/*.c", "foo/bar/hello.c", false},
    {"*.o", "x/y.o", true},
    {"*.o", ".o", true},
    {"a?c", "abc", true},
    {"a?c", "a/c", false},
    {"d/a?c", "d/a/c", false},
    {"*a*b*c", "xxaxxbxxc", true},
    {"*a*b*c", "xxaxxbxx", false},
    /* sets */
    {"[a-c]x", "bx", true},
    {"[a-c]x", "dx", false},
    {"[!a]x", "bx", true},
    {"[^a]x", "ax", false},
    {"[]a]x", "]x", true},
    {"[a-]x", "-x", true},
    {"[\\]]x", "]x", true},
    {"[[:digit:]]x", "5x", true},
    {"[[:digit:]]x", "ax", false},
    {"[[:nothing:]]x", "ax", false},
    {"d[!a]e", "d/e", false},
    {"x/d[!a]e", "x/d/e", false},
    {"[a", "[a", false},
    {"[a", "a", false},
    /* a backslash quotes; at the end it matches nothing */
    {"\\a", "a", true},
    {"\\*", "*", true},
    {"\\*", "a", false},
    {"a\\", "a\\", false},
    {"a\\", "a", false},
    /* leading double star */
    {"**/foo", "foo", true},
    {"**/foo", "a/b/foo", true},
    {"**/foo/bar", "x/foo/bar", true},
    {"**/foo/bar", "foo/x/bar", false},
    /* trailing */
    {"abc/**", "abc/x/y", true},
    {"abc/**", "abc/", false},
    {"abc/**", "abc", false},
    {"**", "a/b", true},
    /* in the middle */
    {"a/**/b", "a/b", true},
    {"a/**/b", "a/x/b", true},
    {"a/**/b", "a/x/y/b", true},
    {"a/**/b", "ax/b", false},
    {"a/**/b*c/**/d", "a/bxc/d", true},
    {"a/**/b*c/**/d", "a/bx/c/d", false},
    {"a/**/b*c/**/d", "a/b/bc/x/y/d", true},
    /* other double stars are single ones */
    {"a/**b", "a/xb", true},
    {"a/**b", "a/x/b", false},
    {"a**b", "axb", true},
    /* line ends and the byte order mark of other editors */
    {"a\r\nb\r\n", "a", true},
    {"\xef\xbb\xbf"
     "a",
     "a",
     true},
    /* case counts */
    {"A", "a", false},
};

static void
test_manual(void)
{
  for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(Ignore) ignore =
        ignore_new(NULL, 0, rows[i].patterns, strlen(rows[i].patterns));
    g_autofree char *path = g_strdup(rows[i].path);
    const bool is_dir = g_str_has_suffix(path, "/");

    if (is_dir)
      path[strlen(path) - 1] = '\0';
    if (ignored(ignore, path, is_dir) != rows[i].ignored)
      g_error("%s: %s is %sexpected to be ignored",
              rows[i].patterns,
              rows[i].path,
              rows[i].ignored ? "" : "not ");
  }
}

static void
test_levels(void)
{
  g_autoptr(Ignore) top = ignore_new(NULL, 0, "*.o\n/d/x\n", 9);
  g_autoptr(Ignore) below = ignore_new(top, 2, "!a.o\n/y\n", 8);

  g_assert_true(ignore_matches(below, "d/b.o", false));
  g_assert_false(ignore_matches(below, "d/a.o", false));
  g_assert_true(ignore_matches(top, "d/a.o", false));
  g_assert_true(ignore_matches(below, "d/x", false));
  g_assert_true(ignore_matches(below, "d/y", false));
  g_assert_false(ignore_matches(below, "d/e/y", false));
  g_assert_false(ignore_matches(NULL, "d/e/y", false));
}

/* Takes time that grows with the product of the lengths at most. */
static void
test_many_stars_end(void)
{
  g_autoptr(GString) pattern = g_string_new("a");
  g_autoptr(GString) text = g_string_new(NULL);
  g_autoptr(GTimer) timer = g_timer_new();

  for (unsigned i = 0; i < 500; i++) {
    g_string_append(pattern, i % 7 ? "*a" : "/**/*a");
    g_string_append(text, i % 3 ? "aaaaaa" : "a/");
  }
  g_string_append_c(pattern, 'b');
  g_assert_false(ignore_glob(pattern->str, text->str, true));
  g_assert_false(ignore_glob(pattern->str, text->str, false));
  g_assert_cmpfloat(g_timer_elapsed(timer, NULL), <, 5.0);
}

/* ---- Against git ---------------------------------------------------------
 */

typedef struct {
  char *dir;
  char **env;
} Git;

static bool
git_run(const Git *git, const char *const *args, const char *in, char **out)
{
  g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new(
      G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE |
      G_SUBPROCESS_FLAGS_STDERR_SILENCE);
  g_autoptr(GSubprocess) child = NULL;

  g_subprocess_launcher_set_cwd(launcher, git->dir);
  g_subprocess_launcher_set_environ(launcher, git->env);
  child = g_subprocess_launcher_spawnv(launcher, args, NULL);
  return child &&
         g_subprocess_communicate_utf8(child, in, NULL, out, NULL, NULL) &&
         g_subprocess_get_if_exited(child) &&
         g_subprocess_get_exit_status(child) < 2;
}

static bool
git_init(Git *git)
{
  static const char *const args[] = {"git", "init", "-q", ".", NULL};

  git->dir = g_dir_make_tmp("hoop-ignore-XXXXXX", NULL);
  git->env = g_get_environ();
  git->env = g_environ_setenv(git->env, "HOME", git->dir, TRUE);
  git->env = g_environ_setenv(git->env, "XDG_CONFIG_HOME", git->dir, TRUE);
  git->env = g_environ_setenv(git->env, "GIT_CONFIG_NOSYSTEM", "1", TRUE);
  git->env = g_environ_unsetenv(git->env, "GIT_DIR");
  return git_run(git, args, NULL, NULL);
}

static void
git_clear(Git *git)
{
  static const char *const args[] = {"rm", "-rf", NULL, NULL};
  const char *all[] = {args[0], args[1], git->dir, NULL};
  Git above = {.dir = (char *)"/", .env = git->env};

  git_run(&above, all, NULL, NULL);
  g_free(git->dir);
  g_strfreev(git->env);
}

static char *
random_word(GRand *rand, const char *const *parts, unsigned n, unsigned max)
{
  GString *word = g_string_new(NULL);
  const unsigned len = (unsigned)g_rand_int_range(rand, 1, (gint)max);

  for (unsigned i = 0; i < len; i++)
    g_string_append(word, parts[g_rand_int_range(rand, 0, (gint)n)]);
  return g_string_free(word, FALSE);
}

/* Paths that git takes: relative, no empty names, nothing above. */
static char *
random_path(GRand *rand)
{
  static const char *const parts[] = {"a", "b", "ab", "c", "a]", "5", "-"};
  GString *path = g_string_new(NULL);
  const int depth = g_rand_int_range(rand, 1, 5);

  for (int i = 0; i < depth; i++) {
    g_autofree char *name = random_word(rand, parts, 7, 4);

    g_string_append_printf(path, "%s%s", i ? "/" : "", name);
  }
  return g_string_free(path, FALSE);
}

static char *
random_patterns(GRand *rand)
{
  static const char *const parts[] = {
      "a",     "b",     "c",   "a",           "b",    "/", "/",
      "*",     "**",    "**/", "/**/",        "/**",  "?", "[ab]",
      "[!a]",  "[a-c]", "\\a", "\\*",         "!",    " ", "[]b]",
      "[^b-]", "[a",    "5",   "[[:digit:]]", "[\\]]"};
  GString *text = g_string_new(NULL);
  const int lines = g_rand_int_range(rand, 1, 5);

  for (int i = 0; i < lines; i++) {
    g_autofree char *line = random_word(rand, parts, G_N_ELEMENTS(parts), 7);

    g_string_append_printf(
        text, "%s%s\n", g_rand_int_range(rand, 0, 4) ? "" : "!", line);
  }
  return g_string_free(text, FALSE);
}

static void
compare_round(const Git *git, GRand *rand)
{
  static const char *const args[] = {
      "git", "check-ignore", "--no-index", "--stdin", NULL};
  g_autofree char *patterns = random_patterns(rand);
  g_autofree char *file = g_build_filename(git->dir, ".gitignore", NULL);
  g_autoptr(GString) in = g_string_new(NULL);
  g_autofree char *out = NULL;
  g_autoptr(Ignore) ignore = ignore_new(NULL, 0, patterns, strlen(patterns));
  g_auto(GStrv) paths = NULL;
  g_auto(GStrv) named = NULL;

  for (unsigned i = 0; i < 60; i++) {
    g_autofree char *path = random_path(rand);

    g_string_append_printf(in, "%s%s", i ? "\n" : "", path);
  }
  g_assert_true(g_file_set_contents(file, patterns, -1, NULL));
  g_assert_true(git_run(git, args, in->str, &out));
  paths = g_strsplit(in->str, "\n", -1);
  named = g_strsplit(out, "\n", -1);
  for (char **path = paths; *path; path++) {
    const bool theirs = g_strv_contains((const char *const *)named, *path);

    if (ignored(ignore, *path, false) != theirs)
      g_error("git does %signore %s with\n%s",
              theirs ? "" : "not ",
              *path,
              patterns);
  }
}

static void
test_as_git(void)
{
  const char *seed = g_getenv("HOOP_SEED");
  g_autoptr(GRand) rand =
      g_rand_new_with_seed(seed ? (guint32)strtoul(seed, NULL, 10) : 20260301);
  const char *rounds = g_getenv("HOOP_ROUNDS");
  Git git = {0};

  if (!git_init(&git)) {
    g_test_skip("git is not installed");
    git_clear(&git);
    return;
  }
  for (unsigned i = 0; i < (rounds ? strtoul(rounds, NULL, 10) : 150); i++)
    compare_round(&git, rand);
  git_clear(&git);
}

/* ---- The index -----------------------------------------------------------
 */

static bool
git_do(const Git *git, const char *command)
{
  g_auto(GStrv) args = g_strsplit(command, " ", -1);

  return git_run(git, (const char *const *)args, NULL, NULL);
}

static void
put(const Git *git, const char *name)
{
  g_autofree char *path = g_build_filename(git->dir, name, NULL);
  g_autofree char *dir = g_path_get_dirname(path);

  g_assert_cmpint(g_mkdir_with_parents(dir, 0700), ==, 0);
  g_assert_true(g_file_set_contents(path, name, -1, NULL));
}

static void
check_tracked(const Tracked *tracked, unsigned n)
{
  g_assert_nonnull(tracked);
  g_assert_cmpuint(tracked_count(tracked), ==, n);
  g_assert_true(tracked_has(tracked, "a"));
  g_assert_true(tracked_has(tracked, "d/e/f"));
  g_assert_false(tracked_has(tracked, "d/e"));
  g_assert_false(tracked_has(tracked, "d/e/g"));
  g_assert_false(tracked_has(tracked, "zz"));
  g_assert_true(tracked_below(tracked, "d"));
  g_assert_true(tracked_below(tracked, "d/e"));
  g_assert_false(tracked_below(tracked, "a"));
  g_assert_false(tracked_below(tracked, "d/"));
  g_assert_false(tracked_below(tracked, "z"));
}

/* Cut anywhere, or with any byte changed, it is refused or read, never
 * trusted. */
static void
check_damaged(const char *index, size_t len)
{
  for (size_t cut = 0; cut < len; cut++) {
    g_autofree char *part = g_memdup2(index, MAX(cut, 1));

    tracked_free(tracked_parse(part, cut));
  }
  for (size_t at = 0; at < len; at++) {
    g_autofree char *changed = g_memdup2(index, len);

    changed[at] = (char)(changed[at] ^ (1 << at % 8));
    tracked_free(tracked_parse(changed, len));
  }
}

static void
check_index(const Git *git, unsigned n, bool readable)
{
  g_autofree char *path = g_build_filename(git->dir, ".git/index", NULL);
  g_autofree char *index = NULL;
  g_autoptr(Tracked) tracked = NULL;
  size_t len;

  g_assert_true(g_file_get_contents(path, &index, &len, NULL));
  tracked = tracked_parse(index, len);
  if (!readable) {
    g_assert_null(tracked);
    return;
  }
  check_tracked(tracked, n);
  check_damaged(index, len);
}

static void
test_index(gconstpointer init)
{
  Git git = {0};
  g_autofree char *long_name = g_strnfill(200, 'n');

  if (!git_init(&git) || !git_do(&git, "rm -rf .git") || !git_do(&git, init)) {
    g_test_skip("no such git is installed");
    git_clear(&git);
    return;
  }
  put(&git, "a");
  put(&git, "d/e/f");
  put(&git, "d/e-f");
  put(&git, "d.e");
  put(&git, "z\xff\n");
  put(&git, long_name);
  g_assert_true(git_do(&git, "git add -A"));
  check_index(&git, 6, true);
  g_assert_true(git_do(&git, "git update-index --index-version 4"));
  check_index(&git, 6, true);
  put(&git, "planned");
  g_assert_true(git_do(&git, "git add -N planned")); /* an extended entry */
  check_index(&git, 7, true);
  g_assert_true(git_do(&git, "git update-index --index-version 3"));
  check_index(&git, 7, true);
  if (git_do(&git, "git update-index --split-index"))
    check_index(&git, 0, false);
  git_clear(&git);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/ignore/manual", test_manual);
  g_test_add_func("/ignore/levels", test_levels);
  g_test_add_func("/ignore/many-stars-end", test_many_stars_end);
  g_test_add_func("/ignore/as-git", test_as_git);
  g_test_add_data_func("/ignore/index", "git init -q .", test_index);
  g_test_add_data_func("/ignore/index-sha256",
                       "git init -q --object-format=sha256 .",
                       test_index);
  return g_test_run();
}
