/* SPDX-License-Identifier: Apache-2.0 */
/* The way to the daemon and to the configuration that it runs with. */
#include "cli/verb.h"
#include <string.h>

/* A prefix that is shorter names nobody's request on purpose. */
#define LEAST_PREFIX 3

HoopAgent1 *
daemon_try(void)
{
  g_autofree char *dir = config_runtime_dir();

  return bus_connect(dir, NULL);
}

HoopAgent1 *
daemon_connect(const Call *call, int *code)
{
  g_autofree char *dir = config_runtime_dir();
  g_autoptr(GError) error = NULL;
  HoopAgent1 *agent = bus_connect(dir, &error);

  if (!agent)
    *code = complain_error(call, error);
  return agent;
}

/* ---- Configuration -------------------------------------------------------
 */

static bool
takes_config(const Call *call)
{
  for (unsigned i = 0; i < MAX_OPTIONS && call->verb->options[i].name; i++)
    if (strcmp(call->verb->options[i].name, "config") == 0)
      return true;
  return false;
}

/* The file that the daemon was started with, when it was a special one. */
static char *
daemons_config(void)
{
  g_autoptr(HoopAgent1) agent = daemon_try();
  g_autoptr(GVariant) status = NULL;
  char *file = NULL;

  if (agent && hoop_agent1_call_status_sync(agent, &status, NULL, NULL))
    g_variant_lookup(status, "config", "s", &file);
  return file;
}

Config *
cli_config(const Call *call, int *code)
{
  const char *given = takes_config(call) ? call_value(call, "config") : NULL;
  g_autofree char *running = given ? NULL : daemons_config();
  g_autoptr(GError) error = NULL;
  Config *config = config_load(given ? given : running, &error);

  if (!config)
    *code = complain(call, CLI_USAGE, "%s", error->message);
  return config;
}

/* ---- Ids -----------------------------------------------------------------
 */

char *
pending_id(const Call *call, HoopAgent1 *agent, const char *prefix, int *code)
{
  g_autoptr(GVariant) list = NULL;
  g_autoptr(GError) error = NULL;
  g_autofree char *found = NULL;
  GVariantIter iter;
  GVariant *one;
  unsigned n = 0;

  if (!hoop_agent1_call_pending_sync(agent, &list, NULL, &error)) {
    *code = complain_error(call, error);
    return NULL;
  }
  g_variant_iter_init(&iter, list);
  while ((one = g_variant_iter_next_value(&iter))) {
    const char *id = "";

    g_variant_lookup(one, "id", "&s", &id);
    if (g_str_has_prefix(id, prefix)) {
      n++;
      g_free(found);
      found = g_strdup(id);
    }
    g_variant_unref(one);
  }
  if (n == 1 && (strlen(prefix) >= LEAST_PREFIX || g_str_equal(prefix, found)))
    return g_steal_pointer(&found);
  *code = n == 0 ? complain(call,
                            CLI_FOUND,
                            "nothing that waits is named %s; `hoop-agent "
                            "pending` lists what does",
                            prefix)
                 : complain(call,
                            CLI_FOUND,
                            "%s is too short: give more of the id that "
                            "`hoop-agent pending` shows",
                            prefix);
  return NULL;
}

/* ---- GVariant as JSON ----------------------------------------------------
 */

static struct json_object *
dict_to_json(GVariant *dict)
{
  struct json_object *json = json_object_new_object();
  GVariantIter iter;
  const char *key;
  GVariant *value;

  g_variant_iter_init(&iter, dict);
  while (g_variant_iter_next(&iter, "{&sv}", &key, &value)) {
    json_object_object_add(json, key, variant_to_json(value));
    g_variant_unref(value);
  }
  return json;
}

static struct json_object *
array_to_json(GVariant *array)
{
  struct json_object *json = json_object_new_array();
  GVariantIter iter;
  GVariant *value;

  g_variant_iter_init(&iter, array);
  while ((value = g_variant_iter_next_value(&iter))) {
    json_object_array_add(json, variant_to_json(value));
    g_variant_unref(value);
  }
  return json;
}

struct json_object *
variant_to_json(GVariant *value)
{
  if (g_variant_is_of_type(value, G_VARIANT_TYPE_VARDICT))
    return dict_to_json(value);
  if (g_variant_is_of_type(value, G_VARIANT_TYPE_ARRAY) ||
      g_variant_is_of_type(value, G_VARIANT_TYPE_TUPLE))
    return array_to_json(value);
  if (g_variant_is_of_type(value, G_VARIANT_TYPE_BOOLEAN))
    return json_object_new_boolean(g_variant_get_boolean(value));
  if (g_variant_is_of_type(value, G_VARIANT_TYPE_INT32))
    return json_object_new_int(g_variant_get_int32(value));
  if (g_variant_is_of_type(value, G_VARIANT_TYPE_UINT32))
    return json_object_new_int64(g_variant_get_uint32(value));
  if (g_variant_is_of_type(value, G_VARIANT_TYPE_INT64))
    return json_object_new_int64(g_variant_get_int64(value));
  if (g_variant_is_of_type(value, G_VARIANT_TYPE_UINT64))
    return json_object_new_uint64(g_variant_get_uint64(value));
  if (g_variant_is_of_type(value, G_VARIANT_TYPE_STRING))
    return json_object_new_string(g_variant_get_string(value, NULL));
  return NULL;
}
