/* SPDX-License-Identifier: Apache-2.0 */
/* JSON lines into a file that others rotate: appended, synced, and after a
 * crash taken up where its last line ends. */
#include "ship/sink.h"

#include "kit/json.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* The end of a file that is searched for its last line: the longest line is
 * a detail of 64 KiB, escaped. */
#define TAIL ((size_t)1024 * 1024)
/* How a rotated file is called that may hold the last line instead. */
static const char *const rotated[] = {".1", ".0", "-1"};

typedef struct {
  BlockingSink block;
  char *path;
  int fd; /* -1: not open */
} FileSink;

/* ---- Opening ------------------------------------------------------------- */

static bool
later(Sent *sent, const FileSink *file, const char *doing)
{
  const int number = errno;

  sent->code = SENT_LATER;
  sent->message = g_strdup_printf("cannot %s %s ([ship] endpoint): %s",
                                  doing,
                                  file->path,
                                  g_strerror(number));
  return false;
}

/* Still what the path leads to. */
static bool
is_current(const FileSink *file)
{
  struct stat there, open_one;

  return file->fd >= 0 && stat(file->path, &there) == 0 &&
         fstat(file->fd, &open_one) == 0 && there.st_ino == open_one.st_ino &&
         there.st_dev == open_one.st_dev;
}

static bool
take(FileSink *file, Sent *sent)
{
  struct stat info;

  if (flock(file->fd, LOCK_EX | LOCK_NB) != 0)
    return later(sent, file, "lock");
  if (fstat(file->fd, &info) != 0)
    return later(sent, file, "look at");
  if (S_ISREG(info.st_mode))
    return true;
  sent->code = SENT_LATER;
  sent->message =
      g_strdup_printf("%s ([ship] endpoint) is not a regular file", file->path);
  return false;
}

static bool
open_file(FileSink *file, Sent *sent)
{
  if (is_current(file))
    return true;
  if (file->fd >= 0)
    close(file->fd);
  file->fd =
      open(file->path,
           O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
           0600);
  if (file->fd < 0)
    return later(sent, file, "open");
  if (take(file, sent))
    return true;
  close(file->fd);
  file->fd = -1;
  return false;
}

/* ---- The last line ------------------------------------------------------- */

/* The end of the file; g_free. */
static char *
read_tail(int fd, size_t *len, off_t *from)
{
  struct stat info;
  char *tail;
  size_t got = 0;

  if (fstat(fd, &info) != 0 || info.st_size == 0)
    return NULL;
  *from = MAX(info.st_size - (off_t)TAIL, 0);
  *len = (size_t)(info.st_size - *from);
  tail = g_malloc(*len);
  while (got < *len) {
    const ssize_t n = pread(fd, tail + got, *len - got, *from + (off_t)got);

    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      break;
    got += (size_t)n;
  }
  *len = got;
  return tail;
}

/* The value of `name` in a line of JSON, as text without escapes; g_free. */
static char *
find_text(const char *line, size_t len, const char *name)
{
  g_autofree char *found = NULL;
  bool next = false;
  JsonReader reader;
  JsonToken token;

  json_reader_init(&reader, line, len);
  do {
    if (!json_next(&reader, &token, NULL))
      return NULL;
    if (next && token.type == JSON_STRING && !token.escaped && !found)
      found = g_strndup(line + token.start + 1, token.end - token.start - 2);
    next = token.type == JSON_KEY && token.depth == 1 &&
           json_token_is(line, &token, name);
  } while (token.type != JSON_END);
  return g_steal_pointer(&found);
}

