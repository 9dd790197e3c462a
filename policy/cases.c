/* SPDX-License-Identifier: Apache-2.0 */
/* Reads *.test.yaml: prompts, bodies and tool calls, each with what the policy
 * must say to it. As strict as policy files: a test that says nothing would
 * pass for ever. */
#include "policy/policy.h"
#include "policy/units.h"
#include "policy/yaml.h"

#include <string.h>

/* Each text is judged by itself; more belong into more files. */
#define MAX_CASES 5000
/* Requests, bytes or tokens that a case pretends were used before. */
#define MAX_USED (INT64_C(1) << 50)

struct policy_cases {
  char *policy;
  GPtrArray *cases; /* PolicyCase */
};

typedef struct {
  const YamlDoc *doc;
  const char *key;
  const YamlNode *value;
  PolicyCase *one;
} At;

typedef bool (*ReadFunc)(const At *at, GError **error);

static void
case_free(gpointer data)
{
  PolicyCase *one = data;

  g_free(one->name);
  g_free(one->origin);
  g_strfreev(one->texts);
  g_free(one->tool);
  g_strfreev(one->groups);
  g_free(one->user);
  g_free(one->connection);
  g_free(one->host);
  g_free(one->method);
  g_free(one->path);
  g_free(one->model);
  g_free(one->initiator);
  g_free(one->repo);
  g_strfreev(one->processes);
  g_free(one->rule);
  g_strfreev(one->rules);
  g_strfreev(one->shadow);
  g_strfreev(one->masks);
  g_strfreev(one->hides);
  g_free(one);
}

/* ---- What is judged ------------------------------------------------------ */

static bool
set_kind(const At *at, PolicyCaseKind kind, GError **error)
{
  if (at->one->texts != NULL || at->one->tool != NULL)
    return yaml_error(at->doc,
                      at->value,
                      error,
                      "a case has one of \"prompt\", \"answer\", \"body\" and "
                      "\"tool\"");
  at->one->kind = kind;
  return true;
}

static bool
read_prompt(const At *at, GError **error)
{
  return set_kind(at, CASE_PROMPT, error) &&
         yaml_texts(at->doc, at->value, at->key, &at->one->texts, error);
}

static bool
read_answer(const At *at, GError **error)
{
  return set_kind(at, CASE_ANSWER, error) &&
         yaml_texts(at->doc, at->value, at->key, &at->one->texts, error);
}

static bool
read_body(const At *at, GError **error)
{
  return set_kind(at, CASE_BODY, error) &&
         yaml_texts(at->doc, at->value, at->key, &at->one->texts, error);
}

static bool
read_tool(const At *at, GError **error)
{
  static const char *const keys[] = {"name", "arguments", NULL};
  const YamlNode *name, *arguments;

  if (!set_kind(at, CASE_TOOL, error) ||
      !yaml_map_check(at->doc, at->value, "\"tool\"", keys, error))
    return false;
  name = yaml_get(at->value, "name");
  arguments = yaml_get(at->value, "arguments");
  if (arguments == NULL)
    return yaml_error(
        at->doc, at->value, error, "\"tool\" needs \"arguments\"");
  if (name != NULL && !yaml_text(at->doc, name, "name", &at->one->tool, error))
    return false;
  if (at->one->tool == NULL)
    at->one->tool = g_strdup("run_in_terminal");
  return yaml_texts(at->doc, arguments, "arguments", &at->one->texts, error);
}

/* ---- Who asks, and when -------------------------------------------------- */

static const struct {
  const char *key;
  size_t offset;
} text_keys[] = {
    {"name", offsetof(PolicyCase, name)},
    {"user", offsetof(PolicyCase, user)},
    {"connection", offsetof(PolicyCase, connection)},
    {"host", offsetof(PolicyCase, host)},
    {"method", offsetof(PolicyCase, method)},
    {"path", offsetof(PolicyCase, path)},
    {"model", offsetof(PolicyCase, model)},
    {"initiator", offsetof(PolicyCase, initiator)},
    {"repo", offsetof(PolicyCase, repo)},
    {"rule", offsetof(PolicyCase, rule)},
};

static bool
read_text(const At *at, GError **error)
{
  unsigned row = 0;

  while (strcmp(text_keys[row].key, at->key) != 0)
    row++;
  return yaml_text(at->doc,
                   at->value,
                   at->key,
                   (char **)(void *)((char *)at->one + text_keys[row].offset),
                   error);
}

static const struct {
  const char *key;
  size_t offset;
} list_keys[] = {
    {"group", offsetof(PolicyCase, groups)},
    {"process", offsetof(PolicyCase, processes)},
    {"rules", offsetof(PolicyCase, rules)},
    {"shadow", offsetof(PolicyCase, shadow)},
    {"masks", offsetof(PolicyCase, masks)},
    {"hides", offsetof(PolicyCase, hides)},
};

