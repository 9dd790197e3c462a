/* SPDX-License-Identifier: Apache-2.0 */
/* Full-text search: by the index where it has the rows, by reading
 * them where it has not. */
#include "journal/facet.h"
#include "journal/query.h"
#include "journal/row.h"
#include "journal/terms.h"
#include "talk/talk.h"

#include <string.h>

/* Texts remembered while rows are read that the index has not; beyond it
 * history may count again. */
#define MAX_SEEN 1000000

typedef struct {
  JournalReader *reader;
  const JournalQuery *query;
  const Terms *terms;
  bool (*each)(const JournalEntry *entry, const JournalHit *hit, void *data);
  void *data;
  const char *match;
  sqlite3_stmt *fetch;
  GHashTable *seen; /* int64_t */
  int64_t segment;  /* of the row that is read */
  GArray *found;    /* rows of a span that was read, in ascending order */
  unsigned given;
  bool enough;
  GError *error;
} Search;

/* ---- A hit --------------------------------------------------------------- */

/* The last part that has it: what is new stands at the end. */
static void
give_hit(Search *search, const JournalEntry *entry, GPtrArray *parts)
{
  const TalkPart *best = NULL;
  g_autoptr(GArray) marks = NULL;
  g_autoptr(GArray) inside = g_array_new(FALSE, FALSE, sizeof(TermMark));
  g_autofree char *snippet = NULL;
  JournalHit hit;

  for (unsigned i = parts->len; i-- > 0 && (!marks || !marks->len);) {
    const TalkPart *part = parts->pdata[i];

    g_clear_pointer(&marks, g_array_unref);
    best = part;
    marks = terms_marks(search->terms, part->text->str, part->text->len);
  }
  if (!best)
    return;
  snippet = terms_snippet(best->text->str, best->text->len, marks, inside);
  hit = (JournalHit){.role = talk_role_name(best->role),
                     .snippet = snippet,
                     .n_marks = inside->len,
                     .marks = (const void *)inside->data};
  search->given++;
  search->enough =
      !search->each(entry, &hit, search->data) ||
      (search->query->limit && search->given >= search->query->limit);
}

/* A body that retention took since is no hit. */
static bool
see_found(const JournalEntry *entry, void *data)
{
  Search *search = data;
  g_autoptr(GBytes) body = NULL;
  g_autoptr(GPtrArray) parts = NULL;
  Api api = API_OTHER;

  if (!entry->has_body)
    return true;
  body = journal_body(search->reader, entry->body_digest, NULL);
  if (!body)
    return true;
  if (entry->row->api)
    api_from_name(entry->row->api, &api);
  parts = talk_read(api,
                    entry->row->kind == ROW_RESPONSE,
                    g_bytes_get_data(body, NULL),
                    g_bytes_get_size(body));
  give_hit(search, entry, parts);
  return !search->enough;
}

static bool
fetch(Search *search, int64_t seq)
{
  bool more;

  return query_fetch(search->reader,
                     search->query,
                     search->fetch,
                     seq,
                     see_found,
                     search,
                     &more,
                     &search->error) &&
         !search->enough;
}

static bool
search_found(int64_t segment, int64_t lo, int64_t hi, void *data)
{
  Search *search = data;
  g_autoptr(sqlite3_stmt) match = query_prepare_match(
      search->reader, segment, search->query->oldest_first, &search->error);
  int result = SQLITE_DONE;

  if (!match)
    return false;
  sqlite3_bind_text(match, 1, search->match, -1, SQLITE_STATIC);
  sqlite3_bind_int64(match, 2, lo);
  sqlite3_bind_int64(match, 3, hi);
  while ((result = sqlite3_step(match)) == SQLITE_ROW)
    if (!fetch(search, sqlite3_column_int64(match, 0)))
      return false;
  if (result == SQLITE_DONE)
    return true;
  schema_set_error(&search->error,
                   search->reader->index->db,
                   search->reader->index->path,
                   "read");
  return false;
}

/* ---- Rows that the index has not ----------------------------------------- */

static bool
is_new(int64_t key, void *data)
{
  Search *search = data;

  if (search->reader->index &&
      index_has_seen(search->reader->index, search->segment, key))
    return false;
  if (g_hash_table_size(search->seen) >= MAX_SEEN)
    g_hash_table_remove_all(search->seen);
  return g_hash_table_add(search->seen, g_memdup2(&key, sizeof key));
}

