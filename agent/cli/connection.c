/* SPDX-License-Identifier: Apache-2.0 */
/* connection list: what is governed, and who holds the credential. */
#include "cli/verb.h"
#include "conn/conn.h"
#include <string.h>

/* Where a credential comes from; never what it is. */
static const char *
held(const ConfigConnection *connection)
{
  if (!connection->credential)
    return "client's own";
  return connection->credential;
}

static void
add_json(struct json_object *list, const ConfigConnection *connection)
{
  struct json_object *json = json_object_new_object();
  struct json_object *hosts = json_object_new_array();
  const struct {
    const char *key, *value;
  } texts[] = {{"name", connection->name},
               {"type", connection->type},
               {"upstream", connection->upstream},
               {"credential", connection->credential},
               {"issuer", connection->issuer}};

  for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++)
    if (texts[i].value)
      json_object_object_add(
          json, texts[i].key, json_object_new_string(texts[i].value));
  json_object_object_add(
      json, "enabled", json_object_new_boolean(connection->enabled));
  for (char **host = connection->hosts; host && *host; host++)
    json_object_array_add(hosts, json_object_new_string(*host));
  json_object_object_add(json, "further_hosts", hosts);
  json_object_array_add(list, json);
}

static void
add_row(Table *table, const ConfigConnection *connection)
{
  g_autofree char *hosts =
      connection->hosts ? g_strjoinv(", ", connection->hosts) : NULL;

  table_add(table,
            (const char *[]){connection->name,
                             connection->type,
                             connection->enabled ? "on" : "off",
                             held(connection),
                             connection->upstream,
                             hosts,
                             NULL});
}

int
verb_connection(const Call *call)
{
  int code = CLI_DONE;
  g_autoptr(Config) config = cli_config(call, &code);
  g_auto(GStrv) hosts = NULL;
  g_autoptr(GError) error = NULL;
  struct json_object *json;
  Table *table;

  if (!config)
    return code;
  /* What the daemon would refuse is said here too. */
  hosts = conn_hosts(config, NULL, &error);
  if (!hosts)
    return complain(call, CLI_FOUND, "%s", error->message);
  json = json_object_new_array();
  table = table_new((const char *[]){"NAME",
                                     "TYPE",
                                     "STATE",
                                     "CREDENTIAL",
                                     "UPSTREAM",
                                     "FURTHER HOSTS",
                                     NULL});
  for (unsigned i = 0; i < config->connections->len; i++) {
    add_json(json, config->connections->pdata[i]);
    add_row(table, config->connections->pdata[i]);
  }
  if (call_has(call, "json")) {
    print_json(json);
    table_free(table);
  } else {
    json_object_put(json);
    table_print(table);
  }
  return CLI_DONE;
}
