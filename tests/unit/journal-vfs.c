/* SPDX-License-Identifier: Apache-2.0 */
/* Passes every call to the real VFS, except those it was told to fail. */
#include "tests/unit/journal-vfs.h"

#include <glib.h>
#include <sqlite3.h>
#include <string.h>

FaultyDisk faulty_disk;

/* SQLite allocates our part and the real VFS's behind it. */
typedef struct {
  sqlite3_file base;
  sqlite3_file *real;
} FaultyFile;

static sqlite3_vfs faulty_vfs;
static sqlite3_vfs *real_vfs;

static sqlite3_file *
real_of(sqlite3_file *file)
{
  return ((FaultyFile *)file)->real;
}

/* SQLITE_OK, or what this operation fails with. */
static int
fault(bool asked)
{
  if (!asked || atomic_load(&faulty_disk.times) == 0)
    return SQLITE_OK;
  if (atomic_load(&faulty_disk.after) > 0) {
    atomic_fetch_sub(&faulty_disk.after, 1);
    return SQLITE_OK;
  }
  if (atomic_load(&faulty_disk.times) > 0)
    atomic_fetch_sub(&faulty_disk.times, 1);
  atomic_fetch_add(&faulty_disk.failed, 1);
  return atomic_load(&faulty_disk.code);
}

static int
faulty_close(sqlite3_file *file)
{
  return real_of(file)->pMethods->xClose(real_of(file));
}

static int
faulty_read(sqlite3_file *file, void *out, int len, sqlite3_int64 at)
{
  return real_of(file)->pMethods->xRead(real_of(file), out, len, at);
}

static int
faulty_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 at)
{
  int result = fault(atomic_load(&faulty_disk.writes));

  atomic_fetch_add(&faulty_disk.seen_writes, 1);
  if (result == SQLITE_OK)
    return real_of(file)->pMethods->xWrite(real_of(file), bytes, len, at);
  /* As a full or dying disk does: some of it arrives. */
  real_of(file)->pMethods->xWrite(real_of(file), bytes, len / 2, at);
  return result;
}

static int
faulty_truncate(sqlite3_file *file, sqlite3_int64 size)
{
  int result = fault(atomic_load(&faulty_disk.writes));

  return result ? result
                : real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static int
faulty_sync(sqlite3_file *file, int flags)
{
  int result = fault(atomic_load(&faulty_disk.syncs));

  atomic_fetch_add(&faulty_disk.seen_syncs, 1);
  return result ? result : real_of(file)->pMethods->xSync(real_of(file), flags);
}

static int
faulty_file_size(sqlite3_file *file, sqlite3_int64 *size)
{
  return real_of(file)->pMethods->xFileSize(real_of(file), size);
}

static int
faulty_lock(sqlite3_file *file, int level)
{
  return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int
faulty_unlock(sqlite3_file *file, int level)
{
  return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int
faulty_check_lock(sqlite3_file *file, int *held)
{
  return real_of(file)->pMethods->xCheckReservedLock(real_of(file), held);
}

static int
faulty_control(sqlite3_file *file, int op, void *arg)
{
  return real_of(file)->pMethods->xFileControl(real_of(file), op, arg);
}

static int
faulty_sector_size(sqlite3_file *file)
{
  return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int
faulty_characteristics(sqlite3_file *file)
{
  return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int
faulty_shm_map(sqlite3_file *file,
               int page,
               int size,
               int extend,
               void volatile **out)
{
  return real_of(file)->pMethods->xShmMap(
      real_of(file), page, size, extend, out);
}

static int
faulty_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
  return real_of(file)->pMethods->xShmLock(real_of(file), offset, n, flags);
}

static void
faulty_shm_barrier(sqlite3_file *file)
{
  real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int
faulty_shm_unmap(sqlite3_file *file, int delete)
{
  return real_of(file)->pMethods->xShmUnmap(real_of(file), delete);
}

static const sqlite3_io_methods faulty_methods = {
    .iVersion = 2,
    .xClose = faulty_close,
    .xRead = faulty_read,
    .xWrite = faulty_write,
    .xTruncate = faulty_truncate,
    .xSync = faulty_sync,
    .xFileSize = faulty_file_size,
    .xLock = faulty_lock,
    .xUnlock = faulty_unlock,
    .xCheckReservedLock = faulty_check_lock,
    .xFileControl = faulty_control,
    .xSectorSize = faulty_sector_size,
    .xDeviceCharacteristics = faulty_characteristics,
    .xShmMap = faulty_shm_map,
    .xShmLock = faulty_shm_lock,
    .xShmBarrier = faulty_shm_barrier,
    .xShmUnmap = faulty_shm_unmap,
};

static int
faulty_open(sqlite3_vfs *vfs,
            const char *name,
            sqlite3_file *file,
            int flags,
            int *out_flags)
{
  FaultyFile *faulty = (FaultyFile *)file;
  int result;

  (void)vfs;
  faulty->real = (sqlite3_file *)(void *)(faulty + 1);
  memset(faulty->real, 0, (size_t)real_vfs->szOsFile);
  result = real_vfs->xOpen(real_vfs, name, faulty->real, flags, out_flags);
  file->pMethods = faulty->real->pMethods ? &faulty_methods : NULL;
  return result;
}

void
faulty_disk_install(void)
{
  real_vfs = sqlite3_vfs_find(NULL);
  faulty_vfs = *real_vfs;
  faulty_vfs.zName = "faulty";
  faulty_vfs.pNext = NULL;
  faulty_vfs.szOsFile = (int)sizeof(FaultyFile) + real_vfs->szOsFile;
  faulty_vfs.xOpen = faulty_open;
  g_assert_cmpint(sqlite3_vfs_register(&faulty_vfs, 1), ==, SQLITE_OK);
}

void
faulty_disk_fail(bool writes, bool syncs, int after, int times, int code)
{
  atomic_store(&faulty_disk.writes, writes);
  atomic_store(&faulty_disk.syncs, syncs);
  atomic_store(&faulty_disk.after, after);
  atomic_store(&faulty_disk.code, code);
  atomic_store(&faulty_disk.failed, 0);
  atomic_store(&faulty_disk.times, times);
}

void
faulty_disk_heal(void)
{
  atomic_store(&faulty_disk.times, 0);
}
