/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a policy file, as several that include each other, as a test
 * file and a rule file: refused with a message that names the file, or loaded;
 * what loads reads back from its own text as the same policy, and judges
 * without a fault. */

#include "tests/unit/judge-fake.h"
#include "tests/unit/policy-files.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_error(GError *error)
{
  g_assert_nonnull(error);
  g_assert_true(error->domain == POLICY_ERROR);
  g_assert_true(g_str_has_prefix(error->message, "f.yaml:"));
  g_assert_true(g_utf8_validate(error->message, -1, NULL));
}

static void
check_same(const Policy *a, const Policy *b)
{
  unsigned n_a, n_b;
  const PolicyRule *const *first = policy_rules(a, &n_a);
  const PolicyRule *const *second = policy_rules(b, &n_b);

  g_assert_cmpuint(n_a, ==, n_b);
  g_assert_cmpint(policy_default(a), ==, policy_default(b));
  g_assert_cmpint(policy_tunnels(a), ==, policy_tunnels(b));
  for (unsigned i = 0; i < n_a; i++) {
    g_assert_cmpstr(first[i]->id, ==, second[i]->id);
    g_assert_cmpint(first[i]->action, ==, second[i]->action);
    g_assert_cmpuint(first[i]->match.asked, ==, second[i]->match.asked);
    g_assert_cmpuint(first[i]->phases, ==, second[i]->phases);
    g_assert_cmpstr(first[i]->message, ==, second[i]->message);
  }
}

static void
judge_it(Policy *policy)
{
  g_auto(FakeSubject) fake = {0};
  g_autoptr(Verdict) verdict = NULL;
  g_autofree char *json = NULL, *text = NULL;
  bool blocks;

  fake_subject(&fake, "groups;repo");
  verdict = judge_body(policy, &fake.subject, NULL, true, NULL, NULL);
  blocks = verdict_action(verdict) == ACTION_BLOCK;
  g_assert_true(blocks || policy_default(policy) == ACTION_ALLOW ||
                verdict_reason(verdict) != NULL);
  json = verdict_to_json(verdict);
  text = verdict_to_text(verdict);
  g_assert_true(g_utf8_validate(json, -1, NULL));
  g_assert_true(g_utf8_validate(text, -1, NULL));
}

static void
load_policy(const char *text, size_t size, PolicyLayer layer)
{
  const PolicyText one = {"f.yaml", text, size, layer};
  g_autoptr(GError) error = NULL;
  g_autoptr(Policy) policy = policy_parse_layers(&one, 1, &error);
  g_autofree char *shown = NULL;
  g_autoptr(Policy) again = NULL;
  g_auto(GStrv) warnings = NULL;

  if (policy == NULL) {
    check_error(error);
    return;
  }
  g_assert_no_error(error);
  shown = policy_to_text(policy);
  again = policy_parse("f.yaml", shown, strlen(shown), &error);
  g_assert_no_error(error);
  check_same(policy, again);
  warnings = policy_warnings(policy, NULL);
  judge_it(policy);
}

/* Files of one text, see policy-files.h: what is first, and what that
 * includes; then what stays of it when each layer is this text. */
static void
load_files(const char *text, size_t size)
{
  g_autofree char *all = g_strdup_printf("==> /f.yaml\n%.*s", (int)size, text);
  const PolicyReader reader = {
      .read = files_read, .list = files_list, .data = all};
  const PolicySource files[] = {{"/f.yaml", LAYER_SYSTEM, FILE_OWN},
                                {"/d/u.yaml", LAYER_USER, FILE_OWN}};
  g_autoptr(GError) error = NULL, other = NULL;
  g_autoptr(Policy) policy = files_load(all, "/f.yaml", LAYER_SYSTEM, &error);
  g_autoptr(Policy) former = fake_policy("version: 1\ndefault: block\n");
  g_autofree char *held = NULL;
  g_auto(GStrv) seen = NULL;
  g_autoptr(Policy) over = policy_load_from(
      &reader, files, G_N_ELEMENTS(files), former, &seen, &held, &other);

  g_assert_cmpint(policy == NULL, ==, error != NULL);
  if (policy != NULL)
    judge_it(policy);
  if (error != NULL)
    g_assert_true(error->domain == POLICY_ERROR);
  /* There is always a policy to go back to, and something is said then. */
  g_assert_nonnull(over);
  g_assert_true(policy != NULL || held != NULL);
  g_assert_nonnull(seen[0]);
}

static void
load_cases(const char *text, size_t size)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(PolicyCases) cases =
      policy_cases_parse("f.yaml", text, size, &error);
  const PolicyCase *const *list;
  unsigned n;

  if (cases == NULL) {
    check_error(error);
    return;
  }
  list = policy_cases_list(cases, &n);
  g_assert_cmpuint(n, >, 0);
  for (unsigned i = 0; i < n; i++)
    g_assert_nonnull(list[i]->texts[0]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  const char *text = size > 0 ? (const char *)data : "";
  g_autoptr(GError) error = NULL;
  g_autoptr(RulePack) pack = NULL;

  load_policy(text, size, LAYER_CENTRAL);
  load_policy(text, size, LAYER_USER);
  load_files(text, size);
  pack = rule_pack_parse("f.yaml", text, size, &error);
  if (pack == NULL)
    check_error(error);
  load_cases(text, size);
  return 0;
}
