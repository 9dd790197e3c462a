/* SPDX-License-Identifier: Apache-2.0 */
/* What was masked or blocked, told to the tray: at most one signal a second of
 * each kind, with the sum of what came meanwhile. */
#include "daemon/private.h"

#define QUIET_MS 1000

enum { MASKED, BLOCKED, N_KINDS };
static const char *const kinds[N_KINDS] = {"masked", "blocked"};

/* Several of one kind. Texts are those of all of them, or NULL. */
typedef struct {
  unsigned times, count;
  bool answers; /* in answers alone */
  char *rule, *client, *connection, *model;
} Sum;

typedef struct {
  struct agent *agent;
  unsigned kind;
  Sum sum;
} Told;

/* The data thread's, once that runs. */
struct happened {
  struct agent *agent;
  Sum sums[N_KINDS];
  LoopTimer *quiet; /* armed: one was told within the last second */
  bool waits;
};

static void
sum_clear(Sum *sum)
{
  g_free(sum->rule);
  g_free(sum->client);
  g_free(sum->connection);
  g_free(sum->model);
  *sum = (Sum){0};
}

static void
keep(char **text, const char *other, bool first)
{
  if (first)
    *text = g_strdup(other);
  else if (g_strcmp0(*text, other) != 0)
    g_clear_pointer(text, g_free);
}

static void
sum_add(Sum *sum, const Happening *what)
{
  const bool first = sum->times == 0;

  keep(&sum->rule, what->rule, first);
  keep(&sum->client, what->client, first);
  keep(&sum->connection, what->connection, first);
  keep(&sum->model, what->model, first);
  sum->answers = what->answer && (first || sum->answers);
  sum->times++;
  sum->count += MIN(what->count, G_MAXUINT - sum->count);
}

/* ---- Main thread ---------------------------------------------------------
 */

static void
tell(void *data)
{
  Told *told = data;
  const Sum *sum = &told->sum;
  GVariantDict dict;

  g_variant_dict_init(&dict, NULL);
  g_variant_dict_insert(&dict, "times", "u", (guint32)sum->times);
  g_variant_dict_insert(&dict, "count", "u", (guint32)sum->count);
  g_variant_dict_insert(&dict, "answer", "b", sum->answers);
  control_add_text(&dict, "rule", sum->rule);
  control_add_text(&dict, "client", sum->client);
  control_add_text(&dict, "connection", sum->connection);
  control_add_text(&dict, "model", sum->model);
  hoop_agent1_emit_happened(
      told->agent->skeleton, kinds[told->kind], g_variant_dict_end(&dict));
  sum_clear(&told->sum);
  g_free(told);
}

/* ---- Data thread ---------------------------------------------------------
 */

static void
post(Happened *happened)
{
  happened->waits = false;
  for (unsigned i = 0; i < N_KINDS; i++) {
    Told *told;

    if (!happened->sums[i].times)
      continue;
    told = g_new0(Told, 1);
    told->agent = happened->agent;
    told->kind = i;
    told->sum = happened->sums[i];
    happened->sums[i] = (Sum){0};
    loop_post(happened->agent->main_loop, tell, told);
    happened->waits = true;
  }
  if (happened->waits)
    loop_timer_set(happened->quiet, QUIET_MS);
}

static void
on_quiet(void *data)
{
  post(data);
}

void
happened_take(const Happening *what, void *data)
{
  Happened *happened = data;

  sum_add(&happened->sums[what->blocked ? BLOCKED : MASKED], what);
  if (!happened->waits)
    post(happened);
}

Happened *
happened_new(struct agent *agent)
{
  Happened *happened = g_new0(Happened, 1);

  happened->agent = agent;
  happened->quiet = loop_timer_new(agent->data_loop, on_quiet, happened);
  return happened;
}

void
happened_free(Happened *happened)
{
  if (!happened)
    return;
  loop_timer_free(happened->quiet);
  for (unsigned i = 0; i < N_KINDS; i++)
    sum_clear(&happened->sums[i]);
  g_free(happened);
}
