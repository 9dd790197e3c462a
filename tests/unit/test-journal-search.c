/* SPDX-License-Identifier: Apache-2.0 */
/* Filters, full-text search, counts and the index that answers them: the same
 * answers with it, without it and in between. */
#include "journal-kit.h"
#include "journal/index.h"
#include "journal/query.h"
#include "journal/terms.h"

#include "kit/clock.h"

#include <glib/gstdio.h>
#include <string.h>

#define HOUR (INT64_C(3600) * 1000 * 1000)
/* A Monday, 2026-11-16 00:00 UTC. */
#define BASE_US (INT64_C(1794787200) * 1000 * 1000)
#define N_EXCHANGES 120

/* ---- Rows ---------------------------------------------------------------- */

static char *
chat(const char *first, const char *second)
{
  return g_strdup_printf("{\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}"
                         "%s%s%s]}",
                         first,
                         second ? ",{\"role\":\"user\",\"content\":\"" : "",
                         second ? second : "",
                         second ? "\"}" : "");
}

static void
set(char **member, const char *value)
{
  g_free(*member);
  *member = g_strdup(value);
}

/* Half an hour lies between exchanges; users, models … go round. */
static void
put_exchange(TestJournal *test, unsigned i, const char *body)
{
  g_autofree char *id = g_strdup_printf("%026u", i);
  JournalRow *request = test_request(id, body);
  JournalRow *response = test_response(
      id,
      "{\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":"
      "\"certainly, here it is\"}}]}");
  JournalRow *const both[] = {request, response};

  for (unsigned j = 0; j < 2; j++) {
    set(&both[j]->user, i % 3 ? "alice" : "bob");
    set(&both[j]->groups, i % 5 ? "dev,ops" : "leads");
    set(&both[j]->model, i % 4 ? "gpt-4o" : "o3");
    set(&both[j]->process, i % 2 ? "/usr/bin/node < /bin/sh" : "/opt/code");
    set(&both[j]->api, "chat");
    both[j]->wall_us = BASE_US + i * HOUR / 2 + j;
  }
  set(&request->verdict, i % 7 ? "allow" : "block");
  set(&request->rule, i % 7 ? NULL : "no-cards");
  set(&request->detail,
      i % 7 ? "{}"
            : "{\"verdict\":{\"matched\":[{\"rule\":\"no-cards\",\"action\":"
              "\"block\"}],\"shadow\":[{\"rule\":\"would\",\"action\":"
              "\"mask\"}]}}");
  set(&response->verdict, "ok");
  test_append(test, request);
  test_append(test, response);
}

static TestJournal *
filled(void)
{
  TestJournal *test = test_journal_new();

  test_journal_open(test);
  for (unsigned i = 1; i <= N_EXCHANGES; i++) {
    g_autofree char *text =
        g_strdup_printf("Prompt number%u about the Grünfink, %s",
                        i,
                        i % 10 ? "please" : "the \\\"red kestrel\\\" flies");
    g_autofree char *body = chat(text, NULL);

    put_exchange(test, i, body);
  }
  test_wait(test, 2 * N_EXCHANGES);
  test_journal_close(test);
  return test;
}

/* ---- Asking -------------------------------------------------------------- */

static bool
note_seq(const JournalEntry *entry, void *data)
{
  g_string_append_printf(data, "%" G_GINT64_FORMAT " ", entry->seq);
  return true;
}

static char *
ask(const char *path, const JournalQuery *query)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(JournalReader) reader = journal_reader_open(path, &error);
  GString *out = g_string_new(NULL);

  g_assert_no_error(error);
  journal_query(reader, query, note_seq, out, &error);
  g_assert_no_error(error);
  return g_string_free(out, FALSE);
}

static bool
note_hit(const JournalEntry *entry, const JournalHit *hit, void *data)
{
  GString *out = data;

  g_string_append_printf(
      out, "%" G_GINT64_FORMAT " %s:", entry->seq, hit->role);
  for (unsigned i = 0; i < hit->n_marks; i++)
    g_string_append_printf(out,
                           "[%.*s]",
                           (int)(hit->marks[i].end - hit->marks[i].start),
                           hit->snippet + hit->marks[i].start);
  g_string_append_c(out, '\n');
  return true;
}

