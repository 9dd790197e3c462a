/* SPDX-License-Identifier: Apache-2.0 */
/* Policies that load: every key, layers, groups, the revision, the effective
 * text and the warnings. */

#include "policy/policy.h"

#include <glib/gstdio.h>
#include <string.h>

static Policy *
parse(const char *text)
{
  g_autoptr(GError) error = NULL;
  Policy *policy = policy_parse("p.yaml", text, strlen(text), &error);

  g_assert_no_error(error);
  return policy;
}

static Policy *
parse_layers(const char *central,
             const char *system,
             const char *user,
             GError **error)
{
  const PolicyText texts[] = {
      {"central.yaml", central, strlen(central), LAYER_CENTRAL},
      {"system.yaml", system, strlen(system), LAYER_SYSTEM},
      {"user.yaml", user, strlen(user), LAYER_USER},
  };

  return policy_parse_layers(texts, G_N_ELEMENTS(texts), error);
}

static const PolicyRule *
rule_at(const Policy *policy, unsigned i)
{
  unsigned n;
  const PolicyRule *const *rules = policy_rules(policy, &n);

  g_assert_cmpuint(i, <, n);
  return rules[i];
}

static const char everything[] =
    "version: 1\n"
    "default: allow\n"
    "tunnels: block\n"
    "groups:\n"
    "  ai-users: [developers, contractors]\n"
    "rules:\n"
    "  - id: everything\n"
    "    match:\n"
    "      group: [ai-users, contractors]\n"
    "      user: 'a*'\n"
    "      connection: copilot\n"
    "      host: '*.githubcopilot.com'\n"
    "      method: [GET, POST]\n"
    "      path: /v1/*\n"
    "      api: [chat, messages]\n"
    "      model: gpt-*\n"
    "      initiator: agent\n"
    "      process: /usr/bin/*\n"
    "      repo: acme/*\n"
    "      direction: request\n"
    "      finding: {class: [secret, card], rule: aws-*, min: 2}\n"
    "      fields: [password, api_key]\n"
    "      prompt: '(?i)secret'\n"
    "      size: {min: 1K, max: 1M}\n"
    "      time: {from: '22:00', to: '06:00', days: [fri, sat], zone: "
    "Europe/Berlin}\n"
    "      rate: {count: 10, window: 5m}\n"
    "      budget: {requests: 7, bytes: 2K, tokens: 9, window: 31d, "
    "connection: copilot, model: [a, b*]}\n"
    "      first-in-session: false\n"
    "    action: approve\n"
    "    by: [developer, 'reviewer:leads']\n"
    "    timeout: 2m\n"
    "    message: |\n"
    "      Ask\n"
    "      first.\n"
    "    completions: mask\n"
    "    shadow: true\n"
    "  - id: call\n"
    "    match: {tool: {name: [bash, 'run_*'], arguments: 'rm -rf'}}\n"
    "    action: block\n"
    "  - id: mask\n"
    "    match: {group: '*', finding: {class: secret}}\n"
    "    action: mask\n"
    "    restore: tools\n";

static void
check_subject(const PolicyMatch *match)
{
  g_assert_cmpstr(match->groups[1], ==, "contractors");
  g_assert_false(match->everybody);
  g_assert_cmpuint(match->n_group_ids, ==, 2);
  g_assert_cmpstr(match->users[0], ==, "a*");
  g_assert_cmpstr(match->connections[0], ==, "copilot");
  g_assert_cmpstr(match->hosts[0], ==, "*.githubcopilot.com");
  g_assert_cmpstr(match->methods[1], ==, "POST");
  g_assert_cmpstr(match->paths[0], ==, "/v1/*");
  g_assert_cmpint(match->apis, ==, 1 << API_CHAT | 1 << API_MESSAGES);
  g_assert_cmpstr(match->models[0], ==, "gpt-*");
  g_assert_cmpstr(match->initiators[0], ==, "agent");
  g_assert_cmpstr(match->processes[0], ==, "/usr/bin/*");
  g_assert_cmpstr(match->repos[0], ==, "acme/*");
}

