/* SPDX-License-Identifier: Apache-2.0 */
/* From findings in a text to places in a file: lines, columns, bytes, and
 * names that stay when the line moves. */
#define _GNU_SOURCE
#include "cli/hits.h"
#include "cli/excerpt.h"
#include "kit/digest.h"
#include <string.h>

#define ALLOW_MARK "hoop:allow"
/* Of one file: a report that nobody reads, but a scanner's own test data has
 * more than a body may. */
#define MAX_FINDINGS 1000000
/* Of the line, in what is printed. */
#define SHOWN_BEFORE 48
#define SHOWN_BEHIND 24
/* Of the line, in what names the place. */
#define PLACE_BEFORE 64
/* Tokens so long are not found by trying, even with 12 bits known. */
#define CHECKED_VALUE 24
#define PLACE_HEX 16
#define CHECK_HEX 3

static void
hit_clear(void *data)
{
  g_free(((Hit *)data)->shown);
}

GArray *
hits_new(void)
{
  GArray *hits = g_array_new(FALSE, TRUE, sizeof(Hit));

  g_array_set_clear_func(hits, hit_clear);
  return hits;
}

/* ---- Findings ------------------------------------------------------------
 */

/* A finding in bytes of the text, with its value as it was decoded. */
typedef struct {
  const Finding *finding;
  const char *value;
  size_t start, end;
} Spot;

static int
compare_spots(const void *a, const void *b)
{
  const Spot *x = a, *y = b;

  if (x->start != y->start)
    return x->start < y->start ? -1 : 1;
  if (x->end != y->end)
    return x->end > y->end ? -1 : 1;
  return x->finding->rule->index < y->finding->rule->index
             ? -1
             : x->finding->rule->index > y->finding->rule->index;
}

static bool
starts_char(const FileText *file, size_t at)
{
  return at == file->len || ((guchar)file->text[at] & 0xc0) != 0x80;
}

/* The last finding of the whole text that begins at `at` or before; they come
 * first, by start. -1: none. */
static int
last_outer(const Finding *findings, unsigned n_outer, size_t at)
{
  unsigned low = 0, high = n_outer;

  while (low < high) {
    const unsigned middle = low + (high - low) / 2;

    if (findings[middle].start <= at)
      low = middle + 1;
    else
      high = middle;
  }
  return (int)low - 1;
}

bool *
hits_told(const Inspection *inspection, const BodySpan *spans)
{
  unsigned n, n_outer = 0;
  const Finding *findings = inspection_findings(inspection, &n);
  bool *told = g_new0(bool, MAX(n, 1));
  g_autofree unsigned *furthest = g_new0(unsigned, MAX(n, 1));

  for (unsigned i = 0; i < n; i++) {
    const Finding *outer;
    int before;

    told[i] = true;
    if (findings[i].field == 0) {
      furthest[i] =
          i && spans[furthest[i - 1]].end > spans[i].end ? furthest[i - 1] : i;
      n_outer = i + 1;
      continue;
    }
    before = last_outer(findings, n_outer, spans[i].start);
    if (before < 0 || spans[furthest[before]].end < spans[i].end)
      continue;
    outer = &findings[furthest[before]];
    told[i] =
        strcmp(outer->rule->class_name, findings[i].rule->class_name) != 0;
  }
  return told;
}

/* All findings by place, each once: also those that are not wanted must not be
 * read beside the others. */
static GArray *
take_spots(const Inspection *inspection, const FileText *file)
{
  GArray *spots = g_array_new(FALSE, FALSE, sizeof(Spot));
  unsigned n, n_fields, kept = 0;
  const Finding *findings = inspection_findings(inspection, &n);
  const InspectField *fields = inspection_fields(inspection, &n_fields);
  g_autofree BodySpan *spans = g_new(BodySpan, MAX(n, 1));
  g_autofree bool *told = NULL;
  Spot *all;

  inspection_body_spans(inspection, spans);
  told = hits_told(inspection, spans);
  for (unsigned i = 0; i < n; i++) {
    Spot spot = {.finding = &findings[i],
                 .value = fields[findings[i].field].text + findings[i].start,
                 .start = spans[i].start,
                 .end = spans[i].end};

    if (!told[i])
      continue;
    while (!starts_char(file, spot.start))
      spot.start--;
    while (!starts_char(file, spot.end))
      spot.end++;
    g_array_append_val(spots, spot);
  }
  all = (Spot *)(void *)spots->data;
  if (spots->len)
    qsort(all, spots->len, sizeof(Spot), compare_spots);
  for (guint i = 0; i < spots->len; i++)
    if (!kept || compare_spots(&all[kept - 1], &all[i]) != 0)
      all[kept++] = all[i];
  g_array_set_size(spots, kept);
  return spots;
}