static char *
look_for(const char *path, const char *text, const JournalQuery *query)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(JournalReader) reader = journal_reader_open(path, &error);
  GString *out = g_string_new(NULL);

  g_assert_no_error(error);
  journal_search(reader, text, query, note_hit, out, &error);
  g_assert_no_error(error);
  return g_string_free(out, FALSE);
}

static void
update(const char *path)
{
  g_autoptr(GError) error = NULL;

  journal_index_update(path, NULL, NULL, &error);
  g_assert_no_error(error);
}

/* Indexes the first rows only. */
static void
update_part(const char *path, unsigned rows)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(JournalReader) reader = journal_reader_open(path, &error);
  g_autoptr(Index) index = index_open_writer(reader, &error);
  bool more;

  g_assert_no_error(error);
  index_step(index, reader, rows, &more, &error);
  g_assert_no_error(error);
  g_assert_true(more);
}

static int64_t
behind(const char *path)
{
  g_autoptr(JournalReader) reader = journal_reader_open(path, NULL);
  JournalIndexState state;

  g_assert_true(journal_index_state(reader, &state, NULL));
  return state.behind;
}

/* ---- Filters ------------------------------------------------------------- */

static const JournalQuery queries[] = {
    {.kind = -1},
    {.kind = -1, .limit = 7},
    {.kind = ROW_REQUEST, .limit = 5, .oldest_first = true},
    {.kind = -1, .user = "bob"},
    {.kind = -1, .user = "nobody"},
    {.kind = -1, .group = "ops", .limit = 9},
    {.kind = -1, .group = "op"},
    {.kind = -1, .process = "node", .user = "bob"},
    {.kind = -1, .process = "/usr/bin/node", .oldest_first = true},
    {.kind = -1, .process = "bin"},
    {.kind = -1, .model = "o3", .group = "leads"},
    {.kind = -1, .rule = "no-cards"},
    {.kind = -1, .verdict = "block", .user = "alice"},
    {.kind = -1, .api = "chat", .limit = 3},
    {.kind = -1, .connection = "copilot", .limit = 4},
    {.kind = -1, .since_us = BASE_US + 20 * HOUR},
    {.kind = -1,
     .since_us = BASE_US + 10 * HOUR,
     .until_us = BASE_US + 12 * HOUR},
    {.kind = -1, .user = "bob", .until_us = BASE_US + 5 * HOUR},
    {.kind = -1, .until_us = BASE_US},
    {.kind = -1, .since_us = BASE_US + 1000 * HOUR},
    {.kind = -1, .exchange = "0000000000000000000000003"},
};

static void
same_answers(void)
{
  g_autoptr(TestJournal) test = filled();
  g_autoptr(GPtrArray) before = g_ptr_array_new_with_free_func(g_free);

  for (unsigned i = 0; i < G_N_ELEMENTS(queries); i++)
    g_ptr_array_add(before, ask(test->path, &queries[i]));
  g_assert_cmpstr(before->pdata[4], ==, "");
  g_assert_cmpstr(before->pdata[6], ==, "");
  g_assert_cmpstr(before->pdata[16], ==, "46 45 44 43 42 41 40 39 ");
  g_assert_cmpstr(before->pdata[18], ==, "");
  g_assert_cmpint(behind(test->path), ==, 2 * N_EXCHANGES);
  update_part(test->path, 101);
  g_assert_cmpint(behind(test->path), ==, 2 * N_EXCHANGES - 101);
  for (int turn = 0; turn < 2; turn++) {
    for (unsigned i = 0; i < G_N_ELEMENTS(queries); i++) {
      g_autofree char *now = ask(test->path, &queries[i]);

      g_assert_cmpstr(now, ==, before->pdata[i]);
    }
    update(test->path);
  }
  g_assert_cmpint(behind(test->path), ==, 0);
}

/* ---- Plans --------------------------------------------------------------- */

