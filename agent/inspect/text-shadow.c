/* SPDX-License-Identifier: Apache-2.0 */
/* The folded form of a text that arrives in pieces, and runs of it that are
 * encoded text. */
#include "inspect/text-field.h"

#include <string.h>

/* What a shadow holds of its text. Only a block whose rule does not say where
 * it ends makes it hold much. */
#define SHADOW_MAX ((size_t)1024 * 1024)
/* Steps before its text are dropped when so many have gathered. */
#define STEPS_SLACK 256

static bool
may_fork(const TextField *field)
{
  return field->shadow == NULL && field->level < VIEW_LEVELS;
}

size_t
text_shadow_find(const TextField *field, bool final, bool *due)
{
  const char *text = field->text->str + (field->scanned - field->base);
  const size_t len = text_field_end(field) - field->scanned;
  size_t at;

  *due = false;
  if (!may_fork(field))
    return len;
  at = fold_find(text, len, final, due);
  /* An escape that is cut off there may go on behind what folds, and one that
   * is cut off before that one behind what both become. */
  for (unsigned i = 0; at < len && i < VIEW_LEVELS; i++) {
    const size_t before = fold_find(text, at, false, NULL);

    if (before == at)
      break;
    at = before;
  }
  return at;
}

/* The same suspicions; their blocks are followed twice from here on. */
static void
copy_pending(const TextField *from, TextField *to)
{
  for (guint i = 0; i < from->pending->len; i++) {
    Candidate copy = g_array_index(from->pending, Candidate, i);

    if (copy.block != NULL) {
      const size_t size = sizeof(LongBlock) + copy.block->head_len;

      copy.block = g_memdup2(copy.block, size);
      copy.block->open = false;
      copy.block->noted = 0;
    }
    g_array_append_val(to->pending, copy);
  }
}

bool
text_shadow_fork(TextField *field, GError **error)
{
  const Detector *detector = field->context->scratch->detector;
  TextField *shadow =
      text_field_new(field->context, field->choice, true, false, error);

  if (shadow == NULL)
    return false;
  shadow->whole = false;
  shadow->values = value_tail_copy(field->values);
  if (field->stream != NULL &&
      hs_copy_stream(&shadow->stream, field->stream) != HS_SUCCESS) {
    text_field_free(shadow);
    g_set_error_literal(
        error, INSPECT_ERROR, INSPECT_ERROR_ENGINE, "no memory for a stream");
    return false;
  }
  g_string_append_len(
      shadow->text, field->text->str, (gssize)(field->scanned - field->base));
  memcpy(shadow->last, field->last, detector->rules.n * sizeof(LastFinding));
  copy_pending(field, shadow);
  g_array_append_vals(shadow->runs, field->runs->data, field->runs->len);
  shadow->base = field->base;
  shadow->settled = field->settled;
  shadow->emitted = field->settled;
  shadow->decode = field->decode;
  shadow->owner = field;
  shadow->level = field->level + 1;
  shadow->steps = g_array_new(FALSE, FALSE, sizeof(FoldStep));
  shadow->scanned = field->scanned;
  shadow->consumed = field->scanned;
  field->shadow = shadow;
  return true;
}

/* Keeps the last step before the text that is held: it says how far both are
 * apart there. */
static void
trim_steps(TextField *shadow)
{
  guint n = 0;

  while (n + 1 < shadow->steps->len &&
         g_array_index(shadow->steps, FoldStep, n + 1).folded < shadow->base)
    n++;
  if (n >= STEPS_SLACK)
    g_array_remove_range(shadow->steps, 0, n);
}

