/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments of hoop-hub's verbs, and what they open. */
#include "config.h"

#include "hub/bundle/bundles.h"
#include "hub/vault/vault.h"
#include "hub/verb.h"
#include "kit/file.h"
#include "kit/visible.h"
#include <stdio.h>
#include <string.h>

#define DEFAULT_CONFIG HOOP_SYSCONFDIR "/hoop-hub/hoop-hub.conf"
/* The hub's own thread may write meanwhile. */
#define PATIENCE_MS 10000

const char *
verb_value(const HubVerb *verb, const char *name)
{
  return g_hash_table_lookup(verb->options, name);
}

int
verb_misused(const HubVerb *verb, const char *what)
{
  fprintf(stderr, "hoop-hub: %s\n%s", what, verb->usage);
  return 2;
}

char *
verb_visible(const char *text)
{
  g_autofree char *valid = g_utf8_make_valid(text, -1);
  GString *out = g_string_new(NULL);

  for (const char *at = valid; *at; at = g_utf8_next_char(at)) {
    const gunichar c = g_utf8_get_char(at);

    if (char_is_hidden(c))
      char_append_visible(out, c);
    else
      g_string_append_unichar(out, c);
  }
  return g_string_free(out, FALSE);
}

int
verb_fail(const HubVerb *verb, const GError *error)
{
  (void)verb;
  fprintf(stderr, "hoop-hub: %s\n", error->message);
  return 1;
}

static bool
has_word(const char *words, const char *word)
{
  g_auto(GStrv) list = g_strsplit(words, " ", -1);

  return *word && g_strv_contains((const char *const *)list, word);
}

/* Options anywhere; what is left are the arguments. */
static bool
read_arguments(const HubVerbRow *row,
               HubVerb *verb,
               GPtrArray *args,
               int argc,
               char **argv)
{
  for (int i = 2; i < argc; i++) {
    const char *name = argv[i] + 2;
    const bool option = g_str_has_prefix(argv[i], "--");

    if (!option) {
      g_ptr_array_add(args, argv[i]);
    } else if (has_word(row->flags, name)) {
      g_hash_table_insert(
          verb->options, argv[i] + 2, argv[0] + strlen(argv[0]));
    } else if ((has_word(row->values, name) || g_str_equal(name, "config")) &&
               i + 1 < argc) {
      g_hash_table_insert(verb->options, argv[i] + 2, argv[i + 1]);
      i++;
    } else {
      return false;
    }
  }
  return (int)args->len == row->n_args;
}

int
verb_run(const HubVerbRow *rows, const char *usage, int argc, char **argv)
{
  g_autoptr(GHashTable) options = g_hash_table_new(g_str_hash, g_str_equal);
  g_autoptr(GPtrArray) args = g_ptr_array_new();
  HubVerb verb = {.usage = usage, .options = options};

  for (const HubVerbRow *row = rows; argc > 1 && row->name; row++) {
    if (!g_str_equal(row->name, argv[1]))
      continue;
    if (!read_arguments(row, &verb, args, argc, argv))
      return verb_misused(&verb, "an argument is not understood or missing");
    g_ptr_array_add(args, NULL);
    verb.args = (char *const *)args->pdata;
    return row->run(&verb);
  }
  return verb_misused(&verb, "what is to be done?");
}

static bool
open_parts(HubOpen *open, GError **error)
{
  g_autofree char *database =
      g_build_filename(open->config->state_dir, "hub.db", NULL);
  g_autofree char *key =
      g_build_filename(open->config->state_dir, "hub.key", NULL);

  if (!file_private_dir(open->config->state_dir, error))
    return false;
  open->key = signing_key_load(key, true, error);
  if (open->key)
    open->store =
        store_open(open->config->store ? open->config->store : database,
                   open->config->store_password_file,
                   error);
  if (!open->store)
    return false;
  open->db = store_db(open->store);
  db_set_patience(open->db, PATIENCE_MS);
  return bundles_migrate(open->db, error) && vault_migrate(open->db, error);
}

HubOpen *
verb_open(const HubVerb *verb, int *code)
{
  const char *path = verb_value(verb, "config");
  g_autoptr(GError) error = NULL;
  HubOpen *open = g_new0(HubOpen, 1);

  open->actor = (Actor){.issuer = "local", .user = g_get_user_name()};
  open->config = hub_config_load(path ? path : DEFAULT_CONFIG, &error);
  *code = open->config ? 1 : 2;
  if (open->config && open_parts(open, &error))
    return open;
  verb_fail(verb, error);
  verb_close(open);
  return NULL;
}

void
verb_close(HubOpen *open)
{
  store_free(open->store);
  signing_key_free(open->key);
  hub_config_free(open->config);
  g_free(open);
}
