/* SPDX-License-Identifier: Apache-2.0 */
/* The hub: listener, connections, reviews and store, on one loop. */
#ifndef HOOP_HUB_H
#define HOOP_HUB_H

#include "hub/settings.h"
#include "kit/loop.h"

typedef struct hub Hub;

/* Opens the store, reads or makes the signing key, and listens. The
 * configuration must outlive it. HUB_ERROR, or what a file or the issuers'
 * options are refused with. */
Hub *hub_new(Loop *loop, const HubConfig *config, GError **error);
void hub_free(Hub *hub);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Hub, hub_free)

uint16_t hub_port(const Hub *hub);
/* Of the signing key; the hub's. */
const char *hub_fingerprint(const Hub *hub);
/* No new connection is taken, streams end, what is being answered is answered;
 * then, after 10 s at most, the loop is quit. */
void hub_drain(Hub *hub);

#endif
