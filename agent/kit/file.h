/* SPDX-License-Identifier: Apache-2.0 */
/* Files that matter: private folders, atomic replacement, bounded reads and
 * the permission check for files that hold secrets. */
#ifndef HOOP_KIT_FILE_H
#define HOOP_KIT_FILE_H

#include "kit/secret.h"

/* Creates the folder (and its parents) with mode 0700; an existing one must
 * belong to this user and be writable by nobody else, else G_FILE_ERROR. */
bool file_private_dir(const char *path, GError **error);

/* Writes beside, fsyncs, renames over, fsyncs the folder: after a crash the
 * file is the old or the new one, whole. mode as in open(2). */
bool file_replace(const char *path,
                  const void *bytes,
                  size_t len,
                  mode_t mode,
                  GError **error);

/* Reads a regular file of at most `max` bytes; longer is an error that names
 * the limit. */
GBytes *file_read(const char *path, size_t max, GError **error);

/* Reads a secret: a regular file that belongs to this user or root and that
 * group and others cannot read (0600 or stricter), at most 1 MiB; a single
 * trailing newline is dropped. Contents only ever in locked memory. */
Secret *file_read_secret(const char *path, GError **error);

#endif
