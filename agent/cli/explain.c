/* SPDX-License-Identifier: Apache-2.0 */
/* policy explain: of each rule whether it matched or why not, for a prompt or a
 * body. */
#include "cli/policy.h"
#include "cli/sessions.h"
#include "cli/trial.h"
#include "daemon/daemon.h"
#include "kit/clock.h"
#include <stdio.h>

/* As much as the daemon takes for one body by default. */
#define MAX_BODY ((size_t)32 * 1024 * 1024)

typedef struct {
  const Call *call;
  Trial trial;
  Subject subject;
  Direction direction;
  SessionPerson person; /* with the groups of --group, where it was given */
  struct json_object *list;
} Explain;

static unsigned
no_history(const char *rule_id, unsigned window, void *data)
{
  (void)rule_id;
  (void)window;
  (void)data;
  return 0;
}

static GBytes *
read_body(const Call *call, const char *name, int *code)
{
  g_autoptr(GError) error = NULL;
  GBytes *bytes = read_input(name, MAX_BODY, &error);

  if (!bytes)
    *code = complain(call, CLI_USAGE, "%s", error->message);
  return bytes;
}

static GBytes *
shape_body(Explain *explain, GBytes *bytes)
{
  const char *wanted = call_value(explain->call, "api");
  size_t len;
  const char *text = g_bytes_get_data(bytes, &len);
  int api = -1;
  GBytes *body;

  if (wanted && api_from_name(wanted, &explain->subject.api))
    api = (int)explain->subject.api;
  body = trial_body(len ? text : "", len, explain->direction, &api);
  explain->subject.api = (Api)api;
  explain->subject.completions = api == API_COMPLETIONS;
  return body;
}

static void
tell(Explain *explain, const Verdict *verdict, const char *about)
{
  g_autofree char *text = NULL;

  if (explain->list) {
    g_autofree char *json = verdict_to_json(verdict);

    json_object_array_add(explain->list, json_tokener_parse(json));
    return;
  }
  text = verdict_to_text(verdict);
  if (about) {
    g_autofree char *shown = visible(about, -1, false);

    printf("\ntool call %s:\n", shown);
  }
  fputs(text, stdout);
}

static void
judge(Explain *explain, const Inspection *inspection)
{
  g_autoptr(GPtrArray) verdicts = trial_judge(
      &explain->trial, &explain->subject, inspection, true, no_history, NULL);
  const ToolCall *calls;
  unsigned n;

  calls = inspection_tool_calls(inspection, &n);
  tell(explain, verdicts->pdata[0], NULL);
  for (guint i = 1; i < verdicts->len; i++)
    tell(explain, verdicts->pdata[i], calls[i - 1].name);
}

static int
explain_body(Explain *explain, GBytes *bytes)
{
  g_autoptr(GBytes) body = shape_body(explain, bytes);
  g_autoptr(GError) error = NULL;
  g_autoptr(Inspection) inspection =
      inspection_new(explain->trial.scanner.scratch,
                     explain->subject.api,
                     explain->direction,
                     "application/json",
                     body,
                     &inspect_default_limits,
                     &error);

  if (!inspection)
    return complain(explain->call,
                    CLI_FOUND,
                    "the body cannot be read, so it would be refused: %s",
                    error->message);
  explain->subject.model = inspection_model(inspection);
  if (call_has(explain->call, "json"))
    explain->list = json_object_new_array();
  judge(explain, inspection);
  if (explain->list && json_object_array_length(explain->list) == 1) {
    print_json(json_object_get(json_object_array_get_idx(explain->list, 0)));
    json_object_put(explain->list);
  } else if (explain->list) {
    print_json(explain->list);
  }
  return CLI_DONE;
}

static bool
explain_options(Explain *explain)
{
  const Call *call = explain->call;
  const char *direction = call_value(call, "direction");
  const char *api = call_value(call, "api");
  const char *connection = call_value(call, "connection");
  Api known;

  if (direction && g_str_equal(direction, "response"))
    explain->direction = DIRECTION_RESPONSE;
  else if (direction && !g_str_equal(direction, "request"))
    return complain(
        call, 0, "--direction is request or response, not %s", direction);
  if (api && !api_from_name(api, &known))
    return complain(call, 0, "--api %s: there is no such API", api);
  explain->subject = (Subject){
      .connection = connection ? connection : "copilot",
      .method = "POST",
      .wall_us = clock_wall_us(),
  };
  return true;
}

/* Groups that are given are a question about nobody in particular. */
static bool
who_asks(Explain *explain, const Config *config, int *code)
{
  const char *groups = call_value(explain->call, "group");

  if (!(groups && config->identities->len) &&
      !session_person(explain->call, config, &explain->person, code))
    return false;
  if (groups) {
    g_strfreev(explain->person.groups);
    explain->person.groups = g_strsplit(groups, ",", -1);
  }
  explain->subject.user = explain->person.user;
  explain->subject.groups = (const char *const *)explain->person.groups;
  return true;
}

/* The policy that --policy names, or the one in effect. */
static Policy *
explain_policy(const Call *call, const Config *config, int *code)
{
  PolicySource source = {.path = call_value(call, "policy"),
                         .layer = LAYER_SYSTEM};
  g_autoptr(GError) error = NULL;
  Policy *policy = source.path ? policy_load(&source, 1, &error)
                               : daemon_load_policy(config, &error);

  if (!policy)
    *code = complain_error(call, error);
  return policy;
}

int
policy_explain(const Call *call)
{
  Explain explain = {.call = call};
  g_autoptr(Config) config = NULL;
  g_autoptr(GBytes) bytes = NULL;
  Policy *policy;
  int code = CLI_DONE;

  if (call->n_args != 2)
    return complain(call,
                    CLI_USAGE,
                    "usage: hoop-agent policy explain [--group G] [--json] "
                    "FILE (- reads standard input)");
  if (!explain_options(&explain))
    return CLI_USAGE;
  config = cli_config(call, &code);
  bytes = config && who_asks(&explain, config, &code)
              ? read_body(call, call->args[1], &code)
              : NULL;
  policy = bytes ? explain_policy(call, config, &code) : NULL;
  if (policy && trial_init(&explain.trial, call, config, policy, &code))
    code = explain_body(&explain, bytes);
  trial_clear(&explain.trial);
  session_person_clear(&explain.person);
  return code;
}
