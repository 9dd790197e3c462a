/* SPDX-License-Identifier: Apache-2.0 */
/* Connections for tests: a private folder, a table made from the text of a
 * configuration, and requests' headers. */
#ifndef HOOP_TEST_CONN_KIT_H
#define HOOP_TEST_CONN_KIT_H

#include "conn/private.h"

typedef struct {
  char *dir;
  Config *config; /* its state folder is `dir` */
  ConnTable *table;
} Table;

/* text: of agent.conf, or NULL; %d in it becomes `dir`. */
Table *table_new(const char *text);
/* The same with a file in the folder, as table_file() makes it. */
Table *table_new_with(const char *text, const char *name, const char *contents);
/* NULL with the error of conn_table_new(). */
Table *table_try(const char *text, GError **error);
void table_free(Table *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Table, table_free)
Connection *table_get(Table *table, const char *name);
/* A file in the folder, mode 0600; its path. g_free. */
char *table_file(Table *table, const char *name, const char *text);
/* "Authorization: Bearer TOKEN"; NULL: none. */
HttpHeaders *headers_bearer(const char *token);

#endif