static void
check_content(const PolicyMatch *match)
{
  g_assert_cmpint(match->direction, ==, DIRECTION_REQUEST);
  g_assert_true(match->has_finding);
  g_assert_cmpstr(match->finding_classes[1], ==, "card");
  g_assert_cmpstr(match->finding_rules[0], ==, "aws-*");
  g_assert_cmpuint(match->finding_min, ==, 2);
  g_assert_cmpstr(match->fields[1], ==, "api_key");
  g_assert_cmpstr(policy_pattern_source(match->prompt), ==, "(?i)secret");
  g_assert_cmpint(match->size_min, ==, 1024);
  g_assert_cmpint(match->size_max, ==, 1048576);
  g_assert_cmpint(match->time_from, ==, 22 * 60);
  g_assert_cmpint(match->time_to, ==, 6 * 60);
  g_assert_cmpuint(match->weekdays, ==, 1u << 4 | 1u << 5);
  g_assert_cmpstr(match->time_zone, ==, "Europe/Berlin");
  g_assert_nonnull(match->zone);
  g_assert_cmpuint(match->rate_count, ==, 10);
  g_assert_cmpuint(match->rate_window, ==, 300);
  g_assert_cmpint(match->budget.requests, ==, 7);
  g_assert_cmpint(match->budget.bytes, ==, 2048);
  g_assert_cmpint(match->budget.tokens, ==, 9);
  g_assert_cmpuint(match->budget.window, ==, 31 * 24 * 60 * 60);
  g_assert_cmpstr(match->budget.connections[0], ==, "copilot");
  g_assert_cmpstr(match->budget.models[1], ==, "b*");
  g_assert_cmpint(match->first_in_session, ==, 0);
}

static void
test_every_key(void)
{
  g_autoptr(Policy) policy = parse(everything);
  const PolicyRule *rule = rule_at(policy, 0);

  g_assert_cmpint(policy_default(policy), ==, ACTION_ALLOW);
  g_assert_cmpint(policy_tunnels(policy), ==, ACTION_BLOCK);
  check_subject(&rule->match);
  check_content(&rule->match);
  g_assert_cmpstr(rule->id, ==, "everything");
  g_assert_cmpint(rule->action, ==, ACTION_APPROVE);
  g_assert_cmpuint(rule->n_approvers, ==, 2);
  g_assert_cmpint(rule->by, ==, BY_ALL);
  g_assert_cmpuint(rule->approvals_needed, ==, 2);
  g_assert_cmpint(rule->approvers[1].kind, ==, APPROVER_REVIEWER);
  g_assert_cmpstr(rule->approvers[1].group, ==, "leads");
  g_assert_cmpuint(rule->timeout, ==, 120);
  g_assert_cmpstr(rule->message, ==, "Ask first.");
  g_assert_cmpint(rule->completions, ==, ACTION_MASK);
  g_assert_true(rule->shadow);
  g_assert_cmpint(rule->layer, ==, LAYER_CENTRAL);
  g_assert_cmpstr(rule->origin, ==, "p.yaml:7");
  g_assert_cmpuint(rule->phases, ==, RULE_ON_REQUEST);

  rule = rule_at(policy, 1);
  g_assert_cmpstr(rule->match.tool_names[1], ==, "run_*");
  g_assert_nonnull(rule->match.tool_arguments);
  g_assert_cmpuint(rule->phases, ==, RULE_ON_TOOL);
  g_assert_cmpint(rule->match.first_in_session, ==, -1);

  rule = rule_at(policy, 2);
  g_assert_true(rule->match.everybody);
  g_assert_cmpuint(rule->match.n_group_ids, ==, 0);
  g_assert_cmpuint(rule->match.finding_min, ==, 1);
  g_assert_cmpint(rule->restore, ==, RESTORE_TOOLS);
  g_assert_cmpuint(rule->phases, ==, RULE_ON_REQUEST | RULE_ON_ANSWER);
}

