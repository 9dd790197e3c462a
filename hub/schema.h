/* SPDX-License-Identifier: Apache-2.0 */
/* The database's connection and its schema's versions. Private to the store. */
#ifndef HOOP_HUB_SCHEMA_H
#define HOOP_HUB_SCHEMA_H

#include "hub/settings.h"
#include <sqlite3.h>

/* Opens or makes it, with the newest schema. NULL with HUB_ERROR_STORE. */
sqlite3 *schema_open(const char *path, GError **error);
/* Sets HUB_ERROR_STORE with the database's own words; always false. */
bool schema_fail(sqlite3 *db, const char *doing, GError **error);

#endif
