/* SPDX-License-Identifier: Apache-2.0 */
/* Reads one file in bounded memory and finds what is in it. */
#define _GNU_SOURCE
#include "cli/scan-read.h"
#include "kit/secret.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Enough to tell binary files, which are read no further. */
#define FIRST_LOOK ((size_t)8192)
/* What a pipe is asked for at a time at least. */
#define READ_STEP ((size_t)64 * 1024)
/* How long a pipe is waited for before looking whether to stop. */
#define WAIT_MS 100

ScanFile *
scan_file_new(const char *name, bool named)
{
  ScanFile *file = g_new0(ScanFile, 1);

  file->name = g_strdup(name);
  file->named = named;
  return file;
}

void
scan_file_free(ScanFile *file)
{
  if (!file)
    return;
  g_free(file->name);
  g_free(file->why);
  if (file->hits)
    g_array_unref(file->hits);
  g_free(file);
}

void
scan_reader_clear(ScanReader *reader)
{
  if (reader->bytes)
    secret_wipe(reader->bytes, reader->capacity);
  g_clear_pointer(&reader->bytes, g_free);
  reader->capacity = 0;
  g_clear_pointer(&reader->scratch, detector_scratch_free);
}

static bool fail(ScanFile *file, const char *format, ...) G_GNUC_PRINTF(2, 3);

static bool
fail(ScanFile *file, const char *format, ...)
{
  va_list args;

  va_start(args, format);
  file->why = g_strdup_vprintf(format, args);
  va_end(args);
  file->state = SCAN_UNREAD;
  return false;
}

/* ---- Reading -------------------------------------------------------------
 */

/* Room for `capacity` bytes, the first `keep` of them kept. */
static void
reserve(ScanReader *reader, size_t capacity, size_t keep)
{
  uint8_t *bytes;

  if (capacity <= reader->capacity)
    return;
  bytes = g_malloc(capacity);
  if (keep)
    memcpy(bytes, reader->bytes, keep);
  if (reader->bytes)
    secret_wipe(reader->bytes, reader->capacity);
  g_free(reader->bytes);
  reader->bytes = bytes;
  reader->capacity = capacity;
}

/* As read(2), but waits for a pipe no longer than the scan lasts. A pipe that
 * was opened without waiting is read first: one that nobody writes into is
 * empty. */
static ssize_t
read_some(ScanReader *reader, int fd, bool wait, size_t at, size_t most)
{
  struct pollfd input = {.fd = fd, .events = POLLIN};
  ssize_t n;

  for (;; wait = true) {
    while (wait && poll(&input, 1, WAIT_MS) == 0)
      if (g_atomic_int_get(&reader->reading->stop)) {
        errno = ECANCELED;
        return -1;
      }
    n = read(fd, reader->bytes + at, most);
    if (n >= 0 || (errno != EINTR && errno != EAGAIN))
      return n;
  }
}

/* How much to read next behind `at`; a file's size is known, but it may have
 * grown. */
static size_t
next_step(const struct stat *st, size_t at, size_t max, bool looked)
{
  size_t step = MAX(at, READ_STEP);

  if (!looked)
    step = FIRST_LOOK;
  else if (S_ISREG(st->st_mode) && (size_t)st->st_size >= at)
    step = (size_t)st->st_size - at + 1;
  return CLAMP(max + 1 - at, 1, step);
}

/* Everything up to the limit, or the beginning of a binary file. */
static bool
read_all(ScanReader *reader, ScanFile *file, int fd, const struct stat *st)
{
  const size_t max = reader->reading->max_size;
  const bool wait = !S_ISREG(st->st_mode) && strcmp(file->name, "-") == 0;
  bool looked = reader->reading->binary;
  ssize_t n = 1;

  for (file->bytes = 0;; file->bytes += (size_t)n) {
    const size_t at = file->bytes;
    size_t most;

    if (!looked && (n == 0 || at >= FIRST_LOOK || at > max)) {
      looked = true;
      if (text_is_binary(reader->bytes, at)) {
        file->state = SCAN_BINARY;
        return false;
      }
    }
    if (at > max ||
        (looked && S_ISREG(st->st_mode) && (uint64_t)st->st_size > max))
      return fail(file, "is longer than %zu bytes, see --max-size", max);
    if (n == 0)
      return true;
    most = next_step(st, at, max, looked);
    reserve(reader, at + most, at);
    n = read_some(reader, fd, wait, at, most);
    if (n < 0 && errno == ECANCELED) {
      file->state = SCAN_STOPPED;
      return false;
    }
    if (n < 0)
      return fail(file, "%s", g_strerror(errno));
  }
}

static int
open_file(ScanFile *file, struct stat *st)
{
  const int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
  int fd;

  if (strcmp(file->name, "-") == 0)
    fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
  else
    fd = open(file->name, file->named ? flags : flags | O_NOFOLLOW);
  if (fd < 0 || fstat(fd, st) != 0) {
    if (errno == ENOENT && !file->named)
      file->state = SCAN_GONE;
    else
      fail(file, "%s", g_strerror(errno));
    if (fd >= 0)
      close(fd);
    return -1;
  }
  if (S_ISREG(st->st_mode) || strcmp(file->name, "-") == 0 ||
      (file->named && S_ISFIFO(st->st_mode)))
    return fd;
  fail(file, "is neither a regular file nor a pipe");
  close(fd);
  return -1;
}

void
scan_read(ScanReader *reader, ScanFile *file)
{
  g_auto(FileText) text = {0};
  g_autoptr(GError) error = NULL;
  struct stat st;
  int fd = open_file(file, &st);
  bool whole;

  if (fd < 0)
    return;
  whole = read_all(reader, file, fd, &st);
  close(fd);
  if (!whole || !file->bytes)
    return;
  text_init(&text, reader->bytes, file->bytes);
  file->hits = hits_new();
  if (!hits_find(reader->scratch,
                 &reader->reading->hits,
                 &text,
                 file->hits,
                 &file->allowed,
                 &error))
    fail(file, "was not scanned: %s", error->message);
}