static void
test_phases(void)
{
  static const struct {
    const char *rule;
    unsigned phases;
  } cases[] = {
      {"match: {user: a}, action: block", RULE_ON_REQUEST},
      {"match: {user: a}, action: approve", RULE_ON_REQUEST},
      {"match: {user: a}, action: allow", RULE_ON_REQUEST},
      {"match: {prompt: a}, action: block", RULE_ON_REQUEST},
      {"match: {finding: {min: 1}}, action: block",
       RULE_ON_REQUEST | RULE_ON_ANSWER},
      {"match: {finding: {min: 1}}, action: approve", RULE_ON_REQUEST},
      {"match: {finding: {min: 1}, size: {min: 1}}, action: block",
       RULE_ON_REQUEST},
      {"match: {finding: {min: 1}, direction: response}, action: mask",
       RULE_ON_ANSWER},
      {"match: {fields: a}, action: mask", RULE_ON_REQUEST | RULE_ON_ANSWER},
      {"match: {fields: a}, action: block",
       RULE_ON_REQUEST | RULE_ON_ANSWER | RULE_ON_TOOL},
      {"match: {fields: a, direction: request}, action: block",
       RULE_ON_REQUEST},
      {"match: {tool: {name: a}, direction: response}, action: approve",
       RULE_ON_TOOL},
      {"match: {tool: {name: a}, finding: {min: 1}}, action: block",
       RULE_ON_TOOL},
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *text =
        g_strdup_printf("version: 1\nrules:\n  - {id: r, %s}\n", cases[i].rule);
    g_autoptr(Policy) policy = parse(text);

    g_test_message("%s", cases[i].rule);
    g_assert_cmpuint(rule_at(policy, 0)->phases, ==, cases[i].phases);
  }
}

static void
test_approvers(void)
{
  static const struct {
    const char *by;
    ApproveBy how;
    unsigned n, needed;
  } cases[] = {
      {"developer", BY_ALL, 1, 1},
      {"[developer]", BY_ALL, 1, 1},
      {"[developer, presence]", BY_ALL, 2, 2},
      {"[developer, 'reviewer:a', 'reviewer:b']", BY_ALL, 3, 3},
      {"{all: [developer, presence]}", BY_ALL, 2, 2},
      {"{any: [developer, 'reviewer:a']}", BY_ANY, 2, 1},
      {"{any: presence}", BY_ANY, 1, 1},
      {"{count: 2, of: ['reviewer:a']}", BY_COUNT, 1, 2},
      {"{count: 2, of: [developer, 'reviewer:a']}", BY_COUNT, 2, 2},
      {"{count: 1, of: [developer, presence]}", BY_COUNT, 2, 1},
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *text =
        g_strdup_printf("version: 1\nrules:\n  - {id: r, match: {user: a}, "
                        "action: approve, by: %s}\n",
                        cases[i].by);
    g_autoptr(Policy) policy = parse(text);
    const PolicyRule *rule = rule_at(policy, 0);

    g_test_message("%s", cases[i].by);
    g_assert_cmpint(rule->by, ==, cases[i].how);
    g_assert_cmpuint(rule->n_approvers, ==, cases[i].n);
    g_assert_cmpuint(rule->approvals_needed, ==, cases[i].needed);
  }
}

/* What a file leaves out is the strict choice. */
static void
test_defaults(void)
{
  g_autoptr(Policy) policy =
      parse("version: 1\nrules:\n  - {id: r, match: {user: a}, action: "
            "approve}\n");
  const PolicyRule *rule = rule_at(policy, 0);

  g_assert_cmpint(policy_default(policy), ==, ACTION_BLOCK);
  g_assert_cmpint(policy_tunnels(policy), ==, ACTION_BLOCK);
  g_assert_cmpuint(rule->n_approvers, ==, 1);
  g_assert_cmpint(rule->approvers[0].kind, ==, APPROVER_DEVELOPER);
  g_assert_cmpint(rule->completions, ==, ACTION_BLOCK);
  g_assert_cmpuint(rule->timeout, ==, 0);
  g_assert_cmpint(rule->restore, ==, RESTORE_NONE);
  g_assert_false(rule->shadow);
}

