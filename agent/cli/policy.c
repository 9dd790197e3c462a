/* SPDX-License-Identifier: Apache-2.0 */
/* policy check, show and explain: rules without traffic. Works without the
 * daemon. */
#include "cli/scan.h"
#include "daemon/daemon.h"
#include "identity/identity.h"
#include "judge/judge.h"
#include "kit/clock.h"
#include "kit/json.h"
#include <stdio.h>
#include <string.h>

/* As much as the daemon takes for one body by default. */
#define MAX_BODY ((size_t)32 * 1024 * 1024)

/* ---- check ---------------------------------------------------------------
 */

typedef struct {
  const Call *call;
  RulePack *pack; /* or NULL */
  struct json_object *list;
  bool fine;
} Check;

static void
say_fine(const char *name, const Policy *policy, char **warnings)
{
  unsigned n;

  policy_rules(policy, &n);
  printf("%s: %sfine%s, %u rule%s, revision %.12s\n",
         name,
         ink(INK_GREEN),
         ink(INK_PLAIN),
         n,
         n == 1 ? "" : "s",
         policy_revision(policy));
  for (char **warning = warnings; *warning; warning++)
    printf("%swarning:%s %s\n", ink(INK_YELLOW), ink(INK_PLAIN), *warning);
}

static void
add_check(Check *check,
          const char *file,
          const Policy *policy,
          char **warnings,
          const GError *error)
{
  struct json_object *json = json_object_new_object();
  struct json_object *list = json_object_new_array();
  unsigned n = 0;

  json_object_object_add(json, "file", json_object_new_string(file));
  json_object_object_add(json, "ok", json_object_new_boolean(policy != NULL));
  if (policy) {
    policy_rules(policy, &n);
    json_object_object_add(json, "rules", json_object_new_int64(n));
    json_object_object_add(
        json, "revision", json_object_new_string(policy_revision(policy)));
    for (char **warning = warnings; *warning; warning++)
      json_object_array_add(list, json_object_new_string(*warning));
  } else {
    json_object_object_add(
        json, "error", json_object_new_string(error->message));
  }
  json_object_object_add(json, "warnings", list);
  json_object_array_add(check->list, json);
}

static void
check_file(Check *check, const char *file)
{
  PolicySource source = {.path = file, .layer = LAYER_SYSTEM};
  g_autofree char *name = visible(file, -1, false);
  g_autoptr(GError) error = NULL;
  g_autoptr(Policy) policy = policy_load(&source, 1, &error);
  g_auto(GStrv) warnings = policy ? policy_warnings(policy, check->pack) : NULL;

  check->fine = check->fine && policy;
  if (check->list)
    add_check(check, file, policy, warnings, error);
  else if (policy)
    say_fine(name, policy, warnings);
  else
    complain(check->call, 0, "%s", error->message);
}

static int
check_files(const Call *call)
{
  Check check = {.call = call, .fine = true};
  g_autoptr(Config) config = NULL;
  g_autoptr(RulePack) pack = NULL;
  int code = CLI_DONE;

  if (call->n_args < 2)
    return complain(
        call, CLI_USAGE, "usage: hoop-agent policy check [--json] FILE...");
  config = cli_config(call, &code);
  if (!config)
    return code;
  pack = daemon_load_rules(config, NULL);
  check.pack = pack;
  if (call_has(call, "json"))
    check.list = json_object_new_array();
  for (char **file = call->args + 1; *file; file++)
    check_file(&check, *file);
  if (check.list)
    print_json(check.list);
  return check.fine ? CLI_DONE : CLI_FOUND;
}

/* ---- show ----------------------------------------------------------------
 */

static int
show(const Call *call)
{
  int code = CLI_DONE;
  g_autoptr(Config) config = NULL;
  g_autoptr(Policy) policy = NULL;
  g_autoptr(GError) error = NULL;
  g_autofree char *text = NULL;
  struct json_object *json;

  if (call->n_args != 1)
    return complain(call, CLI_USAGE, "usage: hoop-agent policy show [--json]");
  config = cli_config(call, &code);
  if (!config)
    return code;
  policy = daemon_load_policy(config, &error);
  if (!policy)
    return complain_error(call, error);
  text = policy_to_text(policy);
  if (!call_has(call, "json")) {
    fputs(text, stdout);
    return CLI_DONE;
  }
  json = json_object_new_object();
  json_object_object_add(
      json, "revision", json_object_new_string(policy_revision(policy)));
  json_object_object_add(json, "yaml", json_object_new_string(text));
  print_json(json);
  return CLI_DONE;
}

/* ---- explain -------------------------------------------------------------
 */

