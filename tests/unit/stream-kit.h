/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of streamed answers share: plans, running a filter over a
 * stream cut in some way, the text that a client would see. */
#ifndef HOOP_TEST_STREAM_KIT_H
#define HOOP_TEST_STREAM_KIT_H

#include "inspect-kit.h"

#include "kit/json.h"

/* Streams of tests are small. */
#define KIT_OUT_MAX ((size_t)64 * 1024 * 1024)

typedef struct {
  Detector *detector;
  Masker *masker;
} StreamKit;

typedef struct {
  bool hold_tools;
  bool refuse;         /* every tool call that waits */
  const char *refused; /* only calls of this name */
  Action action;       /* of every rule */
  Restore restore;
  Action restored; /* of every rule, in restored arguments */
  bool lenient;    /* findings that the user allowed pass */
  char **mask_fields;
  char **keep_fields;
  const char *end_message; /* said when a finding blocks */
  bool cut;
  bool keep_final; /* do not release the last event */
} RunPlan;

typedef struct {
  GString *out;
  GString *record;
  unsigned calls;  /* that waited */
  GString *seen;   /* name(arguments); of each */
  GString *masked; /* their arguments as they are recorded */
  unsigned findings;
  GString *found; /* rule, start and end of each */
  FilterState last;
  GError *error;
  size_t at_final; /* bytes of out before the release */
} Run;

static inline void
run_free(Run *run)
{
  if (run == NULL)
    return;
  g_string_free(run->out, TRUE);
  g_string_free(run->record, TRUE);
  g_string_free(run->seen, TRUE);
  g_string_free(run->masked, TRUE);
  g_string_free(run->found, TRUE);
  g_clear_error(&run->error);
  g_free(run);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Run, run_free)

static inline StreamPlan *
kit_plan(Detector *detector, const RunPlan *run)
{
  StreamPlan *plan = g_new0(StreamPlan, 1);

  rule_pack_all(detector_pack(detector), &plan->n_rules);
  plan->by_rule = g_new(Action, plan->n_rules);
  for (unsigned i = 0; i < plan->n_rules; i++)
    plan->by_rule[i] = run->action;
  plan->by_restored = g_new(Action, plan->n_rules);
  for (unsigned i = 0; i < plan->n_rules; i++)
    plan->by_restored[i] = run->restored;
  if (run->lenient)
    plan->by_allowed = g_new0(Action, plan->n_rules);
  plan->hold_tools = run->hold_tools;
  plan->restore = run->restore;
  plan->mask_fields = g_strdupv(run->mask_fields);
  plan->keep_fields = g_strdupv(run->keep_fields);
  return plan;
}

static inline bool
kit_answer(ResponseFilter *filter,
           const RunPlan *plan,
           Run *run,
           Buf *out,
           Buf *record,
           FilterState *state)
{
  while (*state == FILTER_TOOL_CALL) {
    const ToolCall *call = response_filter_tool_call(filter);
    const bool refuse =
        plan->refuse &&
        (plan->refused == NULL || g_strcmp0(call->name, plan->refused) == 0);

    g_assert_nonnull(call);
    run->calls++;
    g_string_append_printf(run->seen, "%s(%s);", call->name, call->arguments);
    g_string_append(run->masked,
                    call->masked != NULL ? call->masked : call->arguments);
    if (!response_filter_resolve(filter,
                                 refuse ? TOOL_REFUSE : TOOL_RELEASE,
                                 "No, not allowed.",
                                 out,
                                 record,
                                 state,
                                 &run->error))
      return false;
  }
  return true;
}

/* Feeds one piece; false when the run is over. */
static inline bool
kit_piece(ResponseFilter *filter,
          const RunPlan *plan,
          Run *run,
          const char *bytes,
          size_t len,
          bool last,
          Buf *out,
          Buf *record)
{
  FilterState state;
  const bool good =
      last ? response_filter_finish(
                 filter, plan->cut, out, record, &state, &run->error)
           : response_filter_feed(
                 filter, bytes, len, out, record, &state, &run->error);

  if (!good || !kit_answer(filter, plan, run, out, record, &state))
    return false;
  run->last = state;
  if (state == FILTER_BLOCKED)
    response_filter_end_with_message(
        filter,
        "model",
        plan->end_message != NULL ? plan->end_message : "Blocked.",
        out,
        record);
  run->at_final = out->len;
  if (state == FILTER_FINAL && !plan->keep_final)
    response_filter_release(filter, out, record);
  return state == FILTER_MORE;
}

