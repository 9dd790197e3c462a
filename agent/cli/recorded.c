/* SPDX-License-Identifier: Apache-2.0 */
/* Makes rows of the journal into what the judge takes: masks stand for the
 * findings that the record lists. */
#include "cli/recorded.h"
#include "cli/member.h"
#include "kit/buf.h"
#include <string.h>

/* A mask is [RULE:CODE] with a code of at least so many characters. */
#define MASK_CODE_MIN 12
/* An answer is fed to the filter in such steps. */
#define FEED_STEP ((size_t)64 * 1024)
#define MAX_STREAM ((size_t)128 * 1024 * 1024)

/* ---- The record's own findings -------------------------------------------
 */

static void
free_rule(gpointer data)
{
  DetectorRule *rule = data;

  g_free(rule->id);
  g_free(rule->class_name);
  g_free(rule);
}

static const DetectorRule *
find_rule(const RulePack *pack, const char *id)
{
  unsigned n;
  const DetectorRule *const *rules = rule_pack_all(pack, &n);

  for (unsigned i = 0; i < n; i++)
    if (strcmp(rules[i]->id, id) == 0)
      return rules[i];
  return NULL;
}

/* The pack's rule of that id, or one in its place: what was found then counts
 * also when today's pack has the rule no more. */
static const DetectorRule *
rule_of(Recorded *recorded,
        const RulePack *pack,
        const char *id,
        const char *class_name)
{
  const DetectorRule *known = find_rule(pack, id);
  DetectorRule *rule;

  if (known)
    return known;
  for (guint i = 0; i < recorded->rules->len; i++) {
    rule = recorded->rules->pdata[i];
    if (strcmp(rule->id, id) == 0)
      return rule;
  }
  rule = g_new0(DetectorRule, 1);
  rule->id = g_strdup(id);
  rule->class_name = g_strdup(class_name ? class_name : "secret");
  g_ptr_array_add(recorded->rules, rule);
  return rule;
}

static unsigned
field_index(const Inspection *inspection, const char *path)
{
  const InspectField *fields;
  unsigned n = 0;

  fields = inspection ? inspection_fields(inspection, &n) : NULL;
  for (unsigned i = 0; i < n; i++)
    if (g_strcmp0(fields[i].path, path) == 0)
      return i;
  return 0;
}

static void
add_recorded(Recorded *recorded, const RulePack *pack)
{
  struct json_object *list = json_member(recorded->detail, "findings");
  size_t n = json_object_is_type(list, json_type_array)
                 ? json_object_array_length(list)
                 : 0;

  for (size_t i = 0; i < n; i++) {
    struct json_object *one = json_object_array_get_idx(list, i);
    const char *id = json_member_text(one, "rule");
    Finding finding = {.confidence = 1};

    if (!id)
      continue;
    finding.rule = rule_of(recorded, pack, id, json_member_text(one, "class"));
    finding.field =
        field_index(recorded->inspection, json_member_text(one, "field"));
    finding.allowed = json_object_get_boolean(json_member(one, "allowed"));
    g_array_append_val(recorded->findings, finding);
  }
}

/* ---- What the masked body still holds ------------------------------------
 */

/* Whether a mask stands at text[at]; its length. */
static size_t
mask_at(const char *text, size_t len, size_t at)
{
  size_t end = at + 1, code;

  while (end < len && (g_ascii_islower(text[end]) ||
                       g_ascii_isdigit(text[end]) || text[end] == '-'))
    end++;
  if (end == at + 1 || end >= len || text[end] != ':')
    return 0;
  code = ++end;
  while (end < len && g_ascii_isalnum(text[end]))
    end++;
  return end < len && text[end] == ']' && end - code >= MASK_CODE_MIN
             ? end + 1 - at
             : 0;
}

static bool
touches_mask(const InspectField *field, const Finding *finding)
{
  for (size_t at = 0; at < field->len && at < finding->end; at++) {
    size_t len =
        field->text[at] == '[' ? mask_at(field->text, field->len, at) : 0;

    if (len && at + len > finding->start)
      return true;
    if (len)
      at += len - 1;
  }
  return false;
}

