/* SPDX-License-Identifier: Apache-2.0 */
/* From a rule's regex to what libhs looks for and what PCRE2 confirms, and the
 * database. */
#include "inspect/detector.h"

#include <string.h>

/* libhs in multi-line mode finds a superset, whatever stands beside a field. */
#define HS_FLAGS (HS_FLAG_MULTILINE)

static bool
fail_rule(const DetectorRule *rule, GError **error, const char *what)
{
  g_set_error(error,
              INSPECT_ERROR,
              INSPECT_ERROR_ENGINE,
              "%s: rule \"%s\": %s",
              rule->origin ? rule->origin : "rule pack",
              rule->id,
              what);
  return false;
}

static bool
split_rule(CompiledRule *compiled, GError **error)
{
  const DetectorRule *rule = compiled->rule;
  const RegexShape shape = regex_shape(rule->regex);
  const size_t options = regex_options(rule->regex);
  g_autofree char *prefix = NULL;

  if (shape.anchored)
    return fail_rule(rule, error, "\\A, \\z, \\Z and \\G have no place here");
  compiled->opened = rule->kind != DETECT_TOKEN;
  if (!compiled->opened) {
    compiled->expression = regex_search(rule->regex, &compiled->cut);
    compiled->confirm = g_strdup(rule->regex);
    return true;
  }
  if (shape.value == NULL || shape.alternation ||
      shape.value == rule->regex + options)
    return fail_rule(rule,
                     error,
                     "a quoted or block rule is an opener, then the group "
                     "\"secret\", or \"value\" with it inside, outside other "
                     "groups and alternatives");
  compiled->expression =
      g_strndup(rule->regex, (gsize)(shape.value - rule->regex));
  compiled->valued = g_str_has_prefix(shape.value, "(?<value>");
  prefix = g_strndup(rule->regex, options);
  compiled->confirm = g_strconcat(prefix, shape.value, NULL);
  return true;
}

/* Short rules without a word that is certain are not for libhs, which must have
 * at least one. */
static void
find_sights(CompiledRules *rules)
{
  unsigned left = rules->n;

  rules->sights = sights_new(SIGHTS_BEST);
  for (unsigned i = 0; i < rules->n; i++) {
    CompiledRule *rule = &rules->rules[i];
    g_autofree char *expression = NULL;

    if (left == 1 || rule->opened || rule->gate != 0 ||
        regex_has_pair(rule->expression))
      continue;
    expression = regex_sight(rule->expression);
    if (expression != NULL && sights_add(rules->sights, expression, i)) {
      rule->seen = true;
      left--;
    }
  }
}

bool
compiled_rules_init(CompiledRules *rules, const RulePack *pack, GError **error)
{
  unsigned n;
  const DetectorRule *const *all = rule_pack_rules(pack, &n);

  rules->rules = g_new0(CompiledRule, MAX(n, 1));
  rules->n = 0;
  for (unsigned i = 0; i < n; i++) {
    if (!all[i]->enabled)
      continue;
    rules->rules[rules->n].rule = all[i];
    if (!split_rule(&rules->rules[rules->n++], error))
      return false;
  }
  gates_find(rules);
  find_sights(rules);
  return true;
}

void
compiled_rules_clear(CompiledRules *rules)
{
  for (unsigned i = 0; i < rules->n; i++) {
    g_free(rules->rules[i].expression);
    g_free(rules->rules[i].confirm);
    confirm_free(rules->rules[i].code);
    tail_free(rules->rules[i].automaton);
  }
  gates_clear(rules);
  sights_free(rules->sights);
  g_free(rules->rules);
  *rules = (CompiledRules){0};
}

/* Asks libhs about an expression; look-arounds and back references need
 * prefilter mode, in which it finds a superset. */
static bool
expression_info(const DetectorRule *rule,
                const char *expression,
                unsigned *flags,
                unsigned *min,
                unsigned *max,
                GError **error)
{
  hs_expr_info_t *info = NULL;
  hs_compile_error_t *cause = NULL;

  *flags = HS_FLAGS;
  if (hs_expression_info(expression, *flags, &info, &cause) != HS_SUCCESS) {
    hs_free_compile_error(cause);
    cause = NULL;
    *flags |= HS_FLAG_PREFILTER;
    if (hs_expression_info(expression, *flags, &info, &cause) != HS_SUCCESS) {
      fail_rule(rule, error, cause->message);
      hs_free_compile_error(cause);
      return false;
    }
  }
  *min = info->min_width;
  *max = info->max_width;
  free(info);
  return true;
}

static bool
measure_rule(CompiledRule *compiled, GError **error)
{
  const DetectorRule *rule = compiled->rule;
  unsigned min, max, whole;

  if (!expression_info(
          rule, compiled->expression, &compiled->flags, &min, &max, error))
    return false;
  if (!compiled->opened && strcmp(compiled->expression, rule->regex) != 0) {
    unsigned flags, least;

    /* Windows are as wide as the whole regex needs them. */
    if (!expression_info(rule, rule->regex, &flags, &least, &whole, error))
      return false;
    if (least == 0)
      min = 0;
    max = MAX(max, whole);
  }
  if (min == 0)
    return fail_rule(rule, error, "matches the empty text");
  if (max > (compiled->opened ? CONTEXT_MAX : TOKEN_WIDTH_MAX))
    return fail_rule(rule,
                     error,
                     compiled->opened ? "the opener may be longer than 1 KiB"
                                      : "may match more than 8 KiB");
  if (compiled->opened)
    max = VALUE_WIDTH_MAX;
  compiled->min_width = min;
  compiled->max_width = max;
  return true;
}

static bool
compile_database(const CompiledRules *rules,
                 hs_database_t **out,
                 GError **error)
{
  const unsigned most = rules->n + rules->n_gates;
  g_autofree const char **expressions = g_new(const char *, most);
  g_autofree unsigned *flags = g_new(unsigned, most);
  g_autofree unsigned *ids = g_new(unsigned, most);
  hs_compile_error_t *cause = NULL;
  unsigned n = 0;

  for (unsigned i = 0; i < rules->n; i++) {
    if (rules->rules[i].gate != 0 || rules->rules[i].seen)
      continue;
    expressions[n] = rules->rules[i].expression;
    flags[n] = rules->rules[i].flags;
    ids[n++] = i;
  }
  for (unsigned i = 0; i < rules->n_gates; i++) {
    expressions[n] = rules->gates[i].expression;
    flags[n] = HS_FLAGS;
    ids[n++] = rules->n + i;
  }
  if (hs_compile_multi(
          expressions, flags, ids, n, HS_MODE_STREAM, NULL, out, &cause) ==
      HS_SUCCESS)
    return true;
  if (cause->expression >= 0 && (unsigned)cause->expression < n &&
      ids[cause->expression] < rules->n)
    fail_rule(rules->rules[ids[cause->expression]].rule, error, cause->message);
  else
    g_set_error(error,
                INSPECT_ERROR,
                INSPECT_ERROR_ENGINE,
                "the rules do not compile: %s",
                cause->message);
  hs_free_compile_error(cause);
  return false;
}

bool
compiled_rules_build(CompiledRules *rules,
                     hs_database_t **database,
                     GError **error)
{
  for (unsigned i = 0; i < rules->n; i++) {
    CompiledRule *rule = &rules->rules[i];

    if (!measure_rule(rule, error) || !confirm_check(rule, error))
      return false;
    if (rule->gate != 0 && gate_tail(rule) == NULL)
      return fail_rule(rule->rule, error, "the opener has too many states");
  }
  return rules->n == 0 || compile_database(rules, database, error);
}
