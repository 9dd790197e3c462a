/* SPDX-License-Identifier: Apache-2.0 */
/* What agents ask the hub about credentials. */
#ifndef HOOP_HUB_VAULT_SERVE_H
#define HOOP_HUB_VAULT_SERVE_H

#include "hub/private.h"
#include "hub/vault/vault.h"

/* On the hub's loop; tells its streams when another credential was set. */
VaultDesk *vault_desk_new(Hub *hub, GError **error);
void vault_desk_free(VaultDesk *desk);
/* POST /v1/credentials, signed by a machine of the person's. */
void desk_lend(Client *client, const char *id);

#endif