/* What this policy looks for and the one of that time did not. */
static void
add_found(Recorded *recorded)
{
  const InspectField *fields;
  const Finding *findings;
  unsigned n, n_fields;

  if (!recorded->inspection)
    return;
  fields = inspection_fields(recorded->inspection, &n_fields);
  findings = inspection_findings(recorded->inspection, &n);
  for (unsigned i = 0; i < n; i++)
    if (!touches_mask(&fields[findings[i].field], &findings[i]))
      g_array_append_val(recorded->findings, findings[i]);
}

/* ---- Rows -----------------------------------------------------------------
 */

static void
read_subject(const JournalRow *row, Recorded *out)
{
  Api api = API_OTHER;

  out->groups = row->groups ? g_strsplit(row->groups, ",", -1) : NULL;
  if (out->groups && row->groups[0] == '\0')
    out->groups[0] = (g_free(out->groups[0]), NULL);
  out->processes = row->process ? g_strsplit(row->process, " < ", -1) : NULL;
  if (row->api)
    api_from_name(row->api, &api);
  out->subject = (Subject){
      .user = row->user,
      .groups = (const char *const *)out->groups,
      .client = row->client,
      .issuer = row->issuer,
      .sub = json_member_text(out->detail, "sub"),
      .connection = row->connection,
      .host = row->host,
      .method = row->method,
      .path = row->path,
      .api = api,
      .model = row->model,
      .initiator = json_member_text(out->detail, "initiator"),
      .processes = (const char *const *)out->processes,
      .repo = json_member_text(out->detail, "repo"),
      .wall_us = row->wall_us,
      .first_in_session =
          json_object_get_boolean(json_member(out->detail, "first")),
      .completions = api == API_COMPLETIONS,
  };
}

static bool
is_stream(const char *text, size_t len)
{
  return (len >= 5 && memcmp(text, "data:", 5) == 0) ||
         (len >= 6 && memcmp(text, "event:", 6) == 0) ||
         (len >= 1 && text[0] == ':');
}

static bool
is_json(const char *text, size_t len)
{
  size_t at = 0;

  while (at < len && strchr(" \t\r\n", text[at]) && text[at])
    at++;
  return at < len && (text[at] == '{' || text[at] == '[');
}

static void
read_body(Trial *trial,
          JournalReader *bodies,
          const JournalEntry *entry,
          Recorded *out)
{
  Direction direction =
      entry->row->kind == ROW_REQUEST ? DIRECTION_REQUEST : DIRECTION_RESPONSE;
  g_autoptr(GBytes) body = NULL;
  const char *text;
  size_t len;

  if (entry->body_len < 0 && direction == DIRECTION_RESPONSE) {
    out->unjudged = "there was no answer";
    return;
  }
  if (entry->body_len > 0 && !entry->has_body) {
    out->unjudged = "its body was not kept";
    return;
  }
  if (entry->kept_len >= 0 && entry->kept_len < entry->body_len) {
    out->unjudged = "its body was kept only in part";
    return;
  }
  body = entry->body_len > 0 ? journal_body(bodies, entry->body_digest, NULL)
                             : g_bytes_new_static("", 0);
  if (!body) {
    out->unjudged = "its body cannot be read";
    return;
  }
  text = g_bytes_get_data(body, &len);
  if (direction == DIRECTION_RESPONSE && len && is_stream(text, len)) {
    out->stream = g_bytes_ref(body);
    return;
  }
  out->inspection =
      inspection_new(trial->scanner.scratch,
                     out->subject.api,
                     direction,
                     len && is_json(text, len) ? "application/json"
                                               : "text/plain; charset=utf-8",
                     body,
                     &inspect_default_limits,
                     NULL);
  if (!out->inspection)
    out->unjudged = "its body cannot be read";
}

void
recorded_read(Trial *trial,
              JournalReader *bodies,
              const JournalEntry *entry,
              Recorded *out)
{
  const JournalRow *row = entry->row;

  *out = (Recorded){
      .findings = g_array_new(FALSE, FALSE, sizeof(Finding)),
      .rules = g_ptr_array_new_with_free_func(free_rule),
      .detail = row->detail ? json_tokener_parse(row->detail) : NULL,
  };
  read_subject(row, out);
  if (row->kind == ROW_REQUEST && !json_member(out->detail, "verdict")) {
    out->unjudged = "it was not inspected";
    return;
  }
  read_body(trial, bodies, entry, out);
  add_recorded(out, trial->scanner.pack);
  add_found(out);
}

