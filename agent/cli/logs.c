/* SPDX-License-Identifier: Apache-2.0 */
/* logs: the daemon's own lines, from the systemd journal or from agent.log,
 * whichever is newer. */
#include "cli/verb.h"
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define UNIT "hoop-agent.service"
/* A screen or a few. */
#define LINES 100
/* agent.log is looked at so often while it is followed. */
#define POLL_US (200 * 1000)
/* As much of agent.log's end as LINES lines can be. */
#define MAX_TAIL (512 * 1024)

/* When the systemd journal's last line of the unit was written, in seconds;
 * 0: it has none, or there is no journal. */
static int64_t
journal_time(void)
{
  const char *argv[] = {"journalctl",
                        "--user",
                        ("--unit=" UNIT),
                        "--lines=1",
                        "--quiet",
                        "--no-pager",
                        "--output=short-unix",
                        NULL};
  g_autofree char *out = NULL;
  int status;

  if (!g_spawn_sync(NULL,
                    (char **)(uintptr_t)argv,
                    NULL,
                    G_SPAWN_SEARCH_PATH | G_SPAWN_STDERR_TO_DEV_NULL,
                    NULL,
                    NULL,
                    &out,
                    NULL,
                    &status,
                    NULL) ||
      !g_spawn_check_wait_status(status, NULL))
    return 0;
  return g_ascii_strtoll(out, NULL, 10);
}

static int
run_journalctl(const Call *call)
{
  char lines[32];
  const char *argv[] = {"journalctl",
                        "--user",
                        ("--unit=" UNIT),
                        lines,
                        "--no-pager",
                        call_has(call, "follow") ? "--follow" : NULL,
                        NULL};

  g_snprintf(lines, sizeof lines, "--lines=%d", LINES);
  fflush(stdout);
  execvp(argv[0], (char **)(uintptr_t)argv);
  return complain(
      call, CLI_UNREACHABLE, "journalctl cannot be run: %s", strerror(errno));
}

/* The last lines of what there is; returns where the file ended. */
static off_t
print_tail(int fd)
{
  g_autofree char *text = g_malloc(MAX_TAIL);
  off_t end = lseek(fd, 0, SEEK_END);
  off_t from = MAX(end - MAX_TAIL, 0);
  ssize_t n = pread(fd, text, MAX_TAIL, from);
  ssize_t at = n;

  for (unsigned lines = 0; at > 0; at--)
    if (text[at - 1] == '\n' && ++lines > LINES)
      break;
  if (n > 0)
    fwrite(text + at, 1, (size_t)(n - at), stdout);
  fflush(stdout);
  return n > 0 ? from + n : end;
}

static off_t
print_from(int fd, off_t at)
{
  char bytes[4096];
  ssize_t n;

  while ((n = pread(fd, bytes, sizeof bytes, at)) > 0) {
    fwrite(bytes, 1, (size_t)n, stdout);
    at += n;
  }
  fflush(stdout);
  return at;
}

static bool
replaced(const char *path, int fd)
{
  struct stat named, opened;

  return stat(path, &named) == 0 && fstat(fd, &opened) == 0 &&
         named.st_ino != opened.st_ino;
}

/* Until the reader goes away or interrupts. */
static int
follow(const char *path, int fd, off_t at)
{
  for (;;) {
    at = print_from(fd, at);
    if (replaced(path, fd)) {
      int next = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

      if (next >= 0) {
        print_from(fd, at);
        close(fd);
        fd = next;
        at = 0;
        continue;
      }
    }
    if (ferror(stdout)) {
      close(fd);
      return CLI_DONE;
    }
    g_usleep(POLL_US);
  }
}

static int
read_file(const Call *call, const char *path)
{
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  off_t end;

  if (fd < 0)
    return complain(call, CLI_FOUND, "%s: %s", path, strerror(errno));
  end = print_tail(fd);
  if (call_has(call, "follow"))
    return follow(path, fd, end);
  close(fd);
  return CLI_DONE;
}

int
verb_logs(const Call *call)
{
  int code = CLI_DONE;
  g_autoptr(Config) config = cli_config(call, &code);
  g_autofree char *path = NULL;
  int64_t journaled;
  struct stat info;
  bool file;

  if (!config)
    return code;
  path = g_build_filename(config->state_dir, "agent.log", NULL);
  file = stat(path, &info) == 0;
  journaled = journal_time();
  if (journaled > 0 && (!file || info.st_mtim.tv_sec < journaled))
    return run_journalctl(call);
  if (file)
    return read_file(call, path);
  return complain(call,
                  CLI_FOUND,
                  "there is no log yet: the systemd journal has nothing of "
                  "%s, and %s is written by an agent that was started by hand",
                  UNIT,
                  path);
}