static void
indexes_are_used(void)
{
  g_autoptr(TestJournal) test = filled();
  g_autoptr(JournalReader) reader = NULL;

  update(test->path);
  reader = journal_reader_open(test->path, NULL);
  for (unsigned i = 0; i < G_N_ELEMENTS(queries); i++) {
    g_autofree char *plan = query_plan(reader, &queries[i]);
    g_auto(GStrv) lines = g_strsplit(plan, "\n", -1);

    g_test_message("%s", plan);
    for (char **line = lines; *line; line++) {
      /* No table is read from end to end; matching is by words (M). */
      g_assert_null(strstr(*line, "SCAN r"));
      g_assert_null(strstr(*line, "SCAN bodies"));
      if (strstr(*line, "VIRTUAL TABLE"))
        g_assert_nonnull(strstr(*line, ":M"));
    }
    g_assert_nonnull(strstr(plan, "SEARCH r USING"));
    if (!queries[i].exchange)
      g_assert_null(strstr(plan, "TEMP B-TREE"));
  }
}

/* ---- Search -------------------------------------------------------------- */

static const JournalQuery all = {.kind = -1};

static void
search_finds(void)
{
  static const struct {
    const char *text, *hits;
  } cases[] = {
      {"number42", "83 user:[number42]\n"},
      {"NUMBER42 grunfink", "83 user:[number42][Grünfink]\n"},
      {"\"red kestrel\" number100", "199 user:[number100][red kestrel]\n"},
      {"\"kestrel red\"", ""},
      {"number11*  -kestrel number119", "237 user:[number119]\n"},
      {"certainly number3", ""},
      {"messages", ""},
      {"xk", ""},
  };
  g_autoptr(TestJournal) test = filled();

  for (int turn = 0; turn < 3; turn++) {
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
      g_autofree char *hits = look_for(test->path, cases[i].text, &all);

      g_assert_cmpstr(hits, ==, cases[i].hits);
    }
    if (turn == 0)
      update_part(test->path, 90);
    else
      update(test->path);
  }
}

static void
search_filters(void)
{
  g_autoptr(TestJournal) test = filled();
  const JournalQuery bob = {.kind = -1, .user = "bob", .oldest_first = true};
  const JournalQuery late = {
      .kind = -1, .since_us = BASE_US + 50 * HOUR, .limit = 1};

  for (int turn = 0; turn < 2; turn++) {
    g_autofree char *bobs = look_for(test->path, "kestrel", &bob);
    g_autofree char *last = look_for(test->path, "kestrel", &late);

    g_assert_cmpstr(bobs,
                    ==,
                    "59 user:[kestrel]\n119 user:[kestrel]\n"
                    "179 user:[kestrel]\n239 user:[kestrel]\n");
    g_assert_cmpstr(last, ==, "239 user:[kestrel]\n");
    update(test->path);
  }
}

/* A history that is sent again counts where it was said. */
static void
history_counts_once(void)
{
  g_autoptr(TestJournal) test = test_journal_new();
  g_autofree char *first = chat("tell me of ospreys", NULL);
  g_autofree char *second = chat("tell me of ospreys", "and of ravens");

  test_journal_open(test);
  put_exchange(test, 1, first);
  put_exchange(test, 2, second);
  put_exchange(test, 4, second);
  test_wait(test, 6);
  test_journal_close(test);
  for (int turn = 0; turn < 2; turn++) {
    g_autofree char *osprey = look_for(test->path, "ospreys", &all);

    /* 2 has other programs, 4 another model: theirs is another text. */
    g_assert_cmpstr(
        osprey, ==, "5 user:[ospreys]\n3 user:[ospreys]\n1 user:[ospreys]\n");
    update(test->path);
  }
  {
    g_autofree char *answers = look_for(test->path, "certainly", &all);

    g_assert_cmpstr(answers, ==, "2 assistant:[certainly]\n");
  }
}