static void
test_json(void)
{
  g_autoptr(Policy) policy =
      parse("{\"version\": 1, \"default\": \"allow\", \"rules\": [{\"id\": "
            "\"r\", \"match\": {\"prompt\": \"a\\\\b\"}, \"action\": "
            "\"block\"}]}\n");

  g_assert_cmpstr(
      policy_pattern_source(rule_at(policy, 0)->match.prompt), ==, "a\\b");
}

/* ---- Groups ------------------------------------------------------------ */

static void
test_groups(void)
{
  static const char text[] =
      "version: 1\n"
      "groups: {staff: [devs, ops, local], '/a/b': [x]}\n"
      "rules:\n"
      "  - {id: a, match: {group: staff}, action: block}\n"
      "  - {id: b, match: {group: [local, devs]}, action: block}\n"
      "  - {id: c, match: {group: ['*', staff]}, action: block}\n"
      "  - {id: d, match: {group: '/a/b'}, action: block}\n";
  static const char *const devs[] = {"devs", "other", NULL};
  static const char *const ops[] = {"ops", NULL};
  static const char *const local[] = {"local", NULL};
  static const char *const staff[] = {"staff", NULL};
  static const char *const none[] = {NULL};
  const struct {
    const char *const *groups;
    bool in_staff, in_devs, in_local;
  } cases[] = {
      {devs, true, true, false},
      {ops, true, false, false},
      {local, true, false, true},
      /* A name of the table is no identity group of that name. */
      {staff, false, false, false},
      {none, false, false, false},
      {NULL, false, false, false},
  };
  g_autoptr(Policy) policy = parse(text);

  for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree uint64_t *bits = policy_groups_of(policy, cases[i].groups);
    const PolicyMatch *first = &rule_at(policy, 0)->match;
    const PolicyMatch *second = &rule_at(policy, 1)->match;

    g_assert_true(policy_in_group(policy, "*", cases[i].groups));
    g_assert_cmpint(policy_in_group(policy, "staff", cases[i].groups),
                    ==,
                    cases[i].in_staff);
    g_assert_cmpint(
        policy_in_group(policy, "devs", cases[i].groups), ==, cases[i].in_devs);
    g_assert_cmpint(
        (bits[0] >> first->group_ids[0] & 1) != 0, ==, cases[i].in_staff);
    g_assert_cmpint(
        (bits[0] >> second->group_ids[0] & 1) != 0, ==, cases[i].in_local);
    g_assert_cmpint(
        (bits[0] >> second->group_ids[1] & 1) != 0, ==, cases[i].in_devs);
  }
  g_assert_true(rule_at(policy, 2)->match.everybody);
}

/* More groups than one word has bits. */
static void
test_many_groups(void)
{
  g_autoptr(GString) text = g_string_new("version: 1\ngroups:\n");
  g_autoptr(Policy) policy = NULL;
  g_autofree uint64_t *bits = NULL;
  static const char *const mine[] = {"m70", NULL};
  unsigned found = 0;

  for (unsigned i = 0; i < 150; i++)
    g_string_append_printf(text, "  g%u: m%u\n", i, i);
  g_string_append(text, "rules:\n");
  for (unsigned i = 0; i < 150; i++)
    g_string_append_printf(
        text, "  - {id: r%u, match: {group: g%u}, action: block}\n", i, i);
  policy = parse(text->str);
  bits = policy_groups_of(policy, mine);
  for (unsigned i = 0; i < 150; i++) {
    unsigned id = rule_at(policy, i)->match.group_ids[0];

    if ((bits[id / 64] >> id % 64 & 1) != 0) {
      g_assert_cmpuint(i, ==, 70);
      found++;
    }
  }
  g_assert_cmpuint(found, ==, 1);
}

/* ---- Layers ------------------------------------------------------------ */

