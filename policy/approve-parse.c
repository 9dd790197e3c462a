/* SPDX-License-Identifier: Apache-2.0 */
/* What approve rules say of the people that they ask: who, how long, who next,
 * and what a yes takes. */
#include "policy/approve-parse.h"

#include "policy/units.h"

#include <string.h>

#define MAX_APPROVERS 16
#define MAX_PEOPLE 16
#define MAX_TIMEOUT (24 * 60 * 60)
#define MAX_EXTEND 10 /* a held client costs memory all the while */

static const char *const approver_names[] = {"developer",
                                             "presence",
                                             "reviewer",
                                             NULL};
static const char *const risk_names[] = {"low", "normal", "high", NULL};
static const char *const keys[] =
    {"by", "timeout", "escalate", "extend", "risk", "reason", NULL};

const char *
approver_kind_name(ApproverKind kind)
{
  return approver_names[kind];
}

const char *
risk_name(Risk risk)
{
  return risk_names[risk - RISK_LOW];
}

void
approvers_clear(Approver *list, unsigned n)
{
  for (unsigned i = 0; i < n; i++)
    g_free(list[i].group);
  g_free(list);
}

/* ---- by ---------------------------------------------------------------- */

static bool
read_approver(const YamlDoc *doc,
              const YamlNode *node,
              const char *key,
              PolicyApprovers *who,
              GError **error)
{
  static const char prefix[] = "reviewer:";
  Approver *approver = &who->list[who->n];
  unsigned kind;

  *approver = (Approver){0};
  if (node->kind == YAML_SCALAR && g_str_has_prefix(node->text, prefix)) {
    if (node->text[strlen(prefix)] == '\0')
      return yaml_error(
          doc, node, error, "\"%s\" names no group after reviewer:", key);
    approver->kind = APPROVER_REVIEWER;
    approver->group = g_strdup(node->text + strlen(prefix));
  } else {
    if (!yaml_choice(doc, node, key, approver_names, &kind, error))
      return false;
    if (kind == APPROVER_REVIEWER)
      return yaml_error(doc,
                        node,
                        error,
                        "\"%s\" must say whose reviewers: reviewer:GROUP",
                        key);
    approver->kind = (ApproverKind)kind;
  }
  for (unsigned i = 0; i < who->n; i++)
    if (who->list[i].kind == approver->kind &&
        g_strcmp0(who->list[i].group, approver->group) == 0) {
      g_free(approver->group);
      return yaml_error(
          doc, node, error, "\"%s\" names \"%s\" twice", key, node->text);
    }
  who->n++;
  return true;
}

static bool
read_approvers(const YamlDoc *doc,
               const YamlNode *node,
               const char *key,
               PolicyApprovers *who,
               GError **error)
{
  unsigned n = node->kind == YAML_LIST ? node->items->len : 1;

  if (n == 0 || n > MAX_APPROVERS)
    return yaml_error(doc,
                      node,
                      error,
                      "\"%s\" must name 1 to %d approvers",
                      key,
                      MAX_APPROVERS);
  who->list = g_new0(Approver, n);
  for (unsigned i = 0; i < n; i++) {
    const YamlNode *item =
        node->kind == YAML_LIST ? node->items->pdata[i] : node;

    if (!read_approver(doc, item, key, who, error))
      return false;
  }
  return true;
}

/* {count: N, of: […]}: developer and presence are one person, a group of
 * reviewers is as many as are needed. */
static bool
read_count(const YamlDoc *doc,
           const YamlNode *node,
           const char *key,
           PolicyApprovers *who,
           GError **error)
{
  const YamlNode *count = yaml_get(node, "count"), *of = yaml_get(node, "of");
  bool reviewers = false;
  int64_t number;

  if (count == NULL || of == NULL)
    return yaml_error(
        doc, node, error, "\"%s\" needs \"count\" and \"of\"", key);
  if (!yaml_number(doc, count, "count", 1, MAX_PEOPLE, &number, error) ||
      !read_approvers(doc, of, key, who, error))
    return false;
  for (unsigned i = 0; i < who->n; i++)
    reviewers |= who->list[i].kind == APPROVER_REVIEWER;
  if (number > 1 && !reviewers)
    return yaml_error(doc,
                      count,
                      error,
                      "\"count\" asks for %d people, but developer and "
                      "presence are one",
                      (int)number);
  who->by = BY_COUNT;
  who->needed = (unsigned)number;
  return true;
}

