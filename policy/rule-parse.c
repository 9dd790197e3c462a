/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a policy rule: its keys, and whether action and conditions go together.
 */
#include "policy/rule-parse.h"

#include "policy/approve-parse.h"
#include "policy/match-parse.h"
#include "policy/units.h"

#include <string.h>

#define MAX_MESSAGE 1000 /* bytes; it goes into one line for a person */

static const char *const rule_keys[] = {"id",
                                        "match",
                                        "action",
                                        "by",
                                        "timeout",
                                        "escalate",
                                        "extend",
                                        "risk",
                                        "reason",
                                        "grants",
                                        "message",
                                        "completions",
                                        "restore",
                                        "shadow",
                                        "allow-fingerprints",
                                        NULL};
static const char *const action_names[] = {"allow",
                                           "mask",
                                           "approve",
                                           "block",
                                           NULL};
static const char *const restore_names[] = {"none", "text", "tools", NULL};
static const char *const layer_names[] = {"central", "system", "user"};
static const char *const completion_names[] = {"mask", "block", NULL};

const char *const *
policy_rule_keys(void)
{
  return rule_keys;
}

const char *
action_name(Action action)
{
  return action_names[action];
}

const char *
restore_name(Restore restore)
{
  return restore_names[restore];
}

const char *
layer_name(PolicyLayer layer)
{
  return layer_names[layer];
}

void
rule_free(PolicyRule *rule)
{
  if (rule == NULL)
    return;
  approvers_clear(rule->approvers, rule->n_approvers);
  approvers_clear(rule->next.list, rule->next.n);
  match_clear(&rule->match);
  g_free(rule->id);
  g_free(rule->message);
  g_free(rule->origin);
  g_free(rule);
}

bool
rule_read_word(const YamlDoc *doc,
               const YamlNode *node,
               const char *what,
               char **out,
               GError **error)
{
  size_t len;

  if (node->kind != YAML_SCALAR)
    return yaml_error(doc, node, error, "\"%s\" must be a text", what);
  len = strlen(node->text);
  if (len == 0 || len > RULE_ID_MAX || !g_ascii_islower(node->text[0]) ||
      strspn(node->text, "abcdefghijklmnopqrstuvwxyz0123456789-") != len)
    return yaml_error(doc,
                      node,
                      error,
                      "\"%s\" must be a lower-case letter and then letters, "
                      "digits and hyphens, at most %d",
                      what,
                      RULE_ID_MAX);
  *out = g_strdup(node->text);
  return true;
}

/* ---- Action and conditions --------------------------------------------- */

/* Whether the conditions can hold for what the action does; the message. */
static const char *
check_direction(const PolicyRule *rule)
{
  const PolicyMatch *match = &rule->match;
  bool content = match->has_finding || match->fields != NULL;

  if (match->has_tool) {
    if (match->direction == DIRECTION_REQUEST)
      return "\"tool\" is about answers, not requests";
    if (match->prompt != NULL || match->size_min >= 0 || match->size_max >= 0 ||
        match->rate_window > 0 || match->budget.window > 0)
      return "\"tool\" is about answers; \"prompt\", \"size\", \"rate\" and "
             "\"budget\" are about requests";
    return NULL;
  }
  if (match->direction != DIRECTION_RESPONSE)
    return NULL;
  if (match->prompt != NULL || match->size_min >= 0 || match->size_max >= 0 ||
      match->rate_window > 0 || match->budget.window > 0)
    return "\"prompt\", \"size\", \"rate\" and \"budget\" are about requests, "
           "not responses";
  if (rule->action == ACTION_ALLOW)
    return "a response needs no \"allow\": only other actions stop it";
  if (rule->action == ACTION_APPROVE)
    return "a response can be approved only tool by tool: add \"tool\", or "
           "use mask or block";
  if (!content)
    return "a response is judged by what it holds: add \"finding\", "
           "\"fields\" or \"tool\"";
  return NULL;
}

