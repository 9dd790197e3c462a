/* SPDX-License-Identifier: Apache-2.0 */
/* connection list, show and test: what is governed, who holds the credential,
 * and whether its places answer. */
#include "cli/settings.h"
#include "conn/conn.h"
#include "daemon/daemon.h"
#include <stdio.h>
#include <string.h>

/* Answers of these say that what was sent along is not taken. */
#define HTTP_UNAUTHORIZED 401
#define HTTP_FORBIDDEN 403

/* ---- Its row --------------------------------------------------------------
 */

/* Where a credential comes from; never what it is. */
static const char *
held(const ConfigConnection *connection)
{
  if (!connection->credential)
    return "client's own";
  return connection->credential;
}

static struct json_object *
strings_json(char *const *texts)
{
  struct json_object *list = json_object_new_array();

  for (; texts && *texts; texts++)
    json_object_array_add(list, json_object_new_string(*texts));
  return list;
}

static struct json_object *
row_json(const ConfigConnection *connection)
{
  struct json_object *json = json_object_new_object();
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
  json_object_object_add(
      json, "further_hosts", strings_json(connection->hosts));
  return json;
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

static int
list(const Call *call, const Config *config)
{
  struct json_object *json = json_object_new_array();
  Table *table = table_new((const char *[]){"NAME",
                                            "TYPE",
                                            "STATE",
                                            "CREDENTIAL",
                                            "UPSTREAM",
                                            "FURTHER HOSTS",
                                            NULL});

  for (unsigned i = 0; i < config->connections->len; i++) {
    json_object_array_add(json, row_json(config->connections->pdata[i]));
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

/* ---- show ------------------------------------------------------------------
 */

/* Where a client that is told a base URL asks for it; NULL when the agent's
 * port is not known. */
static char *
base_url(const Config *config, const char *name)
{
  bool running;
  g_autofree char *address = agents_address(config, &running);

  return address ? g_strdup_printf("https://%s/c/%s", address, name) : NULL;
}

static void
say_places(Connection *connection)
{
  const char *url = NULL, *what;

  for (unsigned i = 0; (what = connection_place(connection, i, &url)); i++)
    say_field(what, "%s", url);
}

static void
say_row(const ConfigConnection *row, char **hosts, const char *base)
{
  g_autofree char *governed = g_strjoinv(", ", hosts);

  printf("%s%s%s, of type %s, %s\n",
         ink(INK_BOLD),
         row->name,
         ink(INK_PLAIN),
         row->type,
         row->enabled ? "on" : "off");
  say_field("governs", "%s, with everything beneath", governed);
  if (base)
    say_field("base URL", "%s", base);
  say_field("credential", "%s", held(row));
  if (row->issuer)
    say_field("issuer", "%s: only who is signed in there", row->issuer);
}

static struct json_object *
places_json(Connection *connection)
{
  struct json_object *places = json_object_new_object();
  const char *url = NULL, *what;

  for (unsigned i = 0; (what = connection_place(connection, i, &url)); i++)
    json_object_object_add(places, what, json_object_new_string(url));
  return places;
}

static int
show(const Call *call, const Config *config, const ConfigConnection *row)
{
  g_autoptr(GError) error = NULL;
  g_auto(GStrv) hosts = conn_hosts(config, row->name, &error);
  g_autoptr(ConnTable) table =
      hosts ? conn_table_new_one(config, row->name, false, &error) : NULL;
  g_autofree char *base = base_url(config, row->name);
  Connection *connection;
  unsigned n;

  if (!table)
    return complain(call, CLI_FOUND, "%s", error->message);
  connection = conn_table_all(table, &n)[0];
  if (call_has(call, "json")) {
    struct json_object *json = row_json(row);

    json_object_object_add(json, "governed_hosts", strings_json(hosts));
    json_object_object_add(json, "places", places_json(connection));
    if (base)
      json_object_object_add(json, "base_url", json_object_new_string(base));
    print_json(json);
    return CLI_DONE;
  }
  say_row(row, hosts, base);
  say_places(connection);
  return CLI_DONE;
}

/* ---- test ------------------------------------------------------------------
 */

typedef struct {
  struct json_object *list; /* NULL: told as it comes */
  int worst;
} Test;

static bool
is_credential(const Tried *tried)
{
  return g_str_equal(tried->what, "credential");
}

/* Any answer shows that a place is there; the credential must be taken. */
static int
verdict(const Tried *tried)
{
  if (!tried->status)
    return tried->refused ? CLI_FOUND : CLI_UNREACHABLE;
  if (is_credential(tried) && (tried->status < 200 || tried->status > 299))
    return CLI_FOUND;
  return CLI_DONE;
}

static void
say_tried(const Tried *tried)
{
  int code = verdict(tried);
  g_autofree char *took =
      g_strdup_printf("%" G_GINT64_FORMAT " ms", tried->us / 1000);

  if (tried->fault)
    say_field(tried->what, "%s", tried->fault);
  else if (code == CLI_FOUND)
    say_field(tried->what,
              tried->status == HTTP_UNAUTHORIZED ||
                      tried->status == HTTP_FORBIDDEN
                  ? "refused with %d by %s: give the agent another one"
                  : "not known: %d from %s",
              tried->status,
              tried->url);
  else if (is_credential(tried))
    say_field(tried->what, "taken by %s (%s)", tried->url, took);
  else
    say_field(tried->what, "%s answers (%s)", tried->url, took);
  fflush(stdout);
}

static struct json_object *
tried_json(const Tried *tried)
{
  struct json_object *json = json_object_new_object();

  json_object_object_add(json, "what", json_object_new_string(tried->what));
  json_object_object_add(json, "url", json_object_new_string(tried->url));
  json_object_object_add(
      json, "ok", json_object_new_boolean(verdict(tried) == CLI_DONE));
  if (tried->status)
    json_object_object_add(json, "status", json_object_new_int(tried->status));
  json_object_object_add(json, "us", json_object_new_int64(tried->us));
  if (tried->fault)
    json_object_object_add(json, "error", json_object_new_string(tried->fault));
  return json;
}

static void
on_tried(const Tried *tried, void *data)
{
  Test *test = data;

  test->worst = MAX(test->worst, verdict(tried));
  if (test->list)
    json_object_array_add(test->list, tried_json(tried));
  else
    say_tried(tried);
}

/* One in the environment is the agent's alone. */
static bool
can_use(const ConfigConnection *row)
{
  return row->credential && g_str_has_prefix(row->credential, "file:");
}

static int
test(const Call *call, const Config *config, const ConfigConnection *row)
{
  g_autoptr(GError) error = NULL;
  Test result = {.list =
                     call_has(call, "json") ? json_object_new_array() : NULL};

  if (!daemon_try_connection(
          config, row->name, can_use(row), on_tried, &result, &error)) {
    json_object_put(result.list);
    return complain(call, CLI_FOUND, "%s", error->message);
  }
  if (result.list)
    print_json(result.list);
  else if (row->credential && !can_use(row))
    say_field("credential",
              "%s: only the agent can use it, not tried",
              row->credential);
  return result.worst;
}

/* ---- The verb --------------------------------------------------------------
 */

/* NULL after having complained into *code. */
static const ConfigConnection *
named(const Call *call, const Config *config, int *code)
{
  g_autoptr(GString) names = g_string_new(NULL);

  *code = CLI_USAGE;
  if (call->n_args < 2) {
    complain(call, CLI_USAGE, "%s of which one? Give its NAME", call->args[0]);
    return NULL;
  }
  for (unsigned i = 0; i < config->connections->len; i++) {
    const ConfigConnection *row = config->connections->pdata[i];

    if (g_str_equal(row->name, call->args[1]))
      return row;
    g_string_append_printf(names, "%s%s", i ? ", " : "", row->name);
  }
  complain(call,
           CLI_USAGE,
           "there is no connection named %s; there are: %s",
           call->args[1],
           names->str);
  return NULL;
}

int
verb_connection(const Call *call)
{
  bool all = g_str_equal(call->args[0], "list");
  int code = CLI_DONE;
  g_autoptr(Config) config = cli_config(call, &code);
  g_auto(GStrv) hosts = NULL;
  g_autoptr(GError) error = NULL;
  const ConfigConnection *row = NULL;

  if (!config)
    return code;
  if (all && call->n_args > 1)
    return complain(call, CLI_USAGE, "list takes no name; show does");
  /* What the daemon would refuse is said here too. */
  hosts = conn_hosts(config, NULL, &error);
  if (!hosts)
    return complain(call, CLI_FOUND, "%s", error->message);
  if (all)
    return list(call, config);
  row = named(call, config, &code);
  if (!row)
    return code;
  return g_str_equal(call->args[0], "show") ? show(call, config, row)
                                            : test(call, config, row);
}
