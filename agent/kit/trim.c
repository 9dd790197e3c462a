/* SPDX-License-Identifier: Apache-2.0 */
/* Gives back what only the start or a burst needed: an agent that waits should
 * be small. */
#define _GNU_SOURCE
#include "kit/trim.h"

#include <link.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

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
is_of(const char *name, const char *const *names)
{
  for (; names && *names; names++)
    if (strstr(name, *names))
      return true;
  return !names;
}

/* A file's segments that it maps without write access: nothing was changed in
 * them, relocation neither, so that their pages are the file's. */
static int
drop_object(struct dl_phdr_info *object, size_t size, void *data)
{
  const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  const ElfW(Dyn) *dynamic = NULL;

  (void)size;
  if (!is_of(object->dlpi_name, data))
    return 0;
  for (ElfW(Half) i = 0; i < object->dlpi_phnum; i++)
    if (object->dlpi_phdr[i].p_type == PT_DYNAMIC)
      dynamic =
          (const ElfW(Dyn) *)(object->dlpi_addr + object->dlpi_phdr[i].p_vaddr);
  for (; dynamic && dynamic->d_tag != DT_NULL; dynamic++)
    if (dynamic->d_tag == DT_TEXTREL ||
        (dynamic->d_tag == DT_FLAGS && (dynamic->d_un.d_val & DF_TEXTREL) != 0))
      return 0;
  for (ElfW(Half) i = 0; i < object->dlpi_phnum; i++) {
    const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
    const uintptr_t from = (object->dlpi_addr + segment->p_vaddr) & ~(page - 1);
    const uintptr_t to =
        object->dlpi_addr + segment->p_vaddr + segment->p_memsz;

    if (segment->p_type == PT_LOAD && (segment->p_flags & PF_W) == 0 &&
        to > from)
      madvise((void *)from, to - from, MADV_DONTNEED);
  }
  return 0;
}

/* Code that ran once (loaders, parsers, the compiler of the detectors' rules),
 * its constants, and the tables that only the dynamic loader reads leave the
 * resident set; what is needed again comes back from the page cache at its next
 * use. */
static void
drop_code(const char *const *names)
{
  dl_iterate_phdr(drop_object, (void *)(uintptr_t)names);
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
