/* SPDX-License-Identifier: Apache-2.0 */
/* What a replay came to, for people and as JSON. */
#include "cli/replay.h"
#include "kit/clock.h"
#include <stdio.h>
#include <string.h>

static const char *const part_names[N_PARTS] = {"request",
                                                "answer",
                                                "tool-call"};

/* An exchange's id may be shortened so far: its time to the nanosecond. */
#define SHORT_ID 13

static unsigned
sum(const PartCounts *counts)
{
  unsigned n = 0;

  for (unsigned i = 0; i < N_PARTS; i++)
    n += counts->n[i];
  return n;
}

static unsigned
parts_of(const Tally *tally, Part part)
{
  unsigned n = 0;

  for (unsigned i = 0; i < N_ACTIONS; i++)
    n += tally->actions[i].n[part];
  return n;
}

static int
compare_users(const void *a, const void *b)
{
  const UserTally *x = *(const UserTally *const *)a;
  const UserTally *y = *(const UserTally *const *)b;

  if (x->parts != y->parts)
    return x->parts > y->parts ? -1 : 1;
  return strcmp(x->user, y->user);
}

static GPtrArray *
members(GHashTable *table, bool keys)
{
  GPtrArray *list = g_ptr_array_new();
  GHashTableIter iter;
  gpointer key, value;

  g_hash_table_iter_init(&iter, table);
  while (g_hash_table_iter_next(&iter, &key, &value))
    g_ptr_array_add(list, keys ? key : value);
  return list;
}

/* The busiest first; g_ptr_array_unref. */
static GPtrArray *
sorted_users(const Tally *tally)
{
  GPtrArray *users = members(tally->users, false);

  g_ptr_array_sort(users, compare_users);
  return users;
}

