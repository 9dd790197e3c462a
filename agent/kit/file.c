/* SPDX-License-Identifier: Apache-2.0 */
/* Files that matter: private folders, atomic replacement, bounded reads and
 * the permission check for files that hold secrets. */
#include "kit/file.h"

#include "kit/buf.h"
#include "kit/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Largest secret file: keys and tokens are a few KiB. One byte less than the
 * largest Secret, which reading needs. */
#define MAX_SECRET_FILE (((size_t)1 << 20) - 1)
/* Least that a file which grows is asked for again. */
#define READ_STEP ((size_t)4096)
/* Random bytes in a temporary name: no two writers ever meet. */
#define TEMP_RANDOM 8

static bool fail(GError **error, GFileError code, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

/* Returns false, so that a caller can return it. */
static bool
fail(GError **error, GFileError code, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start(args, format);
  text = g_strdup_vprintf(format, args);
  va_end(args);
  g_set_error_literal(error, G_FILE_ERROR, (gint)code, text);
  return false;
}

/* The same for a failed call: "Cannot WHAT PATH: reason". */
static bool
fail_errno(GError **error, const char *what, const char *path)
{
  const int err = errno;

  return fail(error,
              g_file_error_from_errno(err),
              "Cannot %s %s: %s",
              what,
              path,
              g_strerror(err));
}

static void
fail_too_long(GError **error, const char *path, size_t max)
{
  fail(error,
       G_FILE_ERROR_FAILED,
       "%s is longer than %zu bytes, the most that is read",
       path,
       max);
}

static void
close_fd(int *fd)
{
  if (*fd >= 0)
    close(*fd);
}

#define AUTO_CLOSE __attribute__((cleanup(close_fd)))

/* Another user's link could lead into a folder that they chose. */
static bool
check_link(const char *path, GError **error)
{
  struct stat st;

  if (lstat(path, &st) != 0)
    return fail_errno(error, "look at folder", path);
  if (S_ISLNK(st.st_mode) && st.st_uid != geteuid() && st.st_uid != 0)
    return fail(error,
                G_FILE_ERROR_PERM,
                "%s is a symbolic link that another user made: remove it",
                path);
  return true;
}

bool
file_private_dir(const char *path, GError **error)
{
  AUTO_CLOSE int fd = -1;
  struct stat st;

  if (g_mkdir_with_parents(path, 0700) != 0)
    return fail_errno(error, "create folder", path);
  if (!check_link(path, error))
    return false;
  fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &st) != 0)
    return fail_errno(error, "open folder", path);
  if (st.st_uid != geteuid())
    return fail(error,
                G_FILE_ERROR_PERM,
                "Folder %s belongs to another user (uid %lu): "
                "remove it or choose another folder",
                path,
                (unsigned long)st.st_uid);
  if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return fail(error,
                G_FILE_ERROR_PERM,
                "Others may write to folder %s: run chmod 700 %s",
                path,
                path);
  return true;
}

static bool
write_all(int fd, const uint8_t *bytes, size_t len)
{
  while (len > 0) {
    ssize_t n = write(fd, bytes, len);

    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return false;
    bytes += n;
    len -= (size_t)n;
  }
  return true;
}

/* Writes the new contents under the temporary name, on disk when it
 * returns. */
static bool
write_temp(const char *temp,
           const void *bytes,
           size_t len,
           mode_t mode,
           GError **error)
{
  AUTO_CLOSE int fd = open(
      temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode & 0700);

  if (fd < 0)
    return fail_errno(error, "create", temp);
  /* fchmod(2): the umask must not decide, and nobody may open it before. */
  if (fchmod(fd, mode) != 0 || !write_all(fd, bytes, len) || fsync(fd) != 0) {
    fail_errno(error, "write", temp);
    unlink(temp);
    return false;
  }
  return true;
}

static bool
sync_dir(const char *dir, GError **error)
{
  AUTO_CLOSE int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

  /* Some file systems cannot sync a folder, and say so with EINVAL. */
  if (fd < 0 || (fsync(fd) != 0 && errno != EINVAL))
    return fail_errno(error, "sync folder", dir);
  return true;
}

bool
file_replace(const char *path,
             const void *bytes,
             size_t len,
             mode_t mode,
             GError **error)
{
  g_autofree char *dir = g_path_get_dirname(path);
  g_autofree char *base = g_path_get_basename(path);
  g_autofree char *temp = NULL;
  uint8_t random[TEMP_RANDOM];
  char hex[2 * TEMP_RANDOM + 1];

  random_bytes(random, sizeof random);
  hex_encode(random, sizeof random, hex);
  temp = g_strdup_printf("%s/.%s.%s", dir, base, hex);
  if (!write_temp(temp, bytes, len, mode, error))
    return false;
  if (rename(temp, path) != 0) {
    fail_errno(error, "replace", path);
    unlink(temp);
    return false;
  }
  return sync_dir(dir, error);
}

/* Opens without hanging on a FIFO or becoming a terminal's owner; -1 and
 * error unless it is a regular file of at most `max` bytes. */
static int
open_regular(const char *path,
             int flags,
             size_t max,
             struct stat *st,
             GError **error)
{
  AUTO_CLOSE int fd =
      open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags);
  int result;

  if (fd < 0 && errno == ELOOP && (flags & O_NOFOLLOW) != 0) {
    fail(error,
         G_FILE_ERROR_LOOP,
         "%s is a symbolic link: name the file itself",
         path);
    return -1;
  }
  if (fd < 0 || fstat(fd, st) != 0) {
    fail_errno(error, "open", path);
    return -1;
  }
  if (!S_ISREG(st->st_mode)) {
    fail(error, G_FILE_ERROR_INVAL, "%s is not a regular file", path);
    return -1;
  }
  if (st->st_size < 0 || (uint64_t)st->st_size > max) {
    fail_too_long(error, path, max);
    return -1;
  }
  result = fd;
  fd = -1;
  return result;
}

