/* SPDX-License-Identifier: Apache-2.0 */
/* A disk that fails on command: an SQLite VFS over the real one. */
#ifndef HOOP_TESTS_JOURNAL_VFS_H
#define HOOP_TESTS_JOURNAL_VFS_H

#include <stdatomic.h>
#include <stdbool.h>

/* What fails: with `code` (an SQLite result), from the operation number
 * `after` on (0: the next), `times` times (-1: for ever). */
typedef struct {
  atomic_int writes; /* xWrite and xTruncate are counted and fail */
  atomic_int syncs;  /* so is xSync */
  atomic_int after;
  atomic_int times;
  atomic_int code;
  atomic_int seen_writes;
  atomic_int seen_syncs;
  atomic_int failed;
} FaultyDisk;

extern FaultyDisk faulty_disk;

/* Makes it the VFS that sqlite3_open_v2() uses. */
void faulty_disk_install(void);
void faulty_disk_fail(bool writes, bool syncs, int after, int times, int code);
void faulty_disk_heal(void);

#endif