static const char *
check_action(const PolicyRule *rule)
{
  const PolicyMatch *match = &rule->match;

  if (rule->action == ACTION_MASK) {
    if (match->has_tool)
      return "\"tool\" can only be approved or blocked; mask what a call "
             "holds with \"finding\" or \"fields\"";
    if (!match->has_finding && match->fields == NULL)
      return "mask needs \"finding\" or \"fields\": what is to be masked";
  }
  if (rule->action == ACTION_ALLOW) {
    if (match->processes != NULL)
      return "\"process\" can be forged, so it must not allow";
    if (match->has_tool)
      return "a tool call needs no \"allow\": only other actions stop it";
    if (match->rate_window > 0)
      return "\"rate\" holds when there were too many, so it must not allow";
    if (match->budget.window > 0)
      return "\"budget\" holds when it is used up, so it must not allow";
  }
  return check_direction(rule);
}

static unsigned
phases_of(const PolicyRule *rule)
{
  const PolicyMatch *match = &rule->match;
  bool request_only = match->prompt != NULL || match->size_min >= 0 ||
                      match->size_max >= 0 || match->rate_window > 0 ||
                      match->budget.window > 0;
  unsigned phases = 0;

  if (match->has_tool)
    return RULE_ON_TOOL;
  if (match->direction != DIRECTION_RESPONSE)
    phases |= RULE_ON_REQUEST;
  if (match->direction != DIRECTION_REQUEST && !request_only &&
      (match->has_finding || match->fields != NULL) &&
      (rule->action == ACTION_MASK || rule->action == ACTION_BLOCK)) {
    phases |= RULE_ON_ANSWER;
    if (rule->action == ACTION_BLOCK && match->fields != NULL)
      phases |= RULE_ON_TOOL;
  }
  return phases;
}

/* Keys that only some actions take, and that the user layer must not set. */
static bool
check_keys(const YamlDoc *doc,
           const YamlNode *node,
           const PolicyRule *rule,
           GError **error)
{
  static const char *const of_approve[] = {"by",
                                           "timeout",
                                           "escalate",
                                           "extend",
                                           "risk",
                                           "reason",
                                           "completions",
                                           "grants"};
  static const char *const not_user[] = {"restore", "shadow"};
  const YamlNode *at;

  for (unsigned i = 0; i < G_N_ELEMENTS(of_approve); i++) {
    at = yaml_get(node, of_approve[i]);
    if (at != NULL && rule->action != ACTION_APPROVE)
      return yaml_error(doc,
                        at,
                        error,
                        "\"%s\" belongs to approve rules, this is %s",
                        of_approve[i],
                        action_name(rule->action));
  }
  at = yaml_get(node, "allow-fingerprints");
  if (at != NULL && (rule->action == ACTION_ALLOW || !rule->match.has_finding))
    return yaml_error(doc,
                      at,
                      error,
                      "\"allow-fingerprints\" belongs to rules that mask, "
                      "approve or block what \"finding\" names");
  at = yaml_get(node, "restore");
  if (at != NULL && rule->action != ACTION_MASK)
    return yaml_error(doc,
                      at,
                      error,
                      "\"restore\" belongs to mask rules, this is %s",
                      action_name(rule->action));
  if (rule->layer != LAYER_USER)
    return true;
  if (rule->action == ACTION_ALLOW)
    return yaml_error(doc,
                      yaml_get(node, "action"),
                      error,
                      "the user layer may only block, approve and mask");
  for (unsigned i = 0; i < G_N_ELEMENTS(not_user); i++) {
    at = yaml_get(node, not_user[i]);
    if (at != NULL)
      return yaml_error(
          doc, at, error, "the user layer must not set \"%s\"", not_user[i]);
  }
  return true;
}

/* ---- Keys -------------------------------------------------------------- */

static bool
read_action(const YamlDoc *doc,
            const YamlNode *node,
            PolicyRule *rule,
            GError **error)
{
  unsigned action;

  if (!yaml_choice(doc, node, "action", action_names, &action, error))
    return false;
  rule->action = (Action)action;
  return true;
}

