/* SPDX-License-Identifier: Apache-2.0 */
/* A set of exact values, kept as keyed hashes of the values and of some of
 * their beginnings, and the search for them. */
#include "inspect/value-set.h"

#include <string.h>

/* Findings that a walk appends to. */
typedef struct {
  const DetectorScratch *scratch;
  GArray *findings;
  unsigned field;
} Report;

static void
report(const Report *to, const ValueFinal *final, size_t start, size_t len)
{
  for (unsigned kind = 0; kind < N_VALUE_KINDS; kind++) {
    Finding found = {.rule = to->scratch->detector->value_rules[kind],
                     .start = start,
                     .end = start + len,
                     .field = to->field,
                     .confidence = 1.0};

    if ((final->kinds & 1u << kind) != 0 && found.rule != NULL)
      g_array_append_val(to->findings, found);
  }
}

/* What begins at bytes[0..len), where the text's position is `start`: reports
 * the values that are longer than `done`. Returns the least length at which
 * more can be said, or 0 when nothing else begins so. */
static size_t
walk(const ValueSet *set,
     size_t level,
     const char *bytes,
     size_t len,
     size_t start,
     size_t done,
     const Report *to)
{
  SipState state;

  sip_init(&state, set->key);
  for (;; level *= 2) {
    const ValueNode *node;

    if (level > len)
      return level;
    node = value_set_node(set, sip_prefix(&state, bytes, level));
    if (node == NULL)
      return 0;
    for (unsigned i = 0; i < node->n_lens; i++) {
      const size_t size = set->lens[node->first_len + i];
      const ValueFinal *final;

      if (size > len)
        return size;
      if (size <= done)
        continue;
      final = value_set_final(set, sip_prefix(&state, bytes, size));
      if (final != NULL)
        report(to, final, start, size);
    }
    if (!node->more)
      return 0;
  }
}

/* ---- Whole texts ------------------------------------------------------- */

static void
scan_set(const ValueSet *set, const char *text, size_t len, const Report *to)
{
  const size_t whole = len >= VALUE_ANCHOR ? len - VALUE_ANCHOR + 1 : 0;

  for (size_t at = 0; at < whole; at++) {
    const uint64_t word = word_at(text + at, VALUE_ANCHOR);

    if (value_set_may_begin(set, word))
      walk(set, VALUE_ANCHOR, text + at, len - at, at, 0, to);
    if (set->n_short > 0 && value_set_may_begin_short(set, word))
      walk(set, VALUE_MIN, text + at, len - at, at, 0, to);
  }
  if (set->n_short == 0)
    return;
  for (size_t at = whole; at + VALUE_MIN <= len; at++)
    if (value_set_may_begin_short(set, word_at(text + at, VALUE_MIN)))
      walk(set, VALUE_MIN, text + at, len - at, at, 0, to);
}

bool
values_scan(const DetectorScratch *scratch,
            const char *text,
            size_t len,
            unsigned field,
            size_t max_findings,
            GArray *findings)
{
  const ValueSets active = values_active(scratch);
  const Report to = {scratch, findings, field};
  const size_t before = findings->len;

  for (unsigned i = 0; i < active.n; i++)
    scan_set(active.sets[i], text, len, &to);
  return findings->len - before <= max_findings;
}

void
values_refresh(DetectorScratch *scratch)
{
  Detector *detector = scratch->detector;

  if (scratch->pinned || g_atomic_int_get(&detector->values_generation) ==
                             scratch->values_generation)
    return;
  pthread_mutex_lock(&detector->values_lock);
  value_set_unref(scratch->values);
  scratch->values =
      detector->values != NULL ? value_set_ref(detector->values) : NULL;
  scratch->values_generation = detector->values_generation;
  pthread_mutex_unlock(&detector->values_lock);
}

ValueSets
values_active(const DetectorScratch *scratch)
{
  ValueSets active = {.n = 0};

  if (scratch->values != NULL && scratch->values->n > 0)
    active.sets[active.n++] = scratch->values;
  if (scratch->held != NULL && scratch->held->n > 0)
    active.sets[active.n++] = scratch->held;
  return active;
}

void
detector_set_values(Detector *detector, ValueSet *values)
{
  ValueSet *former;

  if (values != NULL)
    value_set_ref(values);
  pthread_mutex_lock(&detector->values_lock);
  former = detector->values;
  detector->values = values;
  g_atomic_int_inc(&detector->values_generation);
  pthread_mutex_unlock(&detector->values_lock);
  value_set_unref(former);
}

void
detector_scratch_hold(DetectorScratch *scratch, ValueSet *held)
{
  if (held != NULL)
    value_set_ref(held);
  value_set_unref(scratch->held);
  scratch->held = held;
}