static void
nothing_to_look_for(void)
{
  g_autoptr(TestJournal) test = filled();
  g_autoptr(JournalReader) reader = journal_reader_open(test->path, NULL);
  static const char *const texts[] = {"", "  ", "-no", "\"\"", "-- * !"};

  for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++) {
    g_autoptr(GError) error = NULL;

    g_assert_false(
        journal_search(reader, texts[i], &all, note_hit, NULL, &error));
    g_assert_error(error, JOURNAL_ERROR, JOURNAL_ERROR_NOT_FOUND);
  }
}

/* ---- Retention ----------------------------------------------------------- */

/* Bodies that are taken away are not in the index any more: neither found nor
 * on the disk. */
static void
purged_with_bodies(void)
{
  g_autoptr(TestJournal) test = filled();
  g_autofree char *gone = NULL;
  g_autofree char *left = NULL;
  JournalRow *row = journal_row_new(ROW_PRUNE);

  update(test->path);
  test_edit(test->path, "DELETE FROM bodies WHERE seq <= 100");
  test_journal_open(test);
  row->detail = g_strdup("{\"rows_through\":0,\"bodies_through\":100}");
  g_assert_true(test_put(test, row));
  test_journal_close(test);
  update(test->path);
  gone = look_for(test->path, "number42", &all);
  left = look_for(test->path, "number60", &all);
  g_assert_cmpstr(gone, ==, "");
  g_assert_cmpstr(left, ==, "119 user:[number60]\n");
  {
    g_autofree char *path = g_strconcat(test->path, ".search", NULL);

    g_assert_cmpint(
        test_count(path,
                   "SELECT count(*) FROM text_0 WHERE text_0 MATCH 'number42'"),
        ==,
        0);
    g_assert_cmpint(
        test_count(path,
                   "SELECT count(*) FROM text_0 WHERE text_0 MATCH 'number60'"),
        ==,
        1);
  }
}

/* ---- An index that does not fit ------------------------------------------ */

static void
foreign_index_made_anew(void)
{
  g_autoptr(TestJournal) one = filled();
  g_autoptr(TestJournal) two = filled();
  g_autofree char *from = g_strconcat(one->path, ".search", NULL);
  g_autofree char *to = g_strconcat(two->path, ".search", NULL);
  g_autofree char *found = NULL;
  g_autofree char *text = NULL;
  gsize len;

  update(one->path);
  g_assert_true(g_file_get_contents(from, &text, &len, NULL));
  g_assert_true(g_file_set_contents(to, text, (gssize)len, NULL));
  g_assert_cmpint(behind(two->path), ==, 2 * N_EXCHANGES);
  found = look_for(two->path, "number42", &all);
  g_assert_cmpstr(found, ==, "83 user:[number42]\n");
  update(two->path);
  g_assert_cmpint(behind(two->path), ==, 0);
  g_assert_true(g_file_set_contents(to, "not a database at all", -1, NULL));
  g_assert_cmpint(behind(two->path), ==, 2 * N_EXCHANGES);
  update(two->path);
  g_assert_cmpint(behind(two->path), ==, 0);
}

/* ---- Counts -------------------------------------------------------------- */

typedef struct {
  int64_t requests, blocked, rules, shadows, bytes_in;
} Sum;

static void
sum(const JournalCount *count, void *data)
{
  Sum *out = data;

  if (count->rule) {
    *(count->shadow ? &out->shadows : &out->rules) += count->n;
    return;
  }
  if (count->kind != ROW_REQUEST)
    return;
  out->requests += count->n;
  out->bytes_in += count->bytes_in;
  out->blocked += g_strcmp0(count->verdict, "block") == 0 ? count->n : 0;
}

