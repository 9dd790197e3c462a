/* SPDX-License-Identifier: Apache-2.0 */
/* A value is found by a word that no text holds by chance: a letter for the
 * column, and the beginning of the value's SHA-256. */
#include "journal/facet.h"

#include <string.h>

/* Bytes of the hash in a word. Rows that were found are asked again, so that
 * two values of one word cost time and nothing else. */
#define WORD_BYTES 8

static void
add_word(GString *out, char letter, const char *value, size_t len)
{
  uint8_t digest[SHA256_LEN];
  char hex[SHA256_HEX_SIZE];

  sha256(value, len, digest);
  hex_encode(digest, WORD_BYTES, hex);
  g_string_append_printf(out, "x%c%s", letter, hex);
}

static void
add_value(GString *out, char letter, const char *value)
{
  if (!value)
    return;
  if (out->len)
    g_string_append_c(out, ' ');
  add_word(out, letter, value, strlen(value));
}

static void
add_list(GString *out, char letter, char **values)
{
  for (char **value = values; *value; value++)
    add_value(out, letter, *value);
}

char **
facet_programs(const char *process)
{
  return g_strsplit(process ? process : "", " < ", -1);
}

static void
add_programs(GString *out, const char *process)
{
  g_auto(GStrv) programs = facet_programs(process);

  for (char **program = programs; *program; program++) {
    const char *slash = strrchr(*program, '/');

    add_value(out, 'p', *program);
    if (slash)
      add_value(out, 'p', slash + 1);
  }
}

void
facets_of_row(const JournalRow *row, GString *out)
{
  g_auto(GStrv) groups = g_strsplit(row->groups ? row->groups : "", ",", -1);

  add_value(out, 'k', row_kind_name(row->kind));
  add_value(out, 'u', row->user);
  add_list(out, 'g', groups);
  add_value(out, 'c', row->client);
  add_programs(out, row->process);
  add_value(out, 'n', row->connection);
  add_value(out, 'm', row->model);
  add_value(out, 'a', row->api);
  add_value(out, 's', row->conversation);
  add_value(out, 'v', row->verdict);
  add_value(out, 'r', row->rule);
}

bool
facets_of_query(const JournalQuery *query, GString *out)
{
  const struct {
    char letter;
    const char *value;
  } asked[] = {
      {'r', query->rule},
      {'v', query->verdict},
      {'u', query->user},
      {'g', query->group},
      {'c', query->client},
      {'p', query->process},
      {'n', query->connection},
      {'m', query->model},
      {'a', query->api},
      {'s', query->conversation},
      {'k',
       query->kind >= 0 && query->kind < N_ROW_KINDS
           ? row_kind_name((RowKind)query->kind)
           : NULL},
  };
  bool any = false;

  for (size_t i = 0; i < G_N_ELEMENTS(asked); i++) {
    if (!asked[i].value)
      continue;
    if (out->len)
      g_string_append(out, " AND ");
    add_word(out, asked[i].letter, asked[i].value, strlen(asked[i].value));
    any = true;
  }
  return any;
}
