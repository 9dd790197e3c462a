/* SPDX-License-Identifier: Apache-2.0 */
/* One case of a policy's tests: judged, and held against what it expects. */
#include "cases/cases.h"
#include "judge/judge.h"
#include "kit/clock.h"
#include "kit/json.h"
#include <string.h>

void
case_outcome_clear(CaseOutcome *outcome)
{
  g_free(outcome->error);
  g_free(outcome->rule);
  g_strfreev(outcome->rules);
  g_strfreev(outcome->shadow);
  g_strfreev(outcome->masks);
  g_free(outcome->left);
}

/* ---- Judging --------------------------------------------------------------
 */

static unsigned
rate(const char *rule_id, unsigned window, void *data)
{
  const PolicyCase *one = data;

  (void)rule_id;
  (void)window;
  return MAX(one->rate, 1);
}

static int
compare_texts(const void *a, const void *b)
{
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A set as a sorted list. */
static char **
sorted(GHashTable *set)
{
  guint n;
  char **names = (char **)g_hash_table_get_keys_as_array(set, &n);

  for (guint i = 0; i < n; i++)
    names[i] = g_strdup(names[i]);
  qsort(names, n, sizeof *names, compare_texts);
  return names;
}

static void
take_verdicts(const GPtrArray *verdicts, CaseOutcome *out)
{
  g_autoptr(GHashTable) rules = g_hash_table_new(g_str_hash, g_str_equal);
  g_autoptr(GHashTable) shadow = g_hash_table_new(g_str_hash, g_str_equal);
  g_autoptr(GHashTable) masks = g_hash_table_new(g_str_hash, g_str_equal);
  const Verdict *strongest = cases_strongest(verdicts);
  const PolicyRule *reason = verdict_reason(strongest);

  out->action = verdict_action(strongest);
  out->rule = reason ? g_strdup(reason->id) : NULL;
  for (guint i = 0; i < verdicts->len; i++) {
    const GArray *spans = verdict_mask_spans(verdicts->pdata[i]);
    unsigned n;
    const RuleResult *results = verdict_results(verdicts->pdata[i], &n);

    for (unsigned j = 0; j < n; j++)
      g_hash_table_add(results[j].rule->shadow ? shadow : rules,
                       results[j].rule->id);
    for (guint j = 0; j < spans->len; j++)
      g_hash_table_add(
          masks,
          (gpointer)(uintptr_t)g_array_index(spans, MaskSpan, j).rule_id);
  }
  out->rules = sorted(rules);
  out->shadow = sorted(shadow);
  out->masks = sorted(masks);
}

/* What would go out must not hold what the case says is hidden. */
static void
check_hidden(const Bench *bench,
             const PolicyCase *one,
             const Inspection *inspection,
             const Verdict *verdict,
             CaseOutcome *out)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GBytes) masked = NULL;
  size_t len;
  const char *bytes;

  if (!one->hides || verdict_action(verdict) == ACTION_BLOCK)
    return;
  masked = inspection_rewrite(
      inspection, bench->masker, NULL, verdict_mask_spans(verdict), &error);
  if (!masked) {
    out->error = g_strdup(error->message);
    return;
  }
  bytes = g_bytes_get_data(masked, &len);
  for (char **text = one->hides; *text && !out->left; text++) {
    g_autoptr(GString) escaped = g_string_new(NULL);

    json_escape(escaped, *text, -1);
    if (g_strstr_len(bytes, (gssize)len, escaped->str))
      out->left = g_strdup(*text);
  }
}

/* What the case says was used before, just now. */
static Ledger *
ledger_of(const Policy *policy, const PolicyCase *one, const Subject *subject)
{
  Ledger *ledger = ledger_new(policy_budget_window(policy));
  const LedgerUse use = {
      .person = {.user = subject->user},
      .wall_us = subject->wall_us,
      .sum = {one->used_requests, one->used_bytes, one->used_tokens}};

  ledger_set_ready(ledger, true);
  ledger_add(ledger, &use);
  return ledger;
}

