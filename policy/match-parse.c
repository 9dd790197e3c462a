/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the conditions of a rule; a condition that could never hold is
 * refused here rather than found out later. */
#include "policy/match-parse.h"

#include "policy/pattern.h"
#include "policy/units.h"

#include <string.h>

/* A wildcard pattern, and how many of them one key takes. */
#define MAX_PATTERN 512
#define MAX_ITEMS 1000
#define MAX_COUNT 1000000
/* Of a rate: the time of each request is kept. */
#define MAX_RATE 1000
/* Of a budget: what is read again when the agent starts. */
#define MAX_BUDGET_WINDOW (31u * 24 * 60 * 60)
#define MAX_BUDGET (INT64_C(1) << 50)

typedef bool (*ReadFunc)(const YamlDoc *doc,
                         const YamlNode *node,
                         const char *key,
                         PolicyMatch *match,
                         GError **error);

static const char *const direction_names[] = {"request", "response", NULL};
static const char *const day_names[] =
    {"mon", "tue", "wed", "thu", "fri", "sat", "sun", NULL};

static const YamlNode *
value_at(const YamlNode *list, unsigned i)
{
  return list->kind == YAML_LIST ? list->items->pdata[i] : list;
}

/* ---- Lists of texts ---------------------------------------------------- */

/* What one item must look like; NULL when it is right. */
typedef const char *(*CheckFunc)(const char *text);

static const char *
check_text(const char *text)
{
  return strlen(text) > MAX_PATTERN ? "is too long" : NULL;
}

static const char *
check_host(const char *text)
{
  if (strlen(text) > MAX_PATTERN)
    return "is too long";
  for (; *text != '\0'; text++)
    if (!g_ascii_isalnum(*text) && strchr("-._*?:[]", *text) == NULL)
      return "must be a host name, without scheme, port or path";
  return NULL;
}

static const char *
check_method(const char *text)
{
  for (const char *p = text; *p != '\0'; p++)
    if (!g_ascii_isupper(*p) && *p != '-')
      return "must be an HTTP method in capitals";
  return strlen(text) > 32 ? "is too long" : NULL;
}

static const char *
check_path(const char *text)
{
  if (strlen(text) > MAX_PATTERN)
    return "is too long";
  return text[0] == '/' || text[0] == '*' ? NULL : "must begin with / or *";
}

static const char *
check_initiator(const char *text)
{
  return strcmp(text, "user") == 0 || strcmp(text, "agent") == 0
             ? NULL
             : "must be user or agent";
}

static const char *
check_repo(const char *text)
{
  if (strlen(text) > MAX_PATTERN)
    return "is too long";
  return strpbrk(text, "/*") != NULL ? NULL : "must be owner/name";
}

/* As the rule pack writes classes and ids. */
static const char *
check_word(const char *text)
{
  size_t len = strlen(text);

  if (len > MAX_PATTERN)
    return "is too long";
  return strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-*?") == len
             ? NULL
             : "must be lower-case letters, digits and hyphens";
}

static const struct {
  const char *key;
  size_t offset;
  CheckFunc check;
} list_keys[] = {
    {"group", offsetof(PolicyMatch, groups), check_text},
    {"user", offsetof(PolicyMatch, users), check_text},
    {"connection", offsetof(PolicyMatch, connections), check_text},
    {"host", offsetof(PolicyMatch, hosts), check_host},
    {"method", offsetof(PolicyMatch, methods), check_method},
    {"path", offsetof(PolicyMatch, paths), check_path},
    {"model", offsetof(PolicyMatch, models), check_text},
    {"initiator", offsetof(PolicyMatch, initiators), check_initiator},
    {"process", offsetof(PolicyMatch, processes), check_path},
    {"repo", offsetof(PolicyMatch, repos), check_repo},
    {"fields", offsetof(PolicyMatch, fields), check_text},
    {"class", offsetof(PolicyMatch, finding_classes), check_word},
    {"rule", offsetof(PolicyMatch, finding_rules), check_word},
    {"name", offsetof(PolicyMatch, tool_names), check_text},
};

