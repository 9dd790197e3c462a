/* SPDX-License-Identifier: Apache-2.0 */
/* The journal's files: made private, locked against a second writer, and
 * watched for being deleted or replaced. Private to the room. */
#ifndef HOOP_JOURNAL_PLACE_H
#define HOOP_JOURNAL_PLACE_H

#include "journal/journal.h"

#include <sys/stat.h>

/* Which files the path led to, and the bytes of database and write-ahead log
 * when they were last looked at. */
typedef struct {
  dev_t device;
  ino_t database;
  ino_t log;
  uint64_t size;
} Place;

/* Makes the folder (and its parents) 0700 when there is none. */
bool place_folder(const char *path, GError **error);
/* Makes the database 0600, creating it when `create`. A link, or somebody
 * else's file, is refused. */
bool place_prepare(const char *path, bool create, GError **error);
bool place_note(const char *path, Place *place, GError **error);
/* False when the path no longer leads to the files that were noted; else their
 * size is noted again. */
bool place_check(const char *path, Place *place, GError **error);
/* Bytes of database and write-ahead log. */
uint64_t place_size(const char *path);
/* False (JOURNAL_ERROR_FULL) while the file system has next to no space. */
bool place_has_room(const char *path, GError **error);

/* The lock file of the one writer: a descriptor to close, or -1 with
 * JOURNAL_ERROR_LOCKED that names the holder's process. */
int place_lock(const char *path, GError **error);

#endif
