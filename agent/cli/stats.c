/* SPDX-License-Identifier: Apache-2.0 */
/* journal stats: how often each verdict, each rule and each shadow rule came up
 * in the record, for whom, and what they used. */
#include "cli/replay.h"
#include "cli/rows.h"
#include "kit/clock.h"
#include <stdio.h>
#include <string.h>

/* Names of one kind told apart (a forged journal could hold any number); those
 * beyond count together. */
#define MAX_NAMES 10000
#define OTHERS "(others)"

typedef struct {
  char *name;
  char *action; /* of a rule */
  bool shadow;
  uint64_t count; /* requests; of a rule: requests, answers and tool calls */
  uint64_t blocked;
  int64_t bytes, tokens_in, tokens_out;
} Line;

typedef struct {
  GHashTable *verdicts, *rules, *users; /* name → Line */
  uint64_t requests, answers, tools;
  int64_t first_us, last_us, bytes, tokens_in, tokens_out;
} Stats;

static void
free_line(gpointer data)
{
  Line *line = data;

  g_free(line->name);
  g_free(line->action);
  g_free(line);
}

static Line *
line_of(GHashTable *lines, const char *name)
{
  Line *line;

  name = name ? name : "(unknown)";
  line = g_hash_table_lookup(lines, name);
  if (!line && g_hash_table_size(lines) >= MAX_NAMES) {
    name = OTHERS;
    line = g_hash_table_lookup(lines, name);
  }
  if (line)
    return line;
  line = g_new0(Line, 1);
  line->name = g_strdup(name);
  g_hash_table_insert(lines, line->name, line);
  return line;
}

/* ---- Counting -------------------------------------------------------------
 */

static void
count_matched(Stats *stats, struct json_object *verdict, bool shadow)
{
  struct json_object *list = NULL;
  size_t n = 0;

  if (json_object_object_get_ex(
          verdict, shadow ? "shadow" : "matched", &list) &&
      json_object_is_type(list, json_type_array))
    n = json_object_array_length(list);
  for (size_t i = 0; i < n; i++) {
    struct json_object *one = json_object_array_get_idx(list, i);
    struct json_object *rule = NULL, *action = NULL;
    g_autofree char *key = NULL;
    Line *line;

    if (!json_object_object_get_ex(one, "rule", &rule))
      continue;
    key = g_strconcat(json_object_get_string(rule), shadow ? " " : "", NULL);
    line = line_of(stats->rules, key);
    line->count++;
    line->shadow = shadow;
    if (!line->action && json_object_object_get_ex(one, "action", &action))
      line->action = g_strdup(json_object_get_string(action));
  }
}

static void
count_request(Stats *stats, const JournalRow *row)
{
  Line *user = line_of(stats->users, row->user);
  bool blocked = g_strcmp0(row->verdict, "block") == 0;

  stats->requests++;
  line_of(stats->verdicts, row->verdict)->count++;
  user->count++;
  user->blocked += blocked;
  user->bytes += MAX(row->bytes_in, 0);
  stats->bytes += MAX(row->bytes_in, 0);
}

static void
count_answer(Stats *stats, const JournalRow *row)
{
  Line *user = line_of(stats->users, row->user);

  stats->answers++;
  user->tokens_in += MAX(row->tokens_in, 0);
  user->tokens_out += MAX(row->tokens_out, 0);
  stats->tokens_in += MAX(row->tokens_in, 0);
  stats->tokens_out += MAX(row->tokens_out, 0);
}

static bool
see(const JournalEntry *entry, void *data)
{
  Stats *stats = data;
  const JournalRow *row = entry->row;
  struct json_object *detail, *verdict = NULL;

  if (row->kind == ROW_REQUEST)
    count_request(stats, row);
  else if (row->kind == ROW_RESPONSE)
    count_answer(stats, row);
  else if (row->kind == ROW_TOOL)
    stats->tools++;
  else
    return true;
  stats->first_us = stats->first_us ? stats->first_us : row->wall_us;
  stats->last_us = row->wall_us;
  detail = row->detail ? json_tokener_parse(row->detail) : NULL;
  if (detail && json_object_object_get_ex(detail, "verdict", &verdict)) {
    count_matched(stats, verdict, false);
    count_matched(stats, verdict, true);
  }
  json_object_put(detail);
  return true;
}

