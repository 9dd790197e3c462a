/* SPDX-License-Identifier: Apache-2.0 */
/* Scans whole texts: one pass of libhs over all of them, then each suspicion
 * is decided inside its own text; then what their other forms hold. */
#include "inspect/values.h"
#include "inspect/views.h"

#include <string.h>

/* Suspicions of one body; honest ones have a few hundred. */
#define MAX_CANDIDATES 1000000
/* Heads that wait for their tails to be looked at. */
#define MAX_HEADS 1024
/* Between two looks at tails and sights: in a text of digits alone expressions
 * end at every byte. */
#define TAILS_STEP ((size_t)16 * 1024)
/* Findings before one that may say the same. */
#define DOUBLES_BACK 64
/* libhs counts in 32 bits. */
#define MAX_SCAN ((size_t)1 << 31)

typedef struct {
  DetectorScratch *scratch;
  const char *text;
  const size_t *starts;
  const size_t *lens;
  unsigned n;
  unsigned field; /* the last one that had an end */
  size_t gated;   /* before it tails and sights were looked at */
} Pass;

/* The field that holds the end, which may be one past it: the byte between two
 * fields is not part of either. */
static bool
find_field(Pass *pass, size_t *end)
{
  unsigned low = 0, high = pass->n;

  if (*end <= pass->starts[pass->field] ||
      (pass->field + 1 < pass->n && *end > pass->starts[pass->field + 1])) {
    while (high - low > 1) {
      const unsigned middle = low + (high - low) / 2;

      if (pass->starts[middle] < *end)
        low = middle;
      else
        high = middle;
    }
    pass->field = low;
  }
  if (*end <= pass->starts[pass->field])
    return false;
  *end = MIN(*end - pass->starts[pass->field], pass->lens[pass->field]);
  return *end > 0;
}

static TextView
field_view(const Pass *pass, unsigned field)
{
  return (TextView){.bytes = pass->text + pass->starts[field],
                    .start = 0,
                    .end = pass->lens[field],
                    .final = true};
}

/* A rule's expression ends; false: there are too many. */
static bool
take_end(unsigned id, size_t end, void *data)
{
  Pass *pass = data;
  DetectorScratch *scratch = pass->scratch;
  unsigned *slot = &scratch->slots[id];
  Candidate *newest = NULL;
  Candidate fresh;
  TextView view;

  if (!find_field(pass, &end))
    return true;
  if (*slot != 0)
    newest = &g_array_index(scratch->candidates, Candidate, *slot - 1);
  if (newest != NULL && newest->field != pass->field)
    newest = NULL;
  view = field_view(pass, pass->field);
  if (candidate_take(
          &scratch->detector->rules.rules[id], &view, end, newest, &fresh))
    return true;
  if (scratch->candidates->len == MAX_CANDIDATES)
    return false;
  fresh.rule = id;
  fresh.field = pass->field;
  g_array_append_val(scratch->candidates, fresh);
  *slot = scratch->candidates->len;
  return true;
}

/* What libhs does not look for, now that the heads before `to` are known. */
static bool
take_others(Pass *pass, size_t to)
{
  DetectorScratch *scratch = pass->scratch;

  while (pass->gated < to) {
    const size_t from = pass->gated;

    pass->gated = MIN(to, from + TAILS_STEP);
    if (!gates_run(scratch,
                   pass->text + from,
                   from,
                   from,
                   pass->gated,
                   scratch->runs,
                   take_end,
                   pass))
      return false;
  }
  return true;
}

static int
on_end(unsigned id,
       unsigned long long from,
       unsigned long long to,
       unsigned flags,
       void *data)
{
  Pass *pass = data;
  GArray *heads = pass->scratch->heads;
  const unsigned n = pass->scratch->detector->rules.n;
  const GateHead head = {.gate = id - n, .end = to};

  (void)from;
  (void)flags;
  if (id < n)
    return !take_end(id, to, pass);
  /* Heads come in order. */
  if (to <= pass->gated)
    return 1;
  if (heads->len >= MAX_HEADS && to - 1 > pass->gated &&
      !take_others(pass, to - 1))
    return 1;
  g_array_append_val(heads, head);
  return 0;
}

