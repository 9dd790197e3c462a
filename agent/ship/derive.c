/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a row's detail, which exchange, approvals and judge wrote. */
#include "ship/derive.h"

#include <json-c/json.h>
#include <string.h>

/* A list without doubles. */
typedef struct {
  GPtrArray *items;
  unsigned most;
} Set;

static Set
set_new(unsigned most)
{
  return (Set){g_ptr_array_new(), most};
}

static void
set_add(Set *set, const char *text)
{
  if (!text || set->items->len >= set->most)
    return;
  for (unsigned i = 0; i < set->items->len; i++)
    if (g_str_equal(set->items->pdata[i], text))
      return;
  g_ptr_array_add(set->items, g_strdup(text));
}

static char **
set_end(Set *set)
{
  g_ptr_array_add(set->items, NULL);
  return (char **)g_ptr_array_free(set->items, FALSE);
}

static struct json_object *
member(struct json_object *object, const char *name, json_type type)
{
  struct json_object *value = NULL;

  if (!json_object_is_type(object, json_type_object) ||
      !json_object_object_get_ex(object, name, &value) ||
      !json_object_is_type(value, type))
    return NULL;
  return value;
}

static const char *
text_member(struct json_object *object, const char *name)
{
  struct json_object *value = member(object, name, json_type_string);

  return value ? json_object_get_string(value) : NULL;
}

static void
read_rules(struct json_object *detail, Derived *out, unsigned most)
{
  struct json_object *verdict = member(detail, "verdict", json_type_object);
  struct json_object *matched = member(verdict, "matched", json_type_array);
  Set rules = set_new(most);

  for (size_t i = 0; matched && i < json_object_array_length(matched); i++)
    set_add(&rules, text_member(json_object_array_get_idx(matched, i), "rule"));
  out->rules = set_end(&rules);
}

static void
read_findings(struct json_object *detail, Derived *out, unsigned most)
{
  struct json_object *count = member(detail, "n_findings", json_type_int);
  struct json_object *list = member(detail, "findings", json_type_array);
  Set rules = set_new(most), classes = set_new(most);

  for (size_t i = 0; list && i < json_object_array_length(list); i++) {
    struct json_object *one = json_object_array_get_idx(list, i);

    set_add(&rules, text_member(one, "rule"));
    set_add(&classes, text_member(one, "class"));
  }
  out->n_findings = count ? json_object_get_int64(count) : -1;
  out->found_rules = set_end(&rules);
  out->classes = set_end(&classes);
}

static void
read_masks(struct json_object *detail, Derived *out)
{
  struct json_object *masked = member(detail, "masked", json_type_object);

  out->n_masks = masked ? 0 : -1;
  if (!masked)
    return;
  json_object_object_foreach(masked, rule, count)
  {
    (void)rule;
    out->n_masks += MAX(json_object_get_int(count), 0);
  }
}

static void
read_approvals(struct json_object *detail, Derived *out, unsigned most)
{
  struct json_object *list = member(detail, "answers", json_type_array);
  Set approvals = set_new(most);

  for (size_t i = 0; list && i < json_object_array_length(list); i++) {
    struct json_object *one = json_object_array_get_idx(list, i);
    const char *who = text_member(one, "who");
    const char *how = text_member(one, "how");
    const char *answer = text_member(one, "answer");
    g_autofree char *text = g_strdup_printf("%s by %s (%s)",
                                            answer ? answer : "?",
                                            who ? who : "?",
                                            how ? how : "?");

    set_add(&approvals, text);
  }
  out->approvals = set_end(&approvals);
}

bool
derive(const char *detail, size_t len, unsigned most, Derived *out)
{
  struct json_tokener *tokener = json_tokener_new();
  struct json_object *root;

  root = json_tokener_parse_ex(tokener, detail, (int)MIN(len, INT32_MAX - 1));
  json_tokener_free(tokener);
  if (!json_object_is_type(root, json_type_object)) {
    json_object_put(root);
    return false;
  }
  read_rules(root, out, most);
  read_findings(root, out, most);
  read_masks(root, out);
  read_approvals(root, out, most);
  json_object_put(root);
  return true;
}