static bool
read_one(const JournalEntry *entry, void *data)
{
  Search *search = data;
  g_autoptr(GBytes) text = NULL;
  const char *words;
  size_t len;

  search->segment = index_segment(entry->seq);
  text = index_fresh_text(search->reader, entry, is_new, search);
  words = g_bytes_get_data(text, &len);
  if (len > 0 && terms_match(search->terms, words, len))
    g_array_append_val(search->found, entry->seq);
  return true;
}

/* Always from the oldest, so that a text counts where it was said first. */
static bool
search_scan(int64_t lo, int64_t hi, void *data)
{
  Search *search = data;
  JournalQuery all = *search->query;
  bool more;

  all.oldest_first = true;
  all.limit = 0;
  g_array_set_size(search->found, 0);
  if (!query_scan(search->reader,
                  &all,
                  lo,
                  hi,
                  read_one,
                  search,
                  &more,
                  &search->error))
    return false;
  for (unsigned i = 0; i < search->found->len; i++) {
    unsigned at = search->query->oldest_first ? i : search->found->len - 1 - i;

    if (!fetch(search, g_array_index(search->found, int64_t, at)))
      return false;
  }
  return true;
}

static bool
run_search(Search *search, GError **error)
{
  static const SpanWalk walk = {.found = search_found, .scan = search_scan};
  JournalReader *reader = search->reader;
  const JournalQuery *query = search->query;
  int64_t lo, hi;

  if (!query_budget(reader, error) ||
      !query_edges(reader, query, &lo, &hi, error) ||
      !query_bound(reader, &lo, &hi, error))
    return false;
  search->fetch = query_prepare_fetch(reader, query, error);
  if (!search->fetch)
    return false;
  query_walk(reader, true, query->oldest_first, lo, hi, &walk, search);
  if (!search->error)
    return true;
  g_propagate_error(error, search->error);
  return false;
}

bool
journal_search(JournalReader *reader,
               const char *text,
               const JournalQuery *query,
               bool (*each)(const JournalEntry *entry,
                            const JournalHit *hit,
                            void *data),
               void *data,
               GError **error)
{
  g_autoptr(Terms) terms = terms_parse(text);
  g_autoptr(GString) match = g_string_new(NULL);
  g_autoptr(GString) facets = g_string_new(NULL);
  g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(int64_t));
  g_autoptr(GHashTable) seen =
      g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
  Search search = {.reader = reader,
                   .query = query,
                   .terms = terms,
                   .each = each,
                   .data = data,
                   .seen = seen,
                   .found = found};
  bool good;

  if (!terms) {
    g_set_error_literal(error,
                        JOURNAL_ERROR,
                        JOURNAL_ERROR_NOT_FOUND,
                        "there is no word to look for in it");
    return false;
  }
  reader_find_index(reader);
  if (facets_of_query(query, facets))
    g_string_append_printf(match, "%s AND ", facets->str);
  terms_expression(terms, match);
  search.match = match->str;
  good = run_search(&search, error);
  sqlite3_finalize(search.fetch);
  return good;
}

/* ---- The index's state --------------------------------------------------- */

/* Rows that stand in segments behind what the index has of each. */
static bool
count_behind(JournalReader *reader, int64_t *behind, GError **error)
{
  int64_t lo = 1, hi = INT64_MAX;

  *behind = 0;
  if (!query_bound(reader, &lo, &hi, error))
    return false;
  for (int64_t segment = index_segment(lo);
       lo <= hi && segment <= index_segment(hi);
       segment++) {
    int64_t done = reader->index ? index_done(reader->index, segment) : 0;
    int64_t from = MAX(MAX(done + 1, index_first(segment)), lo);

    *behind += MAX(MIN(index_last(segment), hi) - from + 1, 0);
  }
  return true;
}

bool
journal_index_state(JournalReader *reader,
                    JournalIndexState *state,
                    GError **error)
{
  reader_find_index(reader);
  if (!query_budget(reader, error))
    return false;
  state->present = reader->index != NULL;
  state->problem = reader->index_problem;
  return count_behind(reader, &state->behind, error);
}