static bool
read_by(const YamlDoc *doc,
        const YamlNode *node,
        const char *key,
        PolicyApprovers *who,
        GError **error)
{
  static const char *const parts[] = {"any", "all", "count", "of", NULL};
  const YamlNode *list = node;
  g_autofree char *where = g_strdup_printf("\"%s\"", key);

  if (node->kind == YAML_MAP) {
    const YamlNode *any, *all;

    if (!yaml_map_check(doc, node, where, parts, error))
      return false;
    any = yaml_get(node, "any");
    all = yaml_get(node, "all");
    if (any == NULL && all == NULL)
      return read_count(doc, node, key, who, error);
    if (node->keys->len != 1)
      return yaml_error(
          doc,
          node,
          error,
          "\"%s\" takes one of \"any\", \"all\", or \"count\" with \"of\"",
          key);
    list = any != NULL ? any : all;
    who->by = any != NULL ? BY_ANY : BY_ALL;
  }
  if (!read_approvers(doc, list, key, who, error))
    return false;
  who->needed = who->by == BY_ANY ? 1 : who->n;
  return true;
}

/* ---- escalate ---------------------------------------------------------- */

/* The weakest kind of answer that could do it alone, and how many people it
 * takes. */
static void
least(ApproveBy by,
      unsigned needed,
      const Approver *list,
      unsigned n,
      ApproverKind *kind,
      unsigned *people)
{
  unsigned reviewers = 0, own = 0;
  ApproverKind weakest = APPROVER_REVIEWER, strongest = APPROVER_DEVELOPER;

  for (unsigned i = 0; i < n; i++) {
    weakest = MIN(weakest, list[i].kind);
    strongest = MAX(strongest, list[i].kind);
    if (list[i].kind == APPROVER_REVIEWER)
      reviewers++;
    else
      own = 1;
  }
  /* Of two who count, one is a reviewer. */
  *kind = by == BY_ALL || needed > 1 ? strongest : weakest;
  *people = by == BY_ALL ? reviewers + own : needed;
}

static bool
read_after(const YamlDoc *doc,
           const YamlNode *node,
           PolicyRule *rule,
           GError **error)
{
  if (node->kind == YAML_SCALAR && node->plain &&
      units_duration(node->text, &rule->escalate_after) &&
      rule->escalate_after > 0 && rule->escalate_after <= MAX_TIMEOUT)
    return true;
  rule->escalate_after = 0;
  return yaml_error(doc,
                    node,
                    error,
                    "\"after\" must be a duration like 30 or 2m, at most 1d");
}

static bool
read_escalate(const YamlDoc *doc,
              const YamlNode *node,
              PolicyRule *rule,
              GError **error)
{
  static const char *const parts[] = {"after", "to", NULL};
  const YamlNode *after, *to;

  if (!yaml_map_check(doc, node, "\"escalate\"", parts, error))
    return false;
  after = yaml_get(node, "after");
  to = yaml_get(node, "to");
  if (after == NULL || to == NULL)
    return yaml_error(
        doc, node, error, "\"escalate\" needs \"after\" and \"to\"");
  return read_after(doc, after, rule, error) &&
         read_by(doc, to, "to", &rule->next, error);
}