typedef struct {
  const Call *call;
  Scanner scanner;
  Policy *policy;
  Subject subject;
  Direction direction;
  char **groups; /* of --group, else the user's own */
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

/* The shape of a body, by its top members; plain text is no JSON object. */
static Api
guess_api(struct json_object *json)
{
  static const struct {
    const char *member;
    Api api;
  } shapes[] = {
      {"anthropic_version", API_MESSAGES},
      {"max_tokens_to_sample", API_MESSAGES},
      {"messages", API_CHAT},
      {"choices", API_CHAT},
      {"input", API_RESPONSES},
      {"output", API_RESPONSES},
      {"prompt", API_COMPLETIONS},
      {"jsonrpc", API_MCP},
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(shapes); i++)
    if (json_object_object_get_ex(json, shapes[i].member, NULL))
      return shapes[i].api;
  return API_OTHER;
}

/* A text becomes the one message of a chat. */
static GBytes *
as_chat(GBytes *bytes, Direction direction)
{
  g_autoptr(GString) out =
      g_string_new(direction == DIRECTION_REQUEST
                       ? "{\"messages\":[{\"role\":\"user\",\"content\":\""
                       : "{\"choices\":[{\"index\":0,\"message\":{\"role\":"
                         "\"assistant\",\"content\":\"");
  size_t len;
  const char *text = g_bytes_get_data(bytes, &len);

  json_escape(out, text, (gssize)len);
  g_string_append(out, direction == DIRECTION_REQUEST ? "\"}]}" : "\"}}]}");
  return g_bytes_new(out->str, out->len);
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

/* The body that is judged and its shape. What begins as an object is JSON, and
 * refused as such when it is broken. */
static GBytes *
shape_body(Explain *explain, GBytes *bytes)
{
  const char *wanted = call_value(explain->call, "api");
  g_autofree char *text =
      g_strndup(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
  bool object = text[strspn(text, " \t\r\n")] == '{';
  struct json_object *json = object ? json_tokener_parse(text) : NULL;

  if (wanted)
    api_from_name(wanted, &explain->subject.api);
  else
    explain->subject.api = json ? guess_api(json) : API_CHAT;
  json_object_put(json);
  explain->subject.completions = explain->subject.api == API_COMPLETIONS;
  return object ? g_bytes_ref(bytes) : as_chat(bytes, explain->direction);
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
  g_autoptr(Verdict) verdict = judge_body(
      explain->policy, &explain->subject, inspection, true, no_history, NULL);
  const ToolCall *calls;
  unsigned n;

  tell(explain, verdict, NULL);
  calls = inspection_tool_calls(inspection, &n);
  for (unsigned i = 0; i < n && explain->direction == DIRECTION_RESPONSE; i++) {
    g_autoptr(Verdict) one = judge_tool_call(explain->policy,
                                             &explain->subject,
                                             &calls[i],
                                             explain->scanner.scratch,
                                             true);

    tell(explain, one, calls[i].name);
  }
}

static int
explain_body(Explain *explain, GBytes *bytes)
{
  g_autoptr(GBytes) body = shape_body(explain, bytes);
  g_autoptr(GError) error = NULL;
  g_autoptr(Inspection) inspection = inspection_new(explain->scanner.scratch,
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
explain_options(Explain *explain, const Person *person)
{
  const Call *call = explain->call;
  const char *groups = call_value(call, "group");
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
  explain->groups =
      groups ? g_strsplit(groups, ",", -1) : g_strdupv(person->groups);
  explain->subject = (Subject){
      .user = person->user,
      .groups = (const char *const *)explain->groups,
      .connection = connection ? connection : "copilot",
      .method = "POST",
      .wall_us = clock_wall_us(),
  };
  return true;
}

static int
explain_file(const Call *call)
{
  Explain explain = {.call = call};
  g_autoptr(GError) error = NULL;
  g_autoptr(Config) config = NULL;
  g_autoptr(Policy) policy = NULL;
  g_auto(GStrv) named = NULL;
  g_autoptr(GBytes) bytes = NULL;
  g_autoptr(Identity) identity = identity_new_solo(&error);
  g_autoptr(PersonRef) person =
      identity ? identity_current(identity, NULL, &error) : NULL;
  int code = CLI_DONE;

  if (!person)
    return complain(call, CLI_SIGNED_OUT, "%s", error->message);
  if (call->n_args != 2)
    return complain(call,
                    CLI_USAGE,
                    "usage: hoop-agent policy explain [--group G] [--json] "
                    "FILE (- reads standard input)");
  if (!explain_options(&explain, person))
    return CLI_USAGE;
  config = cli_config(call, &code);
  bytes = config ? read_body(call, call->args[1], &code) : NULL;
  if (bytes) {
    policy = daemon_load_policy(config, &error);
    explain.policy = policy;
    named = policy ? policy_named_findings(policy) : NULL;
    if (!policy)
      code = complain_error(call, error);
    else if (scanner_init(call,
                          config,
                          (const char *const *)named,
                          &explain.scanner,
                          &code))
      code = explain_body(&explain, bytes);
    scanner_clear(&explain.scanner);
  }
  g_strfreev(explain.groups);
  return code;
}

int
verb_policy(const Call *call)
{
  if (g_str_equal(call->args[0], "check"))
    return check_files(call);
  return g_str_equal(call->args[0], "show") ? show(call) : explain_file(call);
}
