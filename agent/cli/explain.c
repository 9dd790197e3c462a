/* SPDX-License-Identifier: Apache-2.0 */
/* policy explain: of each rule whether it matched or why not, for a prompt, a
 * body, or a recorded exchange. */
#include "cli/policy.h"
#include "cli/recorded.h"
#include "cli/rows.h"
#include "cli/sessions.h"
#include "daemon/daemon.h"
#include "kit/clock.h"
#include <stdio.h>
#include <string.h>

/* As much as the daemon takes for one body by default. */
#define MAX_BODY ((size_t)32 * 1024 * 1024)
/* Shorter words are files' names. */
#define MIN_ID 6

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
  body = cases_body(len ? text : "", len, explain->direction, &api);
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
  explain->subject.issuer = explain->person.issuer;
  explain->subject.sub = explain->person.subject;
  explain->subject.groups = (const char *const *)explain->person.groups;
  return true;
}

/* ---- Recorded ------------------------------------------------------------
 */

/* The beginning of an exchange's id, which no file has as its name. */
static bool
is_id(const char *word)
{
  return strlen(word) >= MIN_ID &&
         strspn(word, "0123456789abcdefghijklmnopqrstuv") == strlen(word) &&
         !g_file_test(word, G_FILE_TEST_EXISTS);
}

static void
say_row(Explain *explain, const KeptRow *kept)
{
  const JournalRow *row = kept->entry.row;
  g_autofree char *when = time_text(row->wall_us);
  g_autofree char *was = visible(row->verdict ? row->verdict : "", -1, false);

  if (!explain->list)
    printf("%s%s%s  %s, recorded as: %s\n\n",
           ink(INK_BOLD),
           row_kind_name(row->kind),
           ink(INK_PLAIN),
           when,
           was);
}

/* What the journal says was used before a time; NULL where the policy has no
 * budget or there is no journal. */
static Ledger *
used_before(const Explain *explain, const Config *config, int64_t wall_us)
{
  unsigned window = policy_budget_window(explain->trial.policy);

  if (!window || !config->journal)
    return NULL;
  return daemon_load_ledger(config->journal_path, window, wall_us, NULL);
}

static void
explain_row(Explain *explain,
            const Config *config,
            JournalReader *bodies,
            const KeptRow *kept)
{
  g_autoptr(Ledger) ledger =
      used_before(explain, config, kept->entry.row->wall_us);
  g_autoptr(GPtrArray) tools = g_ptr_array_new_with_free_func(g_free);
  g_auto(Recorded) recorded = {0};
  g_autoptr(GPtrArray) verdicts = NULL;

  say_row(explain, kept);
  recorded_read(&explain->trial, bodies, &kept->entry, &recorded);
  recorded.subject.ledger = ledger;
  verdicts =
      recorded_judge(&explain->trial, &recorded, true, no_history, NULL, tools);
  if (!verdicts && !explain->list)
    printf("cannot be judged again: %s\n", recorded.unjudged);
  for (guint i = 0; verdicts && i < verdicts->len; i++)
    tell(explain, verdicts->pdata[i], i ? tools->pdata[i - 1] : NULL);
  if (!explain->list)
    puts("");
}

/* Its request, answer and tool calls, from the masked bodies. */
static int
explain_exchange(Explain *explain, const Config *config)
{
  const Call *call = explain->call;
  int code = CLI_DONE;
  g_autoptr(JournalReader) reader = rows_open(call, config, &code);
  g_autoptr(GPtrArray) rows =
      reader ? rows_of_exchange(call, reader, call->args[1], &code) : NULL;

  if (!rows)
    return code;
  if (call_has(call, "json"))
    explain->list = json_object_new_array();
  for (guint i = 0; i < rows->len; i++) {
    const KeptRow *kept = rows->pdata[i];

    if (kept->entry.row->kind == ROW_REQUEST ||
        kept->entry.row->kind == ROW_RESPONSE)
      explain_row(explain, config, reader, kept);
  }
  if (explain->list)
    print_json(explain->list);
  return CLI_DONE;
}

/* ---- The verb ------------------------------------------------------------
 */

int
policy_explain(const Call *call)
{
  Explain explain = {.call = call};
  g_autoptr(Config) config = NULL;
  g_autoptr(GBytes) bytes = NULL;
  g_autoptr(Ledger) ledger = NULL;
  bool recorded = call->n_args == 2 && is_id(call->args[1]);
  Policy *policy;
  int code = CLI_DONE;

  if (call->n_args != 2)
    return complain(call,
                    CLI_USAGE,
                    "usage: hoop-agent policy explain [--group G] [--json] "
                    "FILE|ID (- reads standard input)");
  if (!explain_options(&explain))
    return CLI_USAGE;
  config = cli_config(call, &code);
  bytes = config && !recorded && who_asks(&explain, config, &code)
              ? read_body(call, call->args[1], &code)
              : NULL;
  policy =
      config && (bytes || recorded) ? call_policy(call, config, &code) : NULL;
  if (policy && trial_init(&explain.trial, call, config, policy, &code)) {
    ledger = recorded ? NULL : used_before(&explain, config, clock_wall_us());
    explain.subject.ledger = ledger;
    code = recorded ? explain_exchange(&explain, config)
                    : explain_body(&explain, bytes);
  }
  trial_clear(&explain.trial);
  session_person_clear(&explain.person);
  return code;
}
