/* SPDX-License-Identifier: Apache-2.0 */
/* reviews: other people's requests at the hub, listed, shown and answered. */
#include "cli/verb.h"
#include "kit/clock.h"
#include <stdio.h>
#include <string.h>

/* One request to the hub. */
#define TIMEOUT_MS 40000

typedef struct json_object Json;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Json, json_object_put)

/* ---- reading ------------------------------------------------------------- */

static const char *
text_of(Json *object, const char *name)
{
  Json *value = NULL;

  return json_object_object_get_ex(object, name, &value) &&
                 json_object_is_type(value, json_type_string)
             ? json_object_get_string(value)
             : NULL;
}

static int64_t
number_of(Json *object, const char *name)
{
  Json *value = NULL;

  return json_object_object_get_ex(object, name, &value)
             ? json_object_get_int64(value)
             : 0;
}

static bool
flag_of(Json *object, const char *name)
{
  Json *value = NULL;

  return json_object_object_get_ex(object, name, &value) &&
         json_object_get_boolean(value);
}

static Json *
list_of(Json *object, const char *name)
{
  Json *value = NULL;

  return json_object_object_get_ex(object, name, &value) &&
                 json_object_is_type(value, json_type_array)
             ? value
             : NULL;
}

static size_t
length_of(Json *list)
{
  return list ? json_object_array_length(list) : 0;
}

/* The hub's answer, or NULL after having complained into *code. */
static Json *
take(const Call *call, const char *result, const char *text, int *code)
{
  Json *json;

  *code = hub_code(call, result, text);
  if (*code != CLI_DONE)
    return NULL;
  json = json_tokener_parse(text);
  if (!json)
    *code = complain(call, CLI_FOUND, "the hub's answer cannot be read");
  return json;
}

/* id "": the list. */
static Json *
ask(const Call *call, HoopAgent1 *agent, const char *id, bool all, int *code)
{
  g_autofree char *result = NULL;
  g_autofree char *text = NULL;
  g_autoptr(GError) error = NULL;

  if (hoop_agent1_call_hub_reviews_sync(
          agent, id, all, &result, &text, NULL, &error))
    return take(call, result, text, code);
  *code = complain_error(call, error);
  return NULL;
}

/* The full id; among all that are known, so that what is over can be shown.
 * g_free; NULL after having complained. */
static char *
find_id(const Call *call, HoopAgent1 *agent, int *code)
{
  const char *prefix = call->args[1];
  g_autoptr(Json) answer = NULL;
  const char *found = NULL;
  unsigned n = 0;
  Json *list;

  if (strlen(prefix) == 32)
    return g_strdup(prefix);
  answer = ask(call, agent, "", true, code);
  if (!answer)
    return NULL;
  list = list_of(answer, "reviews");
  for (size_t i = 0; i < length_of(list); i++) {
    const char *id = text_of(json_object_array_get_idx(list, i), "id");

    if (id && g_str_has_prefix(id, prefix)) {
      found = id;
      n++;
    }
  }
  if (n == 1)
    return g_strdup(found);
  *code = complain(call,
                   CLI_FOUND,
                   n ? "%s begins the ids of several reviews"
                     : "no review at the hub begins with %s",
                   prefix);
  return NULL;
}

/* ---- saying -------------------------------------------------------------- */

static char *
rules_of(Json *review)
{
  Json *rules = list_of(review, "rules");
  GString *out = g_string_new(NULL);

  for (size_t i = 0; i < length_of(rules); i++) {
    const char *id = text_of(json_object_array_get_idx(rules, i), "id");

    g_string_append_printf(out, "%s%s", i ? ", " : "", id ?: "?");
  }
  return g_string_free(out, FALSE);
}

static int
list(const Call *call, HoopAgent1 *agent)
{
  int code = CLI_DONE;
  const bool all = call_has(call, "all");
  g_autoptr(Json) answer = ask(call, agent, "", all, &code);
  Json *reviews;
  Table *table;

  if (!answer)
    return code;
  if (call_has(call, "json")) {
    print_json(g_steal_pointer(&answer));
    return CLI_DONE;
  }
  reviews = list_of(answer, "reviews");
  if (length_of(reviews) == 0) {
    puts(all ? "The hub has no reviews." : "Nothing waits at the hub.");
    return CLI_DONE;
  }
  table = table_new((const char *[]){
      "ID", "USER", "STATE", "LEFT", "MODEL", "RULES", "YOURS", NULL});
  for (size_t i = 0; i < length_of(reviews); i++) {
    Json *one = json_object_array_get_idx(reviews, i);
    const char *id = text_of(one, "id");
    const char *state = text_of(one, "state");
    g_autofree char *short_id = g_strndup(id ?: "?", 12);
    g_autofree char *rules = rules_of(one);
    g_autofree char *left =
        g_strcmp0(state, "pending") == 0
            ? span_text(number_of(one, "deadline_us") - clock_wall_us())
            : g_strdup("");

    table_add(table,
              (const char *[]){short_id,
                               text_of(one, "user"),
                               state,
                               left,
                               text_of(one, "model"),
                               rules,
                               flag_of(one, "may_answer") ? "answer"
                               : flag_of(one, "mine")     ? "request"
                                                          : "",
                               NULL});
  }
  table_print(table);
  return CLI_DONE;
}