static void
counts_agree(void)
{
  static const JournalQuery asked[] = {
      {.kind = -1},
      {.kind = -1, .user = "bob"},
      {.kind = -1, .model = "o3", .since_us = BASE_US + 3 * HOUR / 2},
      {.kind = -1,
       .since_us = BASE_US + 10 * HOUR + 7,
       .until_us = BASE_US + 31 * HOUR + 9},
      {.kind = -1,
       .since_us = BASE_US + 10 * HOUR,
       .until_us = BASE_US + 10 * HOUR + 9},
  };
  g_autoptr(TestJournal) test = filled();
  Sum before[G_N_ELEMENTS(asked)] = {0};

  for (int turn = 0; turn < 3; turn++) {
    for (unsigned i = 0; i < G_N_ELEMENTS(asked); i++) {
      g_autoptr(JournalReader) reader = journal_reader_open(test->path, NULL);
      Sum now = {0};

      g_assert_true(journal_counts(
          reader, &asked[i], sum, turn ? &now : &before[i], NULL));
      if (turn)
        g_assert_cmpmem(&now, sizeof now, &before[i], sizeof before[i]);
    }
    if (turn == 0)
      update_part(test->path, 77);
    else
      update(test->path);
  }
  g_assert_cmpint(before[0].requests, ==, N_EXCHANGES);
  g_assert_cmpint(before[0].blocked, ==, N_EXCHANGES / 7);
  g_assert_cmpint(before[0].rules, ==, N_EXCHANGES / 7);
  g_assert_cmpint(before[0].shadows, ==, N_EXCHANGES / 7);
  g_assert_cmpint(before[1].requests, ==, N_EXCHANGES / 3);
  g_assert_cmpint(before[3].requests, ==, 42);
  g_assert_cmpint(before[4].requests, ==, 1);
}

/* ---- The agent's thread -------------------------------------------------- */

static void
thread_follows(void)
{
  g_autoptr(TestJournal) test = test_journal_new();
  g_autofree char *body = chat("tell me of bitterns", NULL);
  g_autofree char *hits = NULL;
  int64_t deadline = clock_mono_us() + TEST_DEADLINE_MS * 1000;

  test->options.search = true;
  test_journal_open(test);
  put_exchange(test, 1, body);
  test_wait(test, 2);
  while (behind(test->path) > 0 && clock_mono_us() < deadline)
    g_usleep(10000);
  g_assert_cmpint(behind(test->path), ==, 0);
  hits = look_for(test->path, "bitterns", &all);
  g_assert_cmpstr(hits, ==, "1 user:[bitterns]\n");
  test_journal_close(test);
}

/* ---- Snippets ------------------------------------------------------------ */

static void
snippets(void)
{
  g_autoptr(GString) text = g_string_new(NULL);
  g_autoptr(Terms) terms = terms_parse("needle");
  g_autoptr(GArray) marks = NULL;
  g_autoptr(GArray) inside = g_array_new(FALSE, FALSE, sizeof(TermMark));
  g_autofree char *line = NULL;
  const TermMark *mark;

  for (int i = 0; i < 100; i++)
    g_string_append(text, "häy\n\t\x1b[31m");
  g_string_append(text, " Needle ");
  for (int i = 0; i < 100; i++)
    g_string_append(text, "häy ");
  marks = terms_marks(terms, text->str, text->len);
  line = terms_snippet(text->str, text->len, marks, inside);
  g_assert_true(g_utf8_validate(line, -1, NULL));
  g_assert_true(g_str_has_prefix(line, "…"));
  g_assert_true(g_str_has_suffix(line, "…"));
  g_assert_null(strpbrk(line, "\n\t\x1b"));
  g_assert_cmpuint(inside->len, ==, 1);
  mark = &g_array_index(inside, TermMark, 0);
  g_assert_cmpmem(line + mark->start, mark->end - mark->start, "Needle", 6);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/journal/search/same-answers", same_answers);
  g_test_add_func("/journal/search/indexes-are-used", indexes_are_used);
  g_test_add_func("/journal/search/finds", search_finds);
  g_test_add_func("/journal/search/filters", search_filters);
  g_test_add_func("/journal/search/history-once", history_counts_once);
  g_test_add_func("/journal/search/nothing", nothing_to_look_for);
  g_test_add_func("/journal/search/purged", purged_with_bodies);
  g_test_add_func("/journal/search/foreign", foreign_index_made_anew);
  g_test_add_func("/journal/search/counts", counts_agree);
  g_test_add_func("/journal/search/thread", thread_follows);
  g_test_add_func("/journal/search/snippets", snippets);
  return g_test_run();
}
