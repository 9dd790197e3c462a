/* SPDX-License-Identifier: Apache-2.0 */
/* Two sockets joined by splice(2): both directions, half-close right, no byte
 * copied through user space. Private to the room. */
#ifndef HOOP_EXCHANGE_SPLICE_H
#define HOOP_EXCHANGE_SPLICE_H

#include "kit/loop.h"

typedef struct splice Splice;

/* Takes both non-blocking sockets. ended(why) runs once from the loop: "closed"
 * when both directions ended, "idle" or "error"; splice_free() follows there.
 * NULL when the kernel refuses pipes: the sockets are closed. */
Splice *splice_new(Loop *loop,
                   int client,
                   int server,
                   unsigned idle_timeout,
                   void (*ended)(const char *why, void *data),
                   void *data);
void splice_free(Splice *splice);
/* From the client to the server and back. */
void splice_bytes(const Splice *splice, int64_t *up, int64_t *down);

#endif
