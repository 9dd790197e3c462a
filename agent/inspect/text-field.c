/* SPDX-License-Identifier: Apache-2.0 */
/* The stream masker: holds the last run of text and what an opener opened,
 * gives out what is decided. What is decided follows from the text alone, so
 * the result is the same however the text was cut. */
#include "inspect/text-field.h"

#include <string.h>

/* Suspicions that wait for more text at one time. In a long run every byte may
 * end one for each of some rules. */
#define MAX_PENDING 8192
/* Text before this is dropped when so much has gathered: moving memory for
 * every piece would cost more than it saves. */
#define TRIM_SLACK 4096
/* Pieces are read in slices, so that suspicions do not gather. */
#define SLICE ((size_t)1024)
/* Between two looks at whether a long block goes on. */
#define BLOCK_STEP 256
/* A held tool call's arguments. */
#define WHOLE_MAX ((size_t)8 * 1024 * 1024)
/* Tails up to this length are too short to tell anything. */
#define INNOCENT_TAIL 5

static TextView
view_of(const TextField *field)
{
  return (TextView){.bytes = field->text->str,
                    .start = field->base,
                    .end = field->scanned,
                    .final = field->finished};
}

TextField *
text_field_new(MaskContext *context,
               unsigned choice,
               bool whole,
               bool restores,
               GError **error)
{
  g_autoptr(TextField) field = g_new0(TextField, 1);
  const Detector *detector = context->scratch->detector;

  field->context = context;
  field->choice = choice;
  field->whole = whole;
  field->restores = restores;
  field->block_at = SIZE_MAX;
  field->text = g_string_sized_new(256);
  field->pending = g_array_new(FALSE, FALSE, sizeof(Candidate));
  field->runs = g_array_new(FALSE, FALSE, sizeof(GateRun));
  field->findings = g_array_new(FALSE, FALSE, sizeof(Finding));
  field->edits = g_array_new(FALSE, FALSE, sizeof(TextEdit));
  field->last = g_new0(LastFinding, MAX(detector->rules.n, 1));
  field->values = whole ? NULL : value_tail_new(context->scratch);
  if (!whole && detector->database != NULL &&
      hs_open_stream(detector->database, 0, &field->stream) != HS_SUCCESS) {
    g_set_error_literal(
        error, INSPECT_ERROR, INSPECT_ERROR_ENGINE, "no memory for a stream");
    return NULL;
  }
  return g_steal_pointer(&field);
}

void
text_edits_free(GArray *edits)
{
  for (guint i = 0; i < edits->len; i++) {
    TextEdit *edit = &g_array_index(edits, TextEdit, i);

    if (edit->record != NULL)
      secret_wipe(edit->text, strlen(edit->text));
    g_free(edit->text);
    g_free(edit->record);
  }
  g_array_unref(edits);
}

void
text_field_free(TextField *field)
{
  if (field == NULL)
    return;
  if (field->stream != NULL)
    hs_close_stream(field->stream, NULL, NULL, NULL);
  secret_wipe(field->text->str, field->text->allocated_len);
  g_string_free(field->text, TRUE);
  for (guint i = 0; i < field->pending->len; i++)
    long_block_free(g_array_index(field->pending, Candidate, i).block);
  value_tail_free(field->values);
  text_field_free(field->shadow);
  g_clear_pointer(&field->steps, g_array_unref);
  g_array_unref(field->pending);
  g_array_unref(field->runs);
  g_array_unref(field->findings);
  text_edits_free(field->edits);
  g_free(field->last);
  g_free(field);
}

/* A rule's expression ends; false: there are too many. */
static bool
take_end(unsigned id, size_t to, void *data)
{
  TextField *field = data;
  const CompiledRule *compiled =
      &field->context->scratch->detector->rules.rules[id];
  const TextView view = view_of(field);
  Candidate *newest = NULL;
  Candidate fresh;

  for (guint i = field->pending->len; newest == NULL && i-- > 0;)
    if (g_array_index(field->pending, Candidate, i).rule == id)
      newest = &g_array_index(field->pending, Candidate, i);
  if (candidate_take(compiled, &view, to, newest, &fresh))
    return true;
  if (field->pending->len == MAX_PENDING)
    return false;
  fresh.rule = id;
  g_array_append_val(field->pending, fresh);
  return true;
}

