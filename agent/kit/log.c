/* SPDX-License-Identifier: Apache-2.0 */
/* The log that edges write: one bounded line a fact on standard error, in
 * which text from outside cannot pose as anything but text. */
#include "kit/log.h"

#include "kit/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Longest line; a longer one is cut and says so. */
#define MAX_LINE 4096
#define CUT_MARK "...[cut]"

/* The one setting that every thread reads; set once, before they start. */
static atomic_int max_level = LOG_AT_INFO;

/* The file beside standard error: path and max are set before threads start,
 * the rest is under the lock. */
static struct {
  pthread_mutex_t lock;
  char *path;
  size_t max;
  size_t size;
  int fd;
} file = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1};

/* sd-daemon(3) prefixes, and what a person at a terminal reads instead. */
static const struct {
  const char *prefix;
  const char *word;
} levels[] = {
    [LOG_AT_ERROR] = {"<3>", "error: "},
    [LOG_AT_WARNING] = {"<4>", "warning: "},
    [LOG_AT_INFO] = {"<6>", ""},
    [LOG_AT_DEBUG] = {"<7>", "debug: "},
};

/* True for characters that a terminal or a log reader would act on: controls,
 * line separators, and the invisible ones that reorder text. */
static bool
must_escape(gunichar c)
{
  switch ((int)g_unichar_type(c)) {
  case G_UNICODE_CONTROL:
  case G_UNICODE_FORMAT:
  case G_UNICODE_SURROGATE:
  case G_UNICODE_LINE_SEPARATOR:
  case G_UNICODE_PARAGRAPH_SEPARATOR:
    return true;
  default:
    return c == '\\';
  }
}

/* Appends one character of `text` and returns where the next one begins. */
static const char *
append_escaped(GString *line, const char *text)
{
  gunichar c = g_utf8_get_char_validated(text, -1);
  const char *next;

  if (c == (gunichar)-1 || c == (gunichar)-2) {
    g_string_append_printf(line, "\\x%02x", (unsigned)(guchar)*text);
    return text + 1;
  }
  next = g_utf8_next_char(text);
  if (!must_escape(c))
    g_string_append_len(line, text, next - text);
  else if (c == '\n')
    g_string_append(line, "\\n");
  else if (c == '\\')
    g_string_append(line, "\\\\");
  else if (c < 0x80)
    g_string_append_printf(line, "\\x%02x", c);
  else
    g_string_append_printf(line, "\\u{%x}", c);
  return next;
}

void
log_set_level(LogLevel level)
{
  atomic_store(&max_level, (int)level);
}

static void
write_all(int fd, const char *bytes, size_t len)
{
  ssize_t n;

  do {
    n = write(fd, bytes, len);
  } while (n < 0 && errno == EINTR);
}

/* ---- The file -------------------------------------------------------------
 */

static int
open_file(void)
{
  struct stat info;
  int fd = open(
      file.path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

  file.size = fd >= 0 && fstat(fd, &info) == 0 ? (size_t)info.st_size : 0;
  return fd;
}

static void
rotate(void)
{
  g_autofree char *old = g_strconcat(file.path, ".1", NULL);

  close(file.fd);
  rename(file.path, old);
  file.fd = open_file();
}

/* `line` as on standard error, without its mark. */
static void
write_file(LogLevel level, const char *line)
{
  g_autofree char *when = clock_rfc3339(clock_wall_us());
  g_autofree char *whole =
      g_strconcat(when, " ", levels[level].word, line, NULL);
  size_t len = strlen(whole);

  pthread_mutex_lock(&file.lock);
  if (file.fd >= 0 && file.size > 0 && file.size + len > file.max)
    rotate();
  if (file.fd >= 0) {
    write_all(file.fd, whole, len);
    file.size += len;
  }
  pthread_mutex_unlock(&file.lock);
}

bool
log_to_file(const char *path, size_t max, GError **error)
{
  file.path = g_strdup(path);
  file.max = max;
  file.fd = open_file();
  if (file.fd >= 0)
    return true;
  g_clear_pointer(&file.path, g_free);
  g_set_error(error,
              G_FILE_ERROR,
              (gint)g_file_error_from_errno(errno),
              "Cannot write the log %s: %s",
              path,
              g_strerror(errno));
  return false;
}

bool
log_is_journaled(void)
{
  const char *stream = g_getenv("JOURNAL_STREAM");
  g_autofree char *ours = NULL;
  struct stat info;

  if (!stream || fstat(STDERR_FILENO, &info) != 0)
    return false;
  ours = g_strdup_printf("%" G_GUINT64_FORMAT ":%" G_GUINT64_FORMAT,
                         (guint64)info.st_dev,
                         (guint64)info.st_ino);
  return g_str_equal(stream, ours);
}

/* ---- Lines ----------------------------------------------------------------
 */

void
log_line(LogLevel level, const char *format, ...)
{
  g_autoptr(GString) line = NULL;
  g_autofree char *text = NULL;
  const char *at, *mark;
  va_list args;

  if ((int)level > atomic_load_explicit(&max_level, memory_order_relaxed))
    return;
  va_start(args, format);
  text = g_strdup_vprintf(format, args);
  va_end(args);
  mark = isatty(STDERR_FILENO) ? levels[level].word : levels[level].prefix;
  line = g_string_new(mark);
  for (at = text; *at != '\0' && line->len < MAX_LINE;)
    at = append_escaped(line, at);
  if (*at != '\0')
    g_string_append(line, CUT_MARK);
  g_string_append_c(line, '\n');
  /* One write(2) a line, so that threads do not mix theirs. */
  write_all(STDERR_FILENO, line->str, line->len);
  if (file.path)
    write_file(level, line->str + strlen(mark));
}