static bool
read_message(const YamlDoc *doc,
             const YamlNode *node,
             PolicyRule *rule,
             GError **error)
{
  if (!yaml_text(doc, node, "message", &rule->message, error))
    return false;
  g_strstrip(g_strdelimit(rule->message, "\n\t", ' '));
  if (strlen(rule->message) > MAX_MESSAGE)
    return yaml_error(
        doc, node, error, "\"message\" is longer than %d bytes", MAX_MESSAGE);
  return true;
}

static bool
read_grants(const YamlDoc *doc,
            const YamlNode *node,
            PolicyRule *rule,
            GError **error)
{
  bool grants;

  if (!yaml_bool(doc, node, "grants", &grants, error))
    return false;
  rule->no_grants = !grants;
  return true;
}

static bool
read_completions(const YamlDoc *doc,
                 const YamlNode *node,
                 PolicyRule *rule,
                 GError **error)
{
  unsigned choice;

  if (!yaml_choice(doc, node, "completions", completion_names, &choice, error))
    return false;
  rule->completions = choice == 0 ? ACTION_MASK : ACTION_BLOCK;
  return true;
}

static bool
read_restore(const YamlDoc *doc,
             const YamlNode *node,
             PolicyRule *rule,
             GError **error)
{
  unsigned restore;

  if (!yaml_choice(doc, node, "restore", restore_names, &restore, error))
    return false;
  rule->restore = (Restore)restore;
  return true;
}

static bool
read_key(const YamlDoc *doc,
         const char *key,
         const YamlNode *node,
         PolicyRule *rule,
         GError **error)
{
  if (strcmp(key, "id") == 0)
    return rule_read_word(doc, node, key, &rule->id, error);
  if (strcmp(key, "match") == 0)
    return match_read(doc, node, &rule->match, error);
  if (strcmp(key, "action") == 0)
    return read_action(doc, node, rule, error);
  if (approve_has_key(key))
    return approve_read_key(doc, key, node, rule, error);
  if (strcmp(key, "message") == 0)
    return read_message(doc, node, rule, error);
  if (strcmp(key, "grants") == 0)
    return read_grants(doc, node, rule, error);
  if (strcmp(key, "completions") == 0)
    return read_completions(doc, node, rule, error);
  if (strcmp(key, "restore") == 0)
    return read_restore(doc, node, rule, error);
  if (strcmp(key, "allow-fingerprints") == 0)
    return yaml_bool(doc, node, key, &rule->allow_fingerprints, error);
  return yaml_bool(doc, node, key, &rule->shadow, error);
}

PolicyRule *
rule_read(const YamlDoc *doc,
          const YamlNode *node,
          PolicyLayer layer,
          GError **error)
{
  static const char *const needed[] = {"id", "match", "action"};
  g_autoptr(PolicyRule) rule = g_new0(PolicyRule, 1);
  const char *wrong;

  rule->layer = layer;
  rule->completions = ACTION_BLOCK;
  rule->extend = EXTEND_DEFAULT;
  rule->origin = yaml_place(doc, node);
  if (!yaml_map_check(doc, node, "a rule", rule_keys, error))
    return NULL;
  for (unsigned i = 0; i < G_N_ELEMENTS(needed); i++)
    if (yaml_get(node, needed[i]) == NULL) {
      yaml_error(doc, node, error, "a rule needs \"%s\"", needed[i]);
      return NULL;
    }
  for (guint i = 0; i < node->keys->len; i++) {
    const YamlNode *key = node->keys->pdata[i];

    if (!read_key(doc, key->text, node->items->pdata[i], rule, error))
      return NULL;
  }
  if (!check_keys(doc, node, rule, error))
    return NULL;
  wrong = check_action(rule);
  if (wrong != NULL) {
    yaml_error(doc, yaml_get(node, "match"), error, "%s", wrong);
    return NULL;
  }
  if (rule->action == ACTION_APPROVE && !approve_finish(doc, node, rule, error))
    return NULL;
  rule->phases = phases_of(rule);
  return g_steal_pointer(&rule);
}