static int
on_end(unsigned id,
       unsigned long long from,
       unsigned long long to,
       unsigned flags,
       void *data)
{
  TextField *field = data;
  const DetectorScratch *scratch = field->context->scratch;
  const unsigned n = scratch->detector->rules.n;
  const GateHead head = {.gate = id - n, .end = to};

  (void)from;
  (void)flags;
  if (id < n)
    return !take_end(id, to, field);
  g_array_append_val(scratch->heads, head);
  return 0;
}

static bool
check_hs(hs_error_t result, GError **error)
{
  if (result == HS_SUCCESS)
    return true;
  g_set_error(error,
              INSPECT_ERROR,
              result == HS_SCAN_TERMINATED ? INSPECT_ERROR_LIMIT
                                           : INSPECT_ERROR_ENGINE,
              "the detector failed on a stream (%d)",
              result);
  return false;
}

/* A rule's suspicions are decided in the order in which they came, as on a
 * whole text. */
static bool
waits_for_earlier(const TextField *field, guint kept, unsigned rule)
{
  for (guint i = 0; i < kept; i++)
    if (g_array_index(field->pending, Candidate, i).rule == rule)
      return true;
  return false;
}

static bool
is_opened(const TextField *field, const Candidate *candidate)
{
  return field->context->scratch->detector->rules.rules[candidate->rule].opened;
}

static bool
decide_pending(TextField *field, bool all, GError **error)
{
  const TextView view = view_of(field);
  guint kept = 0;

  for (guint i = 0; i < field->pending->len; i++) {
    Candidate *candidate = &g_array_index(field->pending, Candidate, i);
    ConfirmResult result = CONFIRM_PENDING;

    if (!waits_for_earlier(field, kept, candidate->rule) &&
        (all || view.end >= candidate->next_look))
      result = confirm_candidate(field->context->scratch,
                                 &view,
                                 candidate,
                                 field->last,
                                 1,
                                 field->findings,
                                 error);
    if (result == CONFIRM_FAILED)
      return false;
    if (result == CONFIRM_DONE) {
      if (candidate->block != NULL)
        text_block_ended(field, candidate);
      continue;
    }
    /* An opened value is matched from its start each time: less often as it
     * grows. */
    if (is_opened(field, candidate) && view.end >= candidate->next_look)
      candidate->next_look =
          view.end + (candidate->block != NULL
                          ? BLOCK_STEP
                          : (view.end - candidate->first) / 8);
    if (candidate->block != NULL && field->owner == NULL)
      text_block_grew(field, candidate);
    if (kept != i)
      g_array_index(field->pending, Candidate, kept) = *candidate;
    kept++;
  }
  g_array_set_size(field->pending, kept);
  return true;
}

/* Where a suspicion's secret may begin. */
static size_t
secret_floor(const TextField *field, const TextView *view, guint index)
{
  const Candidate *candidate = &g_array_index(field->pending, Candidate, index);
  const CompiledRule *compiled =
      &field->context->scratch->detector->rules.rules[candidate->rule];
  const size_t width = compiled->max_width;
  const size_t first = candidate->first;
  const size_t floor =
      first > view->start + width ? first - width : view->start;
  size_t from = first;

  if (compiled->opened)
    return candidate->block != NULL && candidate->block->open
               ? candidate->block->at
               : first;
  if (from > floor && run_breaks(view, from - 1) > 0)
    from--;
  return run_start(view, from, floor);
}

static bool
find_values(TextField *field, GError **error)
{
  const TextView view = view_of(field);

  if (field->values == NULL ||
      value_tail_feed(field->values, &view, field->findings))
    return true;
  g_set_error_literal(error,
                      INSPECT_ERROR,
                      INSPECT_ERROR_LIMIT,
                      "too many exact values may begin in one text");
  return false;
}

/* Where an exact value may begin that is not there yet. */
static size_t
values_floor(const TextField *field)
{
  const TextView view = view_of(field);

  return field->values != NULL ? value_tail_floor(field->values, &view)
                               : view.end;
}