static int
compare_findings(const void *a, const void *b)
{
  const Finding *x = a, *y = b;

  if (x->field != y->field)
    return x->field < y->field ? -1 : 1;
  if (x->start != y->start)
    return x->start < y->start ? -1 : 1;
  if (x->end != y->end)
    return x->end > y->end ? -1 : 1;
  if (x->confidence != y->confidence)
    return x->confidence > y->confidence ? -1 : 1;
  /* An exact value is no suspicion. */
  if ((*x->rule->regex == '\0') != (*y->rule->regex == '\0'))
    return *x->rule->regex == '\0' ? -1 : 1;
  if (x->rule->index != y->rule->index)
    return x->rule->index < y->rule->index ? -1 : 1;
  return 0;
}

/* The same span in the same class: the more certain rule speaks for both. What
 * a rule found in two forms of a text may differ by what stands at its ends. */
static bool
is_double(const Finding *kept, const Finding *other)
{
  if (kept->field != other->field)
    return false;
  if (kept->rule == other->rule && *kept->rule->regex != '\0')
    return kept->end >= other->end && kept->end != SIZE_MAX;
  return kept->start == other->start && kept->end == other->end &&
         strcmp(kept->rule->class_name, other->rule->class_name) == 0;
}

/* Also what is the double of a double goes: what is left must not depend on
 * which of three came first. */
static bool
has_double(const Finding *all, unsigned index)
{
  const unsigned back = index > DOUBLES_BACK ? index - DOUBLES_BACK : 0;

  for (unsigned k = index; k-- > back;)
    if (is_double(&all[k], &all[index]))
      return true;
  return false;
}

void
findings_sort(GArray *findings)
{
  Finding *all = (Finding *)(void *)findings->data;
  g_autofree bool *drop = NULL;
  unsigned n = 0;

  if (findings->len < 2)
    return;
  qsort(all, findings->len, sizeof(Finding), compare_findings);
  drop = g_new(bool, findings->len);
  for (unsigned i = 0; i < findings->len; i++)
    drop[i] = has_double(all, i);
  for (unsigned i = 0; i < findings->len; i++)
    if (!drop[i])
      all[n++] = all[i];
  g_array_set_size(findings, n);
}

static bool
fail_limit(GError **error, const char *what)
{
  g_set_error_literal(error, INSPECT_ERROR, INSPECT_ERROR_LIMIT, what);
  return false;
}

static bool
decide(Pass *pass, size_t max_findings, GArray *findings, GError **error)
{
  DetectorScratch *scratch = pass->scratch;
  unsigned field = 0;

  for (unsigned i = 0; i < scratch->candidates->len; i++) {
    Candidate *candidate = &g_array_index(scratch->candidates, Candidate, i);
    const TextView view = field_view(pass, candidate->field);

    if (i == 0 || candidate->field != field)
      scratch->generation++;
    field = candidate->field;
    if (confirm_candidate(scratch,
                          &view,
                          candidate,
                          scratch->last,
                          scratch->generation,
                          findings,
                          error) == CONFIRM_FAILED)
      return false;
    if (findings->len > max_findings)
      return fail_limit(error, "more findings than the limit allows");
  }
  return true;
}

