/* SPDX-License-Identifier: Apache-2.0 */
/* policy diff: what one policy file says otherwise than another. */
#include "cli/policy.h"
#include "policy/policy.h"
#include <stdio.h>

static Policy *
load(const Call *call, const char *path)
{
  PolicySource source = {.path = path, .layer = LAYER_SYSTEM};
  g_autoptr(GError) error = NULL;
  Policy *policy = policy_load(&source, 1, &error);

  if (!policy)
    complain(call, CLI_USAGE, "%s", error->message);
  return policy;
}

static unsigned
all_means(const GPtrArray *changes)
{
  unsigned means = 0;

  for (guint i = 0; i < changes->len; i++)
    means |= ((const PolicyChange *)changes->pdata[i])->means;
  return means;
}

static Ink
ink_of(const PolicyChange *change)
{
  if (change->means == POLICY_TIGHTENS)
    return INK_GREEN;
  return change->means == 0               ? INK_PLAIN
         : change->means & POLICY_LOOSENS ? INK_RED
                                          : INK_YELLOW;
}

static void
say(const PolicyChange *change)
{
  const PolicyRule *rule = change->after ? change->after : change->before;
  g_autofree char *id = visible(change->id, -1, false);

  printf("%c %s%s%s: %s%s%s\n",
         change->kind,
         rule ? action_name(rule->action) : "",
         rule ? " " : "",
         id,
         ink(ink_of(change)),
         policy_means(change->means),
         ink(INK_PLAIN));
  for (guint i = 0; i < change->why->len; i++) {
    g_autofree char *why = visible(change->why->pdata[i], -1, false);

    printf("    %s\n", why);
  }
}

static void
add_text(struct json_object *json, const char *key, const char *text)
{
  json_object_object_add(json, key, text ? json_object_new_string(text) : NULL);
}

static void
say_json(const Policy *a, const Policy *b, const GPtrArray *changes)
{
  static const struct {
    char kind;
    const char *name;
  } kinds[] = {
      {'+', "added"}, {'-', "removed"}, {'~', "changed"}, {'=', "set"}};
  struct json_object *json = json_object_new_object();
  struct json_object *list = json_object_new_array();

  add_text(json, "from", policy_revision(a));
  add_text(json, "to", policy_revision(b));
  add_text(json, "means", policy_means(all_means(changes)));
  for (guint i = 0; i < changes->len; i++) {
    const PolicyChange *change = changes->pdata[i];
    struct json_object *one = json_object_new_object();
    struct json_object *why = json_object_new_array();

    for (unsigned j = 0; j < G_N_ELEMENTS(kinds); j++)
      if (kinds[j].kind == change->kind)
        add_text(one, "kind", kinds[j].name);
    add_text(one, "id", change->id);
    add_text(one, "means", policy_means(change->means));
    for (guint j = 0; j < change->why->len; j++)
      json_object_array_add(why, json_object_new_string(change->why->pdata[j]));
    json_object_object_add(one, "why", why);
    if (change->before)
      add_text(one, "before", change->before->origin);
    if (change->after)
      add_text(one, "after", change->after->origin);
    json_object_array_add(list, one);
  }
  json_object_object_add(json, "changes", list);
  print_json(json);
}

int
policy_diff_files(const Call *call)
{
  g_autoptr(Policy) a = NULL;
  g_autoptr(Policy) b = NULL;
  g_autoptr(GPtrArray) changes = NULL;

  if (call->n_args != 3)
    return complain(
        call, CLI_USAGE, "usage: hoop-agent policy diff [--json] FILE FILE");
  a = load(call, call->args[1]);
  b = a ? load(call, call->args[2]) : NULL;
  if (!b)
    return CLI_USAGE;
  changes = policy_diff(a, b);
  if (call_has(call, "json")) {
    say_json(a, b, changes);
  } else if (changes->len) {
    for (guint i = 0; i < changes->len; i++)
      say(changes->pdata[i]);
    printf("\nThe second policy %s.\n", policy_means(all_means(changes)));
  } else {
    puts("Both say the same.");
  }
  return changes->len ? CLI_FOUND : CLI_DONE;
}