static void
line(const char *name, const char *value)
{
  g_autofree char *shown = visible(value ?: "unknown", -1, false);

  printf("%-11s %s\n", name, shown);
}

static void
say_rules(Json *review)
{
  Json *rules = list_of(review, "rules");

  for (size_t i = 0; i < length_of(rules); i++) {
    Json *rule = json_object_array_get_idx(rules, i);
    Json *groups = list_of(rule, "groups");
    const char *message = text_of(rule, "message");
    GString *out = g_string_new(text_of(rule, "id"));

    if (message)
      g_string_append_printf(out, ": %s", message);
    if (flag_of(rule, "each"))
      g_string_append(out, "; one of each of");
    else
      g_string_append_printf(out, "; %d of", (int)number_of(rule, "count"));
    for (size_t j = 0; j < length_of(groups); j++)
      g_string_append_printf(
          out,
          " %s",
          json_object_get_string(json_object_array_get_idx(groups, j)));
    line("asked by", out->str);
    g_string_free(out, TRUE);
  }
}

static void
say_answers(Json *review)
{
  Json *answers = list_of(review, "answers");

  for (size_t i = 0; i < length_of(answers); i++) {
    Json *one = json_object_array_get_idx(answers, i);
    const char *reason = text_of(one, "reason");
    g_autofree char *both = g_strdup_printf("%s: %s%s%s",
                                            text_of(one, "user") ?: "?",
                                            text_of(one, "answer") ?: "?",
                                            reason ? ", " : "",
                                            reason ?: "");

    line("answer", both);
  }
}

static void
say(Json *review)
{
  g_autofree char *left =
      span_text(number_of(review, "deadline_us") - clock_wall_us());
  g_autofree char *shown = visible(text_of(review, "text") ?: "", -1, true);

  printf("%sThis is another person's request, unless it says yours.%s\n",
         ink(INK_DIM),
         ink(INK_PLAIN));
  line("review", text_of(review, "id"));
  line("state", text_of(review, "state"));
  line(flag_of(review, "mine") ? "yours" : "user", text_of(review, "user"));
  line("client", text_of(review, "client"));
  line("process", text_of(review, "process"));
  line("model", text_of(review, "model"));
  say_rules(review);
  if (text_of(review, "justification"))
    line("why", text_of(review, "justification"));
  if (g_strcmp0(text_of(review, "state"), "pending") == 0)
    line("time left", left);
  if (flag_of(review, "masks"))
    line("shown", "masked; only this can be approved (--masked)");
  if (flag_of(review, "needs_reason"))
    line("reason", "wanted with an approval");
  say_answers(review);
  printf("\n%s%s", shown, g_str_has_suffix(shown, "\n") ? "" : "\n");
}

/* ---- verbs --------------------------------------------------------------- */

static int
show(const Call *call, HoopAgent1 *agent, const char *id)
{
  int code = CLI_DONE;
  g_autoptr(Json) review = ask(call, agent, id, false, &code);

  if (!review)
    return code;
  if (call_has(call, "json"))
    print_json(g_steal_pointer(&review));
  else
    say(review);
  return CLI_DONE;
}

static int
answer(const Call *call, HoopAgent1 *agent, const char *id, const char *word)
{
  int code = CLI_DONE;
  g_autoptr(Json) review = ask(call, agent, id, false, &code);
  g_autoptr(Json) after = NULL;
  g_autofree char *result = NULL;
  g_autofree char *text = NULL;
  g_autoptr(GError) error = NULL;

  if (!review)
    return code;
  if (!hoop_agent1_call_hub_answer_sync(agent,
                                        id,
                                        word,
                                        text_of(review, "digest") ?: "",
                                        call_value(call, "reason") ?: "",
                                        &result,
                                        &text,
                                        NULL,
                                        &error))
    return complain_error(call, error);
  after = take(call, result, text, &code);
  if (!after)
    return code;
  if (call_has(call, "json"))
    print_json(g_steal_pointer(&after));
  else if (g_strcmp0(text_of(after, "state"), "pending") == 0)
    printf("%.12s: your answer is recorded; others are still asked.\n", id);
  else
    line(text_of(after, "state"), text_of(after, "id"));
  return CLI_DONE;
}

int
verb_reviews(const Call *call)
{
  const char *what = call->n_args ? call->args[0] : "list";
  const bool lists = g_str_equal(what, "list");
  int code = CLI_DONE;
  g_autoptr(HoopAgent1) agent = NULL;
  g_autofree char *id = NULL;

  if (lists != (call->n_args < 2))
    return complain(call,
                    CLI_USAGE,
                    lists ? "list takes no id" : "%s takes the id of a review",
                    what);
  agent = daemon_connect(call, &code);
  if (!agent)
    return code;
  g_dbus_proxy_set_default_timeout(G_DBUS_PROXY(agent), TIMEOUT_MS);
  if (lists)
    return list(call, agent);
  id = find_id(call, agent, &code);
  if (!id)
    return code;
  if (g_str_equal(what, "show"))
    return show(call, agent, id);
  if (g_str_equal(what, "deny"))
    return answer(call, agent, id, "denied");
  return answer(call,
                agent,
                id,
                call_has(call, "masked") ? "approved-masked" : "approved");
}
