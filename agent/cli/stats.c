/* SPDX-License-Identifier: Apache-2.0 */
/* journal stats: how often each verdict, each rule and each shadow rule came up
 * in the record, on which days, for whom, and what they used. */
#include "cli/replay.h"
#include "cli/show.h"
#include "cli/waits.h"
#include "kit/clock.h"
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* Names of one kind told apart (a forged journal could hold any number); those
 * beyond count together. */
#define MAX_NAMES 10000
#define OTHERS "(others)"
/* Of charts: days, other lines, columns of a bar and of a name. */
#define CHART_DAYS 30
#define CHART_LINES 10
#define BAR_WIDTH 40
#define MAX_NAME 30

typedef struct {
  char *name;
  char *action; /* of a rule */
  bool shadow;
  uint64_t count; /* requests; of a rule: requests, answers and tool calls */
  uint64_t blocked;
  int64_t bytes, tokens_in, tokens_out;
} Line;

typedef struct {
  GHashTable *verdicts, *rules, *users, *models, *days; /* name → Line */
  uint64_t requests, answers, tools;
  int64_t first_us, last_us, bytes, tokens_in, tokens_out;
  Waits *waits;
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
count_rule(Stats *stats, const JournalCount *count)
{
  g_autofree char *key =
      g_strconcat(count->rule, count->shadow ? " " : "", NULL);
  Line *line = line_of(stats->rules, key);

  line->count += (uint64_t)count->n;
  line->shadow = count->shadow;
  if (!line->action)
    line->action = g_strdup(count->action);
}

static void
count_request(Stats *stats, const JournalCount *count)
{
  g_autoptr(GDateTime) begin =
      g_date_time_new_from_unix_utc(count->begin_us / G_USEC_PER_SEC);
  g_autofree char *day = g_date_time_format(begin, "%Y-%m-%d");
  Line *const lines[] = {line_of(stats->users, count->user),
                         line_of(stats->models, count->model),
                         line_of(stats->days, day)};
  uint64_t n = (uint64_t)count->n;

  stats->requests += n;
  stats->bytes += count->bytes_in;
  line_of(stats->verdicts, count->verdict)->count += n;
  for (unsigned i = 0; i < G_N_ELEMENTS(lines); i++) {
    lines[i]->count += n;
    lines[i]->bytes += count->bytes_in;
    if (g_strcmp0(count->verdict, "block") == 0)
      lines[i]->blocked += n;
  }
}

/* Models of answers may be told more exactly than those that were asked for:
 * they count with the request. */
static void
count_answer(Stats *stats, const JournalCount *count)
{
  Line *user = line_of(stats->users, count->user);

  stats->answers += (uint64_t)count->n;
  user->tokens_in += count->tokens_in;
  user->tokens_out += count->tokens_out;
  stats->tokens_in += count->tokens_in;
  stats->tokens_out += count->tokens_out;
}

static void
see(const JournalCount *count, void *data)
{
  Stats *stats = data;

  if (count->kind != ROW_REQUEST && count->kind != ROW_RESPONSE &&
      count->kind != ROW_TOOL)
    return;
  if (count->rule) {
    count_rule(stats, count);
    return;
  }
  if (count->kind == ROW_REQUEST)
    count_request(stats, count);
  else if (count->kind == ROW_RESPONSE)
    count_answer(stats, count);
  else
    stats->tools += (uint64_t)count->n;
  stats->first_us =
      stats->first_us ? MIN(stats->first_us, count->first_us) : count->first_us;
  stats->last_us = MAX(stats->last_us, count->last_us);
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

/* How long people took. */
static void
say_held(const Stats *stats)
{
  g_autoptr(GArray) spans = waits_spans(stats->waits);
  Table *table;

  if (!spans->len)
    return;
  puts("");
  table = table_new((const char *[]){
      "ASKED BY", "TIMES", "TIMED OUT", "P50", "P95", "LONGEST", NULL});
  for (guint i = 0; i < spans->len; i++) {
    const WaitSpan *one = &g_array_index(spans, WaitSpan, i);
    g_autofree char *count = g_strdup_printf("%u", one->n);
    g_autofree char *late = g_strdup_printf("%u", one->timeouts);
    g_autofree char *p50 = span_text(one->p50_us);
    g_autofree char *p95 = span_text(one->p95_us);
    g_autofree char *most = span_text(one->most_us);

    table_add(
        table,
        (const char *[]){
            one->rule ? one->rule : "(all)", count, late, p50, p95, most});
  }
  table_print(table);
}

/* A bar of `width` columns at most, in eighths of one. g_free. */
static char *
bar(uint64_t count, uint64_t most, unsigned width)
{
  static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  uint64_t length = most ? count * width * 8 / most : 0;
  GString *out = g_string_new(NULL);

  for (uint64_t i = 0; i < length / 8; i++)
    g_string_append(out, "█");
  g_string_append(out, eighths[length % 8]);
  if (count && !out->len)
    g_string_append(out, "▏");
  return g_string_free(out, FALSE);
}

/* Lines as bars; what was blocked of them in another colour. */
static void
say_chart(const char *heading, GPtrArray *lines, unsigned most_lines)
{
  uint64_t most = 0;
  int width = 0;
  unsigned n = MIN(lines->len, most_lines);

  if (!lines->len)
    return;
  printf("\n%s%s%s\n", ink(INK_BOLD), heading, ink(INK_PLAIN));
  for (unsigned i = 0; i < n; i++) {
    const Line *line = lines->pdata[i];
    g_autofree char *name = visible(line->name, -1, false);

    most = MAX(most, line->count);
    width = MAX(width, (int)MIN(g_utf8_strlen(name, -1), MAX_NAME));
  }
  for (unsigned i = 0; i < n; i++) {
    const Line *line = lines->pdata[i];
    g_autofree char *name = visible(line->name, -1, false);
    g_autofree char *cut =
        g_utf8_substring(name, 0, MIN(g_utf8_strlen(name, -1), MAX_NAME));
    g_autofree char *whole = bar(line->count, most, BAR_WIDTH);
    int blank = width - (int)g_utf8_strlen(cut, -1);

    printf("%s%*s %8" G_GUINT64_FORMAT " %s%s%s",
           cut,
           blank,
           "",
           line->count,
           ink(INK_GREEN),
           whole,
           ink(INK_PLAIN));
    if (line->blocked)
      printf(" %s%" G_GUINT64_FORMAT " blocked%s",
             ink(INK_RED),
             line->blocked,
             ink(INK_PLAIN));
    puts("");
  }
  if (lines->len > n)
    printf("%sand %u more%s\n", ink(INK_DIM), lines->len - n, ink(INK_PLAIN));
}

static int
compare_names(const void *a, const void *b)
{
  const Line *x = *(const Line *const *)a, *y = *(const Line *const *)b;

  return strcmp(x->name, y->name);
}

/* In the order of time, the last ones; g_ptr_array_unref. */
static GPtrArray *
days_of(const Stats *stats, unsigned most)
{
  GPtrArray *days = sorted(stats->days);

  g_ptr_array_sort(days, compare_names);
  if (days->len > most)
    g_ptr_array_remove_range(days, 0, days->len - most);
  return days;
}

static void
say_charts(const Stats *stats)
{
  g_autoptr(GPtrArray) days = days_of(stats, CHART_DAYS);
  g_autoptr(GPtrArray) models = sorted(stats->models);

  say_chart("Requests by day (UTC)", days, CHART_DAYS);
  say_chart("Requests by model", models, CHART_LINES);
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
  say_charts(stats);
  say_rules(stats);
  say_held(stats);
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
held_json(const Stats *stats)
{
  g_autoptr(GArray) spans = waits_spans(stats->waits);
  struct json_object *list = json_object_new_array();

  for (guint i = 0; i < spans->len; i++) {
    const WaitSpan *one = &g_array_index(spans, WaitSpan, i);
    struct json_object *json = json_object_new_object();

    add_text(json, "rule", one->rule);
    add_number(json, "asked", one->n);
    add_number(json, "timeouts", one->timeouts);
    add_number(json, "p50_us", one->p50_us);
    add_number(json, "p95_us", one->p95_us);
    add_number(json, "max_us", one->most_us);
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

static struct json_object *
counts_json(GPtrArray *lines, const char *key)
{
  struct json_object *list = json_object_new_array();

  for (guint i = 0; i < lines->len; i++) {
    const Line *line = lines->pdata[i];
    struct json_object *json = json_object_new_object();

    add_text(json, key, line->name);
    add_number(json, "requests", (int64_t)line->count);
    add_number(json, "blocked", (int64_t)line->blocked);
    add_number(json, "bytes", line->bytes);
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
  g_autoptr(GPtrArray) models = sorted(stats->models);
  g_autoptr(GPtrArray) days = days_of(stats, UINT_MAX);
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
  json_object_object_add(json, "held", held_json(stats));
  json_object_object_add(json, "users", users_json(stats));
  json_object_object_add(json, "models", counts_json(models, "model"));
  json_object_object_add(json, "days", counts_json(days, "day"));
  print_json(json);
}

/* Counts by hour, and each approval. */
static bool
count_all(JournalReader *reader,
          const JournalQuery *query,
          Stats *stats,
          GError **error)
{
  JournalQuery approvals = *query;

  approvals.kind = ROW_APPROVAL;
  return journal_counts(reader, query, see, stats, error) &&
         journal_query(reader, &approvals, waits_row, stats->waits, error);
}

int
journal_stats(const Call *call)
{
  JournalQuery query = {.kind = -1};
  g_autoptr(Waits) waits = waits_new();
  g_autoptr(Config) config = NULL;
  g_autoptr(JournalReader) reader = NULL;
  g_autoptr(GError) error = NULL;
  Stats stats = {.waits = waits};
  GHashTable **const tables[] = {
      &stats.verdicts, &stats.rules, &stats.users, &stats.models, &stats.days};
  int code = CLI_DONE;

  if (!rows_filter(call, &query))
    return CLI_USAGE;
  config = cli_config(call, &code);
  reader = config ? rows_open(call, config, &code) : NULL;
  if (!reader)
    return code;
  show_index_state(call, reader);
  for (unsigned i = 0; i < G_N_ELEMENTS(tables); i++)
    *tables[i] =
        g_hash_table_new_full(g_str_hash, g_str_equal, NULL, free_line);
  if (!count_all(reader, &query, &stats, &error))
    code = complain_error(call, error);
  else if (call_has(call, "json"))
    say_json(&stats);
  else
    say(&stats);
  for (unsigned i = 0; i < G_N_ELEMENTS(tables); i++)
    g_hash_table_unref(*tables[i]);
  return code;
}