static void
test_layers(void)
{
  static const char central[] =
      "version: 1\ndefault: block\ngroups: {devs: [a]}\nrules:\n"
      "  - {id: c, match: {group: devs}, action: allow}\n";
  static const char system[] =
      "version: 1\ndefault: allow\ntunnels: allow\n"
      "groups: {devs: [everyone], ops: [b]}\nrules:\n"
      "  - {id: s, match: {group: ops}, action: block}\n";
  static const char user[] =
      "version: 1\nrules:\n"
      "  - {id: u, match: {group: ops}, action: approve}\n";
  static const char *const everyone[] = {"everyone", NULL};
  static const char *const b[] = {"b", NULL};
  g_autoptr(GError) error = NULL;
  g_autoptr(Policy) policy = parse_layers(central, system, user, &error);
  g_auto(GStrv) warnings = NULL;
  unsigned n;

  g_assert_no_error(error);
  policy_rules(policy, &n);
  g_assert_cmpuint(n, ==, 3);
  g_assert_cmpint(rule_at(policy, 0)->layer, ==, LAYER_CENTRAL);
  g_assert_cmpint(rule_at(policy, 1)->layer, ==, LAYER_SYSTEM);
  g_assert_cmpint(rule_at(policy, 2)->layer, ==, LAYER_USER);
  g_assert_cmpstr(rule_at(policy, 2)->origin, ==, "user.yaml:3");
  g_assert_cmpint(policy_default(policy), ==, ACTION_BLOCK);
  g_assert_cmpint(policy_tunnels(policy), ==, ACTION_ALLOW);
  g_assert_false(policy_in_group(policy, "devs", everyone));
  g_assert_true(policy_in_group(policy, "ops", b));
  warnings = policy_warnings(policy, NULL);
  g_assert_cmpuint(g_strv_length(warnings), ==, 2);
  g_assert_cmpstr(warnings[0],
                  ==,
                  "system.yaml:4: group \"devs\" stays as central.yaml:3 "
                  "says");
  g_assert_cmpstr(warnings[1],
                  ==,
                  "system.yaml:2: \"default\" stays as central.yaml:2 says");
}

/* A later layer's table is not there for an earlier one's rules, and ids are
 * one name space. */
static void
test_layer_errors(void)
{
  g_autoptr(GError) error = NULL;

  g_assert_null(parse_layers(
      "version: 1\nrules:\n  - {id: c, match: {group: ops}, action: block}\n",
      "version: 1\ngroups: {ops: [b]}\n",
      "version: 1\n",
      &error));
  g_assert_cmpstr(error->message,
                  ==,
                  "central.yaml:3:28: group \"ops\" is not in the groups "
                  "table");
  g_clear_error(&error);
  g_assert_null(parse_layers(
      "version: 1\nrules:\n  - {id: c, match: {user: a}, action: block}\n",
      "version: 1\n",
      "version: 1\nrules:\n  - {id: c, match: {user: b}, action: block}\n",
      &error));
  g_assert_cmpstr(error->message,
                  ==,
                  "user.yaml:3:10: rule \"c\" is there already "
                  "(central.yaml:3)");
  g_clear_error(&error);
  g_assert_null(
      parse_layers("version: 1\n", "version: 2\n", "version: 1\n", &error));
  g_assert_cmpstr(
      error->message, ==, "system.yaml:1:10: \"version\" must be 1");
}

/* ---- Revision, text, warnings ------------------------------------------ */

static void
test_revision(void)
{
  g_autoptr(Policy) policy = parse("version: 1\n");
  g_autoptr(Policy) same = parse("version: 1\n");
  g_autoptr(Policy) other = parse("version: 1 # changed\n");
  const PolicyText texts[] = {
      {"elsewhere.yaml", "version: 1\n", 11, LAYER_CENTRAL},
      {"user.yaml", "version: 1\n", 11, LAYER_USER}};
  const PolicyText user = {"p.yaml", "version: 1\n", 11, LAYER_USER};
  g_autoptr(Policy) moved = policy_parse_layers(texts, 1, NULL);
  g_autoptr(Policy) two = policy_parse_layers(texts, 2, NULL);
  g_autoptr(Policy) as_user = policy_parse_layers(&user, 1, NULL);

  g_assert_cmpuint(strlen(policy_revision(policy)), ==, 64);
  g_assert_cmpstr(policy_revision(policy), ==, policy_revision(same));
  g_assert_cmpstr(policy_revision(policy), ==, policy_revision(moved));
  g_assert_cmpstr(policy_revision(policy), !=, policy_revision(other));
  g_assert_cmpstr(policy_revision(policy), !=, policy_revision(two));
  g_assert_cmpstr(policy_revision(policy), !=, policy_revision(as_user));
}

