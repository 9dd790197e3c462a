/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of decoded texts: one block, so that one pass of libhs sees all
 * of them, wiped when it moves or goes. */
#include "inspect/body.h"

#include <string.h>

#define ARENA_MIN 1024
/* After each text: a newline, which ends runs and lines, and one more byte. */
#define SEPARATOR 2

void
arena_reserve(Arena *arena, size_t len)
{
  const size_t needed = arena->len + len + SEPARATOR + 1;
  size_t capacity = MAX(arena->capacity, ARENA_MIN);
  char *bytes;

  if (needed <= arena->capacity)
    return;
  while (capacity < needed)
    capacity += capacity / 2;
  bytes = g_malloc(capacity);
  if (arena->len > 0)
    memcpy(bytes, arena->bytes, arena->len);
  if (arena->bytes != NULL)
    secret_wipe(arena->bytes, arena->len);
  g_free(arena->bytes);
  arena->bytes = bytes;
  arena->capacity = capacity;
  if (arena->len == 0) {
    memcpy(arena->bytes, "\n\n", SEPARATOR);
    arena->len = SEPARATOR;
    arena_reserve(arena, len);
  }
}

void
arena_clear(Arena *arena)
{
  if (arena->bytes != NULL)
    secret_wipe(arena->bytes, arena->len);
  g_free(arena->bytes);
  *arena = (Arena){0};
}

char *
arena_open(Arena *arena, size_t len)
{
  arena_reserve(arena, len);
  return arena->bytes + arena->len;
}

size_t
arena_close(Arena *arena, size_t len)
{
  const size_t at = arena->len;

  memcpy(arena->bytes + at + len, "\n\n", SEPARATOR);
  arena->len += len + SEPARATOR;
  return at;
}
