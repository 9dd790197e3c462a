/* SPDX-License-Identifier: Apache-2.0 */
/* What people see of a body that is held: its texts in order, what was found in
 * them, what masks would change, and of a huge one the ends and the findings.
 */
#include "exchange/view.h"
#include "kit/secret.h"
#include <string.h>

/* What a person is shown of one body; of more its ends and the findings. */
#define MAX_VIEW ((size_t)1024 * 1024)
#define VIEW_HEAD ((size_t)384 * 1024)
#define VIEW_TAIL ((size_t)128 * 1024)
/* Around a finding that stands elsewhere. */
#define CONTEXT ((size_t)300)
/* With all findings; those beyond are counted. */
#define MAX_WITH_FINDINGS (2 * MAX_VIEW)
/* Of one finding, half from each end. */
#define MAX_FINDING ((size_t)16 * 1024)
/* Of the keys that lead to a text; and what a heading takes beside them. */
#define MAX_PATH 200
#define HEADING 24
/* Shorter ones are names, flags and numbers. */
#define MIN_DATA 64
/* How far from a tool's arguments its name stands. */
#define TOOL_NEAR 64
#define TOOL_UP 8

typedef struct {
  size_t start, end; /* in all fields, one behind the other */
} Region;

typedef struct {
  GArray *masks; /* ViewMask, of view_masks() */
  unsigned next;
} Masks;

typedef struct {
  Exchange *exchange;
  const InspectField *fields;
  unsigned n_fields;
  const Inspection *inspection;
  Masks now;   /* set whatever is answered */
  Masks later; /* those of "approve masked", too */
  GArray *clusters;
  unsigned next; /* cluster */
  GArray *regions;
  unsigned region;
  GString *out;
  GArray *marks; /* NULL: not wanted */
  size_t gap;    /* bytes left out since the last that was shown */
  unsigned gap_findings;
} View;

static const char *
role_name(FieldRole role)
{
  switch (role) {
  case FIELD_PROMPT:
    return "prompt";
  case FIELD_SYSTEM:
    return "instructions";
  case FIELD_ASSISTANT:
    return "earlier answer";
  case FIELD_TOOL_RESULT:
    return "tool result";
  case FIELD_TOOL_ARGUMENTS:
    return "tool call";
  case FIELD_OTHER:
    break;
  }
  return "data";
}

/* ---- Regions of a huge body ------------------------------------------------
 */

static size_t
heading_size(const InspectField *field)
{
  return MIN(strlen(field->path), MAX_PATH) + HEADING;
}

/* Names, flags and numbers are not what a person decides on. */
static bool
is_shown(const View *view, unsigned index, bool found)
{
  const InspectField *field = &view->fields[index];

  if (found)
    return true;
  return field->len > 0 && !field->is_key &&
         inspection_outer_field(view->inspection, index) == index &&
         (field->role != FIELD_OTHER || field->len > MIN_DATA);
}

/* Goes to the first cluster that is not before the field; true: it is in it. */
static bool
skip_to(const GArray *clusters, unsigned *next, unsigned field)
{
  while (*next < clusters->len &&
         g_array_index(clusters, Cluster, *next).field < field)
    (*next)++;
  return *next < clusters->len &&
         g_array_index(clusters, Cluster, *next).field == field;
}

static int
by_region(const void *a, const void *b)
{
  const Region *left = a, *right = b;

  return left->start < right->start ? -1 : left->start > right->start;
}

static void
add_region(GArray *regions, size_t start, size_t end)
{
  const Region region = {start, end};

  g_array_append_val(regions, region);
}

/* Those that meet as one. */
static void
join_regions(GArray *regions)
{
  unsigned kept = 0;

  g_array_sort(regions, by_region);
  for (unsigned i = 1; i < regions->len; i++) {
    const Region *region = &g_array_index(regions, Region, i);
    Region *last = &g_array_index(regions, Region, kept);

    if (region->start <= last->end)
      last->end = MAX(last->end, region->end);
    else
      g_array_index(regions, Region, ++kept) = *region;
  }
  g_array_set_size(regions, kept + 1);
}

