/* SPDX-License-Identifier: Apache-2.0 */
/* hoop-hub credential: set, rotate, remove, list, rekey. */
#include "hub/verb.h"
#include "hub/vault/vault.h"
#include "kit/clock.h"
#include "kit/json-put.h"
#include <stdio.h>
#include <string.h>

static const char usage[] =
    "Usage: hoop-hub credential set|rotate --group GROUP NAME   (secret on\n"
    "                                                    standard input)\n"
    "       hoop-hub credential remove --group GROUP NAME\n"
    "       hoop-hub credential list [--json]\n"
    "       hoop-hub credential rekey KEYFILE\n"
    "All take --config FILE.\n";

/* Standard input, without the line's end. */
static Secret *
read_secret(void)
{
  char bytes[VAULT_MAX_SECRET + 2];
  size_t len = 0, n;
  Secret *secret = NULL;

  while (len < sizeof bytes &&
         (n = fread(bytes + len, 1, sizeof bytes - len, stdin)) > 0)
    len += n;
  if (len > 0 && bytes[len - 1] == '\n')
    len--;
  if (len > 0 && len <= VAULT_MAX_SECRET)
    secret = secret_new(bytes, len);
  secret_wipe(bytes, sizeof bytes);
  return secret;
}

static int
put(const HubVerb *verb, bool only_change)
{
  const char *group = verb_value(verb, "group");
  const char *name = verb->args[0];
  g_autoptr(Secret) secret = NULL;
  g_autoptr(Secret) key = NULL;
  g_autoptr(GError) error = NULL;
  HubOpen *open;
  DbResult result = DB_FAILED;
  int code = 1;

  if (!group || !*group || !vault_name_is_fine(name))
    return verb_misused(
        verb, "a group and a name of letters, digits and ._- are needed");
  setvbuf(stdin, NULL, _IONBF, 0);
  secret = read_secret();
  if (!secret)
    return verb_misused(verb, "no secret on standard input, or too long a one");
  open = verb_open(verb, &code);
  if (!open)
    return code;
  key = vault_key(open->config, &error);
  if (key)
    result = vault_set(
        open->db, key, name, group, secret, only_change, &open->actor, &error);
  if (result == DB_CONFLICT)
    g_set_error(&error,
                HUB_ERROR,
                HUB_ERROR_VAULT,
                "%s has no credential %s; set makes one",
                group,
                name);
  verb_close(open);
  return error ? verb_fail(verb, error) : 0;
}

static int
set(const HubVerb *verb)
{
  return put(verb, false);
}

static int
rotate(const HubVerb *verb)
{
  return put(verb, true);
}

static int
take_away(const HubVerb *verb)
{
  const char *group = verb_value(verb, "group");
  g_autoptr(GError) error = NULL;
  HubOpen *open;
  int code = 1;

  if (!group || !*group)
    return verb_misused(verb, "a group is needed");
  open = verb_open(verb, &code);
  if (!open)
    return code;
  if (vault_remove(open->db, verb->args[0], group, &open->actor, &error) ==
      DB_CONFLICT)
    g_set_error(&error,
                HUB_ERROR,
                HUB_ERROR_VAULT,
                "%s has no credential %s",
                group,
                verb->args[0]);
  verb_close(open);
  return error ? verb_fail(verb, error) : 0;
}

static int
list(const HubVerb *verb)
{
  const bool json = verb_value(verb, "json") != NULL;
  g_autoptr(GString) out = g_string_new("[");
  g_autoptr(GPtrArray) items = NULL;
  g_autoptr(GError) error = NULL;
  int code = 1;
  HubOpen *open = verb_open(verb, &code);

  if (!open)
    return code;
  items = vault_list(open->db, &error);
  verb_close(open);
  if (!items)
    return verb_fail(verb, error);
  for (guint i = 0; i < items->len; i++) {
    const VaultItem *item = items->pdata[i];
    g_autofree char *group = verb_visible(item->group);
    g_autofree char *time = clock_rfc3339(item->version);

    if (!json)
      printf("%s for %s, set %s\n", item->name, group, time);
    g_string_append(out, i > 0 ? ",{" : "{");
    json_put_text(out, "name", item->name);
    json_put_text(out, "group", item->group);
    json_put_text(out, "set", time);
    g_string_append_c(out, '}');
  }
  g_string_append_c(out, ']');
  if (json)
    puts(out->str);
  return 0;
}

static int
rekey(const HubVerb *verb)
{
  const char *path = verb->args[0];
  g_autoptr(Secret) key = NULL;
  g_autoptr(Secret) next = NULL;
  g_autoptr(GError) error = NULL;
  int code = 1;
  HubOpen *open = verb_open(verb, &code);

  if (!open)
    return code;
  key = vault_key(open->config, &error);
  next = key ? vault_key_from(path, true, &error) : NULL;
  if (next)
    vault_seal_anew(open->db, key, next, &open->actor, &error);
  verb_close(open);
  if (error)
    return verb_fail(verb, error);
  printf("Everything is sealed with the key in %s. Put that file in the place "
         "of the former one now: until then nothing is lent.\n",
         path);
  return 0;
}

int
vault_verb(int argc, char **argv)
{
  static const HubVerbRow rows[] = {{"set", "group", "", 1, set},
                                    {"rotate", "group", "", 1, rotate},
                                    {"remove", "group", "", 1, take_away},
                                    {"list", "", "json", 0, list},
                                    {"rekey", "", "", 1, rekey},
                                    {NULL, NULL, NULL, 0, NULL}};

  return verb_run(rows, usage, argc, argv);
}