/* Everything before the result is decided. */
static size_t
hold_position(const TextField *field)
{
  const TextView view = view_of(field);
  const size_t width = field->context->scratch->detector->token_width;
  size_t hold = view.end;
  bool moved = true;

  if (field->finished)
    return hold;
  hold =
      run_start(&view,
                hold,
                view.end > view.start + width ? view.end - width : view.start);
  for (guint i = 0; i < field->pending->len; i++)
    hold = MIN(hold, secret_floor(field, &view, i));
  hold = MIN(hold, values_floor(field));
  hold = MIN(hold, decode_floor(&field->decode));
  if (field->shadow != NULL)
    hold = MIN(hold, text_shadow_hold(field));
  /* Findings stay whole. */
  while (moved) {
    moved = false;
    for (guint i = 0; i < field->findings->len; i++) {
      const Finding *at = &g_array_index(field->findings, Finding, i);

      if (at->start < hold && at->end > hold && at->end != SPAN_OPEN) {
        hold = at->start;
        moved = true;
      }
    }
  }
  while (hold > view.start && hold < view.end &&
         ((uint8_t)view_at(&view, hold) & 0xc0) == 0x80)
    hold--;
  return MAX(hold, field->settled);
}

/* Of a value that goes on enough is there to name it. */
static size_t
value_length(const Finding *finding)
{
  return finding->end == SPAN_OPEN ? MASK_VALUE_MAX + 1
                                   : finding->end - finding->start;
}

static void
add_edit(TextField *field, size_t start, size_t end, const char *rule_id)
{
  GString *mask = g_string_new(NULL);
  TextEdit edit = {.start = start, .end = end};
  const Finding all = {.start = start, .end = end};

  /* Without a scope: what an answer said stays hidden. */
  masker_mask(field->context->masker,
              NULL,
              rule_id,
              field->text->str + (start - field->base),
              value_length(&all),
              mask);
  edit.text = g_string_free(mask, FALSE);
  g_array_append_val(field->edits, edit);
  mask_context_count(field->context, rule_id);
  if (end == SPAN_OPEN) {
    field->open_edit = field->edits->len;
    field->open_end = 0;
  }
}

/* What meets a block that is swallowed belongs to it. */
static bool
joins_block(TextField *field, const Finding *finding)
{
  TextEdit *edit;

  if (field->open_edit == 0)
    return false;
  edit = &g_array_index(field->edits, TextEdit, field->open_edit - 1);
  if (finding->start >= edit->end)
    return false;
  edit->end = MAX(edit->end, finding->end);
  if (finding->end != SPAN_OPEN)
    field->open_end = MAX(field->open_end, finding->end);
  return true;
}

/* The findings before `hold`, in order, no others being left that overlap them.
 */
static GArray *
take_findings(TextField *field, size_t hold)
{
  GArray *ready = g_array_new(FALSE, FALSE, sizeof(Finding));
  guint kept = 0;

  for (guint i = 0; i < field->findings->len; i++) {
    const Finding at = g_array_index(field->findings, Finding, i);

    if (at.end == SPAN_OPEN ? at.start >= hold : at.end > hold)
      g_array_index(field->findings, Finding, kept++) = at;
    else
      g_array_append_val(ready, at);
  }
  g_array_set_size(field->findings, kept);
  findings_sort(ready);
  return ready;
}

/* Findings before `hold` become edits: those that policy masks, where they
 * overlap one mask named by the longest. */
