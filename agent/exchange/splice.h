/* SPDX-License-Identifier: Apache-2.0 */
/* Two sockets joined by splice(2): both directions, half-close right, no byte
 * copied through user space. Private to the room. */
#ifndef HOOP_EXCHANGE_SPLICE_H
#define HOOP_EXCHANGE_SPLICE_H

#include "kit/loop.h"

typedef struct splice Splice;

/* Takes both non-blocking sockets. ended(why) runs once from the loop;
 * splice_free() follows there. "closed": both directions ended as they should;
 * "refused": the look said so; "idle"; "reset-by-client", "reset-by-server":
 * that side's connection broke; "error". But for the first two both
 * connections end with a reset, so that no cut passes for an end. NULL when the
 * kernel refuses pipes: the sockets are closed. */
Splice *splice_new(Loop *loop,
                   int client,
                   int server,
                   unsigned idle_timeout,
                   void (*ended)(const char *why, void *data),
                   void *data);

/* What the client said first, of which nothing was passed on yet. `last`: there
 * will be no more of it (it ended, met SPLICE_LOOK_MAX, or took too long). */
typedef enum { LOOK_MORE, LOOK_PASS, LOOK_STOP } Look;
typedef Look (*SpliceLook)(const uint8_t *bytes,
                           size_t len,
                           bool last,
                           void *data);
#define SPLICE_LOOK_MAX ((size_t)64 * 1024)
/* Right after splice_new(): has `look` called, with ended()'s data, until it
 * says something else than MORE, for `timeout` s from the first byte on; MORE
 * to what is the last is STOP. The server is heard all the while. */
void splice_look_first(Splice *splice, SpliceLook look, unsigned timeout);
void splice_free(Splice *splice);
/* Passed on from the client to the server and back. */
void splice_bytes(const Splice *splice, int64_t *up, int64_t *down);

#endif