/* The findings of a field that begins at `base`, with what stands around them,
 * while there is room. */
static void
add_findings(View *view, unsigned field, size_t base, size_t *room)
{
  for (; skip_to(view->clusters, &view->next, field); view->next++) {
    const Cluster *cluster =
        &g_array_index(view->clusters, Cluster, view->next);
    size_t cost = MIN(cluster->end - cluster->start, MAX_FINDING) + 2 * CONTEXT;
    size_t start = base + cluster->start;

    if (cost > *room)
      continue;
    *room -= cost;
    add_region(view->regions,
               start > CONTEXT ? start - CONTEXT : 0,
               base + cluster->end + CONTEXT);
  }
}

static void
find_regions(View *view)
{
  size_t total = 0, room = MAX_WITH_FINDINGS - VIEW_HEAD - VIEW_TAIL;

  view->next = 0;
  for (unsigned i = 0; i < view->n_fields; i++) {
    const InspectField *field = &view->fields[i];

    if (!is_shown(view, i, skip_to(view->clusters, &view->next, i)))
      continue;
    add_findings(view, i, total + heading_size(field), &room);
    total += heading_size(field) + field->len;
  }
  view->next = 0;
  if (total <= MAX_VIEW) {
    g_array_set_size(view->regions, 0);
    add_region(view->regions, 0, total);
    return;
  }
  add_region(view->regions, 0, VIEW_HEAD);
  add_region(view->regions, total - VIEW_TAIL, total);
  join_regions(view->regions);
}

/* ---- Writing it -------------------------------------------------------------
 */

static void
add_mark(View *view,
         ShownKind kind,
         size_t start,
         const char *name,
         char *where,
         char *more)
{
  ShownMark mark = {kind, start, view->out->len, g_strdup(name), where, more};

  if (view->marks) {
    g_array_append_val(view->marks, mark);
    return;
  }
  shown_mark_clear(&mark);
}

/* What is no text of D-Bus does not end it or move what follows. */
static void
append_clean(GString *out, const char *text, size_t len)
{
  const char *end = text + len, *valid;

  while (text < end) {
    g_utf8_validate_len(text, (gsize)(end - text), &valid);
    g_string_append_len(out, text, valid - text);
    if (valid == end)
      return;
    g_string_append(out, *valid == '\0' ? "␀" : "�");
    text = valid + 1;
  }
}

/* Appends [from, to) with its masks; returns where it came to: a mask that
 * begins before `to` may stand for more. */
static size_t
append_masked(View *view,
              Masks *masks,
              unsigned index,
              size_t from,
              size_t to,
              GString *out)
{
  const InspectField *field = &view->fields[index];

  for (; masks->next < masks->masks->len; masks->next++) {
    const ViewMask *mask = &g_array_index(masks->masks, ViewMask, masks->next);

    if (mask->at.field > index ||
        (mask->at.field == index && mask->at.start >= to))
      break;
    if (mask->at.field < index || mask->at.start < from)
      continue;
    append_clean(out, field->text + from, mask->at.start - from);
    masker_mask(view->exchange->env->masker,
                NULL,
                mask->span.rule_id,
                view->fields[mask->span.field].text + mask->span.start,
                mask->span.end - mask->span.start,
                out);
    from = mask->at.end;
  }
  if (from < to)
    append_clean(out, field->text + from, to - from);
  return MAX(from, to);
}

static void
append_gap(View *view, size_t bytes, unsigned findings)
{
  size_t start;

  g_string_append_c(view->out, '\n');
  start = view->out->len;
  g_string_append_printf(
      view->out, "[… %zu bytes are not shown here …]", bytes);
  add_mark(view,
           SHOWN_GAP,
           start,
           "",
           g_strdup_printf("%zu", bytes),
           g_strdup_printf("%u", findings));
  g_string_append_c(view->out, '\n');
}

static void
flush_gap(View *view)
{
  if (view->gap)
    append_gap(view, view->gap, view->gap_findings);
  view->gap = 0;
  view->gap_findings = 0;
}

