/* SPDX-License-Identifier: Apache-2.0 */
/* Groups the ends that libhs reports: all ends of one rule inside one run are
 * decided at once, on a window whose bounds follow from the text alone. */
#include "inspect/detector.h"

/* The longest match with an end at `first` ends no later than this. */
static size_t
reach(const CompiledRule *compiled, size_t first)
{
  return first + (compiled->max_width - compiled->min_width) + 1;
}

void
candidate_update(const CompiledRule *compiled,
                 const TextView *view,
                 Candidate *candidate)
{
  const size_t first = candidate->first;
  const size_t far = reach(compiled, first);
  size_t end;

  /* A rule may take the one byte that ends the run. */
  if (first > view->start && run_breaks(view, first - 1) > 0) {
    candidate->open = false;
    candidate->limit = first;
    return;
  }
  end = run_end(view, first, far, &candidate->open);
  candidate->limit = end < far && end < view->end ? end + 1 : end;
}

bool
candidate_take(const CompiledRule *compiled,
               const TextView *view,
               size_t end,
               Candidate *candidate,
               Candidate *fresh)
{
  if (candidate != NULL && !compiled->opened && end >= candidate->first) {
    if (candidate->open)
      candidate_update(compiled, view, candidate);
    if (end <= candidate->limit) {
      candidate->last = MAX(candidate->last, end);
      return true;
    }
  }
  if (candidate != NULL && compiled->opened && end == candidate->first)
    return true;
  *fresh = (Candidate){.first = end, .last = end};
  if (!compiled->opened)
    candidate_update(compiled, view, fresh);
  return false;
}

size_t
candidate_floor(const CompiledRule *compiled,
                const TextView *view,
                const Candidate *candidate)
{
  const size_t end = candidate->first;
  const size_t reached = end > compiled->max_width + view->start
                             ? end - compiled->max_width
                             : view->start;
  size_t run = end;

  if (compiled->opened)
    return candidate->block != NULL && candidate->block->open
               ? candidate->block->at
               : end;
  if (run > reached && run_breaks(view, run - 1) > 0)
    run--;
  run = run_start(view, run, reached);
  return run > reached + CONTEXT_MAX ? run - CONTEXT_MAX : reached;
}