static Subject
subject_of(const PolicyCase *one)
{
  static const char *const local[] = {"local", NULL};

  return (Subject){
      .user = one->user ? one->user : "somebody",
      .groups = one->groups ? (const char *const *)one->groups : local,
      .connection = one->connection ? one->connection : "copilot",
      .host = one->host,
      .method = one->method ? one->method : "POST",
      .path = one->path,
      .api = one->api >= 0 ? (Api)one->api : API_CHAT,
      .model = one->model,
      .initiator = one->initiator,
      .processes = (const char *const *)one->processes,
      .repo = one->repo,
      .wall_us = one->wall_us ? one->wall_us : clock_wall_us(),
      .first_in_session = one->first_in_session,
  };
}

/* A command as models send it; what begins as an object is the arguments. */
static char *
tool_arguments(const char *text)
{
  g_autoptr(GString) out = g_string_new("{\"command\":\"");

  if (text[strspn(text, " \t\r\n")] == '{')
    return g_strdup(text);
  json_escape(out, text, -1);
  g_string_append(out, "\"}");
  return g_string_free(g_steal_pointer(&out), FALSE);
}

static void
judge_tool(const Bench *bench,
           const PolicyCase *one,
           const char *text,
           CaseOutcome *out)
{
  Subject subject = subject_of(one);
  g_autofree char *arguments = tool_arguments(text);
  const ToolCall call = {.name = one->tool, .arguments = arguments};
  g_autoptr(Verdict) verdict =
      judge_tool_call(bench->policy, &subject, &call, bench->scratch, false);
  g_autoptr(GPtrArray) verdicts = g_ptr_array_new();

  g_ptr_array_add(verdicts, verdict);
  take_verdicts(verdicts, out);
}

static void
judge_text(const Bench *bench,
           const PolicyCase *one,
           const char *text,
           CaseOutcome *out)
{
  Direction direction =
      one->kind == CASE_ANSWER ? DIRECTION_RESPONSE : one->direction;
  int api = one->api;
  g_autoptr(GBytes) body = cases_body(text, strlen(text), direction, &api);
  g_autoptr(GError) error = NULL;
  g_autoptr(Inspection) inspection = inspection_new(bench->scratch,
                                                    (Api)api,
                                                    direction,
                                                    "application/json",
                                                    body,
                                                    &inspect_default_limits,
                                                    &error);
  g_autoptr(GPtrArray) verdicts = NULL;
  Subject subject = subject_of(one);
  g_autoptr(Ledger) ledger = ledger_of(bench->policy, one, &subject);

  subject.ledger = ledger;
  if (!inspection) {
    out->action = ACTION_BLOCK;
    out->error = g_strdup(error->message);
    return;
  }
  subject.api = (Api)api;
  subject.completions = api == API_COMPLETIONS;
  if (!subject.model)
    subject.model = inspection_model(inspection);
  verdicts = cases_judge(
      bench, &subject, inspection, false, rate, (void *)(uintptr_t)one);
  take_verdicts(verdicts, out);
  check_hidden(bench, one, inspection, verdicts->pdata[0], out);
}

void
cases_run(const Bench *bench,
          const PolicyCase *one,
          const char *text,
          CaseOutcome *out)
{
  *out = (CaseOutcome){.error = NULL};
  if (one->kind == CASE_TOOL)
    judge_tool(bench, one, text, out);
  else
    judge_text(bench, one, text, out);
}

/* ---- Differences ----------------------------------------------------------
 */

bool
case_sets_agree(char **expected, char **found)
{
  if (!expected)
    return true;
  for (char **name = expected; *name; name++)
    if (!g_strv_contains((const char *const *)found, *name))
      return false;
  for (char **name = found; *name; name++)
    if (!g_strv_contains((const char *const *)expected, *name))
      return false;
  return true;
}

bool
case_is_right(const PolicyCase *one, const CaseOutcome *out)
{
  return !out->error && out->action == one->expect &&
         (!one->rule || g_strcmp0(one->rule, out->rule) == 0) &&
         case_sets_agree(one->rules, out->rules) &&
         case_sets_agree(one->shadow, out->shadow) &&
         case_sets_agree(one->masks, out->masks) && !out->left;
}
