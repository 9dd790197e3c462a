/* SPDX-License-Identifier: Apache-2.0 */
/* Heads that rules share: libhs looks for each of them once, and what the rules
 * have behind it is matched where it stands. Eight openers behind one long list
 * of names would cost libhs as much as four hundred other rules. */
#define _GNU_SOURCE
#include "inspect/detector.h"

#include <string.h>

/* Rules that share a head, at least; for one sign fewer do. */
#define SHARED_MIN 3
#define SIGN "@"

/* ---- Rules --------------------------------------------------------------- */

static bool
has_lookaround(const char *regex, size_t len)
{
  static const char *const forms[] = {"(?=", "(?!", "(?<"};

  for (unsigned i = 0; i < G_N_ELEMENTS(forms); i++)
    if (memmem(regex, len, forms[i], 3) != NULL)
      return true;
  return false;
}

/* What of a rule's expression could be a head, with its options; 0: nothing. */
static size_t
head_len(const CompiledRule *rule)
{
  const size_t options = regex_options(rule->expression);
  const size_t group = regex_first_group(rule->expression + options);
  size_t len = 0;

  if (rule->opened)
    len = group;
  else if (g_str_has_prefix(rule->expression + options, SIGN))
    len = strlen(SIGN);
  if (len == 0 || has_lookaround(rule->expression, options + len))
    return 0;
  return options + len;
}

static bool
make_gate(CompiledRules *rules, unsigned first, size_t len)
{
  const char *head = rules->rules[first].expression;
  g_autofree char *options = g_strndup(head, regex_options(head));
  const unsigned least = rules->rules[first].opened ? SHARED_MIN : 1;
  g_autoptr(GArray) members = g_array_new(FALSE, FALSE, sizeof(unsigned));
  Gate gate;

  for (unsigned i = first; i < rules->n; i++) {
    const CompiledRule *rule = &rules->rules[i];

    if (rule->gate == 0 && head_len(rule) == len &&
        strncmp(rule->expression, head, len) == 0 &&
        tail_is_possible(rule->expression + len, options))
      g_array_append_val(members, i);
  }
  if (members->len < least)
    return false;
  gate.expression = g_strndup(head, len);
  gate.n_rules = members->len;
  for (guint i = 0; i < members->len; i++) {
    CompiledRule *rule = &rules->rules[g_array_index(members, unsigned, i)];

    rule->gate = rules->n_gates + 1;
    rule->tail = rule->expression + len;
  }
  gate.rules =
      (unsigned *)(void *)g_array_free(g_steal_pointer(&members), FALSE);
  rules->gates = g_renew(Gate, rules->gates, rules->n_gates + 1);
  rules->gates[rules->n_gates++] = gate;
  return true;
}

void
gates_find(CompiledRules *rules)
{
  for (unsigned i = 0; i < rules->n; i++) {
    const size_t len =
        rules->rules[i].gate == 0 ? head_len(&rules->rules[i]) : 0;

    if (len > 0)
      make_gate(rules, i, len);
  }
}

void
gates_clear(CompiledRules *rules)
{
  for (unsigned i = 0; i < rules->n_gates; i++) {
    g_free(rules->gates[i].expression);
    g_free(rules->gates[i].rules);
  }
  g_clear_pointer(&rules->gates, g_free);
  rules->n_gates = 0;
}

/* Built on first use, as what confirms is. */
const Tail *
gate_tail(CompiledRule *rule)
{
  Tail *tail = __atomic_load_n(&rule->automaton, __ATOMIC_ACQUIRE);
  g_autofree char *options = NULL;
  Tail *fresh;

  if (tail != NULL)
    return tail;
  options = g_strndup(rule->expression, regex_options(rule->expression));
  fresh = tail_new(rule->tail, options);
  if (fresh == NULL)
    return NULL;
  if (__atomic_compare_exchange_n(&rule->automaton,
                                  &tail,
                                  fresh,
                                  false,
                                  __ATOMIC_ACQ_REL,
                                  __ATOMIC_ACQUIRE))
    return fresh;
  tail_free(fresh);
  return tail;
}

/* ---- Texts --------------------------------------------------------------- */

static int
compare_ends(const void *a, const void *b)
{
  const RuleEnd *x = a, *y = b;

  if (x->end != y->end)
    return x->end < y->end ? -1 : 1;
  return x->rule < y->rule ? -1 : x->rule > y->rule;
}

