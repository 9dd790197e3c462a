/* SPDX-License-Identifier: Apache-2.0 */
/* The [identity "NAME"] groups of agent.conf. Private to the room. */
#ifndef HOOP_CONFIG_IDENTITIES_H
#define HOOP_CONFIG_IDENTITIES_H

#include "config/config.h"

/* An empty list. */
GPtrArray *identities_new(void);
/* The one of that name, or a new one with the keys' defaults, which then began
 * at `file`:`line`. */
ConfigIdentity *identities_enter(Config *config,
                                 const char *name,
                                 const char *file,
                                 unsigned line);
/* Each has what it needs, no two are the same provider's, and the connections
 * name those that exist. CONFIG_ERROR_VALUE names file:line. */
bool identities_check(const Config *config, GError **error);

#endif
