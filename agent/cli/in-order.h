/* SPDX-License-Identifier: Apache-2.0 */
/* Work done by several threads and given back in the order that it came in.
 * Private. */
#ifndef HOOP_CLI_IN_ORDER_H
#define HOOP_CLI_IN_ORDER_H

#include <glib.h>
#include <stdbool.h>

typedef struct in_order InOrder;

/* One thread for each of `n_locals` (1 or more), each with its own `local`; at
 * most `room` items are inside. Threads start with all signals blocked. All
 * other calls come from one thread. */
InOrder *in_order_new(void (*work)(void *item, void *local),
                      void *const *locals,
                      unsigned n_locals,
                      unsigned room);
/* Waits for what is being worked on; drop() takes every item that was not
 * given back. Accepts NULL. */
void in_order_free(InOrder *order, void (*drop)(void *item));

/* False when there is no room: take one first. */
bool in_order_put(InOrder *order, void *item);
/* The oldest item, once it is done; NULL when it is not within `wait_ms`, or
 * when nothing is inside. */
void *in_order_take(InOrder *order, unsigned wait_ms);
/* How many are inside. */
unsigned in_order_count(const InOrder *order);

#endif
