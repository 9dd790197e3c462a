/* SPDX-License-Identifier: Apache-2.0 */
/* Why a condition did not hold, in words: what the rule asked and what there
 * was. Never text of the body. */
#include "judge/match.h"

#include <string.h>

/* Items of a list that are shown. */
#define MAX_SHOWN 5

static char *
list(const char *const *items, const char *otherwise)
{
  g_autoptr(GString) out = g_string_new(NULL);
  unsigned n = items != NULL ? g_strv_length((char **)(uintptr_t)items) : 0;

  for (unsigned i = 0; i < MIN(n, MAX_SHOWN); i++)
    g_string_append_printf(out, "%s%s", i > 0 ? ", " : "", items[i]);
  if (n > MAX_SHOWN)
    g_string_append_printf(out, " and %u more", n - MAX_SHOWN);
  if (n == 0)
    g_string_append(out, otherwise);
  return g_string_free(g_steal_pointer(&out), FALSE);
}

static char *
asked(char **patterns, const char *there)
{
  g_autofree char *items = list((const char *const *)patterns, "none");

  return g_strdup_printf(
      "asks for %s, is %s", items, there != NULL ? there : "not known");
}

static char *
asked_api(const Facts *facts, const PolicyMatch *match)
{
  const char *names[N_APIS + 1];
  g_autofree char *items = NULL;
  unsigned n = 0;

  for (unsigned i = 0; i < N_APIS; i++)
    if ((match->apis & 1 << i) != 0)
      names[n++] = api_name((Api)i);
  names[n] = NULL;
  items = list(names, "none");
  return g_strdup_printf(
      "asks for %s, is %s", items, api_name(facts->subject->api));
}

static char *
asked_group(const Facts *facts, const PolicyMatch *match)
{
  g_autofree char *mine = facts->subject->groups != NULL
                              ? list(facts->subject->groups, "none")
                              : NULL;

  return asked(match->groups, mine);
}

static char *
asked_process(const Facts *facts, const PolicyMatch *match)
{
  g_autofree char *mine = facts->subject->processes != NULL
                              ? list(facts->subject->processes, "not known")
                              : NULL;

  return asked(match->processes, mine);
}

static char *
asked_time(const Facts *facts)
{
  static const char *const days[] = {"Monday",
                                     "Tuesday",
                                     "Wednesday",
                                     "Thursday",
                                     "Friday",
                                     "Saturday",
                                     "Sunday"};

  return g_strdup_printf("it is %s, %02d:%02d there",
                         days[facts->weekday],
                         facts->minute / 60,
                         facts->minute % 60);
}

static char *
asked_phase(const Facts *facts, const PolicyRule *rule)
{
  if ((rule->phases & RULE_ON_TOOL) != 0 && facts->call == NULL)
    return g_strdup("is about tool calls of answers");
  if (facts->phase == RULE_ON_REQUEST)
    return g_strdup("is about responses");
  return g_strdup(facts->call != NULL ? "is not about tool calls"
                                      : "is about requests");
}

static void
add_use(GString *out, const char *what, int64_t limit, int64_t used)
{
  if (limit >= 0)
    g_string_append_printf(out,
                           "%s%" G_GINT64_FORMAT " of %" G_GINT64_FORMAT " %s",
                           out->len > 0 ? ", " : "used ",
                           used,
                           limit,
                           what);
}

static char *
asked_budget(const Facts *facts, const PolicyBudget *budget)
{
  const Subject *subject = facts->subject;
  const LedgerPerson person = {subject->user, subject->issuer, subject->sub};
  LedgerSum used =
      ledger_sum(subject->ledger, budget, &person, subject->wall_us);
  GString *out = g_string_new(NULL);

  add_use(out, "requests", budget->requests, used.requests);
  add_use(out, "bytes", budget->bytes, used.bytes);
  add_use(out, "tokens", budget->tokens, used.tokens);
  g_string_append_printf(out, " in %u s", budget->window);
  return g_string_free(out, FALSE);
}

static char *
asked_content(const Facts *facts, const PolicyMatch *match, const char *missed)
{
  g_autofree char *items = NULL;

  if (strcmp(missed, "size") == 0)
    return g_strdup_printf("the body is %" G_GINT64_FORMAT " bytes",
                           facts->size);
  if (strcmp(missed, "finding") == 0)
    return g_strdup_printf("asks for at least %u", match->finding_min);
  if (strcmp(missed, "fields") == 0) {
    items = list((const char *const *)match->fields, "none");
    return g_strdup_printf("no field %s", items);
  }
  if (strcmp(missed, "tool") == 0)
    return g_strdup("the call is another or its arguments do not match");
  if (strcmp(missed, "prompt") == 0)
    return g_strdup("no text matches");
  return g_strdup_printf(
      "not more than %u in %u s", match->rate_count, match->rate_window);
}

char *
match_detail(Facts *facts, const PolicyRule *rule, const char *missed)
{
  const PolicyMatch *match = &rule->match;
  const Subject *subject = facts->subject;
  const struct {
    const char *key;
    char **patterns;
    const char *there;
  } texts[] = {
      {"user", match->users, subject->user},
      {"connection", match->connections, subject->connection},
      {"method", match->methods, subject->method},
      {"host", match->hosts, subject->host},
      {"path", match->paths, facts->path},
      {"model", match->models, subject->model},
      {"initiator", match->initiators, subject->initiator},
      {"repo", match->repos, subject->repo},
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++)
    if (strcmp(texts[i].key, missed) == 0)
      return asked(texts[i].patterns, texts[i].there);
  if (strcmp(missed, "phase") == 0)
    return asked_phase(facts, rule);
  if (strcmp(missed, "api") == 0)
    return asked_api(facts, match);
  if (strcmp(missed, "group") == 0)
    return asked_group(facts, match);
  if (strcmp(missed, "process") == 0)
    return asked_process(facts, match);
  if (strcmp(missed, "first-in-session") == 0)
    return g_strdup(subject->first_in_session
                        ? "it is the first of its session"
                        : "it is not the first of its session");
  if (strcmp(missed, "time") == 0)
    return asked_time(facts);
  if (strcmp(missed, "budget") == 0)
    return asked_budget(facts, &match->budget);
  return asked_content(facts, match, missed);
}