static bool
feed(TextField *field, bool final, GError **error)
{
  TextField *shadow = field->shadow;
  GString *folded = g_string_new(NULL);
  bool good;

  trim_steps(shadow);
  shadow->consumed +=
      fold_append(field->text->str + (shadow->consumed - field->base),
                  text_field_end(field) - shadow->consumed,
                  final,
                  shadow->consumed,
                  text_field_end(shadow),
                  &shadow->near,
                  folded,
                  shadow->steps);
  good = text_field_feed(shadow, folded->str, folded->len, error);
  secret_wipe(folded->str, folded->allocated_len);
  g_string_free(folded, TRUE);
  if (good && shadow->text->len > SHADOW_MAX) {
    g_set_error_literal(error,
                        INSPECT_ERROR,
                        INSPECT_ERROR_LIMIT,
                        "a text in other characters does not come to an end");
    return false;
  }
  return good;
}

/* Nothing that folded is in reach of any match any more: the run that goes on
 * begins far enough behind it, or it is longer than any token. */
static bool
is_out_of_reach(const TextField *field)
{
  const TextView view = {.bytes = field->text->str,
                         .start = field->base,
                         .end = text_field_end(field)};
  const FoldStep *last = &g_array_index(
      field->shadow->steps, FoldStep, field->shadow->steps->len - 1);
  const size_t near = last->orig + (size_t)last->count * last->n_orig +
                      MAX(CONTEXT_MAX + WINDOW_MARGIN, FOLD_REACH);
  const size_t floor = MAX(near, view.start);

  return near + field->context->scratch->detector->token_width <= view.end ||
         (floor < view.end && run_start(&view, view.end, floor) > floor);
}

/* Both matchers would find the same, and a new shadow would begin as this one
 * is. */
static bool
is_idle(const TextField *field)
{
  const TextField *shadow = field->shadow;

  return shadow->consumed == text_field_end(field) && shadow->shadow == NULL &&
         shadow->pending->len == 0 && shadow->findings->len == 0 &&
         field->pending->len == 0 && value_tail_is_quiet(shadow->values) &&
         value_tail_is_quiet(field->values) &&
         decode_floor(&shadow->decode) == SIZE_MAX &&
         decode_floor(&field->decode) == SIZE_MAX && is_out_of_reach(field);
}

bool
text_shadow_go_on(TextField *field, GError **error)
{
  if (!feed(field, false, error))
    return false;
  if (is_idle(field))
    g_clear_pointer(&field->shadow, text_field_free);
  return true;
}

bool
text_shadow_finish(TextField *field, GError **error)
{
  return feed(field, true, error) && text_field_finish(field->shadow, error);
}

void
text_shadow_hand_over(TextField *shadow, size_t hold)
{
  guint kept = 0;

  for (guint i = 0; i < shadow->findings->len; i++) {
    Finding at = g_array_index(shadow->findings, Finding, i);

    if (at.end > hold) {
      g_array_index(shadow->findings, Finding, kept++) = at;
      continue;
    }
    at.start = fold_start(shadow->steps, at.start);
    at.end = fold_end(shadow->steps, at.end);
    g_array_append_val(shadow->owner->findings, at);
  }
  g_array_set_size(shadow->findings, kept);
  shadow->emitted = hold;
}

size_t
text_shadow_hold(const TextField *field)
{
  const TextField *shadow = field->shadow;

  return shadow->settled == text_field_end(shadow)
             ? shadow->consumed
             : fold_start(shadow->steps, shadow->settled);
}

bool
text_decode_go_on(TextField *field, GError **error)
{
  const TextView view = {.bytes = field->text->str,
                         .start = field->base,
                         .end = field->scanned,
                         .final = field->finished};
  DecodeWindow window;

  if (field->level == VIEW_LEVELS)
    return true;
  while (decode_next(&field->decode, &view, &window)) {
    bool is_text;

    if (!views_scan_window(field->context->scratch,
                           &view,
                           &window,
                           field->level,
                           STREAM_MAX_FINDINGS,
                           field->findings,
                           &is_text,
                           error))
      return false;
    if (!is_text)
      decode_give_up(&field->decode);
  }
  return true;
}
