/* SPDX-License-Identifier: Apache-2.0 */
/* What the fields of one streamed answer share: rules' actions and findings. */
#include "inspect/text-field.h"
#include "inspect/values.h"

bool
mask_context_init(MaskContext *context,
                  Detector *detector,
                  const StreamPlan *plan,
                  Masker *masker,
                  const char *scope,
                  GError **error)
{
  *context = (MaskContext){.plan = plan, .masker = masker, .scope = scope};
  context->masked =
      g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  context->findings = g_array_new(FALSE, FALSE, sizeof(Finding));
  context->fingerprints = g_array_new(FALSE, FALSE, FINGERPRINT_SIZE);
  context->scratch = detector_scratch_new(detector, error);
  if (context->scratch == NULL)
    return false;
  values_refresh(context->scratch);
  context->scratch->pinned = true;
  return true;
}

void
mask_context_clear(MaskContext *context)
{
  detector_scratch_free(context->scratch);
  g_clear_pointer(&context->masked, g_hash_table_unref);
  g_clear_pointer(&context->findings, g_array_unref);
  g_clear_pointer(&context->fingerprints, g_array_unref);
}

Action
mask_context_action(const MaskContext *context, const DetectorRule *rule)
{
  return rule->index < context->plan->n_rules
             ? context->plan->by_rule[rule->index]
             : ACTION_ALLOW;
}

Action
mask_context_noted_action(const MaskContext *context, const DetectorRule *rule)
{
  if (!context->allowed || context->plan->by_allowed == NULL ||
      rule->index >= context->plan->n_rules)
    return mask_context_action(context, rule);
  return context->plan->by_allowed[rule->index];
}

void
mask_context_count(MaskContext *context, const char *rule_id)
{
  const gpointer n = g_hash_table_lookup(context->masked, rule_id);

  g_hash_table_insert(context->masked,
                      g_strdup(rule_id),
                      GUINT_TO_POINTER(GPOINTER_TO_UINT(n) + 1));
}

bool
mask_context_note(MaskContext *context,
                  const Finding *finding,
                  unsigned choice,
                  const char *value,
                  size_t len,
                  GError **error)
{
  char fingerprint[FINGERPRINT_SIZE];
  Finding noted = *finding;

  if (context->findings->len >= STREAM_MAX_FINDINGS) {
    g_set_error_literal(error,
                        INSPECT_ERROR,
                        INSPECT_ERROR_LIMIT,
                        "more findings in one answer than the limit allows");
    return false;
  }
  noted.field = choice;
  masker_fingerprint(context->masker, value, len, fingerprint);
  context->allowed = !context->in_call && len <= MASK_VALUE_MAX &&
                     masker_allows(context->masker, fingerprint);
  noted.allowed = context->allowed;
  g_array_append_val(context->findings, noted);
  g_array_append_vals(context->fingerprints, fingerprint, 1);
  return true;
}