/* Reads until the end of the file or `len` bytes; -1 with errno. */
static ssize_t
read_up_to(int fd, uint8_t *bytes, size_t len)
{
  size_t done = 0;

  while (done < len) {
    ssize_t n = read(fd, bytes + done, len - done);

    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return -1;
    if (n == 0)
      break;
    done += (size_t)n;
  }
  return (ssize_t)done;
}

/* Reads to the end of the file, which may grow meanwhile, into a Buf whose
 * maximum is one byte more than may be read. */
static bool
read_to_end(int fd, Buf *buf, size_t hint)
{
  size_t room = hint;

  while (buf->len < buf->max) {
    size_t want = MIN(room, buf->max - buf->len);
    ssize_t n = read_up_to(fd, buf_reserve(buf, want), want);

    if (n < 0)
      return false;
    buf_commit(buf, (size_t)n);
    if ((size_t)n < want)
      break;
    room = MAX(buf->len, READ_STEP);
  }
  return true;
}

static bool
check_trust(const char *path,
            const struct stat *st,
            FileTrust trust,
            GError **error)
{
  const bool own_group = trust == FILE_OWN && st->st_gid == getegid();
  const mode_t others = own_group ? S_IWOTH : S_IWGRP | S_IWOTH;

  if (trust == FILE_ANYONES)
    return true;
  if (st->st_uid != 0 && (trust == FILE_ROOTS || st->st_uid != geteuid()))
    return fail(error,
                G_FILE_ERROR_PERM,
                "%s belongs to uid %lu and must belong to root%s: run chown "
                "%s %s",
                path,
                (unsigned long)st->st_uid,
                trust == FILE_ROOTS ? "" : " or to you",
                trust == FILE_ROOTS ? "root" : "$USER",
                path);
  if ((st->st_mode & others) != 0)
    return fail(error,
                G_FILE_ERROR_PERM,
                "Others can write %s (mode %04o): run chmod go-w %s",
                path,
                (unsigned)(st->st_mode & 07777),
                path);
  return true;
}

bool
file_folder_trusted(const char *folder, FileTrust trust, GError **error)
{
  struct stat st;

  if (trust == FILE_ANYONES)
    return true;
  if (stat(folder, &st) != 0)
    return fail_errno(error, "look at", folder);
  return check_trust(folder, &st, trust, error);
}

GBytes *
file_read(const char *path, size_t max, GError **error)
{
  return file_read_trusted(path, max, FILE_ANYONES, error);
}

GBytes *
file_read_trusted(const char *path, size_t max, FileTrust trust, GError **error)
{
  g_autofree char *folder = g_path_get_dirname(path);
  g_auto(Buf) buf = {0};
  AUTO_CLOSE int fd = -1;
  struct stat st;

  max = MIN(max, (size_t)G_MAXSSIZE / 2);
  if (trust == FILE_ROOTS && !file_folder_trusted(folder, trust, error))
    return NULL;
  fd = open_regular(path, 0, max, &st, error);
  if (fd < 0 || !check_trust(path, &st, trust, error))
    return NULL;
  buf_init(&buf, max + 1);
  if (!read_to_end(fd, &buf, (size_t)st.st_size + 1)) {
    fail_errno(error, "read", path);
    return NULL;
  }
  if (buf.len > max) {
    fail_too_long(error, path, max);
    return NULL;
  }
  return buf_steal(&buf);
}

/* Ours or root's, and closed to everybody else. */
static bool
check_secret_file(const char *path, const struct stat *st, GError **error)
{
  if (st->st_uid != geteuid() && st->st_uid != 0)
    return fail(error,
                G_FILE_ERROR_PERM,
                "%s belongs to another user (uid %lu), who could change the "
                "secret in it: make it your own file",
                path,
                (unsigned long)st->st_uid);
  if ((st->st_mode & 077) != 0)
    return fail(error,
                G_FILE_ERROR_PERM,
                "Others can read the secret in %s (mode %04o): "
                "run chmod 600 %s",
                path,
                (unsigned)(st->st_mode & 07777),
                path);
  return true;
}

typedef struct {
  int fd;
  ssize_t n;
} SecretFill;

static bool
fill_from_fd(uint8_t *bytes, size_t len, void *data)
{
  SecretFill *fill = data;

  fill->n = read_up_to(fill->fd, bytes, len);
  return fill->n >= 0;
}

Secret *
file_read_secret(const char *path, GError **error)
{
  AUTO_CLOSE int fd = -1;
  g_autoptr(Secret) whole = NULL;
  SecretFill fill;
  struct stat st;
  size_t len;

  fd = open_regular(path, O_NOFOLLOW, MAX_SECRET_FILE, &st, error);
  if (fd < 0 || !check_secret_file(path, &st, error))
    return NULL;
  fill.fd = fd;
  /* One byte more shows a file that grows: half a secret is none. */
  whole = secret_new_filled((size_t)st.st_size + 1, fill_from_fd, &fill);
  if (whole == NULL) {
    fail_errno(error, "read", path);
    return NULL;
  }
  len = (size_t)fill.n;
  if (len != (size_t)st.st_size) {
    fail(error,
         G_FILE_ERROR_AGAIN,
         "%s changed while it was read: try again",
         path);
    return NULL;
  }
  if (len > 0 && secret_bytes(whole)[len - 1] == '\n')
    len--;
  if (len == 0) {
    fail(error, G_FILE_ERROR_INVAL, "%s is empty", path);
    return NULL;
  }
  return secret_new(secret_bytes(whole), len);
}