static bool
read_list(const YamlDoc *doc,
          const YamlNode *node,
          const char *key,
          PolicyMatch *match,
          GError **error)
{
  unsigned row = 0;
  char ***out;

  while (strcmp(list_keys[row].key, key) != 0)
    row++;
  out = (char ***)(void *)((char *)match + list_keys[row].offset);
  if (!yaml_texts(doc, node, key, out, error))
    return false;
  for (unsigned i = 0; (*out)[i] != NULL; i++) {
    const char *wrong = list_keys[row].check((*out)[i]);

    if (i >= MAX_ITEMS)
      return yaml_error(
          doc, node, error, "\"%s\" holds more than %d items", key, MAX_ITEMS);
    if (wrong != NULL)
      return yaml_error(doc, value_at(node, i), error, "\"%s\" %s", key, wrong);
  }
  return true;
}

/* ---- Words from a list ------------------------------------------------- */

/* One word or a list of them, as bits by their place in `names`. */
static bool
read_bits(const YamlDoc *doc,
          const YamlNode *node,
          const char *key,
          const char *const *names,
          unsigned *out,
          GError **error)
{
  unsigned bits = 0, n = node->kind == YAML_LIST ? node->items->len : 1;

  if (n == 0)
    return yaml_error(doc, node, error, "\"%s\" must not be empty", key);
  for (unsigned i = 0; i < n; i++) {
    unsigned bit;

    if (!yaml_choice(doc, value_at(node, i), key, names, &bit, error))
      return false;
    bits |= 1u << bit;
  }
  *out = bits;
  return true;
}

static bool
read_api(const YamlDoc *doc,
         const YamlNode *node,
         const char *key,
         PolicyMatch *match,
         GError **error)
{
  const char *names[N_APIS + 1] = {NULL};
  unsigned bits;

  for (unsigned i = 0; i < N_APIS; i++)
    names[i] = api_name((Api)i);
  if (!read_bits(doc, node, key, names, &bits, error))
    return false;
  match->apis = (int)bits;
  return true;
}

static bool
read_direction(const YamlDoc *doc,
               const YamlNode *node,
               const char *key,
               PolicyMatch *match,
               GError **error)
{
  unsigned direction;

  if (!yaml_choice(doc, node, key, direction_names, &direction, error))
    return false;
  match->direction = (int)direction;
  return true;
}

/* ---- Regexes ----------------------------------------------------------- */

static bool
read_pattern(const YamlDoc *doc,
             const YamlNode *node,
             const char *key,
             PolicyPattern **out,
             GError **error)
{
  g_autofree char *source = NULL;
  g_autoptr(GError) cause = NULL;
  g_autoptr(PolicyPattern) pattern = NULL;

  if (!yaml_text(doc, node, key, &source, error))
    return false;
  pattern = pattern_new(source, &cause);
  if (pattern == NULL)
    return yaml_error(
        doc, node, error, "\"%s\" does not compile: %s", key, cause->message);
  if (pattern_matches_empty(pattern))
    return yaml_error(doc, node, error, "\"%s\" matches the empty text", key);
  *out = g_steal_pointer(&pattern);
  return true;
}

static bool
read_prompt(const YamlDoc *doc,
            const YamlNode *node,
            const char *key,
            PolicyMatch *match,
            GError **error)
{
  return read_pattern(doc, node, key, &match->prompt, error);
}

static bool
read_arguments(const YamlDoc *doc,
               const YamlNode *node,
               const char *key,
               PolicyMatch *match,
               GError **error)
{
  return read_pattern(doc, node, key, &match->tool_arguments, error);
}

/* ---- Numbers and times ------------------------------------------------- */

static bool
read_min(const YamlDoc *doc,
         const YamlNode *node,
         const char *key,
         PolicyMatch *match,
         GError **error)
{
  int64_t number;

  if (!yaml_number(doc, node, key, 1, MAX_COUNT, &number, error))
    return false;
  match->finding_min = (unsigned)number;
  return true;
}

static bool
read_size(const YamlDoc *doc,
          const YamlNode *node,
          const char *key,
          PolicyMatch *match,
          GError **error)
{
  int64_t *out = strcmp(key, "min") == 0 ? &match->size_min : &match->size_max;

  if (node->kind != YAML_SCALAR || !node->plain || !units_size(node->text, out))
    return yaml_error(
        doc, node, error, "\"%s\" must be a size like 4096, 64K or 32M", key);
  return true;
}