static bool
read_list(const At *at, GError **error)
{
  unsigned row = 0;

  while (strcmp(list_keys[row].key, at->key) != 0)
    row++;
  return yaml_texts(at->doc,
                    at->value,
                    at->key,
                    (char ***)(void *)((char *)at->one + list_keys[row].offset),
                    error);
}

static bool
read_api(const At *at, GError **error)
{
  const char *names[N_APIS + 1] = {NULL};
  unsigned api;

  for (unsigned i = 0; i < N_APIS; i++)
    names[i] = api_name((Api)i);
  if (!yaml_choice(at->doc, at->value, at->key, names, &api, error))
    return false;
  at->one->api = (int)api;
  return true;
}

static bool
read_direction(const At *at, GError **error)
{
  static const char *const names[] = {"request", "response", NULL};
  unsigned direction;

  if (!yaml_choice(at->doc, at->value, at->key, names, &direction, error))
    return false;
  at->one->direction = (Direction)direction;
  return true;
}

static bool
read_time(const At *at, GError **error)
{
  g_autofree char *text = NULL;
  g_autoptr(GTimeZone) utc = g_time_zone_new_utc();
  g_autoptr(GDateTime) when = NULL;

  if (!yaml_text(at->doc, at->value, at->key, &text, error))
    return false;
  when = g_date_time_new_from_iso8601(text, utc);
  if (when == NULL)
    return yaml_error(at->doc,
                      at->value,
                      error,
                      "\"time\" must be like 2026-03-02T14:30:00+01:00");
  at->one->wall_us = g_date_time_to_unix(when) * G_USEC_PER_SEC;
  return true;
}

static bool
read_first(const At *at, GError **error)
{
  return yaml_bool(
      at->doc, at->value, at->key, &at->one->first_in_session, error);
}

static bool
read_rate(const At *at, GError **error)
{
  int64_t number;

  if (!yaml_number(at->doc, at->value, at->key, 1, 1000000, &number, error))
    return false;
  at->one->rate = (unsigned)number;
  return true;
}

static bool
read_used(const At *at, GError **error)
{
  static const char *const keys[] = {"requests", "bytes", "tokens", NULL};
  int64_t *const out[] = {
      &at->one->used_requests, &at->one->used_bytes, &at->one->used_tokens};

  if (!yaml_map_check(at->doc, at->value, "\"used\"", keys, error))
    return false;
  for (unsigned i = 0; keys[i] != NULL; i++) {
    const YamlNode *value = yaml_get(at->value, keys[i]);

    if (value == NULL)
      continue;
    if (i == 1
            ? value->kind != YAML_SCALAR || !value->plain ||
                  !units_size(value->text, out[i])
            : !yaml_number(at->doc, value, keys[i], 0, MAX_USED, out[i], error))
      return i != 1 ? false
                    : yaml_error(at->doc,
                                 value,
                                 error,
                                 "\"bytes\" must be a size like 4096, 64K or "
                                 "32M");
  }
  return true;
}

/* ---- What is expected ---------------------------------------------------- */

static bool
read_expect(const At *at, GError **error)
{
  static const char *const names[] = {
      "allow", "mask", "approve", "block", NULL};
  unsigned action;

  if (!yaml_choice(at->doc, at->value, at->key, names, &action, error))
    return false;
  at->one->expect = (Action)action;
  return true;
}

static const struct {
  const char *key;
  ReadFunc read;
} case_rows[] = {
    {"name", read_text},       {"prompt", read_prompt},
    {"answer", read_answer},   {"body", read_body},
    {"tool", read_tool},       {"direction", read_direction},
    {"group", read_list},      {"user", read_text},
    {"connection", read_text}, {"host", read_text},
    {"method", read_text},     {"path", read_text},
    {"api", read_api},         {"model", read_text},
    {"initiator", read_text},  {"process", read_list},
    {"repo", read_text},       {"time", read_time},
    {"rate", read_rate},       {"used", read_used},
    {"expect", read_expect},   {"first-in-session", read_first},
    {"rule", read_text},       {"rules", read_list},
    {"shadow", read_list},     {"masks", read_list},
    {"hides", read_list},
};

/* ---- Cases --------------------------------------------------------------- */

