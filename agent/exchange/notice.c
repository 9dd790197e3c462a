/* SPDX-License-Identifier: Apache-2.0 */
/* What was masked, told to the journal and to who asks for the status: counts
 * by rule; and what a person may want to hear of at once. */
#include "exchange/state.h"
#include "kit/json.h"
#include <string.h>

static void
add(GHashTable *counts, const char *rule_id, size_t n)
{
  const size_t before = GPOINTER_TO_SIZE(g_hash_table_lookup(counts, rule_id));

  g_hash_table_insert(counts, g_strdup(rule_id), GSIZE_TO_POINTER(before + n));
}

static GHashTable *
counts_new(void)
{
  return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
}

GHashTable *
notice_count(const GArray *spans)
{
  GHashTable *counts = counts_new();

  for (guint i = 0; i < spans->len; i++) {
    const MaskSpan *span = &g_array_index(spans, MaskSpan, i);

    if (span->start < span->end)
      add(counts, span->rule_id, 1);
  }
  return counts;
}

static int
compare_ids(const void *a, const void *b)
{
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

char *
notice_take(ExchangeEnv *env, GHashTable *masked)
{
  g_autofree gpointer *ids = NULL;
  g_autoptr(GString) out = NULL;
  guint n = 0;

  if (!masked || g_hash_table_size(masked) == 0)
    return NULL;
  ids = g_hash_table_get_keys_as_array(masked, &n);
  qsort(ids, n, sizeof *ids, compare_ids);
  out = g_string_new("{");
  for (guint i = 0; i < n; i++) {
    const size_t count = GPOINTER_TO_SIZE(g_hash_table_lookup(masked, ids[i]));

    add(env->masked, ids[i], count);
    g_string_append(out, i ? ",\"" : "\"");
    json_escape(out, ids[i], -1);
    g_string_append_printf(out, "\":%zu", count);
  }
  g_string_append_c(out, '}');
  return g_strdup(out->str);
}

static void
tell(const Exchange *exchange, Happening *what)
{
  const ExchangeEnv *env = exchange->env;

  if (!env->happened)
    return;
  what->client = exchange->client;
  what->connection = connection_name(exchange->connection);
  if (exchange->inspection)
    what->model = inspection_model(exchange->inspection);
  env->happened(what, env->happened_data);
}

void
notice_masked(const Exchange *exchange, GHashTable *masked, bool answer)
{
  Happening what = {.answer = answer};
  GHashTableIter iter;
  gpointer id, n;
  size_t most = 0;

  if (!masked)
    return;
  g_hash_table_iter_init(&iter, masked);
  while (g_hash_table_iter_next(&iter, &id, &n)) {
    const size_t count = GPOINTER_TO_SIZE(n);

    what.count += (unsigned)MIN(count, G_MAXINT);
    if (count < most || (count == most && strcmp(id, what.rule) > 0))
      continue;
    most = count;
    what.rule = id;
  }
  if (what.count)
    tell(exchange, &what);
}

void
notice_blocked(const Exchange *exchange, const char *rule, bool answer)
{
  Happening what = {
      .blocked = true, .answer = answer, .count = 1, .rule = rule};

  tell(exchange, &what);
}

GHashTable *
exchange_env_masked(const ExchangeEnv *env)
{
  GHashTable *copy = counts_new();
  GHashTableIter iter;
  gpointer id, n;

  g_hash_table_iter_init(&iter, env->masked);
  while (g_hash_table_iter_next(&iter, &id, &n))
    add(copy, id, GPOINTER_TO_SIZE(n));
  return copy;
}
