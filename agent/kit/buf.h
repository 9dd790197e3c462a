/* SPDX-License-Identifier: Apache-2.0 */
/* A byte queue that is born with its maximum: append at the end, consume at
 * the front, wiped when freed. */
#ifndef HOOP_KIT_BUF_H
#define HOOP_KIT_BUF_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Transparent so that it can be a member; treat fields as read-only. The
 * bytes are data[start .. start + len). */
typedef struct {
  uint8_t *data;
  size_t start;
  size_t len;
  size_t capacity;
  size_t max;
  size_t used;  /* of data, from its start: what may have been written */
  bool refused; /* an append did not fit; until truncated or cleared */
} Buf;

/* Empty, no memory yet; never holds more than `max` bytes. One thread at a
 * time. */
void buf_init(Buf *buf, size_t max);
/* Wipes and releases; the Buf is empty and usable again. */
void buf_clear(Buf *buf);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Buf, buf_clear)

static inline const uint8_t *
buf_bytes(const Buf *buf)
{
  return buf->data ? buf->data + buf->start : (const uint8_t *)"";
}

/* Appends; false (and nothing appended) beyond the maximum. */
bool buf_append(Buf *buf, const void *bytes, size_t len)
    G_GNUC_WARN_UNUSED_RESULT;
bool buf_append_str(Buf *buf, const char *text) G_GNUC_WARN_UNUSED_RESULT;
bool buf_printf(Buf *buf, const char *format, ...) G_GNUC_PRINTF(2, 3)
    G_GNUC_WARN_UNUSED_RESULT;
/* Room for at least `len` more bytes at the end, to be written in place and
 * then counted by buf_commit(); NULL beyond the maximum. Like every append it
 * may move the bytes. */
uint8_t *buf_reserve(Buf *buf, size_t len);
void buf_commit(Buf *buf, size_t len);
/* Drops `len` bytes (<= buf->len) from the front, wiping them. */
void buf_consume(Buf *buf, size_t len);
/* Keeps the first `len` bytes. */
void buf_truncate(Buf *buf, size_t len);
/* Moves the contents into a GBytes (which wipes them when its last reference
 * goes) and leaves the Buf empty. A NUL stands behind them. */
GBytes *buf_steal(Buf *buf);
/* A GBytes copy that wipes itself, with a NUL behind it. */
GBytes *bytes_new_wiped(const void *bytes, size_t len);

#endif
