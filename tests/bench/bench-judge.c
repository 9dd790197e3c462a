/* SPDX-License-Identifier: Apache-2.0 */
/* How long a verdict takes on a thousand rules and a hundred findings, and how
 * long a thousand rules take to load. Fails when it misses the figure. */

#include "tests/unit/judge-fake.h"

#include <stdio.h>
#include <time.h>

#define N_RULES 1000
#define N_FINDINGS 100
#define ROUNDS 200
/* The best of these counts, in processor time: others work here too. */
#define SAMPLES 25
/* What must be reached. */
#define MAX_VERDICT_US 50.0
#define MAX_LOAD_MS 100.0

/* A policy as a large firm would write it: groups, models, hosts, findings of
 * a class or of rules by name, fields; one regex over the prompt, because its
 * time is the prompt's and not the rules'. */
static const char *const shapes[] = {
    "match: {group: staff, finding: {class: secret}}, action: mask",
    "match: {group: [ops, staff], finding: {rule: 'aws-*'}}, action: mask",
    "match: {group: ops, api: chat, model: 'claude-*'}, action: block",
    "match: {user: 'b*', host: '*.example.com'}, action: block",
    "match: {group: staff, finding: {class: [card, pii], min: 200}}, action: "
    "block",
    "match: {path: '/v1/*', method: [PUT, DELETE]}, action: block",
    "match: {group: '*', finding: {rule: [gh-token, card], class: secret}}, "
    "action: mask",
    "match: {group: '*', fields: [password, api_key]}, action: mask",
    "match: {time: {from: '20:00', to: '06:00', days: [sat, sun], zone: "
    "UTC}}, action: approve",
    "match: {tool: {name: bash, arguments: 'rm -rf'}}, action: approve",
};

static int64_t
cpu_us(void)
{
  struct timespec now;

  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static GString *
policy_text(void)
{
  GString *text = g_string_new(
      "version: 1\ndefault: allow\ngroups: {staff: [devs], ops: [sre]}\n"
      "rules:\n");

  for (unsigned i = 0; i < N_RULES; i++)
    g_string_append_printf(
        text, "  - {id: r%u, %s}\n", i, shapes[i % G_N_ELEMENTS(shapes)]);
  return text;
}

static double
load_ms(const GString *text)
{
  double best = 1e9;

  for (unsigned i = 0; i < SAMPLES; i++) {
    g_autoptr(GError) error = NULL;
    int64_t start = cpu_us();
    g_autoptr(Policy) policy =
        policy_parse("bench.yaml", text->str, text->len, &error);

    g_assert_no_error(error);
    best = MIN(best, (double)(cpu_us() - start) / 1000);
  }
  return best;
}

static Inspection *
make_body(RulePack *pack)
{
  static const char *const ids[] = {"aws-key", "gh-token", "card", "mail"};
  Inspection *body = fake_body(API_CHAT, DIRECTION_REQUEST);

  for (unsigned i = 0; i < N_FINDINGS; i++) {
    unsigned field = fake_field(body, "content", FIELD_PROMPT, "some text");

    fake_finding(body, fake_rule(pack, ids[i % 4]), field);
  }
  return body;
}

static double
verdict_us(Policy *policy, const Subject *subject, const Inspection *body)
{
  double best = 1e9;

  for (unsigned i = 0; i < SAMPLES; i++) {
    int64_t start = cpu_us();

    for (unsigned j = 0; j < ROUNDS; j++) {
      g_autoptr(Verdict) verdict =
          judge_body(policy, subject, body, false, NULL, NULL);

      g_assert_cmpint(verdict_action(verdict), ==, ACTION_MASK);
    }
    best = MIN(best, (double)(cpu_us() - start) / ROUNDS);
  }
  return best;
}

int
main(void)
{
  g_autoptr(GString) text = policy_text();
  double load = load_ms(text);
  g_autoptr(Policy) policy = fake_policy(text->str);
  g_autoptr(RulePack) pack = fake_pack();
  g_autoptr(Inspection) body = make_body(pack);
  g_auto(FakeSubject) fake = {0};
  double verdict;

  fake_subject(&fake, "");
  verdict = verdict_us(policy, &fake.subject, body);
  printf("load of %d rules: %.1f ms (must be below %.0f)\n",
         N_RULES,
         load,
         MAX_LOAD_MS);
  printf("verdict on %d rules and %d findings: %.1f us (must be below %.0f)\n",
         N_RULES,
         N_FINDINGS,
         verdict,
         MAX_VERDICT_US);
  return load < MAX_LOAD_MS && verdict < MAX_VERDICT_US ? 0 : 1;
}