void
recorded_clear(Recorded *recorded)
{
  g_clear_pointer(&recorded->inspection, inspection_free);
  g_clear_pointer(&recorded->stream, g_bytes_unref);
  g_clear_pointer(&recorded->findings, g_array_unref);
  g_clear_pointer(&recorded->rules, g_ptr_array_unref);
  g_clear_pointer(&recorded->groups, g_strfreev);
  g_clear_pointer(&recorded->processes, g_strfreev);
  json_object_put(recorded->detail);
  recorded->detail = NULL;
}

/* ---- Judging --------------------------------------------------------------
 */

static void
free_verdict(gpointer data)
{
  verdict_free(data);
}

static void
judge_call(Trial *trial,
           const Subject *subject,
           const ToolCall *call,
           bool explain,
           GPtrArray *verdicts,
           GPtrArray *tools)
{
  g_ptr_array_add(
      verdicts,
      judge_tool_call(
          trial->policy, subject, call, trial->scanner.scratch, explain));
  if (tools)
    g_ptr_array_add(tools, g_strdup(call->name));
}

/* Runs the filter over a recorded stream for its tool calls; what it gives out
 * is dropped. False: it cannot be read. */
static bool
judge_stream_calls(Trial *trial,
                   Recorded *recorded,
                   bool explain,
                   GPtrArray *verdicts,
                   GPtrArray *tools)
{
  StreamPlan plan = {.hold_tools = true};
  g_autofree Action *by_rule = NULL;
  g_autoptr(ResponseFilter) filter = NULL;
  g_auto(Buf) out = {0};
  FilterState state = FILTER_MORE;
  size_t len, at = 0;
  const char *bytes = g_bytes_get_data(recorded->stream, &len);
  bool finished = false;

  rule_pack_all(trial->scanner.pack, &plan.n_rules);
  by_rule = g_new0(Action, plan.n_rules);
  plan.by_rule = by_rule;
  filter = response_filter_new(trial->scanner.detector,
                               recorded->subject.api,
                               true,
                               &plan,
                               trial->scanner.masker,
                               NULL,
                               NULL);
  buf_init(&out, MAX_STREAM);
  while (filter && !finished) {
    bool good;

    if (state == FILTER_TOOL_CALL) {
      judge_call(trial,
                 &recorded->subject,
                 response_filter_tool_call(filter),
                 explain,
                 verdicts,
                 tools);
      good = response_filter_resolve(
          filter, TOOL_RELEASE, NULL, &out, NULL, &state, NULL);
    } else if (at < len && state == FILTER_MORE) {
      size_t step = MIN(FEED_STEP, len - at);

      good = response_filter_feed(
          filter, bytes + at, step, &out, NULL, &state, NULL);
      at += step;
    } else if (state == FILTER_MORE) {
      good = response_filter_finish(filter, false, &out, NULL, &state, NULL);
      finished = state != FILTER_TOOL_CALL;
    } else {
      break;
    }
    if (!good)
      return false;
    buf_consume(&out, out.len);
  }
  return filter != NULL;
}

GPtrArray *
recorded_judge(Trial *trial,
               Recorded *recorded,
               bool explain,
               JudgeRate rate,
               void *rate_data,
               GPtrArray *tools)
{
  g_autoptr(GPtrArray) verdicts = NULL;
  const Inspection *inspection = recorded->inspection;
  const ToolCall *calls;
  unsigned n;

  if (recorded->unjudged)
    return NULL;
  verdicts = g_ptr_array_new_with_free_func(free_verdict);
  if (recorded->stream) {
    g_ptr_array_add(
        verdicts,
        judge_stream(trial->policy,
                     &recorded->subject,
                     (const Finding *)(const void *)recorded->findings->data,
                     recorded->findings->len,
                     explain));
    if (judge_stream_calls(trial, recorded, explain, verdicts, tools))
      return g_steal_pointer(&verdicts);
    recorded->unjudged = "its stream cannot be read";
    return NULL;
  }
  g_ptr_array_add(verdicts,
                  judge_recorded(trial->policy,
                                 &recorded->subject,
                                 inspection,
                                 recorded->findings,
                                 explain,
                                 rate,
                                 rate_data));
  calls = inspection_tool_calls(inspection, &n);
  if (inspection_direction(inspection) == DIRECTION_RESPONSE)
    for (unsigned i = 0; i < n; i++)
      judge_call(
          trial, &recorded->subject, &calls[i], explain, verdicts, tools);
  return g_steal_pointer(&verdicts);
}
