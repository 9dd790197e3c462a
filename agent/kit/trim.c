/* SPDX-License-Identifier: Apache-2.0 */
/* Gives back what only the start or a burst needed: an agent that waits should
 * be small. */
#define _GNU_SOURCE
#include "kit/trim.h"

#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

/* Blocks from this size on are mappings of their own: bodies, records, what the
 * search index reads; what most requests need is smaller. By itself glibc
 * raises this to the largest block that was ever freed, and then keeps as much
 * of each thread's heap. */
#define LARGE_BLOCK (192 * 1024)
/* What may stay free at the end of a thread's heap. */
#define FREE_END (1024 * 1024)

/* Those that only bodies need, a few pages at a time. */
static const char *const seldom[] = {"/libhs.",
                                     "/libzstd.",
                                     "/libjson-c.",
                                     NULL};

static bool
is_of(const char *line, const char *const *names)
{
  for (; names && *names; names++)
    if (strstr(line, *names))
      return true;
  return !names;
}

/* Code that ran once (loaders, parsers, the compiler of the detectors' rules)
 * leaves the resident set; what is needed again comes back from the page cache
 * at its next use. Only mappings that are executable and not writable: their
 * pages are the file's, never changed by us. */
static void
drop_code(const char *const *names)
{
  FILE *maps = fopen("/proc/self/maps", "re");
  char line[512];

  while (maps && fgets(line, sizeof line, maps)) {
    unsigned long from, to;
    char mode[5];

    if (sscanf(line, "%lx-%lx %4s", &from, &to, mode) == 3 &&
        strcmp(mode, "r-xp") == 0 && strchr(line, '/') && is_of(line, names))
      madvise((void *)from, to - from, MADV_DONTNEED);
  }
  if (maps)
    fclose(maps);
}

void
memory_bound(void)
{
  mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK);
  mallopt(M_TRIM_THRESHOLD, FREE_END);
}

void
memory_trim(void)
{
  malloc_trim(0);
  drop_code(NULL);
}

void
memory_rest(void)
{
  malloc_trim(0);
  drop_code(seldom);
}