static bool
read_clock(const YamlDoc *doc,
           const YamlNode *node,
           const char *key,
           PolicyMatch *match,
           GError **error)
{
  int *out = strcmp(key, "from") == 0 ? &match->time_from : &match->time_to;

  if (node->kind != YAML_SCALAR || !units_clock(node->text, out))
    return yaml_error(
        doc, node, error, "\"%s\" must be a time from 00:00 to 24:00", key);
  return true;
}

static bool
read_days(const YamlDoc *doc,
          const YamlNode *node,
          const char *key,
          PolicyMatch *match,
          GError **error)
{
  return read_bits(doc, node, key, day_names, &match->weekdays, error);
}

static bool
read_zone(const YamlDoc *doc,
          const YamlNode *node,
          const char *key,
          PolicyMatch *match,
          GError **error)
{
  if (!yaml_text(doc, node, key, &match->time_zone, error))
    return false;
  /* GLib would take offsets and read files anywhere: names only. */
  if (!g_ascii_isalpha(match->time_zone[0]) ||
      strstr(match->time_zone, "..") != NULL)
    match->zone = NULL;
  else
    match->zone = g_time_zone_new_identifier(match->time_zone);
  if (match->zone == NULL)
    return yaml_error(
        doc, node, error, "\"%s\" must be a time zone like Europe/Berlin", key);
  return true;
}

static bool
read_count(const YamlDoc *doc,
           const YamlNode *node,
           const char *key,
           PolicyMatch *match,
           GError **error)
{
  int64_t number;

  if (!yaml_number(doc, node, key, 1, MAX_RATE, &number, error))
    return false;
  match->rate_count = (unsigned)number;
  return true;
}

static bool
read_window(const YamlDoc *doc,
            const YamlNode *node,
            const char *key,
            PolicyMatch *match,
            GError **error)
{
  if (node->kind != YAML_SCALAR ||
      !units_duration(node->text, &match->rate_window) ||
      match->rate_window == 0)
    return yaml_error(
        doc, node, error, "\"%s\" must be a duration like 30s, 10m or 1d", key);
  return true;
}

static bool
read_first(const YamlDoc *doc,
           const YamlNode *node,
           const char *key,
           PolicyMatch *match,
           GError **error)
{
  bool first;

  if (!yaml_bool(doc, node, key, &first, error))
    return false;
  match->first_in_session = first;
  return true;
}

/* ---- Mappings ---------------------------------------------------------- */

typedef struct {
  const char *key;
  ReadFunc read;
} KeyRow;

/* Reads a mapping by a table that ends with a NULL key. */
static bool
read_map(const YamlDoc *doc,
         const YamlNode *node,
         const char *where,
         const KeyRow *rows,
         PolicyMatch *match,
         GError **error)
{
  g_autoptr(GPtrArray) keys = g_ptr_array_new();

  for (const KeyRow *row = rows; row->key != NULL; row++)
    g_ptr_array_add(keys, (gpointer)(uintptr_t)row->key);
  g_ptr_array_add(keys, NULL);
  if (!yaml_map_check(
          doc, node, where, (const char *const *)keys->pdata, error))
    return false;
  if (node->keys->len == 0)
    return yaml_error(doc, node, error, "%s must not be empty", where);
  for (guint i = 0; i < node->keys->len; i++) {
    const YamlNode *key = node->keys->pdata[i];
    const KeyRow *row = rows;

    while (strcmp(row->key, key->text) != 0)
      row++;
    if (!row->read(doc, node->items->pdata[i], row->key, match, error))
      return false;
  }
  return true;
}

static bool
read_finding(const YamlDoc *doc,
             const YamlNode *node,
             const char *key,
             PolicyMatch *match,
             GError **error)
{
  static const KeyRow rows[] = {
      {"class", read_list}, {"rule", read_list}, {"min", read_min}, {NULL}};

  (void)key;
  match->has_finding = true;
  return read_map(doc, node, "\"finding\"", rows, match, error);
}