/* ---- Texts in pieces --------------------------------------------------- */

/* Places of one text where a value may have begun, at one time. A text of one
 * letter against a value of that letter would have one for each byte; such
 * values are not taken. */
#define MAX_BEGUN 65536

typedef struct {
  size_t start;
  size_t done; /* values up to this length were looked for */
  size_t next; /* the length at which more can be said */
  uint8_t set;
  uint8_t level;
} Begun;

struct value_tail {
  const DetectorScratch *scratch;
  ValueSets active;
  size_t next;   /* before it every place was looked at */
  GArray *begun; /* Begun, by start */
};

ValueTail *
value_tail_new(const DetectorScratch *scratch)
{
  const ValueSets active = values_active(scratch);
  ValueTail *tail;

  if (active.n == 0)
    return NULL;
  tail = g_new0(ValueTail, 1);
  tail->scratch = scratch;
  tail->active = active;
  tail->begun = g_array_new(FALSE, FALSE, sizeof(Begun));
  return tail;
}

void
value_tail_free(ValueTail *tail)
{
  if (tail == NULL)
    return;
  g_array_unref(tail->begun);
  g_free(tail);
}

ValueTail *
value_tail_copy(const ValueTail *tail)
{
  ValueTail *copy;

  if (tail == NULL)
    return NULL;
  copy = g_memdup2(tail, sizeof(*tail));
  copy->begun = g_array_copy(tail->begun);
  return copy;
}

bool
value_tail_is_quiet(const ValueTail *tail)
{
  return tail == NULL || tail->begun->len == 0;
}

/* Looks at a place that a value may have begun at; false: none did. */
static bool
look(const ValueTail *tail, const TextView *view, Begun *at, const Report *to)
{
  const size_t len = view->end - at->start;

  if (len < at->next)
    return true;
  at->next = walk(tail->active.sets[at->set],
                  at->level,
                  view->bytes + (at->start - view->start),
                  len,
                  at->start,
                  at->done,
                  to);
  at->done = len;
  return at->next != 0;
}

static void
begin(ValueTail *tail,
      const TextView *view,
      size_t start,
      unsigned set,
      unsigned level,
      const Report *to)
{
  Begun at = {.start = start, .set = (uint8_t)set, .level = (uint8_t)level};

  if (look(tail, view, &at, to))
    g_array_append_val(tail->begun, at);
}

static void
look_at_place(ValueTail *tail,
              const TextView *view,
              size_t start,
              const Report *to)
{
  const char *bytes = view->bytes + (start - view->start);
  const size_t len = MIN(view->end - start, VALUE_ANCHOR);
  const uint64_t word = word_at(bytes, len);

  for (unsigned i = 0; i < tail->active.n; i++) {
    const ValueSet *set = tail->active.sets[i];

    if (len == VALUE_ANCHOR && value_set_may_begin(set, word))
      begin(tail, view, start, i, VALUE_ANCHOR, to);
    if (len >= VALUE_MIN && set->n_short > 0 &&
        value_set_may_begin_short(set, word))
      begin(tail, view, start, i, VALUE_MIN, to);
  }
}

bool
value_tail_feed(ValueTail *tail, const TextView *view, GArray *findings)
{
  const Report to = {tail->scratch, findings, 0};
  const size_t keep = view->final ? 0 : VALUE_ANCHOR - 1;
  guint kept = 0;

  for (guint i = 0; i < tail->begun->len; i++) {
    Begun *at = &g_array_index(tail->begun, Begun, i);

    if (look(tail, view, at, &to))
      g_array_index(tail->begun, Begun, kept++) = *at;
  }
  g_array_set_size(tail->begun, kept);
  for (; tail->next + keep < view->end; tail->next++)
    look_at_place(tail, view, tail->next, &to);
  if (view->final)
    g_array_set_size(tail->begun, 0);
  return tail->begun->len <= MAX_BEGUN;
}

/* The last bytes are too few to look a value up by: whether one begins like
 * them. */
static bool
may_begin(const ValueTail *tail, const char *bytes, size_t len)
{
  for (unsigned i = 0; i < tail->active.n; i++)
    if (value_set_may_begin_so(tail->active.sets[i], bytes, len))
      return true;
  return false;
}

size_t
value_tail_floor(const ValueTail *tail, const TextView *view)
{
  size_t floor = view->end;

  if (view->final)
    return floor;
  for (size_t at = tail->next; at < view->end && floor == view->end; at++)
    if (may_begin(tail, view->bytes + (at - view->start), view->end - at))
      floor = at;
  if (tail->begun->len > 0)
    floor = MIN(floor, g_array_index(tail->begun, Begun, 0).start);
  return floor;
}