/* ---- Telling --------------------------------------------------------------
 */

static int
compare_lines(const void *a, const void *b)
{
  const Line *x = *(const Line *const *)a, *y = *(const Line *const *)b;

  if (x->shadow != y->shadow)
    return x->shadow ? 1 : -1;
  if (x->count != y->count)
    return x->count > y->count ? -1 : 1;
  return strcmp(x->name, y->name);
}

/* The most frequent first, shadow rules last; g_ptr_array_unref. */
static GPtrArray *
sorted(GHashTable *lines)
{
  GPtrArray *list = g_ptr_array_new();
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init(&iter, lines);
  while (g_hash_table_iter_next(&iter, NULL, &value))
    g_ptr_array_add(list, value);
  g_ptr_array_sort(list, compare_lines);
  return list;
}

static void
say_rules(const Stats *stats)
{
  g_autoptr(GPtrArray) rules = sorted(stats->rules);
  Table *table;

  if (!rules->len)
    return;
  puts("");
  table = table_new((const char *[]){"RULE", "ACTION", "MATCHED", NULL});
  for (guint i = 0; i < rules->len; i++) {
    const Line *line = rules->pdata[i];
    g_autofree char *name = g_strchomp(g_strdup(line->name));
    g_autofree char *count = g_strdup_printf("%" G_GUINT64_FORMAT, line->count);
    g_autofree char *action =
        g_strdup_printf(line->shadow ? "would %s (shadow)" : "%s",
                        line->action ? line->action : "?");

    table_add(table, (const char *[]){name, action, count});
  }
  table_print(table);
}

static void
say_users(const Stats *stats)
{
  g_autoptr(GPtrArray) users = sorted(stats->users);
  Table *table;

  puts("");
  table = table_new((const char *[]){
      "USER", "REQUESTS", "BLOCKED", "SENT", "TOKENS IN", "TOKENS OUT", NULL});
  for (guint i = 0; i < users->len; i++) {
    const Line *line = users->pdata[i];
    g_autofree char *count = g_strdup_printf("%" G_GUINT64_FORMAT, line->count);
    g_autofree char *blocked =
        g_strdup_printf("%" G_GUINT64_FORMAT, line->blocked);
    g_autofree char *sent = g_format_size((guint64)line->bytes);
    g_autofree char *in = g_strdup_printf("%" G_GINT64_FORMAT, line->tokens_in);
    g_autofree char *out =
        g_strdup_printf("%" G_GINT64_FORMAT, line->tokens_out);

    table_add(table,
              (const char *[]){line->name, count, blocked, sent, in, out});
  }
  table_print(table);
}

static void
say(const Stats *stats)
{
  g_autofree char *first = NULL;
  g_autofree char *last = NULL;
  g_autoptr(GPtrArray) verdicts = sorted(stats->verdicts);

  if (!stats->first_us) {
    puts("The journal has no such traffic.");
    return;
  }
  first = time_text(stats->first_us);
  last = time_text(stats->last_us);
  printf("%" G_GUINT64_FORMAT " requests, %" G_GUINT64_FORMAT
         " answers, %" G_GUINT64_FORMAT " tool calls, from %s to %s\n",
         stats->requests,
         stats->answers,
         stats->tools,
         first,
         last);
  for (guint i = 0; i < verdicts->len; i++) {
    const Line *line = verdicts->pdata[i];
    g_autofree char *name = visible(line->name, -1, false);

    printf(
        "%s%s %" G_GUINT64_FORMAT, i ? ", " : "requests: ", name, line->count);
  }
  puts("");
  say_rules(stats);
  say_users(stats);
}

