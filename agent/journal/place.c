/* SPDX-License-Identifier: Apache-2.0 */
/* Files and locks. The database itself is never opened here once SQLite has
 * it: closing any descriptor of it would drop SQLite's POSIX locks. */
#include "journal/place.h"

#include "kit/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Free bytes below which a full disk is still called full: less would let the
 * journal alternate between recovered and full. */
#define MIN_ROOM (1024 * 1024)

static void
set_errno_error(GError **error,
                JournalErrorCode code,
                const char *doing,
                const char *path)
{
  int saved = errno;

  g_set_error(error,
              JOURNAL_ERROR,
              saved == ENOSPC || saved == EDQUOT ? JOURNAL_ERROR_FULL : code,
              "cannot %s %s: %s",
              doing,
              path,
              g_strerror(saved));
}

bool
place_folder(const char *path, GError **error)
{
  g_autofree char *folder = g_path_get_dirname(path);
  g_autoptr(GError) why = NULL;

  if (file_private_dir(folder, &why))
    return true;
  g_set_error(error,
              JOURNAL_ERROR,
              JOURNAL_ERROR_OPEN,
              "the journal: %s",
              why->message);
  return false;
}

/* An empty file, which SQLite takes for an empty database; its write-ahead log
 * inherits the mode. */
static bool
make_file(const char *path, GError **error)
{
  int fd = open(
      path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, (mode_t)0600);

  if (fd < 0) {
    set_errno_error(error, JOURNAL_ERROR_OPEN, "create the journal", path);
    return false;
  }
  close(fd);
  return true;
}

bool
place_prepare(const char *path, bool create, GError **error)
{
  struct stat info;

  if (lstat(path, &info) != 0) {
    if (create && errno == ENOENT)
      return make_file(path, error);
    if (errno == ENOENT) {
      g_set_error(error,
                  JOURNAL_ERROR,
                  JOURNAL_ERROR_OPEN,
                  "the journal %s is gone: put it back, or restart the agent "
                  "to begin a new one",
                  path);
      return false;
    }
    set_errno_error(error, JOURNAL_ERROR_OPEN, "open the journal", path);
    return false;
  }
  if (!S_ISREG(info.st_mode) || info.st_uid != geteuid()) {
    g_set_error(error,
                JOURNAL_ERROR,
                JOURNAL_ERROR_OPEN,
                "the journal %s must be a regular file that belongs to this "
                "user",
                path);
    return false;
  }
  if ((info.st_mode & 0077) != 0 && chmod(path, 0600) != 0) {
    set_errno_error(error, JOURNAL_ERROR_OPEN, "make private", path);
    return false;
  }
  return true;
}

static bool
look(const char *path, Place *place)
{
  g_autofree char *log = g_strconcat(path, "-wal", NULL);
  struct stat info;

  if (stat(path, &info) != 0)
    return false;
  place->device = info.st_dev;
  place->database = info.st_ino;
  place->size = (uint64_t)info.st_size;
  if (stat(log, &info) != 0)
    return false;
  place->log = info.st_ino;
  place->size += (uint64_t)info.st_size;
  return info.st_dev == place->device;
}

bool
place_note(const char *path, Place *place, GError **error)
{
  if (look(path, place))
    return true;
  set_errno_error(error, JOURNAL_ERROR_OPEN, "find the files of", path);
  return false;
}

bool
place_check(const char *path, Place *place, GError **error)
{
  Place now;

  if (look(path, &now) && now.device == place->device &&
      now.database == place->database && now.log == place->log) {
    place->size = now.size;
    return true;
  }
  g_set_error(error,
              JOURNAL_ERROR,
              JOURNAL_ERROR_WRITE,
              "the journal %s was deleted or replaced while it was being "
              "written",
              path);
  return false;
}

uint64_t
place_size(const char *path)
{
  g_autofree char *log = g_strconcat(path, "-wal", NULL);
  struct stat info;
  uint64_t size = 0;

  if (stat(path, &info) == 0)
    size += (uint64_t)info.st_size;
  if (stat(log, &info) == 0)
    size += (uint64_t)info.st_size;
  return size;
}

bool
place_has_room(const char *path, GError **error)
{
  g_autofree char *folder = g_path_get_dirname(path);
  struct statvfs info;

  if (statvfs(folder, &info) != 0) {
    set_errno_error(error, JOURNAL_ERROR_OPEN, "look at", folder);
    return false;
  }
  if ((uint64_t)info.f_bavail * info.f_frsize >= MIN_ROOM)
    return true;
  g_set_error(error,
              JOURNAL_ERROR,
              JOURNAL_ERROR_FULL,
              "no space is left to store the journal %s",
              path);
  return false;
}

/* The process that the lock file names; 0 when it does not say. */
static long
read_holder(int fd)
{
  char text[32];
  ssize_t len = pread(fd, text, sizeof text - 1, 0);

  if (len <= 0)
    return 0;
  text[len] = '\0';
  return strtol(text, NULL, 10);
}

int
place_lock(const char *path, GError **error)
{
  g_autofree char *name = g_strconcat(path, ".lock", NULL);
  char text[32];
  int fd = open(name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, (mode_t)0600);
  int len;

  if (fd < 0) {
    set_errno_error(error, JOURNAL_ERROR_OPEN, "lock the journal with", name);
    return -1;
  }
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    g_set_error(error,
                JOURNAL_ERROR,
                JOURNAL_ERROR_LOCKED,
                "the journal %s is being written by another process (pid %ld)",
                path,
                read_holder(fd));
    close(fd);
    return -1;
  }
  /* Only for the message above: a failure here costs nothing else. */
  len = g_snprintf(text, sizeof text, "%ld\n", (long)getpid());
  if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)len, 0) != len)
    len = 0;
  return fd;
}