static inline void
kit_findings(const ResponseFilter *filter, Run *run)
{
  const char(*fingerprints)[FINGERPRINT_SIZE];
  const Finding *findings =
      response_filter_findings(filter, &fingerprints, &run->findings);

  for (unsigned i = 0; i < run->findings; i++)
    g_string_append_printf(run->found,
                           "%s %zu-%zu\n",
                           findings[i].rule->id,
                           findings[i].start,
                           findings[i].end);
}

/* Runs a stream, cut at each offset of `cuts` (ascending). */
static inline Run *
kit_run(StreamKit *kit,
        Api api,
        bool sse,
        const RunPlan *plan,
        const char *input,
        size_t len,
        const size_t *cuts,
        size_t n_cuts)
{
  Run *run = g_new0(Run, 1);
  g_autoptr(StreamPlan) stream_plan = kit_plan(kit->detector, plan);
  g_autoptr(ResponseFilter) filter = response_filter_new(
      kit->detector, api, sse, stream_plan, kit->masker, "scope", &run->error);
  g_auto(Buf) out = {0};
  g_auto(Buf) record = {0};
  size_t at = 0;
  bool more = true;

  g_assert_no_error(run->error);
  buf_init(&out, KIT_OUT_MAX);
  buf_init(&record, KIT_OUT_MAX);
  run->seen = g_string_new(NULL);
  run->masked = g_string_new(NULL);
  run->found = g_string_new(NULL);
  for (size_t i = 0; more && i <= n_cuts; i++) {
    const size_t end = cuts && i < n_cuts ? cuts[i] : len;

    more = end == at ||
           kit_piece(
               filter, plan, run, input + at, end - at, false, &out, &record);
    at = end;
  }
  if (more)
    kit_piece(filter, plan, run, NULL, 0, true, &out, &record);
  kit_findings(filter, run);
  run->out = g_string_new_len((const char *)buf_bytes(&out), (gssize)out.len);
  run->record =
      g_string_new_len((const char *)buf_bytes(&record), (gssize)record.len);
  return run;
}

static inline Run *
kit_run_whole(StreamKit *kit, Api api, const RunPlan *plan, const char *input)
{
  return kit_run(kit, api, true, plan, input, strlen(input), NULL, 0);
}

static inline Run *
kit_run_bytewise(StreamKit *kit,
                 Api api,
                 bool sse,
                 const RunPlan *plan,
                 const char *input,
                 size_t len)
{
  g_autofree size_t *cuts = g_new(size_t, len + 1);

  for (size_t i = 0; i < len; i++)
    cuts[i] = i + 1;
  return kit_run(kit, api, sse, plan, input, len, cuts, len);
}

/* Appends the decoded values of all members of this name, in order. */
static inline void
kit_members(const GString *stream, const char *name, GString *out)
{
  g_auto(GStrv) lines = g_strsplit(stream->str, "\n", -1);

  for (unsigned i = 0; lines[i] != NULL; i++) {
    JsonReader reader;
    JsonToken token;
    bool wanted = false;
    const char *json = lines[i] + strlen("data: ");

    if (!g_str_has_prefix(lines[i], "data: {"))
      continue;
    json_reader_init(&reader, json, strlen(json));
    do {
      g_autoptr(GError) error = NULL;

      if (!json_next(&reader, &token, &error))
        g_error("%s: %s", error->message, json);
      if (wanted && token.type == JSON_STRING)
        json_unescape(json, &token, out);
      wanted = token.type == JSON_KEY && json_token_is(json, &token, name);
    } while (token.type != JSON_END);
  }
}

static inline char *
kit_text(const GString *stream, const char *name)
{
  GString *out = g_string_new(NULL);

  kit_members(stream, name, out);
  return g_string_free(out, FALSE);
}

#endif
