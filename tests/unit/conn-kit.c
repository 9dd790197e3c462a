/* SPDX-License-Identifier: Apache-2.0 */
/* Folders, tables and headers of the connections' tests. */
#include "tests/unit/conn-kit.h"
#include "tests/unit/folder.h"
#include <string.h>
#include <unistd.h>

static Table *
make(const char *text, const char *name, const char *contents, GError **error)
{
  g_autoptr(Table) table = g_new0(Table, 1);
  g_autoptr(GError) wrong = NULL;
  g_autoptr(GString) whole = g_string_new(NULL);
  g_autofree char *path = NULL;
  const char *dir;

  table->dir = g_dir_make_tmp("hoop-conn-XXXXXX", NULL);
  /* %d in the text is the folder. */
  for (const char *at = text ? text : ""; *at; at++) {
    dir = at[0] == '%' && at[1] == 'd' ? table->dir : NULL;
    if (dir)
      g_string_append(whole, dir);
    else
      g_string_append_c(whole, *at);
    at += dir != NULL;
  }
  if (name)
    g_free(table_file(table, name, contents));
  path = table_file(table, "agent.conf", whole->str);
  table->config = config_load(path, &wrong);
  g_assert_no_error(wrong);
  g_free(table->config->state_dir);
  table->config->state_dir = g_strdup(table->dir);
  table->table = conn_table_new(table->config, error);
  return table->table ? g_steal_pointer(&table) : NULL;
}

Table *
table_try(const char *text, GError **error)
{
  return make(text, NULL, NULL, error);
}

Table *
table_new_with(const char *text, const char *name, const char *contents)
{
  g_autoptr(GError) error = NULL;
  Table *table = make(text, name, contents, &error);

  g_assert_no_error(error);
  return table;
}

Table *
table_new(const char *text)
{
  return table_new_with(text, NULL, NULL);
}

void
table_free(Table *table)
{
  if (!table)
    return;
  conn_table_free(table->table);
  config_free(table->config);
  remove_folder(table->dir);
  g_free(table->dir);
  g_free(table);
}

Connection *
table_get(Table *table, const char *name)
{
  Connection *const *all;
  unsigned n;

  all = conn_table_all(table->table, &n);
  for (unsigned i = 0; i < n; i++)
    if (g_str_equal(connection_name(all[i]), name))
      return all[i];
  g_error("no connection %s", name);
}

char *
table_file(Table *table, const char *name, const char *text)
{
  char *path = g_build_filename(table->dir, name, NULL);

  g_assert_true(g_file_set_contents_full(
      path, text, -1, G_FILE_SET_CONTENTS_CONSISTENT, 0600, NULL));
  return path;
}

HttpHeaders *
headers_bearer(const char *token)
{
  HttpHeaders *headers = http_headers_new();
  g_autofree char *value = g_strconcat("Bearer ", token, NULL);

  if (token)
    g_assert_true(http_headers_add(headers, "Authorization", value));
  return headers;
}
