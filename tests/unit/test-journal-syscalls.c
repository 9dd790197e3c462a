/* SPDX-License-Identifier: Apache-2.0 */
/* Each write, fsync and mapping of the journal's files fails in turn, as a
 * full or dying disk lets them: nothing is acknowledged that is not there, and
 * nothing is half there. */

#define _GNU_SOURCE
#include "tests/unit/journal-kit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Which calls fail; the rest of this file is where they pass through. */
enum { WRITES = 1, SYNCS = 2, MAPS = 4, SHORT = 0 };

static struct {
  atomic_int calls; /* which */
  atomic_int error; /* errno; SHORT: half is written */
  atomic_int after; /* calls that still succeed */
  atomic_int times; /* calls that fail; -1: all */
  atomic_int failed;
} fault;

/* Only files of the disk: pipes and eventfds go on. */
static bool
strikes(int call, int fd)
{
  struct stat info;

  if (!(atomic_load(&fault.calls) & call) || atomic_load(&fault.times) == 0 ||
      fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))
    return false;
  if (atomic_load(&fault.after) > 0) {
    atomic_fetch_sub(&fault.after, 1);
    return false;
  }
  if (atomic_load(&fault.times) > 0)
    atomic_fetch_sub(&fault.times, 1);
  atomic_fetch_add(&fault.failed, 1);
  return true;
}

static int
failed(void)
{
  errno = atomic_load(&fault.error);
  return -1;
}

/* The program's own symbols come before those of the C library, for SQLite and
 * for the agent alike. */
ssize_t write(int fd, const void *bytes, size_t len);
ssize_t
write(int fd, const void *bytes, size_t len)
{
  if (strikes(WRITES, fd)) {
    if (atomic_load(&fault.error) != SHORT)
      return failed();
    len = (len + 1) / 2;
  }
  return syscall(SYS_write, fd, bytes, len);
}

ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t at);
ssize_t
pwrite64(int fd, const void *bytes, size_t len, off64_t at)
{
  if (strikes(WRITES, fd)) {
    if (atomic_load(&fault.error) != SHORT)
      return failed();
    len = (len + 1) / 2;
  }
  return syscall(SYS_pwrite64, fd, bytes, len, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at);
ssize_t
pwrite(int fd, const void *bytes, size_t len, off_t at)
{
  return pwrite64(fd, bytes, len, at);
}

int ftruncate64(int fd, off64_t len);
int
ftruncate64(int fd, off64_t len)
{
  return strikes(WRITES, fd) && atomic_load(&fault.error) != SHORT
             ? failed()
             : (int)syscall(SYS_ftruncate, fd, len);
}

int ftruncate(int fd, off_t len);
int
ftruncate(int fd, off_t len)
{
  return ftruncate64(fd, len);
}

int fsync(int fd);
int
fsync(int fd)
{
  return strikes(SYNCS, fd) ? failed() : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd);
int
fdatasync(int fd)
{
  return strikes(SYNCS, fd) ? failed() : (int)syscall(SYS_fdatasync, fd);
}

void *mmap64(void *at, size_t len, int prot, int flags, int fd, off64_t offset);
void *
mmap64(void *at, size_t len, int prot, int flags, int fd, off64_t offset)
{
  if (fd >= 0 && (flags & MAP_SHARED) && strikes(MAPS, fd)) {
    failed();
    return MAP_FAILED;
  }
  return (void *)syscall(SYS_mmap, at, len, prot, flags, fd, offset);
}

static void
arm(int calls, int error, int after, int times)
{
  atomic_store(&fault.calls, calls);
  atomic_store(&fault.error, error);
  atomic_store(&fault.after, after);
  atomic_store(&fault.failed, 0);
  atomic_store(&fault.times, times);
}

static char *
some_body(unsigned i)
{
  GString *text = g_string_new(NULL);
  g_autoptr(GRand) random = g_rand_new_with_seed(i);

  while (text->len < 9000)
    g_string_append_printf(text, "%08x", (unsigned)g_rand_int(random));
  return g_string_free(text, FALSE);
}

/* What was acknowledged is there; nothing is there twice; the chain holds. */
static void
check(TestJournal *test, unsigned acknowledged)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(JournalReader) reader = journal_reader_open(test->path, &error);
  JournalVerification result;

  g_assert_no_error(error);
  g_assert_true(journal_verify(reader, NULL, NULL, NULL, &result, &error));
  if (!result.intact)
    g_error("%s", result.reason);
  journal_verification_clear(&result);
  g_assert_cmpint(test_count(test->path,
                             "SELECT count(*) FROM rows WHERE "
                             "kind = 'request'"),
                  >=,
                  acknowledged);
  g_assert_cmpint(
      test_count(test->path,
                 "SELECT count(*) - count(DISTINCT exchange) FROM rows "
                 "WHERE kind = 'request'"),
      ==,
      0);
}

/* One journal's life with its n-th call failing, from the making of its files
 * on; false when it had fewer calls than that. */
static bool
live(Durability durability, int calls, int error, int n, int times)
{
  g_autoptr(TestJournal) test = test_journal_new();
  g_autoptr(GError) why = NULL;
  unsigned acknowledged = 0;

  test->options.durability = durability;
  arm(calls, error, n, times);
  test->journal = journal_open(&test->options, &why);
  if (test->journal) {
    for (unsigned i = 0; i < 4; i++) {
      g_autofree char *id = g_strdup_printf("id%u", i);
      g_autofree char *body = some_body(i);

      test_append(test, test_request(id, body));
      test_wait(test, i + 1);
    }
    acknowledged = test->answered - test->refused;
    test_journal_close(test);
  } else {
    g_assert_nonnull(why);
  }
  atomic_store(&fault.times, 0);

  test_journal_open(test); /* it heals by itself */
  test_journal_close(test);
  check(test, acknowledged);
  return atomic_load(&fault.failed) > 0;
}

typedef struct {
  const char *name;
  int calls, error;
} Case;

static const Case cases[] = {
    {"write-enospc", WRITES, ENOSPC},
    {"write-eio", WRITES, EIO},
    {"write-enomem", WRITES, ENOMEM},
    {"write-short", WRITES, SHORT},
    {"sync-eio", SYNCS, EIO},
    {"sync-enospc", SYNCS, ENOSPC},
    {"map-enomem", MAPS, ENOMEM},
};

static void
test_calls(const void *data)
{
  const Case *one = data;
  bool thorough = g_getenv("HOOP_FULL") || g_test_thorough();
  int step = thorough ? 1 : 37;
  int runs = 0;

  for (int durability = 0; durability < 2; durability++) {
    for (int times = 1; times >= -1; times -= 2) {
      int n = 0;

      while (n < 1000 && live(durability ? DURABILITY_GROUPED : DURABILITY_FULL,
                              one->calls,
                              one->error,
                              n,
                              times)) {
        n += step;
        runs++;
      }
      g_assert_cmpint(n, >, 0);
    }
  }
  g_test_message("%d faults", runs);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *name =
        g_strdup_printf("/journal/syscalls/%s", cases[i].name);

    g_test_add_data_func(name, &cases[i], test_calls);
  }
  return g_test_run();
}