/* Of the last whole line; *whole becomes how long the file is up to its end. */
static bool
last_line(int fd, const char *journal, ShipPlace *place, off_t *whole)
{
  size_t len = 0, end, start;
  off_t from = 0;
  g_autofree char *tail = read_tail(fd, &len, &from);
  g_autofree char *key = NULL;

  *whole = -1;
  if (!tail)
    return false;
  for (end = len; end > 0 && tail[end - 1] != '\n'; end--)
    ;
  if (end == 0 && from > 0)
    return false; /* not one of our lines */
  *whole = from + (off_t)end;
  if (end == 0)
    return false;
  for (start = end - 1; start > 0 && tail[start - 1] != '\n'; start--)
    ;
  key = find_text(tail + start, end - 1 - start, "hoop.key");
  return key && ship_key_read(journal, key, place);
}

static bool
last_rotated(const FileSink *file, const char *journal, ShipPlace *place)
{
  for (size_t i = 0; i < G_N_ELEMENTS(rotated); i++) {
    g_autofree char *path = g_strconcat(file->path, rotated[i], NULL);
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    off_t whole;
    const bool found = fd >= 0 && last_line(fd, journal, place, &whole);

    if (fd >= 0)
      close(fd);
    if (found)
      return true;
  }
  return false;
}

/* A line that a crash left unfinished is taken away: it is written again. */
static bool
file_last(Sink *sink, const char *journal, ShipPlace *place)
{
  FileSink *file = (FileSink *)sink;
  g_auto(Sent) sent = {0};
  struct stat info;
  off_t whole;
  bool found;

  if (!open_file(file, &sent))
    return false;
  found = last_line(file->fd, journal, place, &whole);
  if (whole >= 0 && fstat(file->fd, &info) == 0 && info.st_size > whole &&
      ftruncate(file->fd, whole) != 0)
    return false;
  /* What was found may not be on the disk yet, and the cursor follows it. */
  if (found)
    return fsync(file->fd) == 0;
  return whole <= 0 && last_rotated(file, journal, place);
}

/* ---- Writing ------------------------------------------------------------- */

static bool
write_all(int fd, const char *text, size_t len)
{
  while (len > 0) {
    const ssize_t n = write(fd, text, len);

    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return false;
    text += n;
    len -= (size_t)n;
  }
  return true;
}

/* All of the text or none of it. */
static void
file_deliver(Sink *sink, const GString *text, Sent *sent)
{
  FileSink *file = (FileSink *)sink;
  struct stat before;

  if (!open_file(file, sent))
    return;
  if (fstat(file->fd, &before) != 0) {
    later(sent, file, "look at");
    return;
  }
  if (!write_all(file->fd, text->str, text->len) || fsync(file->fd) != 0) {
    later(sent, file, "write");
    if (ftruncate(file->fd, before.st_size) != 0) {
      /* The end is looked at again before anything follows it. */
      close(file->fd);
      file->fd = -1;
    }
    return;
  }
  sent->code = SENT_TAKEN;
}

static void
file_free(Sink *sink)
{
  FileSink *file = (FileSink *)sink;

  sink_block_end(sink);
  if (file->fd >= 0)
    close(file->fd);
  g_free(file->path);
  g_free(file);
}

static const SinkType file_type = {.name = "jsonl",
                                   .send = sink_block_send,
                                   .last = file_last,
                                   .stop = sink_block_stop,
                                   .free = file_free};

bool
sink_file_check(const ShipOptions *options, GError **error)
{
  if (g_path_is_absolute(options->endpoint))
    return true;
  g_set_error(error,
              SHIP_ERROR,
              SHIP_ERROR_CONFIG,
              "[ship] endpoint=%s: with format=jsonl it takes the absolute "
              "path of a file",
              options->endpoint);
  return false;
}

Sink *
sink_file_new(const SinkEnv *env, GError **error)
{
  FileSink *file = g_new0(FileSink, 1);

  (void)error;
  file->block = (BlockingSink){.sink.type = &file_type,
                               .loop = env->loop,
                               .pool = env->pool,
                               .format = SHIP_JSONL,
                               .deliver = file_deliver};
  file->path = g_strdup(env->options->endpoint);
  file->fd = -1;
  return &file->block.sink;
}
