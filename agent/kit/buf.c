/* SPDX-License-Identifier: Apache-2.0 */
/* A byte queue that is born with its maximum; every byte that leaves it is
 * wiped from the memory that held it. */
#include "kit/buf.h"

#include "kit/secret.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The first allocation: most header blocks and stream events fit. */
#define FIRST_CAPACITY 512
/* A stolen buffer that uses less than this share of its memory is copied, so
 * that long-lived bodies do not hold their growth slack. */
#define STEAL_SLACK_SHARE 4

typedef struct {
  uint8_t *data;
  size_t used;
} Stolen;

/* Memory that nothing was written to is not touched: it would become resident
 * only to be freed. */
static void
wipe_and_free(uint8_t *data, size_t used)
{
  if (data == NULL)
    return;
  secret_wipe(data, used);
  g_free(data);
}

static void
stolen_free(void *data)
{
  Stolen *stolen = data;

  wipe_and_free(stolen->data, stolen->used);
  g_free(stolen);
}

/* Moves the contents to the start of the memory and wipes where they were. */
static void
compact(Buf *buf)
{
  size_t old_end = buf->start + buf->len;

  if (buf->start == 0)
    return;
  memmove(buf->data, buf->data + buf->start, buf->len);
  secret_wipe(buf->data + buf->len, old_end - buf->len);
  buf->start = 0;
}

/* Moves the contents into memory for at least `need` bytes (<= max). */
static void
grow(Buf *buf, size_t need)
{
  size_t capacity = MAX(buf->capacity, FIRST_CAPACITY);
  uint8_t *data;

  while (capacity < need)
    capacity = capacity > SIZE_MAX / 2 ? need : capacity * 2;
  capacity = MIN(capacity, buf->max);
  /* One byte more than counted: the NUL that vsnprintf() insists on. */
  data = g_malloc(capacity + 1);
  if (buf->data != NULL)
    memcpy(data, buf->data + buf->start, buf->len);
  wipe_and_free(buf->data, buf->used);
  buf->data = data;
  buf->start = 0;
  buf->used = buf->len;
  buf->capacity = capacity;
}

/* The end, where so many bytes may be written. */
static uint8_t *
end_for(Buf *buf, size_t len)
{
  size_t end = buf->start + buf->len;

  buf->used = MAX(buf->used, end + len);
  return buf->data + end;
}

void
buf_init(Buf *buf, size_t max)
{
  /* Below SIZE_MAX so that the hidden byte never overflows. */
  *buf = (Buf){.max = MIN(max, (size_t)G_MAXSSIZE - 1)};
}

void
buf_clear(Buf *buf)
{
  wipe_and_free(buf->data, buf->used);
  buf->data = NULL;
  buf->start = buf->len = buf->capacity = buf->used = 0;
  buf->refused = false;
}

uint8_t *
buf_reserve(Buf *buf, size_t len)
{
  if (len > buf->max - buf->len) {
    buf->refused = true;
    return NULL;
  }
  if (buf->data == NULL || buf->len + len > buf->capacity)
    grow(buf, buf->len + len);
  else if (len <= buf->capacity - buf->start - buf->len)
    return end_for(buf, len);
  else if (buf->start < buf->len && buf->capacity < buf->max)
    /* Moving more than was consumed, again and again, would be quadratic. */
    grow(buf, buf->capacity + 1);
  else
    compact(buf);
  return end_for(buf, len);
}

void
buf_commit(Buf *buf, size_t len)
{
  g_assert(len <= buf->capacity - buf->start - buf->len);
  buf->len += len;
  buf->used = MAX(buf->used, buf->start + buf->len);
}

bool
buf_append(Buf *buf, const void *bytes, size_t len)
{
  uint8_t *to;

  if (len == 0)
    return true;
  to = buf_reserve(buf, len);
  if (to == NULL)
    return false;
  memcpy(to, bytes, len);
  buf->len += len;
  return true;
}

bool
buf_append_str(Buf *buf, const char *text)
{
  return buf_append(buf, text, strlen(text));
}

bool
buf_printf(Buf *buf, const char *format, ...)
{
  va_list args, again;
  uint8_t *to;
  size_t room;
  int n;

  va_start(args, format);
  va_copy(again, args);
  /* First try in what is left: one pass in nearly every case. */
  room = buf->data ? buf->capacity - buf->start - buf->len : 0;
  n = vsnprintf(room ? (char *)buf->data + buf->start + buf->len : NULL,
                room ? room + 1 : 0,
                format,
                args);
  va_end(args);
  if (n > 0)
    buf->used = MAX(buf->used, buf->start + buf->len + MIN((size_t)n, room));
  to = NULL;
  if (n >= 0 && (to = buf_reserve(buf, (size_t)n)) != NULL) {
    if (room == 0 || (size_t)n > room)
      vsnprintf((char *)to, (size_t)n + 1, format, again);
    buf->len += (size_t)n;
  } else if (room > 0) {
    secret_wipe(buf->data + buf->start + buf->len, room + 1);
  }
  va_end(again);
  return to != NULL;
}

void
buf_consume(Buf *buf, size_t len)
{
  g_assert(len <= buf->len);
  if (len == 0)
    return;
  secret_wipe(buf->data + buf->start, len);
  buf->len -= len;
  buf->start = buf->len == 0 ? 0 : buf->start + len;
}

void
buf_truncate(Buf *buf, size_t len)
{
  buf->refused = false;
  if (len >= buf->len)
    return;
  secret_wipe(buf->data + buf->start + len, buf->len - len);
  buf->len = len;
  if (len == 0)
    buf->start = 0;
}

GBytes *
buf_steal(Buf *buf)
{
  Stolen *stolen;
  GBytes *bytes;

  if (buf->len == 0 || buf->len < buf->capacity / STEAL_SLACK_SHARE) {
    bytes = bytes_new_wiped(buf_bytes(buf), buf->len);
    buf_clear(buf);
    return bytes;
  }
  buf->data[buf->start + buf->len] = '\0'; /* grow() left a byte for it */
  stolen = g_new(Stolen, 1);
  *stolen = (Stolen){buf->data, buf->used};
  bytes = g_bytes_new_with_free_func(
      buf->data + buf->start, buf->len, stolen_free, stolen);
  buf->data = NULL;
  buf->start = buf->len = buf->capacity = buf->used = 0;
  return bytes;
}

GBytes *
bytes_new_wiped(const void *bytes, size_t len)
{
  Stolen *stolen;

  if (len == 0)
    return g_bytes_new_static("", 0);
  stolen = g_new(Stolen, 1);
  *stolen = (Stolen){g_malloc(len + 1), len};
  memcpy(stolen->data, bytes, len);
  stolen->data[len] = '\0';
  stolen->data[len] = 0; /* for who takes it for a text */
  return g_bytes_new_with_free_func(stolen->data, len, stolen_free, stolen);
}
