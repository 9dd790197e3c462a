/* SPDX-License-Identifier: Apache-2.0 */
/* The log: one line a fact, whatever the text tries; levels; terminals. */

#define _GNU_SOURCE /* posix_openpt(3) */
#include "kit/log.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define THREADS 4
#define LINES 500

/* Runs func with standard error going to fd. */
static void
with_stderr(int fd, void (*func)(void))
{
  int before;

  fflush(stderr);
  before = dup(STDERR_FILENO);
  g_assert_cmpint(dup2(fd, STDERR_FILENO), ==, STDERR_FILENO);
  func();
  g_assert_cmpint(dup2(before, STDERR_FILENO), ==, STDERR_FILENO);
  close(before);
}

/* What func wrote to standard error. */
static char *
captured(void (*func)(void))
{
  g_autofree char *path = NULL;
  char *text = NULL;
  int fd = g_file_open_tmp("test-kit-log-XXXXXX", &path, NULL);

  g_assert_cmpint(fd, >=, 0);
  g_assert_cmpint(fcntl(fd, F_SETFL, O_APPEND), ==, 0);
  with_stderr(fd, func);
  close(fd);
  g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
  unlink(path);
  return text;
}

static void
write_levels(void)
{
  log_error("e%d", 1);
  log_warning("w");
  log_info("i");
  log_debug("d");
}

static void
test_levels(void)
{
  g_autofree char *usual = captured(write_levels);
  g_autofree char *all = NULL;
  g_autofree char *least = NULL;

  g_assert_cmpstr(usual, ==, "<3>e1\n<4>w\n<6>i\n");
  log_set_level(LOG_AT_DEBUG);
  all = captured(write_levels);
  g_assert_cmpstr(all, ==, "<3>e1\n<4>w\n<6>i\n<7>d\n");
  log_set_level(LOG_AT_ERROR);
  least = captured(write_levels);
  g_assert_cmpstr(least, ==, "<3>e1\n");
  log_set_level(LOG_AT_INFO);
}

static void
write_forgeries(void)
{
  log_info("%s", "a\n<3>forged");
  log_info("%s", "a\r\tb\x1b[31mred\x7f");
  log_info("%s", "C:\\n is not a newline");
  log_info("%s",
           "\xc2\x9b"
           "1mcsi");
  log_info("%s",
           "\xe2\x80\xae"
           "bidi \xe2\x80\xa8line \xe2\x81\xa9");
  log_info("%s", "\xff\xc3(cut\xe2\x82");
  log_info("%s", "caf\xc3\xa9 \xe6\x97\xa5 \xf0\x9f\x98\x80");
  log_info("%s", "");
}

static void
test_one_line_a_fact(void)
{
  g_autofree char *text = captured(write_forgeries);

  g_assert_cmpstr(text,
                  ==,
                  "<6>a\\n<3>forged\n"
                  "<6>a\\x0d\\x09b\\x1b[31mred\\x7f\n"
                  "<6>C:\\\\n is not a newline\n"
                  "<6>\\u{9b}1mcsi\n"
                  "<6>\\u{202e}bidi \\u{2028}line \\u{2069}\n"
                  "<6>\\xff\\xc3(cut\\xe2\\x82\n"
                  "<6>caf\xc3\xa9 \xe6\x97\xa5 \xf0\x9f\x98\x80\n"
                  "<6>\n");
}

static void
write_long(void)
{
  g_autofree char *text = g_strnfill(100000, 'x');

  log_info("%s", text);
}

static void
test_long_line_is_cut(void)
{
  g_autofree char *text = captured(write_long);

  g_assert_cmpuint(strlen(text), <, 4200);
  g_assert_true(g_str_has_suffix(text, "xxx...[cut]\n"));
}

static void *
write_lines(void *data)
{
  for (int i = 0; i < LINES; i++)
    log_info("%s %s", (const char *)data, (const char *)data);
  return NULL;
}

static void
write_from_threads(void)
{
  static char words[THREADS][64];
  pthread_t threads[THREADS];

  for (int i = 0; i < THREADS; i++) {
    memset(words[i], 'a' + i, sizeof words[i] - 1);
    pthread_create(&threads[i], NULL, write_lines, words[i]);
  }
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
}

static void
test_threads_do_not_mix(void)
{
  g_autofree char *text = captured(write_from_threads);
  g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

  g_assert_cmpuint(g_strv_length(lines), ==, THREADS * LINES + 1);
  for (int i = 0; i < THREADS * LINES; i++) {
    const char *line = lines[i];

    g_assert_cmpuint(strlen(line), ==, 3 + 63 + 1 + 63);
    g_assert_cmpuint(strspn(line + 3, (char[]){line[3], '\0'}), ==, 63);
    g_assert_cmpuint(strspn(line + 67, (char[]){line[3], '\0'}), ==, 63);
  }
}

static void
test_terminal(void)
{
  const int master = posix_openpt(O_RDWR | O_NOCTTY);
  char text[256] = "";
  int slave;

  if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0) {
    g_test_skip("no pseudo terminals");
    return;
  }
  slave = open(ptsname(master), O_RDWR | O_NOCTTY);
  g_assert_cmpint(slave, >=, 0);
  with_stderr(slave, write_levels);
  g_assert_cmpint(read(master, text, sizeof text - 1), >, 0);
  g_assert_cmpstr(text, ==, "error: e1\r\nwarning: w\r\ni\r\n");
  close(slave);
  close(master);
}

static void
write_ten(void)
{
  for (int i = 0; i < 10; i++)
    log_warning("line %d of those that fill the file\n", i);
}

/* Last: from here on every line goes to the file too. */
static void
test_file(void)
{
  g_autofree char *dir = g_dir_make_tmp("test-kit-log-XXXXXX", NULL);
  g_autofree char *path = g_build_filename(dir, "agent.log", NULL);
  g_autofree char *old = g_strconcat(path, ".1", NULL);
  g_autoptr(GError) error = NULL;
  g_autofree char *now = NULL;
  g_autofree char *before = NULL;
  g_autofree char *said = NULL;
  struct stat info;

  g_assert_false(log_to_file(dir, 100, &error));
  g_assert_error(error, G_FILE_ERROR, G_FILE_ERROR_ISDIR);
  g_assert_true(log_to_file(path, 500, NULL));
  said = captured(write_ten);
  g_assert_true(g_str_has_prefix(said, "<4>line 0"));
  g_assert_true(g_file_get_contents(path, &now, NULL, NULL));
  g_assert_true(g_file_get_contents(old, &before, NULL, NULL));
  g_assert_cmpint(stat(path, &info), ==, 0);
  g_assert_cmpint(info.st_mode & 0777, ==, 0600);
  g_assert_cmpuint(strlen(before), <=, 500);
  g_assert_nonnull(strstr(now, "Z warning: line 9 of"));
  g_assert_null(strstr(now, "<4>"));
  unlink(path);
  unlink(old);
  rmdir(dir);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/kit/log/levels", test_levels);
  g_test_add_func("/kit/log/one-line-a-fact", test_one_line_a_fact);
  g_test_add_func("/kit/log/long-line-is-cut", test_long_line_is_cut);
  g_test_add_func("/kit/log/threads-do-not-mix", test_threads_do_not_mix);
  g_test_add_func("/kit/log/terminal", test_terminal);
  g_test_add_func("/kit/log/file", test_file);
  return g_test_run();
}
