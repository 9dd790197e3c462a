/* SPDX-License-Identifier: Apache-2.0 */
/* Birth and death of a response filter and of the plan that it follows. */
#include "inspect/filter.h"

#include <string.h>

/* Bytes that may wait unread after the filter stopped: a stream's read buffers,
 * decompressed. */
#define IN_MAX ((size_t)64 * 1024 * 1024)
/* The terminal event and what came in the same moment. */
#define FINAL_MAX ((size_t)32 * 1024 * 1024)

/* ---- Plan -------------------------------------------------------------- */

void
stream_plan_free(StreamPlan *plan)
{
  if (plan == NULL)
    return;
  g_free(plan->by_rule);
  g_free(plan->by_restored);
  g_free(plan->by_allowed);
  g_strfreev(plan->mask_fields);
  g_strfreev(plan->keep_fields);
  g_free(plan);
}

static StreamPlan *
plan_copy(const StreamPlan *plan)
{
  StreamPlan *copy = g_memdup2(plan, sizeof(*plan));

  copy->by_rule = g_memdup2(plan->by_rule, plan->n_rules * sizeof(Action));
  copy->by_restored =
      plan->by_restored != NULL
          ? g_memdup2(plan->by_restored, plan->n_rules * sizeof(Action))
          : NULL;
  copy->by_allowed =
      plan->by_allowed != NULL
          ? g_memdup2(plan->by_allowed, plan->n_rules * sizeof(Action))
          : NULL;
  copy->mask_fields = g_strdupv(plan->mask_fields);
  copy->keep_fields = g_strdupv(plan->keep_fields);
  return copy;
}

/* ---- Birth and death --------------------------------------------------- */

static const Shape *
shape_of(Api api)
{
  switch (api) {
  case API_COMPLETIONS:
    return &shape_completions;
  case API_CHAT:
    return &shape_chat;
  case API_RESPONSES:
    return &shape_responses;
  case API_MESSAGES:
    return &shape_messages;
  case API_OTHER:
  case API_EMBEDDINGS:
  case API_MODELS:
  case API_MCP:
  case API_TELEMETRY:
  case API_TOKEN:
  case API_USER:
  case N_APIS:
    break;
  }
  return &shape_other;
}

static void
text_entry_free(gpointer data)
{
  TextEntry *entry = data;

  event_free(entry->frame);
  text_field_free(entry->field);
  g_free(entry->name);
  g_free(entry);
}

static void
call_free(gpointer data)
{
  Call *call = data;

  tool_call_clear(&call->call);
  if (call->restored != NULL)
    secret_wipe(call->restored, strlen(call->restored));
  g_free(call->restored);
  g_free(call->masked);
  g_free(call->message);
  g_free(call);
}

ResponseFilter *
response_filter_new(Detector *detector,
                    Api api,
                    bool sse,
                    const StreamPlan *plan,
                    Masker *masker,
                    const char *scope,
                    GError **error)
{
  g_autoptr(ResponseFilter) filter = g_new0(ResponseFilter, 1);

  filter->api = api;
  filter->sse = sse;
  filter->shape = shape_of(api);
  filter->plan = plan_copy(plan);
  filter->scope = g_strdup(scope);
  buf_init(&filter->in, IN_MAX);
  buf_init(&filter->final_out, FINAL_MAX);
  buf_init(&filter->final_record, FINAL_MAX);
  sse_splitter_init(&filter->splitter);
  filter->lines = g_array_new(FALSE, FALSE, sizeof(SseLine));
  dom_init(&filter->dom);
  filter->covered = g_array_new(FALSE, TRUE, sizeof(bool));
  g_queue_init(&filter->queue);
  filter->spare = g_ptr_array_new();
  filter->texts = g_ptr_array_new_with_free_func(text_entry_free);
  filter->calls = g_ptr_array_new_with_free_func(call_free);
  frame_init(&filter->frame);
  filter->leaves = g_string_new(NULL);
  filter->seen_leaves = g_string_new(NULL);
  filter->leaf_starts = g_array_new(FALSE, FALSE, sizeof(size_t));
  filter->leaf_lens = g_array_new(FALSE, FALSE, sizeof(size_t));
  filter->leaf_nodes = g_array_new(FALSE, FALSE, sizeof(unsigned));
  filter->decoded = g_string_new(NULL);
  filter->text = g_string_new(NULL);
  filter->plain_text = g_string_new(NULL);
  filter->payload = g_string_new(NULL);
  edits_init(&filter->edits);
  edits_init(&filter->plain_edits);
  filter->input_tokens = -1;
  filter->output_tokens = -1;
  if (filter->shape->data_new != NULL)
    filter->data = filter->shape->data_new();
  if (!mask_context_init(&filter->context,
                         detector,
                         filter->plan,
                         masker,
                         filter->scope,
                         error))
    return NULL;
  return g_steal_pointer(&filter);
}

void
filter_drop_queue(ResponseFilter *filter)
{
  FilterEvent *event;

  while ((event = g_queue_pop_head(&filter->queue)) != NULL)
    event_free(event);
  filter->queued = 0;
}

size_t
response_filter_held(const ResponseFilter *filter)
{
  size_t sum;

  if (filter == NULL)
    return 0;
  sum = filter->in.len + filter->queued + filter->final_out.len +
        filter->final_record.len;
  for (guint i = 0; i < filter->texts->len; i++)
    sum += ((const TextEntry *)filter->texts->pdata[i])->field->text->len;
  return sum;
}

static void
free_wiped(GString *text)
{
  secret_wipe(text->str, text->allocated_len);
  g_string_free(text, TRUE);
}

void
response_filter_hold(ResponseFilter *filter, ValueSet *held)
{
  detector_scratch_hold(filter->context.scratch, held);
}

void
response_filter_free(ResponseFilter *filter)
{
  if (filter == NULL)
    return;
  filter_drop_queue(filter);
  for (guint i = 0; i < filter->spare->len; i++)
    event_free(filter->spare->pdata[i]);
  g_ptr_array_unref(filter->spare);
  g_ptr_array_unref(filter->calls);
  g_ptr_array_unref(filter->texts);
  mask_context_clear(&filter->context);
  if (filter->shape->data_free != NULL)
    filter->shape->data_free(filter->data);
  buf_clear(&filter->in);
  buf_clear(&filter->final_out);
  buf_clear(&filter->final_record);
  g_array_unref(filter->lines);
  dom_clear(&filter->dom);
  g_array_unref(filter->covered);
  frame_clear(&filter->frame);
  free_wiped(filter->leaves);
  free_wiped(filter->seen_leaves);
  free_wiped(filter->decoded);
  free_wiped(filter->text);
  free_wiped(filter->plain_text);
  free_wiped(filter->payload);
  g_array_unref(filter->leaf_starts);
  g_array_unref(filter->leaf_lens);
  g_array_unref(filter->leaf_nodes);
  edits_clear(&filter->edits);
  edits_clear(&filter->plain_edits);
  g_free(filter->head.id);
  g_free(filter->head.model);
  stream_plan_free(filter->plan);
  g_free(filter->scope);
  g_free(filter);
}
