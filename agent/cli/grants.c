/* SPDX-License-Identifier: Apache-2.0 */
/* grants: approvals that are remembered, and how to end them. */
#include "cli/verb.h"
#include <stdio.h>

static const char *
text(GVariant *grant, const char *key)
{
  const char *value = NULL;

  g_variant_lookup(grant, key, "&s", &value);
  return value;
}

static bool
flag(GVariant *grant, const char *key)
{
  gboolean value = FALSE;

  g_variant_lookup(grant, key, "b", &value);
  return value;
}

static int64_t
time_of(GVariant *grant, const char *key)
{
  gint64 value = 0;

  g_variant_lookup(grant, key, "x", &value);
  return value;
}

static uint64_t
uses_of(GVariant *grant)
{
  guint64 value = 0;

  g_variant_lookup(grant, "uses", "t", &value);
  return value;
}

/* g_free. */
static char *
rules_of(GVariant *grant)
{
  g_autofree const char **rules = NULL;

  if (!g_variant_lookup(grant, "rules", "^a&s", &rules))
    return g_strdup("?");
  return g_strjoinv(", ", (char **)rules);
}

GVariant *
grants_in_force(void)
{
  g_autoptr(HoopAgent1) agent = daemon_try();
  GVariant *list = NULL;

  if (agent)
    hoop_agent1_call_grants_sync(agent, &list, NULL, NULL);
  return list;
}

char *
grant_line(GVariant *grant)
{
  g_autofree char *rules = rules_of(grant);
  g_autofree char *left = span_text(time_of(grant, "left_us"));

  return g_strdup_printf("%s: rules %s %s for %s of %s on %s, by %s (%s), "
                         "%s%s left",
                         text(grant, "id") ?: "?",
                         rules,
                         flag(grant, "denies")   ? "deny"
                         : flag(grant, "masked") ? "pass masked"
                                                 : "pass",
                         text(grant, "client") ?: "?",
                         text(grant, "user") ?: "?",
                         text(grant, "connection") ?: "?",
                         text(grant, "who") ?: "?",
                         text(grant, "approver") ?: "?",
                         flag(grant, "session") ? "this session, at most " : "",
                         left);
}

static void
print_list(GVariant *list)
{
  static const char *const headings[] = {
      "ID", "RULES", "CLIENT", "CONNECTION", "AS", "LEFT", "USES", NULL};
  Table *table = table_new(headings);
  gsize n = g_variant_n_children(list);

  for (gsize i = 0; i < n; i++) {
    g_autoptr(GVariant) grant = g_variant_get_child_value(list, i);
    g_autofree char *rules = rules_of(grant);
    g_autofree char *span = span_text(time_of(grant, "left_us"));
    g_autofree char *left =
        g_strconcat(span, flag(grant, "session") ? " (session)" : "", NULL);
    g_autofree char *uses =
        g_strdup_printf("%" G_GUINT64_FORMAT, uses_of(grant));
    const char *cells[] = {text(grant, "id") ?: "?",
                           rules,
                           text(grant, "client") ?: "?",
                           text(grant, "connection") ?: "?",
                           flag(grant, "denies")   ? "denied"
                           : flag(grant, "masked") ? "masked"
                                                   : "whole",
                           left,
                           uses};

    table_add(table, cells);
  }
  if (n) {
    table_print(table);
    return;
  }
  table_free(table);
  puts("No answer is remembered.");
}

static void
print_one(GVariant *grant)
{
  g_autofree char *rules = rules_of(grant);
  g_autofree char *since = time_text(time_of(grant, "since_us"));
  g_autofree char *until = time_text(time_of(grant, "until_us"));
  g_autofree char *left = span_text(time_of(grant, "left_us"));
  g_autofree char *last = time_text(time_of(grant, "last_us"));
  const char *conversation = text(grant, "conversation");

  say_field("grant", "%s", text(grant, "id") ?: "?");
  say_field("given",
            "by %s (%s) at %s, answering %s%s%s",
            text(grant, "who") ?: "?",
            text(grant, "approver") ?: "?",
            since,
            text(grant, "prompt") ?: "?",
            text(grant, "reason") ? ": " : "",
            text(grant, "reason") ?: "");
  if (flag(grant, "denies")) {
    say_field("denies", "whatever one of the rules %s holds", rules);
  } else {
    say_field("lifts", "rules %s, and no others", rules);
    say_field("lets pass",
              "%s",
              flag(grant, "masked") ? "what was found masked"
                                    : "the text as it is");
  }
  say_field("of",
            "%s (%s), from %s on connection %s",
            text(grant, "user") ?: "?",
            text(grant, "issuer") ?: "?",
            text(grant, "client") ?: "?",
            text(grant, "connection") ?: "?");
  if (flag(grant, "session"))
    say_field("session",
              conversation
                  ? "of conversation %s; over after 30 idle minutes"
                  : "of requests that name no conversation%s; over after "
                    "30 idle minutes",
              conversation ? conversation : "");
  say_field("until", "%s, %s left", until, left);
  if (uses_of(grant))
    say_field("used",
              "%" G_GUINT64_FORMAT " times, the last at %s",
              uses_of(grant),
              last);
  else
    say_field("used", "not yet");
}

static GVariant *
find(const Call *call, GVariant *list, const char *prefix, int *code)
{
  GVariant *found = NULL;

  for (gsize i = 0; i < g_variant_n_children(list); i++) {
    GVariant *grant = g_variant_get_child_value(list, i);

    if (!g_str_has_prefix(text(grant, "id") ?: "", prefix)) {
      g_variant_unref(grant);
      continue;
    }
    if (found) {
      g_variant_unref(grant);
      g_variant_unref(found);
      *code = complain(
          call, CLI_FOUND, "%s begins the id of several grants", prefix);
      return NULL;
    }
    found = grant;
  }
  if (!found)
    *code = complain(call,
                     CLI_FOUND,
                     "there is no grant %s (any more); `hoop-agent grants` "
                     "lists those in force, the journal has the others "
                     "(journal list --kind policy)",
                     prefix);
  return found;
}

static int
show(const Call *call, GVariant *list, const char *id)
{
  int code = CLI_DONE;
  g_autoptr(GVariant) grant = id ? find(call, list, id, &code) : NULL;

  if (id && !grant)
    return code;
  if (call_has(call, "json"))
    print_json(variant_to_json(grant ? grant : list));
  else if (grant)
    print_one(grant);
  else
    print_list(list);
  return CLI_DONE;
}

int
verb_grants(const Call *call)
{
  const char *what = call->n_args ? call->args[0] : "list";
  const char *id = call->n_args == 2 ? call->args[1] : NULL;
  const bool list = g_str_equal(what, "list");
  g_autoptr(HoopAgent1) agent = NULL;
  g_autoptr(GVariant) all = NULL;
  g_autoptr(GError) error = NULL;
  int code = CLI_DONE;

  if (list == (id != NULL))
    return complain(call,
                    CLI_USAGE,
                    "usage: hoop-agent grants [list|explain ID|revoke ID]");
  agent = daemon_connect(call, &code);
  if (!agent)
    return code;
  if (g_str_equal(what, "revoke")) {
    if (!hoop_agent1_call_revoke_sync(agent, id, NULL, &error))
      return complain_error(call, error);
    printf("%s: revoked; what it let pass is asked about again.\n", id);
    return CLI_DONE;
  }
  if (!hoop_agent1_call_grants_sync(agent, &all, NULL, &error))
    return complain_error(call, error);
  return show(call, all, id);
}
