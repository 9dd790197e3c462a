/* SPDX-License-Identifier: Apache-2.0 */
/* Files that matter: private folders, atomic replacement, bounded reads and
 * the permission check for files that hold secrets. */
#ifndef HOOP_KIT_FILE_H
#define HOOP_KIT_FILE_H

#include "kit/secret.h"

/* Creates the folder (and its parents) with mode 0700; an existing one must
 * belong to this user and be writable by nobody else, else G_FILE_ERROR with
 * what to do. A symbolic link is followed when this user or root made it. */
bool file_private_dir(const char *path, GError **error);

/* Writes beside, fsyncs, renames over, fsyncs the folder: after a crash the
 * file is the old or the new one, whole. `mode` is the file's mode whatever
 * the umask. A symbolic link at `path` is replaced, not followed. On failure
 * (G_FILE_ERROR) the old file is untouched and nothing is left beside it; only
 * a folder that cannot be synced fails with the new file in place. */
bool file_replace(const char *path,
                  const void *bytes,
                  size_t len,
                  mode_t mode,
                  GError **error);

/* Reads a regular file of at most `max` bytes, into memory that is wiped when
 * the GBytes goes; longer is an error that names the limit. A FIFO, device or
 * folder is refused, never waited for. */
GBytes *file_read(const char *path, size_t max, GError **error);

/* Whose a file must be that says what may happen. */
typedef enum {
  FILE_ANYONES,
  FILE_OWN,  /* root's or this user's, and nobody else can write it: not the
                world, nor a group but this process's own */
  FILE_ROOTS /* root's, and nobody else can write it; its folder likewise */
} FileTrust;
/* As file_read(), of such a file: G_FILE_ERROR_PERM says what to run. */
GBytes *file_read_trusted(const char *path,
                          size_t max,
                          FileTrust trust,
                          GError **error);
/* Whether nobody else can put a file into this folder. */
bool file_folder_trusted(const char *folder, FileTrust trust, GError **error);

/* Reads a secret: a regular file (no symbolic link) that belongs to this user
 * or root and that is closed to group and others (0600 or stricter), smaller
 * than 1 MiB; a single trailing newline is dropped, and then something must be
 * left. Contents only ever in locked memory. G_FILE_ERROR: _PERM for whom it
 * belongs to or who could read it (says what to run), _LOOP for a link, _AGAIN
 * when the file changed meanwhile. */
Secret *file_read_secret(const char *path, GError **error);

#endif