/* One pass of libhs, and what follows from it. */
static bool
scan_rules(Pass *pass,
           size_t len,
           size_t max_findings,
           GArray *findings,
           GError **error)
{
  DetectorScratch *scratch = pass->scratch;
  const size_t before = findings->len;
  hs_error_t result;

  if (scratch->hs == NULL || pass->n == 0 || len == 0)
    return true;
  if (len > MAX_SCAN)
    return fail_limit(error, "a text is too long to be scanned");
  g_array_set_size(scratch->candidates, 0);
  g_array_set_size(scratch->heads, 0);
  g_array_set_size(scratch->runs, 0);
  memset(scratch->slots, 0, scratch->detector->rules.n * sizeof(unsigned));
  result = hs_scan_stream(
      scratch->stream, pass->text, (unsigned)len, 0, scratch->hs, on_end, pass);
  /* The end of the text ends what only its end decides. */
  if (result == HS_SUCCESS)
    result = hs_reset_stream(scratch->stream, 0, scratch->hs, on_end, pass);
  else
    (void)hs_reset_stream(scratch->stream, 0, NULL, NULL, NULL);
  if (result == HS_SUCCESS && !take_others(pass, len))
    result = HS_SCAN_TERMINATED;
  if (result == HS_SCAN_TERMINATED)
    return fail_limit(error, "more suspicious places than can be looked at");
  if (result != HS_SUCCESS) {
    g_set_error(error,
                INSPECT_ERROR,
                INSPECT_ERROR_ENGINE,
                "the detector failed (%d)",
                result);
    return false;
  }
  if (!decide(pass, before + max_findings, findings, error)) {
    g_array_set_size(findings, (guint)before);
    return false;
  }
  return true;
}

static bool
scan_values(const Pass *pass,
            size_t max_findings,
            GArray *findings,
            GError **error)
{
  const size_t before = findings->len;

  if (values_active(pass->scratch).n == 0)
    return true;
  for (unsigned i = 0; i < pass->n; i++)
    if (!values_scan(pass->scratch,
                     pass->text + pass->starts[i],
                     pass->lens[i],
                     i,
                     max_findings - (findings->len - before),
                     findings))
      return fail_limit(error, "more findings than the limit allows");
  return true;
}

/* The texts as they are. */
static bool
scan_plain(Pass *pass,
           size_t len,
           size_t max_findings,
           GArray *findings,
           GError **error)
{
  const guint before = findings->len;

  if (scan_values(pass, max_findings, findings, error) &&
      scan_rules(
          pass, len, max_findings - (findings->len - before), findings, error))
    return true;
  g_array_set_size(findings, before);
  return false;
}

bool
scan_text(DetectorScratch *scratch,
          const char *text,
          size_t len,
          size_t max_findings,
          GArray *findings,
          GError **error)
{
  const size_t start = 0;
  Pass pass = {scratch, text, &start, &len, 1, 0, 0};

  return scan_plain(&pass, len, max_findings, findings, error);
}

/* What the other forms of each text hold. */
static bool
scan_views(const Pass *pass,
           size_t max_findings,
           GArray *findings,
           GError **error)
{
  const guint before = findings->len;

  for (unsigned i = 0; i < pass->n; i++) {
    const TextView view = field_view(pass, i);
    const guint first = findings->len;

    if (!views_scan(pass->scratch, &view, 0, max_findings, findings, error))
      return false;
    for (guint k = first; k < findings->len; k++)
      g_array_index(findings, Finding, k).field = i;
  }
  /* What is found in several forms counts once. */
  if (findings->len > before)
    findings_sort(findings);
  return findings->len <= max_findings ||
         fail_limit(error, "more findings than the limit allows");
}

bool
scan_fields(DetectorScratch *scratch,
            const char *text,
            size_t len,
            const size_t *starts,
            const size_t *lens,
            unsigned n,
            size_t max_findings,
            GArray *findings,
            GError **error)
{
  const guint before = findings->len;
  Pass pass = {scratch, text, starts, lens, n, 0, 0};

  values_refresh(scratch);
  if (scan_plain(&pass, len, max_findings, findings, error) &&
      scan_views(&pass, before + max_findings, findings, error))
    return true;
  g_array_set_size(findings, before);
  return false;
}

bool
detector_scan(DetectorScratch *scratch,
              const char *text,
              size_t len,
              GArray *findings,
              GError **error)
{
  g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(Finding));
  const size_t start = 0;

  if (!scan_fields(scratch,
                   text,
                   len,
                   &start,
                   &len,
                   1,
                   inspect_default_limits.max_findings,
                   found,
                   error))
    return false;
  findings_sort(found);
  g_array_append_vals(findings, found->data, found->len);
  return true;
}