static int
compare_texts(const void *a, const void *b)
{
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static GPtrArray *
sorted_reasons(const Tally *tally)
{
  GPtrArray *reasons = members(tally->unjudged, true);

  g_ptr_array_sort(reasons, compare_texts);
  return reasons;
}

/* ---- Text -----------------------------------------------------------------
 */

static const char *
number(unsigned n, char out[16])
{
  g_snprintf(out, 16, "%u", n);
  return n ? out : "-";
}

static void
say_actions(const Tally *tally)
{
  Table *table =
      table_new((const char *[]){"", "BLOCK", "ASK", "MASK", "ALLOW", NULL});
  static const char *const names[N_PARTS] = {
      "requests", "answers", "tool calls"};

  for (unsigned i = 0; i < N_PARTS; i++) {
    char cells[N_ACTIONS][16];
    const char *row[N_ACTIONS + 2] = {names[i]};

    for (unsigned j = 0; j < N_ACTIONS; j++)
      row[1 + j] = number(tally->actions[ACTION_BLOCK - j].n[i], cells[j]);
    table_add(table, row);
  }
  table_print(table);
}

static void
say_rules(const Tally *tally)
{
  Table *table = NULL;

  for (guint i = 0; i < tally->rules->len; i++) {
    const RuleTally *rule = tally->rules->pdata[i];
    g_autofree char *action = NULL;
    char cells[N_PARTS][16];

    if (sum(&rule->matched) == 0)
      continue;
    if (!table)
      table = table_new((const char *[]){
          "RULE", "ACTION", "REQUESTS", "ANSWERS", "TOOL CALLS", NULL});
    action = g_strdup_printf("%s%s",
                             action_name(rule->rule->action),
                             rule->rule->shadow ? " (shadow)" : "");
    table_add(table,
              (const char *[]){rule->rule->id,
                               action,
                               number(rule->matched.n[0], cells[0]),
                               number(rule->matched.n[1], cells[1]),
                               number(rule->matched.n[2], cells[2])});
  }
  if (!table)
    return;
  puts("");
  table_print(table);
}

static void
say_users(const Tally *tally)
{
  g_autoptr(GPtrArray) users = sorted_users(tally);
  Table *table;

  if (!users->len)
    return;
  puts("");
  table = table_new((const char *[]){
      "USER", "JUDGED", "BLOCK", "ASK", "MASK", "CHANGED", NULL});
  for (guint i = 0; i < users->len; i++) {
    const UserTally *user = users->pdata[i];
    char cells[5][16];

    table_add(table,
              (const char *[]){user->user,
                               number(user->parts, cells[0]),
                               number(user->actions[ACTION_BLOCK], cells[1]),
                               number(user->actions[ACTION_APPROVE], cells[2]),
                               number(user->actions[ACTION_MASK], cells[3]),
                               number(user->changed, cells[4])});
  }
  table_print(table);
}

static void
say_changed(const Tally *tally)
{
  Table *table;

  if (!tally->n_changed) {
    puts("\nNothing would have come out otherwise.");
    return;
  }
  puts("");
  for (unsigned was = 0; was < N_ACTIONS; was++)
    for (unsigned would = 0; would < N_ACTIONS; would++)
      if (tally->moved[was][would])
        printf("%s -> %s: %u\n",
               action_name((Action)was),
               action_name((Action)would),
               tally->moved[was][would]);
  puts("");
  table = table_new((const char *[]){
      "TIME", "EXCHANGE", "USER", "WHAT", "WAS", "WOULD", "RULE", NULL});
  for (guint i = 0; i < tally->changed->len; i++) {
    const Changed *one = tally->changed->pdata[i];
    g_autofree char *when = time_text(one->wall_us);
    g_autofree char *id = g_strndup(one->exchange, SHORT_ID);

    table_add(table,
              (const char *[]){when,
                               id,
                               one->user ? one->user : "",
                               one->tool ? one->tool : part_names[one->part],
                               action_name(one->was),
                               action_name(one->would),
                               one->rule ? one->rule : ""});
  }
  table_print(table);
  if (tally->n_changed > tally->changed->len)
    printf("and %u more: --limit 0 lists all\n",
           tally->n_changed - tally->changed->len);
}

static void
say_unjudged(const Tally *tally)
{
  g_autoptr(GPtrArray) reasons = sorted_reasons(tally);

  if (reasons->len)
    puts("\nNot judged:");
  for (guint i = 0; i < reasons->len; i++)
    printf("  %u: %s\n",
           GPOINTER_TO_UINT(
               g_hash_table_lookup(tally->unjudged, reasons->pdata[i])),
           (const char *)reasons->pdata[i]);
}

void
replay_print(const Tally *tally, const Policy *policy, const char *name)
{
  g_autofree char *first = tally->first_us ? time_text(tally->first_us) : NULL;
  g_autofree char *last = tally->first_us ? time_text(tally->last_us) : NULL;
  g_autofree char *shown =
      visible(name ? name : "the policy in effect", -1, false);

  if (!first) {
    puts("The journal has no such traffic.");
    return;
  }
  printf("%s, revision %.12s, from %s to %s\n"
         "%swould block %u, mask %u, ask %u; %u would have come out "
         "otherwise%s\n\n",
         shown,
         policy_revision(policy),
         first,
         last,
         ink(INK_BOLD),
         sum(&tally->actions[ACTION_BLOCK]),
         sum(&tally->actions[ACTION_MASK]),
         sum(&tally->actions[ACTION_APPROVE]),
         tally->n_changed,
         ink(INK_PLAIN));
  say_actions(tally);
  say_rules(tally);
  say_users(tally);
  say_changed(tally);
  say_unjudged(tally);
}

/* ---- JSON -----------------------------------------------------------------
 */

static void
add_number(struct json_object *json, const char *key, int64_t n)
{
  json_object_object_add(json, key, json_object_new_int64(n));
}

static void
add_text(struct json_object *json, const char *key, const char *text)
{
  json_object_object_add(json, key, text ? json_object_new_string(text) : NULL);
}

static void
add_time(struct json_object *json, const char *key, int64_t wall_us)
{
  g_autofree char *text = wall_us ? clock_rfc3339(wall_us) : NULL;

  add_text(json, key, text);
}

static struct json_object *
parts_json(const Tally *tally)
{
  static const char *const names[N_PARTS] = {
      "requests", "answers", "tool_calls"};
  struct json_object *json = json_object_new_object();

  for (unsigned i = 0; i < N_PARTS; i++) {
    struct json_object *part = json_object_new_object();

    add_number(part, "judged", parts_of(tally, (Part)i));
    for (unsigned j = 0; j < N_ACTIONS; j++)
      add_number(part, action_name((Action)j), tally->actions[j].n[i]);
    json_object_object_add(json, names[i], part);
  }
  return json;
}

static struct json_object *
rules_json(const Tally *tally)
{
  struct json_object *list = json_object_new_array();

  for (guint i = 0; i < tally->rules->len; i++) {
    const RuleTally *rule = tally->rules->pdata[i];
    struct json_object *json = json_object_new_object();

    add_text(json, "rule", rule->rule->id);
    add_text(json, "action", action_name(rule->rule->action));
    json_object_object_add(
        json, "shadow", json_object_new_boolean(rule->rule->shadow));
    add_number(json, "requests", rule->matched.n[PART_REQUEST]);
    add_number(json, "answers", rule->matched.n[PART_ANSWER]);
    add_number(json, "tool_calls", rule->matched.n[PART_TOOL]);
    json_object_array_add(list, json);
  }
  return list;
}

static struct json_object *
users_json(const Tally *tally)
{
  g_autoptr(GPtrArray) users = sorted_users(tally);
  struct json_object *list = json_object_new_array();

  for (guint i = 0; i < users->len; i++) {
    const UserTally *user = users->pdata[i];
    struct json_object *json = json_object_new_object();

    add_text(json, "user", user->user);
    add_number(json, "judged", user->parts);
    for (unsigned j = 0; j < N_ACTIONS; j++)
      add_number(json, action_name((Action)j), user->actions[j]);
    add_number(json, "changed", user->changed);
    json_object_array_add(list, json);
  }
  return list;
}

static struct json_object *
changed_json(const Tally *tally)
{
  struct json_object *list = json_object_new_array();

  for (guint i = 0; i < tally->changed->len; i++) {
    const Changed *one = tally->changed->pdata[i];
    struct json_object *json = json_object_new_object();

    add_text(json, "exchange", one->exchange);
    add_time(json, "time", one->wall_us);
    add_text(json, "user", one->user);
    add_text(json, "what", part_names[one->part]);
    if (one->tool)
      add_text(json, "tool", one->tool);
    add_text(json, "was", action_name(one->was));
    add_text(json, "would", action_name(one->would));
    add_text(json, "rule", one->rule);
    json_object_array_add(list, json);
  }
  return list;
}

static struct json_object *
unjudged_json(const Tally *tally)
{
  g_autoptr(GPtrArray) reasons = sorted_reasons(tally);
  struct json_object *json = json_object_new_object();

  for (guint i = 0; i < reasons->len; i++)
    add_number(json,
               reasons->pdata[i],
               GPOINTER_TO_UINT(
                   g_hash_table_lookup(tally->unjudged, reasons->pdata[i])));
  return json;
}

void
replay_print_json(const Tally *tally, const Policy *policy, const char *name)
{
  struct json_object *json = json_object_new_object();

  add_text(json, "policy", name);
  add_text(json, "revision", policy_revision(policy));
  add_time(json, "from", tally->first_us);
  add_time(json, "to", tally->last_us);
  for (unsigned i = 0; i < N_ACTIONS; i++)
    add_number(json, action_name((Action)i), sum(&tally->actions[i]));
  add_number(json, "changed", tally->n_changed);
  json_object_object_add(json, "parts", parts_json(tally));
  json_object_object_add(json, "rules", rules_json(tally));
  json_object_object_add(json, "users", users_json(tally));
  json_object_object_add(json, "changes", changed_json(tally));
  json_object_object_add(json, "unjudged", unjudged_json(tally));
  print_json(json);
}