static bool
settle_findings(TextField *field, size_t hold, GError **error)
{
  g_autoptr(GArray) ready = take_findings(field, hold);
  MaskContext *context = field->context;
  size_t start = 0, end = 0, longest = 0;
  const char *rule_id = NULL;

  for (guint i = 0; i < ready->len; i++) {
    Finding at = g_array_index(ready, Finding, i);
    Action action;

    /* The folded form's of a block that is noted already. */
    if (text_block_has(field, &at)) {
      joins_block(field, &at);
      continue;
    }
    if (at.start < field->settled && joins_block(field, &at))
      continue;
    at.start = MAX(at.start, field->settled);
    if (at.start >= at.end)
      continue;
    if (!mask_context_note(context,
                           &at,
                           field->choice,
                           field->text->str + (at.start - field->base),
                           value_length(&at),
                           error))
      return false;
    if (at.end == SPAN_OPEN)
      text_block_noted(field, &at);
    action = mask_context_noted_action(context, at.rule);
    if (action == ACTION_ALLOW)
      continue;
    if (action == ACTION_BLOCK) {
      context->blocked = true;
      field->block_at = MIN(field->block_at, at.start);
    }
    if (joins_block(field, &at))
      continue;
    if (rule_id != NULL && at.start >= end) {
      add_edit(field, start, end, rule_id);
      rule_id = NULL;
    }
    if (rule_id == NULL) {
      start = at.start;
      end = at.start;
      longest = 0;
    }
    end = MAX(end, at.end);
    if (at.end - at.start > longest) {
      longest = at.end - at.start;
      rule_id = at.rule->id;
    }
  }
  if (rule_id != NULL)
    add_edit(field, start, end, rule_id);
  return true;
}

/* Drops what no window will reach any more. */
static void
trim_text(TextField *field)
{
  const TextView view = view_of(field);
  const size_t width = field->context->scratch->detector->token_width;
  const size_t reached =
      view.end > view.start + width ? view.end - width : view.start;
  size_t run, keep;

  if (field->emitted - field->base < TRIM_SLACK + width)
    return;
  run = run_start(&view, view.end, reached);
  keep = run > reached + CONTEXT_MAX ? run - CONTEXT_MAX : reached;
  for (guint i = 0; i < field->pending->len; i++) {
    const Candidate *candidate = &g_array_index(field->pending, Candidate, i);
    const CompiledRule *compiled =
        &field->context->scratch->detector->rules.rules[candidate->rule];

    keep = MIN(keep, candidate_floor(compiled, &view, candidate));
  }
  keep =
      keep > field->base + WINDOW_MARGIN ? keep - WINDOW_MARGIN : field->base;
  keep = MIN(keep, field->emitted);
  if (keep < field->base + TRIM_SLACK)
    return;
  g_string_erase(field->text, 0, (gssize)(keep - field->base));
  field->base = keep;
}

/* Once all of a long block went by, edits are as before. */
static void
close_edit(TextField *field)
{
  if (field->open_edit != 0 &&
      field->settled >=
          g_array_index(field->edits, TextEdit, field->open_edit - 1).end)
    field->open_edit = 0;
}

static bool
settle(TextField *field, bool all, GError **error)
{
  const guint first_edit =
      field->open_edit != 0 ? field->open_edit - 1 : field->edits->len;
  size_t hold;

  if (field->pending->len > 0 && !decide_pending(field, all, error))
    return false;
  if (!find_values(field, error))
    return false;
  hold = hold_position(field);
  if (hold == field->settled)
    return true;
  if (field->owner != NULL)
    text_shadow_hand_over(field, hold);
  else if (field->findings->len > 0 && !settle_findings(field, hold, error))
    return false;
  if (field->restores) {
    const TextView view = view_of(field);

    if (!restore_edits(field->context,
                       &view,
                       field->settled,
                       hold,
                       first_edit,
                       field->edits,
                       error))
      return false;
  }
  field->settled = hold;
  close_edit(field);
  return true;
}

/* All that can be decided, whenever it was looked at last. */
static bool
settle_all(TextField *field, GError **error)
{
  return (field->shadow == NULL || settle_all(field->shadow, error)) &&
         settle(field, true, error);
}

/* Looks at `len` more bytes of the text. */
static bool
scan_bytes(TextField *field, size_t len, GError **error)
{
  const char *bytes = field->text->str + (field->scanned - field->base);
  const size_t from = field->scanned;
  DetectorScratch *scratch = field->context->scratch;
  hs_error_t result;

  field->scanned += len;
  if (field->stream == NULL || len == 0)
    return true;
  g_array_set_size(scratch->heads, 0);
  result = hs_scan_stream(
      field->stream, bytes, (unsigned)len, 0, scratch->hs, on_end, field);
  if (result == HS_SUCCESS && !gates_run(scratch,
                                         bytes,
                                         from - field->base,
                                         from,
                                         from + len,
                                         field->runs,
                                         take_end,
                                         field))
    result = HS_SCAN_TERMINATED;
  return check_hs(result, error);
}

