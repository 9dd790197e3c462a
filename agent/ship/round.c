/* SPDX-License-Identifier: Apache-2.0 */
/* Finds out which records of a batch a receiver will not take, by halves. A
 * record is only set aside when others of the same batch were taken: what
 * refuses everything is a wrong endpoint, not a wrong record. */
#include "ship/private.h"

/* A receiver that refuses this many single records and took none is offered a
 * few from all over the batch, and not asked for the others when it takes none
 * of these either. */
#define HOPELESS 8
#define PROBES 4
/* The same answer 500 so often may be a record's doing. */
#define MAX_FAULTS 4

static void
clear_bad(void *data)
{
  g_free(((BadItem *)data)->reason);
}

static void
push(Round *round, unsigned from, unsigned n, int64_t known, bool left)
{
  const Todo todo = {{from, n}, known, left, false};

  g_array_append_val(round->todo, todo);
}

static Todo *
top(const Round *round)
{
  return round->todo->len
             ? &g_array_index(round->todo, Todo, round->todo->len - 1)
             : NULL;
}

static void
pop(Round *round)
{
  g_array_set_size(round->todo, round->todo->len - 1);
}

void
round_begin(Round *round, Batch *batch)
{
  *round = (Round){.batch = batch,
                   .todo = g_array_new(FALSE, FALSE, sizeof(Todo)),
                   .bad = g_array_new(FALSE, FALSE, sizeof(BadItem))};
  g_array_set_clear_func(round->bad, clear_bad);
  if (batch->items->len)
    push(round, 0, batch->items->len, -1, false);
}

void
round_clear(Round *round)
{
  g_clear_pointer(&round->batch, batch_free);
  g_clear_pointer(&round->todo, g_array_unref);
  g_clear_pointer(&round->bad, g_array_unref);
  g_clear_pointer(&round->words, g_free);
  g_clear_pointer(&round->receipt.text, g_free);
}

bool
round_next(const Round *round, Slice *slice)
{
  if (!round->todo->len || round->hopeless)
    return false;
  *slice = top(round)->slice;
  return true;
}

static void
set_aside(Round *round, Slice slice, const char *reason)
{
  for (unsigned i = 0; i < slice.n; i++) {
    const BadItem bad = {slice.from + i,
                         g_strdup(reason ? reason : "not taken")};

    g_array_append_val(round->bad, bad);
  }
}

/* Two halves in order; `known`: that many of both are not taken. */
static void
split(Round *round, Slice slice, int64_t known)
{
  const unsigned half = slice.n / 2;

  push(round, slice.from + half, slice.n - half, known, false);
  push(round, slice.from, half, -1, true);
}

/* The right half, of which nothing more needs to be asked, is settled: what
 * the left one did not account for is in here. */
static void
settle_sibling(Round *round, int64_t rejected, const char *message)
{
  Todo *right = top(round);

  if (right->known < 0)
    return;
  right->known -= rejected;
  if (right->known <= 0) {
    pop(round);
  } else if (right->known >= right->slice.n) {
    set_aside(round, right->slice, message);
    pop(round);
  }
}

static void
note_taken(Round *round, const Todo *todo, const Sent *sent)
{
  const Slice slice = todo->slice;
  const int64_t rejected = CLAMP(sent->rejected, 0, (int64_t)slice.n);

  round->taken += slice.n - (unsigned)rejected;
  if (sent->receipt.text) {
    g_free(round->receipt.text);
    round->receipt = sent->receipt;
    round->receipt.text = g_strdup(sent->receipt.text);
  }
  if (todo->left)
    settle_sibling(round, rejected, sent->message);
  if (rejected == (int64_t)slice.n)
    set_aside(round, slice, sent->message);
  else if (rejected > 0)
    split(round, slice, rejected);
}

/* From the end on: the first ones were refused. */
static void
push_probes(Round *round)
{
  const unsigned n = round->batch->items->len;

  for (unsigned i = 1; i <= PROBES; i++) {
    const Todo todo = {{(n - 1) * i / PROBES, 1}, -1, false, true};

    g_array_append_val(round->todo, todo);
  }
}

static void
note_refused(Round *round, const Todo *todo, const Sent *sent)
{
  const Slice slice = todo->slice;

  /* Then nothing is known of the other half either. */
  if (todo->left)
    top(round)->known = -1;
  g_free(round->words);
  round->words = g_strdup(sent->message);
  if (slice.n > 1) {
    split(round, slice, -1);
    return;
  }
  set_aside(round, slice, sent->message);
  round->refused++;
  if (round->taken == 0 && round->refused == HOPELESS)
    push_probes(round);
}

static void
note_probe(Round *round, const Sent *sent)
{
  if (sent->code == SENT_TAKEN && sent->rejected == 0)
    round->taken++;
  else
    round->probes++;
  round->hopeless = round->taken == 0 && round->probes == PROBES;
}

bool
round_note(Round *round, const Sent *sent)
{
  const Todo todo = *top(round);
  SentCode code = sent->code;

  round->faults = code == SENT_FAULT ? round->faults + 1 : 0;
  if (code == SENT_FAULT && round->faults >= MAX_FAULTS) {
    code = SENT_REFUSED;
    round->faults = 0;
  }
  if (code == SENT_LATER || code == SENT_FAULT)
    return false;
  pop(round);
  round->too_large = round->too_large || code == SENT_TOO_LARGE;
  if (todo.probe)
    note_probe(round, sent);
  else if (code == SENT_TAKEN)
    note_taken(round, &todo, sent);
  else
    note_refused(round, &todo, sent);
  return true;
}

bool
round_is_good(const Round *round)
{
  return !round->hopeless && (round->taken > 0 || round->bad->len == 0);
}
