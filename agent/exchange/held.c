/* SPDX-License-Identifier: Apache-2.0 */
/* The credentials that the agent holds, as exact values: in no request's body
 * do they go upstream, and in no answer to a client, in whatever of the usual
 * codings a server or a model repeats them. */
#include "exchange/state.h"
#include <string.h>

/* Bytes of one coded form; \uXXXX takes six for each. */
#define FORM_MAX HELD_VALUE_MAX

typedef struct {
  ValueSet *set;
  GString *form; /* wiped before it is freed */
} Forms;

/* ---- Codings ----------------------------------------------------------------
 */

static void
add_form(Forms *forms)
{
  /* What is too short to be told from other text is looked for in plain bytes
   * only, by connection_reveals(). */
  (void)value_set_add(
      forms->set, VALUE_HELD, forms->form->str, forms->form->len);
  g_string_truncate(forms->form, 0);
}

static void
add_plain(Forms *forms, const char *text, size_t len)
{
  g_string_append_len(forms->form, text, (gssize)len);
  add_form(forms);
}

/* RFC 4648, 4 and 5. `shift` bytes stand before the value: only the characters
 * that it alone decides are looked for. */
static void
add_base64(Forms *forms, const char *text, size_t len, unsigned shift, bool url)
{
  /* Leading characters that the bytes before have a part in. */
  static const unsigned skip[] = {0, 2, 3};
  const size_t end = (shift + len) * 8 / 6;
  char *padded = g_malloc0(shift + len);
  char *coded;

  memcpy(padded + shift, text, len);
  coded = g_base64_encode((const guchar *)padded, shift + len);
  for (char *c = coded; url && *c; c++)
    *c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
  g_string_append_len(
      forms->form, coded + skip[shift], (gssize)(end - skip[shift]));
  secret_wipe(padded, shift + len);
  secret_wipe(coded, strlen(coded));
  g_free(padded);
  g_free(coded);
  add_form(forms);
}

/* Each byte by a format for one unsigned; `keep`: letters and digits and what
 * need not be escaped (RFC 3986, 2.3) stay. */
static void
add_bytes(Forms *forms,
          const char *text,
          size_t len,
          const char *before,
          bool capital,
          bool keep)
{
  const char *digits = capital ? "0123456789ABCDEF" : "0123456789abcdef";

  for (size_t i = 0; i < len; i++) {
    const uint8_t byte = (uint8_t)text[i];

    if (keep && (g_ascii_isalnum(byte) || strchr("-._~", byte))) {
      g_string_append_c(forms->form, (char)byte);
      continue;
    }
    g_string_append(forms->form, before);
    g_string_append_c(forms->form, digits[byte >> 4]);
    g_string_append_c(forms->form, digits[byte & 15]);
  }
  add_form(forms);
}

static void
add_escaped(Forms *forms, const char *text, size_t len)
{
  static const char *const before[] = {"", "%", "\\u00", "\\x"};

  for (unsigned i = 0; i < G_N_ELEMENTS(before); i++)
    for (unsigned capital = 0; capital < 2; capital++)
      add_bytes(forms, text, len, before[i], capital, false);
  for (unsigned capital = 0; capital < 2; capital++)
    add_bytes(forms, text, len, "%", capital, true);
  if (!memchr(text, '/', len))
    return;
  for (size_t i = 0; i < len; i++) {
    if (text[i] == '/')
      g_string_append_c(forms->form, '\\');
    g_string_append_c(forms->form, text[i]);
  }
  add_form(forms);
}

static void
add_secret(ValueSet *set, const Secret *secret)
{
  Forms forms = {set, g_string_sized_new(FORM_MAX)};
  const char *text = secret_text(secret);
  const size_t len = secret_len(secret);

  add_plain(&forms, text, len);
  for (unsigned shift = 0; shift < 3; shift++) {
    add_base64(&forms, text, len, shift, false);
    add_base64(&forms, text, len, shift, true);
  }
  add_escaped(&forms, text, len);
  secret_wipe(forms.form->str, forms.form->allocated_len);
  g_string_free(forms.form, TRUE);
}

/* ---- The set ----------------------------------------------------------------
 */

static bool
is_same(const GPtrArray *a, const GPtrArray *b)
{
  return a && a->len == b->len &&
         (a->len == 0 ||
          memcmp(a->pdata, b->pdata, a->len * sizeof *a->pdata) == 0);
}

ValueSet *
held_values(ExchangeEnv *env)
{
  g_autoptr(GPtrArray) secrets = NULL;

  if (!env->detector)
    return NULL;
  secrets = conn_table_secrets(env->conns);
  /* They are kept, so that no other one comes to stand at the same place. */
  if (is_same(env->held_secrets, secrets))
    return env->held;
  g_clear_pointer(&env->held, value_set_unref);
  g_clear_pointer(&env->held_secrets, g_ptr_array_unref);
  if (secrets->len) {
    env->held = value_set_new();
    for (unsigned i = 0; i < secrets->len; i++)
      add_secret(env->held, secrets->pdata[i]);
    value_set_seal(env->held);
  }
  env->held_secrets = g_steal_pointer(&secrets);
  detector_scratch_hold(env->scratch, env->held);
  return env->held;
}

void
held_clear(ExchangeEnv *env)
{
  g_clear_pointer(&env->held, value_set_unref);
  g_clear_pointer(&env->held_secrets, g_ptr_array_unref);
}

/* ---- Findings ---------------------------------------------------------------
 */

static bool
is_held(const Finding *finding)
{
  return strcmp(finding->rule->id, value_kind_id(VALUE_HELD)) == 0;
}

bool
held_found(const Finding *findings, unsigned n)
{
  for (unsigned i = 0; i < n; i++)
    if (is_held(&findings[i]))
      return true;
  return false;
}

bool
held_inspected(const Inspection *inspection)
{
  unsigned n;
  const Finding *findings = inspection_findings(inspection, &n);

  return held_found(findings, n);
}

GArray *
held_spans(const Inspection *inspection, const GArray *spans)
{
  GArray *all = g_array_new(FALSE, FALSE, sizeof(MaskSpan));
  unsigned n;
  const Finding *findings = inspection_findings(inspection, &n);

  if (spans->len)
    g_array_append_vals(all, spans->data, spans->len);
  for (unsigned i = 0; i < n; i++) {
    MaskSpan span = {.field = findings[i].field,
                     .start = findings[i].start,
                     .end = findings[i].end,
                     .rule_id = findings[i].rule->id,
                     .restore = RESTORE_NONE};

    if (is_held(&findings[i]))
      g_array_append_val(all, span);
  }
  return all;
}

void
held_block(StreamPlan *plan, const RulePack *pack)
{
  const DetectorRule *rule = rule_pack_value_rule(pack, VALUE_HELD);

  plan->by_rule[rule->index] = ACTION_BLOCK;
  if (plan->by_allowed)
    plan->by_allowed[rule->index] = ACTION_BLOCK;
  if (plan->by_restored)
    plan->by_restored[rule->index] = ACTION_BLOCK;
}