static void
test_text(void)
{
  g_autoptr(Policy) policy = parse(everything);
  g_autofree char *text = policy_to_text(policy);
  g_autoptr(Policy) again = parse(text);
  g_autofree char *same = policy_to_text(again);
  const char *first = strstr(text, "\nrules:\n"), *second;

  g_assert_nonnull(
      strstr(text, "\n  # central: p.yaml:7\n  - id: everything\n"));
  g_assert_nonnull(strstr(text, "message: \"Ask\\nfirst.\\n\"\n"));
  /* Read back and written again, only the places differ. */
  second = strstr(same, "\nrules:\n");
  g_assert_nonnull(first);
  g_assert_nonnull(second);
  for (unsigned i = 0; i < 3; i++) {
    const PolicyRule *a = rule_at(policy, i), *b = rule_at(again, i);

    g_assert_cmpstr(a->id, ==, b->id);
    g_assert_cmpuint(a->phases, ==, b->phases);
    g_assert_cmpstr(a->message, ==, b->message);
  }
  check_subject(&rule_at(again, 0)->match);
  check_content(&rule_at(again, 0)->match);
}

static void
test_text_quoting(void)
{
  static const char text[] =
      "version: 1\n"
      "groups: {'it''s: odd': ['#x', '- y', 'true', \"a\\tb\"]}\n"
      "rules:\n"
      "  - {id: r, match: {user: ['null', '1', '[', \"q\\\"\\\\\\n\"]}, "
      "action: block, message: '# no'}\n";
  g_autoptr(Policy) policy = parse(text);
  g_autofree char *shown = policy_to_text(policy);
  g_autoptr(Policy) again = parse(shown);
  char **users = rule_at(policy, 0)->match.users;

  for (unsigned i = 0; i < 4; i++)
    g_assert_cmpstr(users[i], ==, rule_at(again, 0)->match.users[i]);
  g_assert_cmpstr(rule_at(again, 0)->message, ==, "# no");
}

static void
test_warnings(void)
{
  static const char text[] =
      "version: 1\n"
      "default: allow\n"
      "rules:\n"
      "  - {id: a, match: {finding: {class: [secret, sekret]}}, action: "
      "mask}\n"
      "  - {id: b, match: {finding: {rule: 'aws-*', class: pii}}, action: "
      "mask}\n"
      "  - {id: c, match: {user: a}, action: approve, by: 'reviewer:x'}\n"
      "  - {id: d, match: {user: a}, action: approve, by: {any: [developer, "
      "'reviewer:x']}}\n";
  static const char pack_text[] =
      "version: 1\n"
      "rules:\n"
      "  - {id: one, class: secret, regex: a}\n"
      "  - {id: two, class: pii, regex: b, enabled: false}\n";
  static const char *const expected[] = {
      "no file sets \"tunnels\": hosts of no connection are blocked",
      "p.yaml:4: rule \"a\": no detector rule of class \"sekret\" is in the "
      "pack",
      "p.yaml:5: rule \"b\": no detector rule named \"aws-*\" is in the pack",
      "p.yaml:6: rule \"c\": reviewers answer through a hub; without one what "
      "this rule holds is refused",
      "p.yaml:7: rule \"d\": reviewers answer through a hub; without one only "
      "the others can",
  };
  g_autoptr(Policy) policy = parse(text);
  g_autoptr(RulePack) pack =
      rule_pack_parse("r.yaml", pack_text, strlen(pack_text), NULL);
  g_auto(GStrv) warnings = policy_warnings(policy, pack);
  g_auto(GStrv) fewer = policy_warnings(policy, NULL);

  g_assert_cmpuint(g_strv_length(warnings), ==, G_N_ELEMENTS(expected));
  for (unsigned i = 0; i < G_N_ELEMENTS(expected); i++)
    g_assert_cmpstr(warnings[i], ==, expected[i]);
  g_assert_cmpuint(g_strv_length(fewer), ==, 3);
}