static GArray *
make_covers(const GArray *spots)
{
  GArray *covers = g_array_new(FALSE, FALSE, sizeof(Cover));

  for (guint i = 0; i < spots->len; i++) {
    const Spot *spot = &g_array_index(spots, Spot, i);
    Cover *last =
        covers->len ? &g_array_index(covers, Cover, covers->len - 1) : NULL;
    Cover cover = {spot->start, spot->end, spot->finding->rule->id};

    if (last && spot->start < last->end)
      last->end = MAX(last->end, spot->end);
    else
      g_array_append_val(covers, cover);
  }
  return covers;
}

/* ---- Marks ---------------------------------------------------------------
 */

/* The last line that was looked at: many findings may stand in one. */
typedef struct {
  bool known, marked;
  size_t line_start;
} LineMark;

static bool
line_is_marked(const FileText *file, size_t line_start, LineMark *mark)
{
  const char *line = file->text + line_start;
  const size_t left = file->len - line_start;
  const char *newline;

  if (mark->known && mark->line_start == line_start)
    return mark->marked;
  newline = memchr(line, '\n', left);
  *mark = (LineMark){.known = true, .line_start = line_start};
  for (const char *end = newline ? newline : line + left;
       (line = memmem(
            line, (size_t)(end - line), ALLOW_MARK, strlen(ALLOW_MARK)));) {
    line += strlen(ALLOW_MARK);
    if (line == end || !(g_ascii_isalnum(*line) || *line == '-'))
      mark->marked = true;
  }
  return mark->marked;
}

/* ---- Places --------------------------------------------------------------
 */

typedef struct {
  const HitOptions *options;
  const FileText *file;
  Covered covered;
  GHashTable *seen; /* place → how often */
  LineMark first, last;
  GArray *hits;
} Finder;

/* White space of any kind and length is one blank, none at the ends. */
static void
collapse(GString *text)
{
  g_autofree char *old = g_strdup(text->str);
  g_auto(GStrv) words = g_strsplit_set(g_strstrip(old), " \t\r\f\v", -1);

  g_string_truncate(text, 0);
  for (char **word = words; *word; word++)
    if (**word)
      g_string_append_printf(text, "%s%s", text->len ? " " : "", *word);
}

static void
name_place(Finder *finder,
           const Spot *spot,
           const Cover *cover,
           size_t line_start,
           Hit *hit)
{
  g_autoptr(GString) named = g_string_new(NULL);
  uint8_t digest[SHA256_LEN], check[SHA256_LEN];
  char hex[SHA256_HEX_SIZE];
  char key[PLACE_SIZE + 32];
  const size_t len = spot->finding->end - spot->finding->start;

  excerpt_before(&finder->covered, cover, line_start, PLACE_BEFORE, named);
  collapse(named);
  g_string_prepend_c(named, '\n');
  g_string_prepend(named, hit->rule->id);
  sha256(named->str, named->len, digest);
  hex_encode(digest, PLACE_HEX / 2, hit->place);
  if (hit->rule->kind == DETECT_TOKEN && len >= CHECKED_VALUE) {
    hmac_sha256(digest, sizeof digest, spot->value, len, check);
    hex_encode(check, sizeof check, hex);
    g_strlcat(hit->place, "xxx", PLACE_SIZE);
    memcpy(hit->place + PLACE_HEX, hex, CHECK_HEX);
  }
  g_snprintf(key, sizeof key, "%u:%s", hit->rule->index, hit->place);
  hit->nth = GPOINTER_TO_UINT(g_hash_table_lookup(finder->seen, key)) + 1;
  g_hash_table_insert(finder->seen, g_strdup(key), GUINT_TO_POINTER(hit->nth));
}