static bool
read_tool(const YamlDoc *doc,
          const YamlNode *node,
          const char *key,
          PolicyMatch *match,
          GError **error)
{
  static const KeyRow rows[] = {
      {"name", read_list}, {"arguments", read_arguments}, {NULL}};

  (void)key;
  match->has_tool = true;
  return read_map(doc, node, "\"tool\"", rows, match, error);
}

static bool
read_size_range(const YamlDoc *doc,
                const YamlNode *node,
                const char *key,
                PolicyMatch *match,
                GError **error)
{
  static const KeyRow rows[] = {{"min", read_size}, {"max", read_size}, {NULL}};

  (void)key;
  if (!read_map(doc, node, "\"size\"", rows, match, error))
    return false;
  if (match->size_max >= 0 && match->size_min > match->size_max)
    return yaml_error(doc, node, error, "\"size\" has a min above its max");
  return true;
}

static bool
read_time(const YamlDoc *doc,
          const YamlNode *node,
          const char *key,
          PolicyMatch *match,
          GError **error)
{
  static const KeyRow rows[] = {{"from", read_clock},
                                {"to", read_clock},
                                {"days", read_days},
                                {"zone", read_zone},
                                {NULL}};

  (void)key;
  if (!read_map(doc, node, "\"time\"", rows, match, error))
    return false;
  if (match->time_from < 0 && match->time_to < 0 && match->weekdays == 0)
    return yaml_error(
        doc, node, error, "\"time\" needs \"from\", \"to\" or \"days\"");
  if (match->time_from >= 0 && match->time_from == match->time_to)
    return yaml_error(
        doc, node, error, "\"time\" has the same \"from\" and \"to\"");
  if (match->time_from == 24 * 60 || match->time_to == 0)
    return yaml_error(doc,
                      node,
                      error,
                      "\"time\" runs from 00:00 (not 24:00) to 24:00 (not "
                      "00:00)");
  return true;
}

static bool
read_rate(const YamlDoc *doc,
          const YamlNode *node,
          const char *key,
          PolicyMatch *match,
          GError **error)
{
  static const KeyRow rows[] = {
      {"count", read_count}, {"window", read_window}, {NULL}};

  (void)key;
  if (!read_map(doc, node, "\"rate\"", rows, match, error))
    return false;
  if (match->rate_count == 0 || match->rate_window == 0)
    return yaml_error(
        doc, node, error, "\"rate\" needs \"count\" and \"window\"");
  return true;
}

/* ---- Budgets ----------------------------------------------------------- */

static bool
read_amount(const YamlDoc *doc,
            const YamlNode *node,
            const char *key,
            PolicyMatch *match,
            GError **error)
{
  int64_t *out = strcmp(key, "requests") == 0 ? &match->budget.requests
                                              : &match->budget.tokens;

  return yaml_number(doc, node, key, 0, MAX_BUDGET, out, error);
}

static bool
read_bytes(const YamlDoc *doc,
           const YamlNode *node,
           const char *key,
           PolicyMatch *match,
           GError **error)
{
  if (node->kind != YAML_SCALAR || !node->plain ||
      !units_size(node->text, &match->budget.bytes))
    return yaml_error(
        doc, node, error, "\"%s\" must be a size like 4096, 64K or 32M", key);
  return true;
}

static bool
read_budget_window(const YamlDoc *doc,
                   const YamlNode *node,
                   const char *key,
                   PolicyMatch *match,
                   GError **error)
{
  unsigned *out = &match->budget.window;

  if (node->kind != YAML_SCALAR || !units_duration(node->text, out) ||
      *out < 60 || *out > MAX_BUDGET_WINDOW)
    return yaml_error(
        doc, node, error, "\"%s\" must be a duration from 1m to 31d", key);
  return true;
}

static bool
read_of(const YamlDoc *doc,
        const YamlNode *node,
        const char *key,
        PolicyMatch *match,
        GError **error)
{
  char ***out = strcmp(key, "model") == 0 ? &match->budget.models
                                          : &match->budget.connections;

  if (!yaml_texts(doc, node, key, out, error))
    return false;
  for (unsigned i = 0; (*out)[i] != NULL; i++)
    if (i >= MAX_ITEMS || check_text((*out)[i]) != NULL)
      return yaml_error(doc, node, error, "\"%s\" is too long", key);
  return true;
}