/* A case that cannot fail, or cannot pass, is a slip. */
static bool
check_case(const YamlDoc *doc,
           const YamlNode *node,
           const PolicyCase *one,
           GError **error)
{
  if (one->texts == NULL)
    return yaml_error(doc,
                      node,
                      error,
                      "a case needs \"prompt\", \"answer\", \"body\" or "
                      "\"tool\"");
  if (yaml_get(node, "expect") == NULL)
    return yaml_error(doc, node, error, "a case needs \"expect\"");
  if (one->direction == DIRECTION_RESPONSE && one->kind != CASE_BODY)
    return yaml_error(doc,
                      yaml_get(node, "direction"),
                      error,
                      "\"direction\" belongs to \"body\"; an answer's text is "
                      "\"answer\"");
  if (one->kind == CASE_TOOL && one->expect == ACTION_MASK)
    return yaml_error(doc,
                      yaml_get(node, "expect"),
                      error,
                      "a tool call cannot be masked, only approved or blocked");
  if (one->kind == CASE_TOOL && (one->masks != NULL || one->hides != NULL))
    return yaml_error(doc,
                      yaml_get(node, one->masks != NULL ? "masks" : "hides"),
                      error,
                      "a tool call is not masked: \"masks\" and \"hides\" are "
                      "about bodies");
  for (unsigned i = 0; one->hides != NULL && one->hides[i] != NULL; i++)
    for (unsigned j = 0; one->texts[j] != NULL; j++)
      if (strstr(one->texts[j], one->hides[i]) == NULL)
        return yaml_error(doc,
                          yaml_get(node, "hides"),
                          error,
                          "\"hides\" names a text that is not in the case");
  return true;
}

static PolicyCase *
read_case(const YamlDoc *doc, const YamlNode *node, GError **error)
{
  const char *names[G_N_ELEMENTS(case_rows) + 1] = {NULL};
  PolicyCase *one = g_new0(PolicyCase, 1);
  bool good;

  one->origin = yaml_place(doc, node);
  one->api = -1;
  for (unsigned i = 0; i < G_N_ELEMENTS(case_rows); i++)
    names[i] = case_rows[i].key;
  good = yaml_map_check(doc, node, "a case", names, error);
  for (guint i = 0; good && i < node->keys->len; i++) {
    const YamlNode *key = node->keys->pdata[i];
    At at = {doc, key->text, node->items->pdata[i], one};
    unsigned row = 0;

    while (strcmp(case_rows[row].key, key->text) != 0)
      row++;
    good = case_rows[row].read(&at, error);
  }
  if (good && check_case(doc, node, one, error))
    return one;
  case_free(one);
  return NULL;
}

static bool
read_file(const YamlDoc *doc, PolicyCases *cases, GError **error)
{
  static const char *const keys[] = {"version", "policy", "cases", NULL};
  const YamlNode *root = doc->root, *version, *policy, *list;
  int64_t number;

  if (!yaml_map_check(doc, root, "a test file", keys, error))
    return false;
  version = yaml_get(root, "version");
  policy = yaml_get(root, "policy");
  list = yaml_get(root, "cases");
  if (version == NULL || list == NULL)
    return yaml_error(
        doc, root, error, "a test file needs \"version\": 1 and \"cases\"");
  if (!yaml_number(doc, version, "version", 1, 1, &number, error) ||
      (policy != NULL &&
       !yaml_text(doc, policy, "policy", &cases->policy, error)))
    return false;
  if (list->kind != YAML_LIST || list->items->len == 0)
    return yaml_error(doc, list, error, "\"cases\" must be a list of cases");
  if (list->items->len > MAX_CASES)
    return yaml_error(doc, list, error, "more than %d cases", MAX_CASES);
  for (guint i = 0; i < list->items->len; i++) {
    PolicyCase *one = read_case(doc, list->items->pdata[i], error);

    if (one == NULL)
      return false;
    g_ptr_array_add(cases->cases, one);
  }
  return true;
}

static PolicyCases *
cases_of(const YamlDoc *doc, GError **error)
{
  g_autoptr(PolicyCases) cases = g_new0(PolicyCases, 1);

  cases->cases = g_ptr_array_new_with_free_func(case_free);
  return read_file(doc, cases, error) ? g_steal_pointer(&cases) : NULL;
}

PolicyCases *
policy_cases_load(const char *path, GError **error)
{
  g_autoptr(YamlDoc) doc = yaml_load(path, NULL, error);
  g_autoptr(PolicyCases) cases = doc != NULL ? cases_of(doc, error) : NULL;
  g_autofree char *folder = g_path_get_dirname(path);

  if (cases != NULL && cases->policy != NULL &&
      !g_path_is_absolute(cases->policy)) {
    char *whole = g_build_filename(folder, cases->policy, NULL);

    g_free(cases->policy);
    cases->policy = whole;
  }
  return g_steal_pointer(&cases);
}

PolicyCases *
policy_cases_parse(const char *name,
                   const char *text,
                   size_t len,
                   GError **error)
{
  g_autoptr(YamlDoc) doc = yaml_parse(name, text, len, error);

  return doc != NULL ? cases_of(doc, error) : NULL;
}

void
policy_cases_free(PolicyCases *cases)
{
  if (cases == NULL)
    return;
  g_free(cases->policy);
  g_ptr_array_unref(cases->cases);
  g_free(cases);
}

const char *
policy_cases_policy(const PolicyCases *cases)
{
  return cases->policy;
}

const PolicyCase *const *
policy_cases_list(const PolicyCases *cases, unsigned *n)
{
  *n = cases->cases->len;
  return (const PolicyCase *const *)cases->cases->pdata;
}
