/* SPDX-License-Identifier: Apache-2.0 */
/* The texts and tool calls of a streamed answer, by choice, part and name. */
#include "inspect/filter.h"

#include <string.h>

static bool
fail(GError **error, InspectErrorCode code, const char *what)
{
  g_set_error_literal(error, INSPECT_ERROR, (gint)code, what);
  return false;
}

void
filter_cover(ResponseFilter *filter, uint32_t node)
{
  g_array_index(filter->covered, bool, node) = true;
}

static TextEntry *
find_text(const ResponseFilter *filter,
          unsigned choice,
          unsigned part,
          const char *name)
{
  /* The newest first: deltas of one text follow each other. */
  for (guint i = filter->texts->len; i-- > 0;) {
    TextEntry *entry = filter->texts->pdata[i];

    if (entry->choice == choice && entry->part == part &&
        strcmp(entry->name, name) == 0)
      return entry;
  }
  return NULL;
}

TextEntry *
filter_text(ResponseFilter *filter,
            unsigned choice,
            unsigned part,
            const char *name,
            bool whole,
            GError **error)
{
  TextEntry *entry = find_text(filter, choice, part, name);
  const Restore restore = filter->plan->restore;
  TextField *field;

  if (entry != NULL)
    return entry;
  if (filter->texts->len >= MAX_TEXTS) {
    fail(error, INSPECT_ERROR_LIMIT, "an answer has too many texts");
    return NULL;
  }
  field =
      text_field_new(&filter->context,
                     choice,
                     whole,
                     whole ? restore == RESTORE_TOOLS : restore != RESTORE_NONE,
                     error);
  if (field == NULL)
    return NULL;
  entry = g_new0(TextEntry, 1);
  entry->choice = choice;
  entry->part = part;
  entry->name = g_strdup(name);
  entry->field = field;
  g_ptr_array_add(filter->texts, entry);
  return entry;
}

void
filter_release_others(ResponseFilter *filter, const TextEntry *current)
{
  for (guint i = 0; i < filter->texts->len; i++) {
    TextEntry *entry = filter->texts->pdata[i];

    if (entry != current && entry->choice == current->choice &&
        !entry->field->whole && !entry->field->finished)
      text_field_release_tail(entry->field);
  }
}

bool
filter_add_delta(ResponseFilter *filter,
                 FilterEvent *event,
                 uint32_t node,
                 TextEntry *entry,
                 GError **error)
{
  const DomNode *at = dom_node(&filter->dom, node);
  TextField *field = entry->field;
  Slot slot = {.field = field,
               .from = text_field_end(field),
               .start = at->start + 1,
               .end = at->end - 1,
               .kind = SLOT_DELTA};
  const char *text = filter->dom.text + slot.start;
  size_t len = slot.end - slot.start;

  filter_cover(filter, node);
  if (len == 0)
    return true;
  if (field->finished)
    return fail(error,
                INSPECT_ERROR_UNREADABLE,
                "a text goes on after it was finished");
  if (at->escaped) {
    g_string_truncate(filter->decoded, 0);
    string_decode(text, len, filter->decoded);
    text = filter->decoded->str;
    len = filter->decoded->len;
  }
  if (!text_field_feed(field, text, len, error))
    return false;
  if (filter->texts->len > 1 && !field->whole)
    filter_release_others(filter, entry);
  slot.to = text_field_end(field);
  g_array_append_val(event->slots, slot);
  return true;
}

bool
filter_add_object(ResponseFilter *filter,
                  FilterEvent *event,
                  uint32_t node,
                  Call *call,
                  GError **error)
{
  const DomNode *at = dom_node(&filter->dom, node);
  Slot slot = {.field = call->arguments,
               .from = text_field_end(call->arguments),
               .start = at->start,
               .end = at->end,
               .kind = SLOT_RAW};

  if (call->state != CALL_OPEN || slot.from > 0)
    return filter_refuse_call(error);
  call->object = true;
  if (!text_field_feed(call->arguments,
                       filter->dom.text + slot.start,
                       slot.end - slot.start,
                       error))
    return false;
  slot.to = text_field_end(call->arguments);
  g_array_append_val(event->slots, slot);
  return true;
}

void
filter_flush_text(ResponseFilter *filter, TextEntry *entry)
{
  FilterEvent *flush = g_steal_pointer(&entry->frame);

  if (flush == NULL)
    return;
  g_array_index(flush->slots, Slot, 0).to = text_field_end(entry->field);
  filter->queued += flush->raw->len;
  g_queue_push_tail(&filter->queue, flush);
}

