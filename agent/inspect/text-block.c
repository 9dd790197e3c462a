/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks of a stream that are longer than what it may hold: masked from their
 * beginning on, their end found later. */
#include "inspect/text-field.h"

void
text_block_grew(TextField *field, Candidate *candidate)
{
  LongBlock *block = candidate->block;
  const Finding finding = {
      .rule =
          field->context->scratch->detector->rules.rules[candidate->rule].rule,
      .start = block->start,
      .end = SPAN_OPEN,
      .confidence = block->confidence};

  /* What was given out already does not count. */
  if (block->open ||
      block->at <= MAX(block->start, field->settled) + MASK_VALUE_MAX)
    return;
  block->open = true;
  g_array_append_val(field->findings, finding);
}

/* The open finding that the candidate stands for, where it waits. */
static Finding *
waiting_finding(const TextField *field, const Finding *closed)
{
  for (guint i = 0; i + 1 < field->findings->len; i++) {
    Finding *at = &g_array_index(field->findings, Finding, i);

    if (at->end == SPAN_OPEN && at->rule == closed->rule &&
        at->start == closed->start)
      return at;
  }
  return NULL;
}

static bool
is_masked(const TextField *field, const Candidate *candidate)
{
  return mask_context_action(
             field->context,
             field->context->scratch->detector->rules.rules[candidate->rule]
                 .rule) != ACTION_ALLOW;
}

static bool
others_are_open(const TextField *field, const LongBlock *block)
{
  for (guint i = 0; i < field->pending->len; i++) {
    const Candidate *other = &g_array_index(field->pending, Candidate, i);

    if (other->block != NULL && other->block != block && other->block->open &&
        is_masked(field, other))
      return true;
  }
  return false;
}

void
text_block_ended(TextField *field, Candidate *candidate)
{
  LongBlock *block = candidate->block;
  const Finding closed =
      g_array_index(field->findings, Finding, field->findings->len - 1);
  Finding *waiting = waiting_finding(field, &closed);
  TextEdit *edit;

  /* One that was masked from its beginning on was found already. */
  g_array_set_size(field->findings, field->findings->len - 1);
  if (waiting != NULL)
    waiting->end = closed.end;
  if (block->noted != 0) {
    g_array_index(field->context->findings, Finding, block->noted - 1).end =
        closed.end;
    field->long_block = closed;
  }
  if (waiting == NULL && field->open_edit != 0 && is_masked(field, candidate)) {
    /* Where several rules found it the longest says where text goes on. */
    field->open_end = MAX(field->open_end, closed.end);
    edit = &g_array_index(field->edits, TextEdit, field->open_edit - 1);
    if (!others_are_open(field, block))
      edit->end = field->open_end;
  }
  g_clear_pointer(&candidate->block, long_block_free);
}

void
text_block_noted(TextField *field, const Finding *finding)
{
  GArray *noted = field->context->findings;

  for (guint i = 0; i < field->pending->len; i++) {
    LongBlock *block = g_array_index(field->pending, Candidate, i).block;

    if (block == NULL || !block->open || block->start != finding->start ||
        field->context->scratch->detector->rules
                .rules[g_array_index(field->pending, Candidate, i).rule]
                .rule != finding->rule)
      continue;
    block->noted = noted->len;
    g_array_index(noted, Finding, noted->len - 1).end = block->at;
  }
}

bool
text_block_has(const TextField *field, const Finding *finding)
{
  const CompiledRule *rules = field->context->scratch->detector->rules.rules;

  if (finding->end == SPAN_OPEN)
    return false;
  if (field->long_block.rule == finding->rule &&
      field->long_block.start <= finding->start &&
      field->long_block.end >= finding->end)
    return true;
  for (guint i = 0; i < field->pending->len; i++) {
    const Candidate *at = &g_array_index(field->pending, Candidate, i);

    if (at->block != NULL && at->block->noted != 0 &&
        rules[at->rule].rule == finding->rule &&
        at->block->start <= finding->start)
      return true;
  }
  return false;
}