/* Time must not make an approval easier to have. */
static bool
check_escalate(const YamlDoc *doc,
               const YamlNode *node,
               const PolicyRule *rule,
               GError **error)
{
  const YamlNode *escalate = yaml_get(node, "escalate");
  ApproverKind first, then;
  unsigned people, people_then;

  least(rule->by,
        rule->approvals_needed,
        rule->approvers,
        rule->n_approvers,
        &first,
        &people);
  least(rule->next.by,
        rule->next.needed,
        rule->next.list,
        rule->next.n,
        &then,
        &people_then);
  if (then < first)
    return yaml_error(doc,
                      yaml_get(escalate, "to"),
                      error,
                      "\"to\" would let %s answer in place of %s: escalation "
                      "must not be easier to satisfy than \"by\"",
                      approver_names[then],
                      approver_names[first]);
  if (people_then < people)
    return yaml_error(doc,
                      yaml_get(escalate, "to"),
                      error,
                      "\"to\" takes %u people and \"by\" %u: escalation must "
                      "not be easier to satisfy",
                      people_then,
                      people);
  if (rule->timeout > 0 && rule->escalate_after >= rule->timeout)
    return yaml_error(doc,
                      yaml_get(escalate, "after"),
                      error,
                      "\"after\" must be less than \"timeout\", %u s",
                      rule->timeout);
  return true;
}

/* ---- Keys -------------------------------------------------------------- */

static bool
read_first(const YamlDoc *doc,
           const YamlNode *node,
           PolicyRule *rule,
           GError **error)
{
  PolicyApprovers who = {0};
  const bool fine = read_by(doc, node, "by", &who, error);

  rule->approvers = who.list;
  rule->n_approvers = who.n;
  rule->approvals_needed = who.needed;
  rule->by = who.by;
  return fine;
}

static bool
read_timeout(const YamlDoc *doc,
             const YamlNode *node,
             PolicyRule *rule,
             GError **error)
{
  if (node->kind != YAML_SCALAR || !node->plain ||
      !units_duration(node->text, &rule->timeout) || rule->timeout == 0 ||
      rule->timeout > MAX_TIMEOUT)
    return yaml_error(doc,
                      node,
                      error,
                      "\"timeout\" must be a duration like 120 or 10m, at "
                      "most 1d");
  return true;
}

static bool
read_extend(const YamlDoc *doc,
            const YamlNode *node,
            PolicyRule *rule,
            GError **error)
{
  int64_t times;

  if (!yaml_number(doc, node, "extend", 0, MAX_EXTEND, &times, error))
    return false;
  rule->extend = (unsigned)times;
  return true;
}

static bool
read_risk(const YamlDoc *doc,
          const YamlNode *node,
          PolicyRule *rule,
          GError **error)
{
  unsigned choice;

  if (!yaml_choice(doc, node, "risk", risk_names, &choice, error))
    return false;
  rule->risk = (Risk)((int)choice + RISK_LOW);
  return true;
}

static bool
read_reason(const YamlDoc *doc,
            const YamlNode *node,
            PolicyRule *rule,
            GError **error)
{
  return yaml_bool(doc, node, "reason", &rule->needs_reason, error);
}

bool
approve_has_key(const char *key)
{
  return g_strv_contains(keys, key);
}

bool
approve_read_key(const YamlDoc *doc,
                 const char *key,
                 const YamlNode *node,
                 PolicyRule *rule,
                 GError **error)
{
  if (strcmp(key, "by") == 0)
    return read_first(doc, node, rule, error);
  if (strcmp(key, "timeout") == 0)
    return read_timeout(doc, node, rule, error);
  if (strcmp(key, "escalate") == 0)
    return read_escalate(doc, node, rule, error);
  if (strcmp(key, "extend") == 0)
    return read_extend(doc, node, rule, error);
  if (strcmp(key, "risk") == 0)
    return read_risk(doc, node, rule, error);
  return read_reason(doc, node, rule, error);
}

bool
approve_finish(const YamlDoc *doc,
               const YamlNode *node,
               PolicyRule *rule,
               GError **error)
{
  if (rule->n_approvers == 0) {
    rule->approvers = g_new0(Approver, 1);
    rule->approvers[0].kind = APPROVER_DEVELOPER;
    rule->n_approvers = rule->approvals_needed = 1;
  }
  return rule->escalate_after == 0 || check_escalate(doc, node, rule, error);
}