/* What a policy names of the detectors, and what that switches on. */
static void
test_named_findings(void)
{
  static const char text[] =
      "version: 1\n"
      "default: allow\n"
      "rules:\n"
      "  - {id: a, match: {finding: {class: [secret, pii, '*']}}, action: "
      "mask}\n"
      "  - {id: b, match: {finding: {rule: 'thr*', class: pii}}, action: "
      "mask, shadow: true}\n"
      "  - {id: c, match: {finding: {rule: '*'}}, action: mask}\n";
  static const char pack_text[] =
      "version: 1\n"
      "rules:\n"
      "  - {id: one, class: secret, regex: a}\n"
      "  - {id: two, class: pii, regex: b, enabled: false}\n"
      "  - {id: three, class: x, regex: c, enabled: false}\n"
      "  - {id: four, class: x, regex: d, enabled: false}\n";
  static const char *const none[] = {
      "class:secret", "rule:one", "class:fou", "class:*y", "four", NULL};
  g_autoptr(Policy) policy = parse(text);
  g_auto(GStrv) named = policy_named_findings(policy);
  g_autofree char *joined = g_strjoinv(" ", named);
  g_autoptr(RulePack) pack =
      rule_pack_parse("r.yaml", pack_text, strlen(pack_text), NULL);
  g_autofree char *hash = g_strdup(rule_pack_hash(pack));
  unsigned n;
  const DetectorRule *const *rules = rule_pack_rules(pack, &n);

  g_assert_cmpstr(joined, ==, "class:pii class:secret rule:thr*");
  g_assert_false(rule_pack_switch_on(pack, none));
  g_assert_cmpstr(rule_pack_hash(pack), ==, hash);
  g_assert_true(rule_pack_switch_on(pack, (const char *const *)named));
  g_assert_cmpstr(rule_pack_hash(pack), !=, hash);
  g_assert_true(rules[1]->enabled);
  g_assert_true(rules[2]->enabled);
  g_assert_false(rules[3]->enabled);
  g_assert_false(rule_pack_switch_on(pack, (const char *const *)named));
}

static void
test_from_files(void)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *dir = g_dir_make_tmp("policy-XXXXXX", &error);
  g_autofree char *path = g_build_filename(dir, "a.yaml", NULL);
  PolicySource sources[] = {{path, LAYER_CENTRAL}, {path, LAYER_SYSTEM}};
  g_autoptr(Policy) policy = NULL, twice = NULL;
  Policy *held;

  g_assert_no_error(error);
  g_assert_true(g_file_set_contents(path, "version: 1\n", -1, &error));
  policy = policy_load(sources, 1, &error);
  g_assert_no_error(error);
  twice = policy_load(sources, 2, &error);
  g_assert_no_error(error);
  g_assert_cmpstr(policy_revision(policy), !=, policy_revision(twice));
  held = policy_ref(policy);
  policy_unref(held);
  policy_unref(NULL);
  g_assert_cmpint(g_remove(path), ==, 0);
  g_assert_cmpint(g_rmdir(dir), ==, 0);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/policy/load/keys", test_every_key);
  g_test_add_func("/policy/load/phases", test_phases);
  g_test_add_func("/policy/load/approvers", test_approvers);
  g_test_add_func("/policy/load/defaults", test_defaults);
  g_test_add_func("/policy/load/json", test_json);
  g_test_add_func("/policy/load/files", test_from_files);
  g_test_add_func("/policy/groups", test_groups);
  g_test_add_func("/policy/groups/many", test_many_groups);
  g_test_add_func("/policy/layers", test_layers);
  g_test_add_func("/policy/layers/errors", test_layer_errors);
  g_test_add_func("/policy/revision", test_revision);
  g_test_add_func("/policy/text", test_text);
  g_test_add_func("/policy/text/quoting", test_text_quoting);
  g_test_add_func("/policy/warnings", test_warnings);
  g_test_add_func("/policy/named-findings", test_named_findings);
  return g_test_run();
}