/* Where a character begins, at or before `at`. */
static size_t
char_start(const GString *text, size_t at)
{
  while (at > 0 && ((guchar)text->str[at] & 0xc0) == 0x80)
    at--;
  return at;
}

/* Whether its masks of now leave nothing of it. */
static bool
is_masked_now(const View *view, const Cluster *cluster)
{
  const GArray *masks = view->now.masks;

  for (unsigned i = view->now.next; i < masks->len; i++) {
    const OuterSpan *at = &g_array_index(masks, ViewMask, i).at;

    if (at->field > cluster->field ||
        (at->field == cluster->field && at->start > cluster->start))
      return false;
    if (at->field == cluster->field && at->start == cluster->start)
      return at->end >= cluster->end;
  }
  return false;
}

static char *
joined_rules(const Cluster *cluster)
{
  GString *joined = g_string_new(NULL);

  for (unsigned i = 0; i < cluster->rules->len; i++)
    g_string_append_printf(
        joined, "%s%s", i ? ", " : "", (char *)cluster->rules->pdata[i]);
  return g_string_free(joined, FALSE);
}

static size_t
append_cluster(View *view, const Cluster *cluster)
{
  const bool masked = is_masked_now(view, cluster);
  const size_t start = view->out->len;
  g_autoptr(GString) now = g_string_new(NULL);
  g_autoptr(GString) later = g_string_new(NULL);
  g_autofree char *rules = joined_rules(cluster);
  size_t end;

  end = append_masked(
      view, &view->now, cluster->field, cluster->start, cluster->end, now);
  append_masked(
      view, &view->later, cluster->field, cluster->start, cluster->end, later);
  if (now->len > MAX_FINDING) {
    size_t head = char_start(now, MAX_FINDING / 2);
    size_t tail = char_start(now, now->len - MAX_FINDING / 2);

    g_string_append_len(view->out, now->str, (gssize)head);
    append_gap(view, tail - head, 0);
    g_string_append_len(view->out, now->str + tail, (gssize)(now->len - tail));
  } else {
    g_string_append_len(view->out, now->str, (gssize)now->len);
  }
  if (later->len > MAX_FINDING) {
    g_string_truncate(later, char_start(later, MAX_FINDING));
    g_string_append(later, "…");
  }
  add_mark(view,
           masked ? SHOWN_MASKED : SHOWN_FINDING,
           start,
           rules,
           NULL,
           masked || g_string_equal(now, later)
               ? NULL
               : g_strndup(later->str, later->len));
  secret_wipe(now->str, now->len);
  secret_wipe(later->str, later->len);
  return end;
}

/* [from, to) of a field and the rest of what was found there. */
static size_t
append_piece(View *view, unsigned index, size_t from, size_t to)
{
  while (skip_to(view->clusters, &view->next, index)) {
    const Cluster *cluster =
        &g_array_index(view->clusters, Cluster, view->next);

    if (cluster->start >= to)
      break;
    view->next++;
    if (cluster->start > from)
      from = append_masked(
          view, &view->now, index, from, cluster->start, view->out);
    if (cluster->end > from)
      from = append_cluster(view, cluster);
  }
  return from < to ? append_masked(view, &view->now, index, from, to, view->out)
                   : from;
}

/* The name of the tool whose arguments these are: beside them, or beside what
 * holds them. */
static char *
tool_name(const View *view, unsigned index)
{
  const InspectField *field = &view->fields[index];
  const char *dot = strrchr(field->path, '.');

  if (field->role != FIELD_TOOL_ARGUMENTS)
    return NULL;
  for (unsigned up = 0; dot && up < TOOL_UP; up++) {
    g_autofree char *name =
        g_strdup_printf("%.*s.name", (int)(dot - field->path), field->path);

    for (unsigned i = index > TOOL_NEAR ? index - TOOL_NEAR : 0;
         i < view->n_fields && i < index + TOOL_NEAR;
         i++)
      if (!view->fields[i].is_key && g_str_equal(view->fields[i].path, name))
        return g_utf8_make_valid(view->fields[i].text, -1);
    dot = g_strrstr_len(field->path, dot - field->path, ".");
  }
  return NULL;
}