static char *
show(const Finder *finder,
     const Hit *hit,
     const Cover *cover,
     size_t line_start)
{
  g_autoptr(GString) out = g_string_new(NULL);

  excerpt_before(&finder->covered, cover, line_start, SHOWN_BEFORE, out);
  g_string_append_printf(out, "[%s]", hit->rule->id);
  excerpt_behind(&finder->covered, cover, SHOWN_BEHIND, out);
  return g_strdup(g_strstrip(out->str));
}

/* Where the line of a cover's beginning begins, or so far before that the
 * difference does not show. */
static size_t
line_of_cover(const FileText *file, const Cover *cover, size_t line_start)
{
  const size_t back = MIN(cover->start, 2 * PLACE_BEFORE);
  const size_t floor = cover->start - back;
  const char *newline;

  if (cover->start >= line_start)
    return line_start;
  newline = memrchr(file->text + floor, '\n', back);
  return newline ? (size_t)(newline + 1 - file->text) : floor;
}

/* Adds what is at `spot`; false when its line is marked. */
static bool
add_hit(Finder *finder, const Spot *spot, TextPlace *place)
{
  const FileText *file = finder->file;
  const Finding *finding = spot->finding;
  const Cover *cover = cover_at(&finder->covered, spot->start);
  Hit hit = {.rule = finding->rule, .confidence = finding->confidence};
  TextPlace end;
  size_t line_start;

  place_move(file, place, spot->start);
  end = *place;
  place_move(file, &end, spot->end);
  if (finder->options->marks &&
      (line_is_marked(file, place->line_start, &finder->first) ||
       line_is_marked(file, end.line_start, &finder->last)))
    return false;
  hit.start = place->raw;
  hit.end = end.raw;
  hit.line = place->line;
  hit.column = place->column;
  hit.end_line = end.line;
  hit.end_column = end.column;
  if (finder->options->masker)
    masker_fingerprint(finder->options->masker,
                       spot->value,
                       finding->end - finding->start,
                       hit.fingerprint);
  line_start = line_of_cover(file, cover, place->line_start);
  name_place(finder, spot, cover, line_start, &hit);
  hit.shown = show(finder, &hit, cover, line_start);
  g_array_append_val(finder->hits, hit);
  return true;
}

/* ---- Finding -------------------------------------------------------------
 */

/* A text with more strings in it than one body may have is read as it
 * stands. */
static Inspection *
inspect(DetectorScratch *scratch, const FileText *file, GError **error)
{
  InspectLimits limits = inspect_default_limits;
  g_autoptr(GBytes) body = g_bytes_new_static(file->text, file->len);
  g_autoptr(GError) cause = NULL;
  Inspection *inspection;

  limits.max_findings = MAX_FINDINGS;
  inspection = inspection_new(scratch,
                              API_OTHER,
                              DIRECTION_REQUEST,
                              "text/plain; charset=utf-8",
                              body,
                              &limits,
                              &cause);
  if (inspection ||
      !g_error_matches(cause, INSPECT_ERROR, INSPECT_ERROR_LIMIT)) {
    if (!inspection)
      g_propagate_error(error, g_steal_pointer(&cause));
    return inspection;
  }
  limits.max_depth = 0;
  return inspection_new(scratch,
                        API_OTHER,
                        DIRECTION_REQUEST,
                        "text/plain; charset=utf-8",
                        body,
                        &limits,
                        error);
}

bool
hits_find(DetectorScratch *scratch,
          const HitOptions *options,
          const FileText *file,
          GArray *hits,
          unsigned *allowed,
          GError **error)
{
  g_autoptr(Inspection) inspection = inspect(scratch, file, error);
  g_autoptr(GArray) spots = NULL;
  g_autoptr(GArray) covers = NULL;
  Finder finder = {.options = options, .file = file, .hits = hits};
  TextPlace place;

  if (!inspection)
    return false;
  spots = take_spots(inspection, file);
  if (!spots->len)
    return true;
  covers = make_covers(spots);
  finder.covered = (Covered){file->text, file->len, covers};
  finder.seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  place_init(file, &place);
  for (guint i = 0; i < spots->len; i++) {
    const Spot *spot = &g_array_index(spots, Spot, i);

    if (!options->wanted || options->wanted[spot->finding->rule->index])
      *allowed += !add_hit(&finder, spot, &place);
  }
  g_hash_table_unref(finder.seen);
  return true;
}
