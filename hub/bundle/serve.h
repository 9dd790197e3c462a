/* SPDX-License-Identifier: Apache-2.0 */
/* What agents ask the hub about policy. */
#ifndef HOOP_HUB_BUNDLE_SERVE_H
#define HOOP_HUB_BUNDLE_SERVE_H

#include "hub/bundle/bundles.h"
#include "hub/private.h"

/* On the hub's loop; tells its streams when other versions are rolled out. */
BundleDesk *bundle_desk_new(Hub *hub, GError **error);
void bundle_desk_free(BundleDesk *desk);

/* GET /v1/bundle */
void desk_send_bundle(Client *client, const char *id);
/* POST /v1/machines/state, signed by this machine of the person's. */
void desk_take_report(Client *client, const Machine *machine);

#endif