static void
add_number(struct json_object *json, const char *key, int64_t number)
{
  json_object_object_add(json, key, json_object_new_int64(number));
}

static void
add_text(struct json_object *json, const char *key, const char *text)
{
  json_object_object_add(json, key, text ? json_object_new_string(text) : NULL);
}

static struct json_object *
rules_json(const Stats *stats, bool shadow)
{
  g_autoptr(GPtrArray) rules = sorted(stats->rules);
  struct json_object *list = json_object_new_array();

  for (guint i = 0; i < rules->len; i++) {
    const Line *line = rules->pdata[i];
    g_autofree char *name = g_strchomp(g_strdup(line->name));
    struct json_object *json;

    if (line->shadow != shadow)
      continue;
    json = json_object_new_object();
    add_text(json, "rule", name);
    add_text(json, "action", line->action);
    add_number(json, "matched", (int64_t)line->count);
    json_object_array_add(list, json);
  }
  return list;
}

static struct json_object *
users_json(const Stats *stats)
{
  g_autoptr(GPtrArray) users = sorted(stats->users);
  struct json_object *list = json_object_new_array();

  for (guint i = 0; i < users->len; i++) {
    const Line *line = users->pdata[i];
    struct json_object *json = json_object_new_object();

    add_text(json, "user", line->name);
    add_number(json, "requests", (int64_t)line->count);
    add_number(json, "blocked", (int64_t)line->blocked);
    add_number(json, "bytes", line->bytes);
    add_number(json, "tokens_in", line->tokens_in);
    add_number(json, "tokens_out", line->tokens_out);
    json_object_array_add(list, json);
  }
  return list;
}

static void
say_json(const Stats *stats)
{
  struct json_object *json = json_object_new_object();
  struct json_object *verdicts = json_object_new_object();
  g_autoptr(GPtrArray) lines = sorted(stats->verdicts);
  g_autofree char *from =
      stats->first_us ? clock_rfc3339(stats->first_us) : NULL;
  g_autofree char *to = stats->first_us ? clock_rfc3339(stats->last_us) : NULL;

  add_text(json, "from", from);
  add_text(json, "to", to);
  add_number(json, "requests", (int64_t)stats->requests);
  add_number(json, "answers", (int64_t)stats->answers);
  add_number(json, "tool_calls", (int64_t)stats->tools);
  add_number(json, "bytes", stats->bytes);
  add_number(json, "tokens_in", stats->tokens_in);
  add_number(json, "tokens_out", stats->tokens_out);
  for (guint i = 0; i < lines->len; i++) {
    const Line *line = lines->pdata[i];

    add_number(verdicts, line->name, (int64_t)line->count);
  }
  json_object_object_add(json, "verdicts", verdicts);
  json_object_object_add(json, "rules", rules_json(stats, false));
  json_object_object_add(json, "shadow", rules_json(stats, true));
  json_object_object_add(json, "users", users_json(stats));
  print_json(json);
}

int
journal_stats(const Call *call)
{
  JournalQuery query = {.kind = -1, .oldest_first = true};
  g_autoptr(Config) config = NULL;
  g_autoptr(JournalReader) reader = NULL;
  g_autoptr(GError) error = NULL;
  Stats stats = {0};
  int code = CLI_DONE;

  if (!rows_filter(call, &query))
    return CLI_USAGE;
  config = cli_config(call, &code);
  reader = config ? rows_open(call, config, &code) : NULL;
  if (!reader)
    return code;
  stats.verdicts =
      g_hash_table_new_full(g_str_hash, g_str_equal, NULL, free_line);
  stats.rules = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, free_line);
  stats.users = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, free_line);
  if (!journal_query(reader, &query, see, &stats, &error))
    code = complain_error(call, error);
  else if (call_has(call, "json"))
    say_json(&stats);
  else
    say(&stats);
  g_hash_table_unref(stats.verdicts);
  g_hash_table_unref(stats.rules);
  g_hash_table_unref(stats.users);
  return code;
}