static bool
read_budget(const YamlDoc *doc,
            const YamlNode *node,
            const char *key,
            PolicyMatch *match,
            GError **error)
{
  static const KeyRow rows[] = {{"requests", read_amount},
                                {"bytes", read_bytes},
                                {"tokens", read_amount},
                                {"window", read_budget_window},
                                {"connection", read_of},
                                {"model", read_of},
                                {NULL}};
  const PolicyBudget *budget = &match->budget;

  (void)key;
  if (!read_map(doc, node, "\"budget\"", rows, match, error))
    return false;
  if (budget->window == 0)
    return yaml_error(doc, node, error, "\"budget\" needs \"window\"");
  if (budget->requests < 0 && budget->bytes < 0 && budget->tokens < 0)
    return yaml_error(doc,
                      node,
                      error,
                      "\"budget\" needs \"requests\", \"bytes\" or "
                      "\"tokens\"");
  return true;
}

static const KeyRow match_rows[] = {
    [MATCH_API] = {"api", read_api},
    [MATCH_GROUP] = {"group", read_list},
    [MATCH_USER] = {"user", read_list},
    [MATCH_CONNECTION] = {"connection", read_list},
    [MATCH_METHOD] = {"method", read_list},
    [MATCH_HOST] = {"host", read_list},
    [MATCH_PATH] = {"path", read_list},
    [MATCH_MODEL] = {"model", read_list},
    [MATCH_INITIATOR] = {"initiator", read_list},
    [MATCH_REPO] = {"repo", read_list},
    [MATCH_PROCESS] = {"process", read_list},
    [MATCH_FIRST_IN_SESSION] = {"first-in-session", read_first},
    [MATCH_TIME] = {"time", read_time},
    [MATCH_DIRECTION] = {"direction", read_direction},
    [MATCH_SIZE] = {"size", read_size_range},
    [MATCH_FINDING] = {"finding", read_finding},
    [MATCH_FIELDS] = {"fields", read_list},
    [MATCH_TOOL] = {"tool", read_tool},
    [MATCH_PROMPT] = {"prompt", read_prompt},
    [MATCH_RATE] = {"rate", read_rate},
    [MATCH_BUDGET] = {"budget", read_budget},
    [N_MATCH_KEYS] = {NULL, NULL},
};

const char *
match_key_name(MatchKey key)
{
  return match_rows[key].key;
}

bool
match_read(const YamlDoc *doc,
           const YamlNode *node,
           PolicyMatch *match,
           GError **error)
{
  *match = (PolicyMatch){.direction = -1,
                         .finding_min = 1,
                         .size_min = -1,
                         .size_max = -1,
                         .time_from = -1,
                         .time_to = -1,
                         .budget = {-1, -1, -1, 0, NULL, NULL},
                         .first_in_session = -1};
  if (!read_map(doc, node, "\"match\"", match_rows, match, error))
    return false;
  for (unsigned key = 0; key < N_MATCH_KEYS; key++)
    if (yaml_get(node, match_rows[key].key) != NULL)
      match->asked |= 1u << key;
  match->everybody = match->groups != NULL &&
                     g_strv_contains((const char *const *)match->groups, "*");
  for (char **name = match->fields; name != NULL && *name != NULL; name++) {
    char *lower = g_ascii_strdown(*name, -1);

    g_free(*name);
    *name = lower;
  }
  return true;
}

void
match_clear(PolicyMatch *match)
{
  for (unsigned i = 0; i < G_N_ELEMENTS(list_keys); i++)
    g_strfreev(*(char ***)(void *)((char *)match + list_keys[i].offset));
  g_strfreev(match->budget.connections);
  g_strfreev(match->budget.models);
  g_free(match->group_ids);
  pattern_free(match->prompt);
  pattern_free(match->tool_arguments);
  g_free(match->time_zone);
  g_clear_pointer(&match->zone, g_time_zone_unref);
}
