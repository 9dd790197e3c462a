/* SPDX-License-Identifier: Apache-2.0 */
/* The first message of a TLS client, read for the name that it asks for.
 * Private to the room. */
#ifndef HOOP_EXCHANGE_HELLO_H
#define HOOP_EXCHANGE_HELLO_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A ClientHello with post-quantum shares has about 2 KiB, with many cached
 * sessions 5; what is longer than this is refused. */
#define HELLO_MAX ((size_t)32 * 1024)

typedef enum {
  HELLO_MORE,   /* it may still become one */
  HELLO_OTHER,  /* no TLS */
  HELLO_BROKEN, /* begins as TLS and cannot be read */
  HELLO_READ
} HelloState;

typedef struct {
  char *name; /* as it was sent, without dots at its end; NULL: none */
  bool ech;   /* RFC 9849: `name` may stand for another */
} Hello;

/* Reads what a client sent first: TLS records with one ClientHello (RFC 8446
 * section 4.1.2, RFC 6066 section 3), however it is cut into records. Strict:
 * what a server could read in another way is BROKEN. On READ *out is the
 * caller's to hello_clear(). */
HelloState hello_read(const uint8_t *bytes, size_t len, Hello *out);
void hello_clear(Hello *hello);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Hello, hello_clear)

#endif