/* libhs tells one head's ends in order, those of several nearly so. */
static void
sort_heads(GArray *heads)
{
  GateHead *all = (GateHead *)(void *)heads->data;

  for (guint i = 1; i < heads->len; i++) {
    const GateHead head = all[i];
    guint at = i;

    for (; at > 0 && all[at - 1].end > head.end; at--)
      all[at] = all[at - 1];
    all[at] = head;
  }
}

/* A tail goes on over [from, to), as far as it can. */
static void
run_tail(const GateRun *run,
         const char *bytes,
         size_t from,
         size_t to,
         GArray *ends,
         GArray *runs)
{
  const Tail *tail = run->tail;
  GateRun at = *run;

  for (size_t pos = from; pos < to; pos++) {
    at.state = tail_step(tail, at.state, bytes[pos - from]);
    if (at.state == TAIL_DEAD)
      return;
    if (tail->accepts[at.state]) {
      const RuleEnd end = {at.rule, pos + 1};

      g_array_append_val(ends, end);
    }
  }
  g_array_append_val(runs, at);
}

/* No match can end here: an opener is not longer than CONTEXT_MAX. */
static bool
is_idle(const CompiledRule *rule, const Tail *tail, const char *bytes, size_t n)
{
  return rule->opened && tail->last >= 0 && n >= CONTEXT_MAX &&
         memchr(bytes, tail->last, CONTEXT_MAX) == NULL;
}

/* The tails behind a head, which `bytes` is at. */
static bool
run_head(CompiledRules *rules,
         const GateHead *head,
         const char *bytes,
         size_t to,
         GArray *ends,
         GArray *runs)
{
  const Gate *gate = &rules->gates[head->gate];

  for (unsigned i = 0; i < gate->n_rules; i++) {
    CompiledRule *rule = &rules->rules[gate->rules[i]];
    const Tail *tail = __atomic_load_n(&rule->automaton, __ATOMIC_ACQUIRE);
    GateRun run = {.rule = gate->rules[i], .tail = tail};

    if (tail == NULL)
      tail = run.tail = gate_tail(rule);
    if (tail == NULL)
      return false; /* it was there when the rules were compiled */
    if (is_idle(rule, tail, bytes, to - head->end))
      continue;
    run.state = tail_begin(tail, bytes[-1]);
    if (tail->accepts[run.state]) {
      const RuleEnd end = {run.rule, head->end};

      g_array_append_val(ends, end);
    }
    run_tail(&run, bytes, head->end, to, ends, runs);
  }
  return true;
}

/* Both lists are in order. */
static bool
report_ends(const GArray *ends,
            const GArray *seen,
            GateReport report,
            void *data)
{
  guint i = 0, k = 0;

  while (i < ends->len || k < seen->len) {
    const RuleEnd *end =
        i < ends->len ? &g_array_index(ends, RuleEnd, i) : NULL;
    const RuleEnd *other =
        k < seen->len ? &g_array_index(seen, RuleEnd, k) : NULL;

    if (end == NULL || (other != NULL && other->end < end->end)) {
      end = other;
      k++;
    } else {
      i++;
    }
    if (!report(end->rule, end->end, data))
      return false;
  }
  return true;
}

bool
gates_run(DetectorScratch *scratch,
          const char *bytes,
          size_t back,
          size_t from,
          size_t to,
          GArray *runs,
          GateReport report,
          void *data)
{
  GArray *heads = scratch->heads, *ends = scratch->ends;
  const guint going = runs->len;
  guint n = 0;

  g_array_set_size(ends, 0);
  g_array_set_size(scratch->seen, 0);
  for (guint i = 0; i < going; i++) {
    const GateRun run = g_array_index(runs, GateRun, i);

    run_tail(&run, bytes, from, to, ends, runs);
  }
  if (going > 0)
    g_array_remove_range(runs, 0, going);
  sort_heads(heads);
  for (; n < heads->len; n++) {
    const GateHead *head = &g_array_index(heads, GateHead, n);

    if (head->end > to)
      break;
    if (!run_head(&scratch->detector->rules,
                  head,
                  bytes + (head->end - from),
                  to,
                  ends,
                  runs))
      return false;
  }
  if (n > 0)
    g_array_remove_range(heads, 0, n);
  if (ends->len > 1)
    g_array_sort(ends, compare_ends);
  sights_run(
      scratch->detector->rules.sights, bytes, back, from, to, scratch->seen);
  return report_ends(ends, scratch->seen, report, data);
}