bool
filter_finish_text(ResponseFilter *filter, TextEntry *entry, GError **error)
{
  if (entry->field->finished)
    return true;
  if (!text_field_finish(entry->field, error))
    return false;
  filter_flush_text(filter, entry);
  return true;
}

bool
filter_finish_texts(ResponseFilter *filter,
                    unsigned choice,
                    bool all,
                    GError **error)
{
  for (guint i = 0; i < filter->texts->len; i++) {
    TextEntry *entry = filter->texts->pdata[i];

    if (!entry->field->whole && (all || entry->choice == choice) &&
        !filter_finish_text(filter, entry, error))
      return false;
  }
  return true;
}

Call *
filter_find_call(const ResponseFilter *filter, unsigned choice, unsigned index)
{
  for (guint i = filter->calls->len; i-- > 0;) {
    Call *call = filter->calls->pdata[i];

    if (call->call.choice == choice && call->index == index)
      return call;
  }
  return NULL;
}

static void
belongs_to(ResponseFilter *filter, FilterEvent *event, const Call *call)
{
  for (unsigned i = 0; i < filter->calls->len; i++) {
    if (filter->calls->pdata[i] != call)
      continue;
    for (guint k = 0; k < event->calls->len; k++)
      if (g_array_index(event->calls, unsigned, k) == i)
        return;
    g_array_append_val(event->calls, i);
    return;
  }
}

Call *
filter_call(ResponseFilter *filter,
            FilterEvent *event,
            unsigned choice,
            unsigned index,
            GError **error)
{
  Call *call = filter_find_call(filter, choice, index);
  g_autofree char *name = NULL;
  TextEntry *entry;

  if (call == NULL) {
    if (filter->calls->len >= MAX_CALLS) {
      fail(error, INSPECT_ERROR_LIMIT, "an answer has too many tool calls");
      return NULL;
    }
    name = g_strdup_printf("call %u", index);
    entry = filter_text(filter, choice, 0, name, true, error);
    if (entry == NULL)
      return NULL;
    call = g_new0(Call, 1);
    call->call.choice = choice;
    call->index = index;
    call->arguments = entry->field;
    g_ptr_array_add(filter->calls, call);
  }
  belongs_to(filter, event, call);
  return call;
}

bool
filter_refuse_call(GError **error)
{
  return fail(error,
              INSPECT_ERROR_UNREADABLE,
              "a tool call is told in two ways, or in none that clients agree "
              "about");
}

/* What differs between what came, what the tool would get (masks of this
 * conversation restored, nothing masked yet) and what is recorded. */
static void
show_call(Call *call)
{
  const TextField *field = call->arguments;
  const char *text = field->text->str;
  g_autoptr(GString) restored = g_string_new(NULL);
  g_autoptr(GString) sent = g_string_new(NULL);
  g_autoptr(GString) masked = g_string_new(NULL);
  size_t done = 0;

  call->shown = call->call;
  if (field->edits->len == 0)
    return;
  text_field_copy(field, 0, text, field->text->len, sent, masked);
  for (guint i = 0; i < field->edits->len; i++) {
    const TextEdit *edit = &g_array_index(field->edits, TextEdit, i);

    if (edit->record == NULL)
      continue;
    g_string_append_len(restored, text + done, (gssize)(edit->start - done));
    g_string_append(restored, edit->text);
    done = edit->end;
  }
  g_string_append_len(restored, text + done, (gssize)(field->text->len - done));
  call->masked = string_whole(masked->str, masked->len);
  call->restored = string_whole(restored->str, restored->len);
  call->shown.masked = call->masked;
  call->shown.arguments = call->restored;
  secret_wipe(restored->str, restored->allocated_len);
  secret_wipe(sent->str, sent->allocated_len);
}

bool
filter_close_call(ResponseFilter *filter, Call *call, GError **error)
{
  if (call->state != CALL_OPEN)
    return true;
  if (!text_field_finish(call->arguments, error))
    return false;
  call->state = filter->plan->hold_tools ? CALL_WAITING : CALL_RELEASED;
  if (call->call.name == NULL)
    call->call.name = g_strdup("");
  if (call->call.arguments == NULL)
    call->call.arguments =
        string_whole(call->arguments->text->str, call->arguments->text->len);
  show_call(call);
  return true;
}
