/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials for connections: sealed in the database, lent to the machines of
 * people of a group. */
#ifndef HOOP_HUB_VAULT_H
#define HOOP_HUB_VAULT_H

#include "hub/settings.h"
#include "hub/store/store.h"
#include "kit/secret.h"

/* One word of printable ASCII without quotes and backslashes: a header's. */
#define VAULT_MAX_SECRET 4096
#define VAULT_MAX_NAME 64

bool vault_migrate(Db *db, GError **error);
/* The key that seals: [hub] vault-key-file, else the systemd credential
 * hoop-hub-vault-key, else vault.key in the state folder, made when it is not
 * there. 64 hex digits. */
Secret *vault_key(const HubConfig *config, GError **error);
/* The same from this file. */
Secret *vault_key_from(const char *path, bool create, GError **error);

/* Letters, digits and ._-. */
bool vault_name_is_fine(const char *name);

/* Puts it in place of what the group had of that name. `only_change`: CONFLICT
 * where there was none. HUB_ERROR or DB_ERROR. */
DbResult vault_set(Db *db,
                   const Secret *key,
                   const char *name,
                   const char *group,
                   const Secret *secret,
                   bool only_change,
                   const Actor *by,
                   GError **error);
/* CONFLICT: there was none. */
DbResult vault_remove(Db *db,
                      const char *name,
                      const char *group,
                      const Actor *by,
                      GError **error);
/* Seals everything with another key, in one transaction. */
bool vault_seal_anew(Db *db,
                     const Secret *key,
                     const Secret *next,
                     const Actor *by,
                     GError **error);

/* What a person of these groups (NULL: not known, then those for everybody
 * alone) may have of that name. NULL without error: nothing. *group is g_free.
 */
Secret *vault_open(Db *db,
                   const Secret *key,
                   const char *name,
                   char *const *groups,
                   char **group,
                   int64_t *version,
                   GError **error);

typedef struct {
  char *name, *group;
  int64_t version; /* when it was set, us */
} VaultItem;
/* Of VaultItem, by name and group. */
GPtrArray *vault_list(Db *db, GError **error);
/* Another text whenever anything was set or removed; g_free. */
char *vault_stamp(Db *db, GError **error);

/* hoop-hub credential …; argv[0] is "credential". Exit status. */
int vault_verb(int argc, char **argv);

#endif