static void
append_heading(View *view, unsigned index)
{
  const InspectField *field = &view->fields[index];
  g_autofree char *path = g_utf8_make_valid(
      field->path, (gssize)MIN(strlen(field->path), MAX_PATH));

  g_string_append_printf(view->out, "%s (%s)\n", path, role_name(field->role));
}

/* Steps over what was found in what is not shown. */
static void
pass_over(View *view, unsigned index, size_t to)
{
  for (; skip_to(view->clusters, &view->next, index); view->next++) {
    if (g_array_index(view->clusters, Cluster, view->next).start >= to)
      break;
    view->gap_findings++;
  }
}

static size_t
char_from(const InspectField *field, size_t at)
{
  while (at > 0 && at < field->len && ((guchar)field->text[at] & 0xc0) == 0x80)
    at--;
  return MIN(at, field->len);
}

static void
begin_part(View *view, unsigned index, size_t *start)
{
  flush_gap(view);
  if (*start)
    return;
  append_heading(view, index);
  *start = view->out->len;
}

static void
end_part(View *view, unsigned index, size_t start)
{
  const InspectField *field = &view->fields[index];

  add_mark(view,
           SHOWN_PART,
           start,
           role_name(field->role),
           g_utf8_make_valid(field->path,
                             (gssize)MIN(strlen(field->path), MAX_PATH)),
           tool_name(view, index));
  g_string_append(view->out, "\n\n");
}

/* `base`: where its text begins among all. */
static void
append_field(View *view, unsigned index, size_t base)
{
  const InspectField *field = &view->fields[index];
  size_t at = 0, start = 0;

  while (view->region < view->regions->len) {
    const Region *region = &g_array_index(view->regions, Region, view->region);
    size_t from = region->start > base ? region->start - base : 0;
    size_t to = region->end > base ? region->end - base : 0;

    from = MAX(at, char_from(field, from));
    to = char_from(field, to);
    if (from < to) {
      pass_over(view, index, from);
      view->gap += from - at;
      begin_part(view, index, &start);
      at = append_piece(view, index, from, to);
    }
    if (region->end > base + field->len)
      break;
    view->region++;
  }
  pass_over(view, index, SIZE_MAX);
  view->gap += field->len - at;
  if (start)
    end_part(view, index, start);
}

static char *
view_text(View *view)
{
  size_t base = 0;
  unsigned next = 0;

  find_regions(view);
  view->out = g_string_new(NULL);
  for (unsigned i = 0; i < view->n_fields; i++) {
    if (!is_shown(view, i, skip_to(view->clusters, &next, i)))
      continue;
    base += heading_size(&view->fields[i]);
    append_field(view, i, base);
    base += view->fields[i].len;
  }
  flush_gap(view);
  g_array_unref(view->regions);
  return g_string_free(view->out, FALSE);
}

void
exchange_view(Exchange *exchange,
              const Inspection *inspection,
              const GArray *now,
              const GArray *later,
              HoldAsk *hold)
{
  g_autoptr(GArray) masks = view_masks(inspection, now);
  g_autoptr(GArray) all = view_masks(inspection, later);
  g_autoptr(GArray) clusters = view_clusters(inspection, masks, all);
  View view = {.exchange = exchange,
               .inspection = inspection,
               .now = {.masks = masks},
               .later = {.masks = all},
               .clusters = clusters,
               .regions = g_array_new(FALSE, FALSE, sizeof(Region)),
               .marks = shown_marks_new()};
  View masked = {.exchange = exchange,
                 .inspection = inspection,
                 .now = {.masks = all},
                 .later = {.masks = all},
                 .clusters = clusters,
                 .regions = g_array_new(FALSE, FALSE, sizeof(Region))};

  view.fields = inspection_fields(inspection, &view.n_fields);
  masked.fields = view.fields;
  masked.n_fields = view.n_fields;
  hold->text = view_text(&view);
  hold->marks = view.marks;
  hold->masked_text = view_text(&masked);
}