/* Looks at all that came, but for a few bytes at the end where something may
 * begin to fold: a shadow would begin there. */
static bool
scan_rest(TextField *field, bool final, GError **error)
{
  bool due;

  if (!scan_bytes(field, text_shadow_find(field, final, &due), error))
    return false;
  return !due ||
         (text_shadow_fork(field, error) &&
          scan_bytes(field, text_field_end(field) - field->scanned, error));
}

static bool
feed_slice(TextField *field, const char *bytes, size_t len, GError **error)
{
  trim_text(field);
  g_string_append_len(field->text, bytes, (gssize)len);
  return scan_rest(field, false, error) &&
         (field->shadow == NULL || text_shadow_go_on(field, error)) &&
         text_decode_go_on(field, error) && settle(field, false, error);
}

bool
text_field_feed(TextField *field, const char *bytes, size_t len, GError **error)
{
  if (field->whole && field->text->len + len > WHOLE_MAX) {
    g_set_error_literal(error,
                        INSPECT_ERROR,
                        INSPECT_ERROR_LIMIT,
                        "a tool call's arguments are too long");
    return false;
  }
  if (field->whole) {
    g_string_append_len(field->text, bytes, (gssize)len);
    return true;
  }
  while (len > 0) {
    const size_t slice = MIN(len, SLICE);

    if (!feed_slice(field, bytes, slice, error))
      return false;
    bytes += slice;
    len -= slice;
  }
  return true;
}

bool
text_field_finish(TextField *field, GError **error)
{
  hs_stream_t *stream;

  if (field->finished)
    return true;
  if (field->whole) {
    field->finished = true;
    if (!whole_mask(field->context,
                    field->choice,
                    true,
                    field->restores,
                    field->text->str,
                    field->text->len,
                    field->edits,
                    error))
      return false;
    field->settled = text_field_end(field);
    return true;
  }
  if (!scan_rest(field, true, error))
    return false;
  field->finished = true;
  stream = g_steal_pointer(&field->stream);
  if (stream != NULL &&
      !check_hs(
          hs_close_stream(stream, field->context->scratch->hs, on_end, field),
          error))
    return false;
  return (field->shadow == NULL || text_shadow_finish(field, error)) &&
         text_decode_go_on(field, error) && settle(field, true, error);
}

bool
text_field_abandon(TextField *field, GError **error)
{
  if (field->finished)
    return true;
  /* What can be decided must not depend on when it was looked at. */
  if (!field->whole && !settle_all(field, error))
    return false;
  field->finished = true;
  if (field->stream != NULL)
    hs_close_stream(field->stream, NULL, NULL, NULL);
  field->stream = NULL;
  if (field->settled < field->base + field->text->len)
    g_string_truncate(field->text, field->settled - field->base);
  field->scanned = field->settled;
  return true;
}

bool
text_field_release_tail(TextField *field)
{
  const size_t end = text_field_end(field);
  const char *tail = field->text->str + (field->settled - field->base);
  bool word = true;

  if (field->settled == end)
    return true;
  if (field->whole || field->released || field->scanned < end ||
      field->findings->len > 0 || field->pending->len > 0 ||
      values_floor(field) < end ||
      (field->shadow != NULL &&
       (field->shadow->findings->len > 0 || field->shadow->pending->len > 0)))
    return false;
  /* Ordinary words: small letters, perhaps a capital first, punctuation last.
   */
  for (size_t i = 0; i < end - field->settled; i++)
    word = word &&
           (g_ascii_islower(tail[i]) || g_ascii_ispunct(tail[i]) ||
            (i == 0 && g_ascii_isupper(tail[i]))) &&
           strchr("_-/+=", tail[i]) == NULL;
  if (!word && end - field->settled > INNOCENT_TAIL)
    return false;
  field->released = true;
  field->settled = end;
  return true;
}
