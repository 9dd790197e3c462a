/* SPDX-License-Identifier: Apache-2.0 */
/* pending: what waits for a person, once or as it comes and goes. */
#include "cli/verb.h"
#include "kit/clock.h"
#include <stdio.h>

/* ---- Once ----------------------------------------------------------------
 */

static char *
joined(GVariant *one, const char *key)
{
  g_autofree const char **items = NULL;

  g_variant_lookup(one, key, "^a&s", &items);
  return items ? g_strjoinv(", ", (char **)items) : g_strdup("");
}

static void
add_row(Table *table, GVariant *one)
{
  const char *id = "?", *client = NULL, *process = NULL, *model = NULL;
  g_autofree char *rules = joined(one, "rules");
  g_autofree char *approvers = joined(one, "approvers");
  g_autofree char *left = NULL;
  gint64 deadline = 0;

  g_variant_lookup(one, "id", "&s", &id);
  g_variant_lookup(one, "client", "&s", &client);
  g_variant_lookup(one, "process", "&s", &process);
  g_variant_lookup(one, "model", "&s", &model);
  g_variant_lookup(one, "deadline_us", "x", &deadline);
  left = span_text(deadline - clock_wall_us());
  table_add(
      table,
      (const char *[]){
          id, left, client ? client : process, model, rules, approvers, NULL});
}

static void
print_rows(GVariant *list)
{
  Table *table = table_new((const char *[]){
      "ID", "LEFT", "CLIENT", "MODEL", "RULES", "ASKED", NULL});
  GVariantIter iter;
  GVariant *one;

  g_variant_iter_init(&iter, list);
  while ((one = g_variant_iter_next_value(&iter))) {
    add_row(table, one);
    g_variant_unref(one);
  }
  table_print(table);
  puts("\nhoop-agent review ID shows one; approve ID, approve ID --masked or "
       "deny ID answers it.");
}

static int
list_once(const Call *call, HoopAgent1 *agent)
{
  g_autoptr(GVariant) list = NULL;
  g_autoptr(GError) error = NULL;

  if (!hoop_agent1_call_pending_sync(agent, &list, NULL, &error))
    return complain_error(call, error);
  if (call_has(call, "json"))
    print_json(variant_to_json(list));
  else if (g_variant_n_children(list))
    print_rows(list);
  else
    puts("Nothing waits for a person.");
  return CLI_DONE;
}

/* ---- Watching ------------------------------------------------------------
 */

typedef struct {
  HoopAgent1 *agent;
  GMainLoop *loop;
  bool json;
} Watch;

static void
print_event(const Watch *watch,
            const char *event,
            const char *id,
            GVariant *about,
            const char *outcome,
            const char *who)
{
  struct json_object *json =
      about ? variant_to_json(about) : json_object_new_object();

  if (watch->json) {
    json_object_object_add(json, "event", json_object_new_string(event));
    json_object_object_add(json, "id", json_object_new_string(id));
    if (outcome)
      json_object_object_add(json, "outcome", json_object_new_string(outcome));
    if (who && *who)
      json_object_object_add(json, "who", json_object_new_string(who));
    puts(json_object_to_json_string_ext(
        json, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
  } else if (about) {
    g_autofree char *rules = joined(about, "rules");
    g_autofree char *line = g_strdup_printf("%s waits: %s", id, rules);
    g_autofree char *shown = visible(line, -1, false);

    puts(shown);
  } else {
    g_autofree char *line =
        g_strdup_printf("%s %s%s%s", id, outcome, *who ? " by " : "", who);
    g_autofree char *shown = visible(line, -1, false);

    puts(shown);
  }
  fflush(stdout);
  json_object_put(json);
}

static void
on_changed(HoopAgent1 *agent, const char *id, gpointer data)
{
  const Watch *watch = data;
  g_autoptr(GVariant) list = NULL;
  GVariantIter iter;
  GVariant *one;

  if (!hoop_agent1_call_pending_sync(agent, &list, NULL, NULL))
    return;
  g_variant_iter_init(&iter, list);
  while ((one = g_variant_iter_next_value(&iter))) {
    const char *known = "";

    g_variant_lookup(one, "id", "&s", &known);
    if (!id || g_str_equal(known, id))
      print_event(watch, "waits", known, one, NULL, NULL);
    g_variant_unref(one);
  }
}

static void
on_decided(HoopAgent1 *agent,
           const char *id,
           const char *outcome,
           const char *who,
           gpointer data)
{
  (void)agent;
  print_event(data, "decided", id, NULL, outcome, who);
}

static void
on_closed(GDBusConnection *connection,
          gboolean remote,
          GError *error,
          gpointer data)
{
  Watch *watch = data;

  (void)connection;
  (void)remote;
  (void)error;
  g_main_loop_quit(watch->loop);
}

static int
watch_all(const Call *call, HoopAgent1 *agent)
{
  Watch watch = {.agent = agent,
                 .loop = g_main_loop_new(NULL, FALSE),
                 .json = call_has(call, "json")};

  g_signal_connect(agent, "pending-changed", G_CALLBACK(on_changed), &watch);
  g_signal_connect(agent, "decided", G_CALLBACK(on_decided), &watch);
  g_signal_connect(g_dbus_proxy_get_connection(G_DBUS_PROXY(agent)),
                   "closed",
                   G_CALLBACK(on_closed),
                   &watch);
  on_changed(agent, NULL, &watch);
  g_main_loop_run(watch.loop);
  g_main_loop_unref(watch.loop);
  return complain(call, CLI_NOT_RUNNING, "the agent ended");
}

int
verb_pending(const Call *call)
{
  int code = CLI_DONE;
  g_autoptr(HoopAgent1) agent = daemon_connect(call, &code);

  if (!agent)
    return code;
  return call_has(call, "watch") ? watch_all(call, agent)
                                 : list_once(call, agent);
}
