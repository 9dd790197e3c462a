/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps a hub at a database that several share: wake-ups from the others, and
 * connections that are made again. */
#ifndef HOOP_HUB_LINK_H
#define HOOP_HUB_LINK_H

#include "hub/store/db.h"
#include "kit/loop.h"

typedef struct store_link StoreLink;

/* Watches `db`, which must outlive it: when it is lost, threads of its own
 * connect again, after 0.1 s at first and 5 s at most, and a second connection
 * listens. Of a database that is not shared it does nothing. Never NULL. */
StoreLink *store_link_new(Loop *loop, Db *db);
void store_link_free(StoreLink *link);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StoreLink, store_link_free)

/* heard() is told of each payload on the channel (a static, plain name).
 * again() is called when it listens anew, and when `db` is there again: what
 * came meanwhile was not heard, and is in the tables. On the loop's thread. */
void store_link_on(StoreLink *link,
                   const char *channel,
                   void (*heard)(const char *payload, void *data),
                   void (*again)(void *data),
                   void *data);
/* How often the connection was lost so far. */
unsigned store_link_losses(const StoreLink *link);

#endif
