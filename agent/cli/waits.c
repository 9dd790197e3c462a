/* SPDX-License-Identifier: Apache-2.0 */
/* Percentiles of what held requests waited, from the record of approvals. */
#include "cli/waits.h"

#include "cli/member.h"
#include <string.h>

/* A forged journal could hold any number of names, or rows. */
#define MAX_RULES 10000
#define MAX_SPANS (4 * 1024 * 1024)

typedef struct {
  char *rule;
  GArray *spans; /* int64_t */
  unsigned timeouts;
} Times;

struct waits {
  Times all;
  GHashTable *rules; /* name → Times */
};

static void
times_free(gpointer data)
{
  Times *times = data;

  g_free(times->rule);
  g_array_unref(times->spans);
  g_free(times);
}

Waits *
waits_new(void)
{
  Waits *waits = g_new0(Waits, 1);

  waits->all.spans = g_array_new(FALSE, FALSE, sizeof(int64_t));
  waits->rules =
      g_hash_table_new_full(g_str_hash, g_str_equal, NULL, times_free);
  return waits;
}

void
waits_free(Waits *waits)
{
  if (!waits)
    return;
  g_array_unref(waits->all.spans);
  g_hash_table_unref(waits->rules);
  g_free(waits);
}

static Times *
times_of(Waits *waits, const char *rule)
{
  Times *times = g_hash_table_lookup(waits->rules, rule);

  if (times || g_hash_table_size(waits->rules) >= MAX_RULES)
    return times;
  times = g_new0(Times, 1);
  times->rule = g_strdup(rule);
  times->spans = g_array_new(FALSE, FALSE, sizeof(int64_t));
  g_hash_table_insert(waits->rules, times->rule, times);
  return times;
}

static void
add(Times *times, int64_t us, bool timeout)
{
  if (!times || times->spans->len >= MAX_SPANS)
    return;
  g_array_append_val(times->spans, us);
  times->timeouts += timeout;
}

/* Whether every answer was given by a grant. */
static bool
was_remembered(struct json_object *detail)
{
  struct json_object *answers = json_member(detail, "answers");
  const size_t n = json_items(answers);

  for (size_t i = 0; i < n; i++)
    if (g_strcmp0(
            json_member_text(json_object_array_get_idx(answers, i), "how"),
            "grant") != 0)
      return false;
  return n > 0;
}

bool
waits_row(const JournalEntry *entry, void *data)
{
  const JournalRow *row = entry->row;
  Waits *waits = data;
  struct json_object *detail, *rules;
  const bool timeout = g_strcmp0(row->verdict, "timeout") == 0;

  if (row->kind != ROW_APPROVAL || row->held_us < 0)
    return true;
  detail = row->detail ? json_tokener_parse(row->detail) : NULL;
  rules = json_member(detail, "rules");
  if (!was_remembered(detail)) {
    add(&waits->all, row->held_us, timeout);
    for (size_t i = 0; i < json_items(rules); i++) {
      struct json_object *one = json_object_array_get_idx(rules, i);

      if (json_object_is_type(one, json_type_string))
        add(times_of(waits, json_object_get_string(one)),
            row->held_us,
            timeout);
    }
  }
  json_object_put(detail);
  return true;
}

/* ---- Percentiles --------------------------------------------------------- */

static int
compare_spans(const void *a, const void *b)
{
  const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

  return (x > y) - (x < y);
}

/* The nearest rank: of 20 the 10th and the 19th. */
static int64_t
rank(const GArray *spans, unsigned percent)
{
  const uint64_t at = ((uint64_t)spans->len * percent + 99) / 100;

  return g_array_index(spans, int64_t, at ? at - 1 : 0);
}

static WaitSpan
span_of(Times *times)
{
  g_array_sort(times->spans, compare_spans);
  return (WaitSpan){.rule = times->rule,
                    .n = times->spans->len,
                    .timeouts = times->timeouts,
                    .p50_us = rank(times->spans, 50),
                    .p95_us = rank(times->spans, 95),
                    .most_us = rank(times->spans, 100)};
}

/* All before its rules. */
static int
compare_rules(const void *a, const void *b)
{
  const WaitSpan *x = a, *y = b;

  if (!x->rule || !y->rule)
    return (x->rule != NULL) - (y->rule != NULL);
  if (x->n != y->n)
    return x->n > y->n ? -1 : 1;
  return strcmp(x->rule, y->rule);
}

GArray *
waits_spans(Waits *waits)
{
  GArray *list = g_array_new(FALSE, FALSE, sizeof(WaitSpan));
  WaitSpan one;
  GHashTableIter iter;
  gpointer value;

  if (waits->all.spans->len == 0)
    return list;
  one = span_of(&waits->all);
  g_array_append_val(list, one);
  g_hash_table_iter_init(&iter, waits->rules);
  while (g_hash_table_iter_next(&iter, NULL, &value)) {
    one = span_of(value);
    g_array_append_val(list, one);
  }
  g_array_sort(list, compare_rules);
  return list;
}
