/* SPDX-License-Identifier: Apache-2.0 */
/* How fast a journal of 1,000,000 exchanges answers: makes one through the
 * journal's own writer (some minutes), then asks each kind of question, from
 * opening the file on, as the command line does. Not part of `make check`.
 * Usage: bench-journal-query FOLDER [EXCHANGES]; a journal that is there
 * already is asked only. */

#include "journal/journal.h"

#include "kit/clock.h"

#include <glib/gstdio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EXCHANGES 1000000
#define DAYS 90
#define IN_FLIGHT 2000
#define N_WORDS 20000
#define N_USERS 40
/* Requests of one conversation: each sends again what was said before. */
#define TURNS 4
/* Each question is asked so often; the median counts. */
#define TIMES 7
/* What each answer is aimed at, in milliseconds. */
#define AIM_MS 100.0

/* ---- The journal --------------------------------------------------------- */

typedef struct {
  Journal *journal;
  Loop *loop;
  unsigned in_flight;
  uint64_t chance;
  GString *history;
} Maker;

static unsigned
chance(Maker *maker, unsigned below)
{
  maker->chance ^= maker->chance << 13;
  maker->chance ^= maker->chance >> 7;
  maker->chance ^= maker->chance << 17;
  return (unsigned)(maker->chance % below);
}

static void
stored(const GError *error, void *data)
{
  Maker *maker = data;

  if (error)
    g_error("%s", error->message);
  maker->in_flight--;
}

/* Often the same words, and all of them sometimes. */
static void
append_words(Maker *maker, GString *out, unsigned n)
{
  for (unsigned i = 0; i < n; i++) {
    unsigned most = chance(maker, 4) ? 300 : N_WORDS;

    g_string_append_printf(out, "%sword%u", i ? " " : "", chance(maker, most));
  }
}

static void
put(Maker *maker, JournalRow *row)
{
  journal_append(maker->journal, row, maker->loop, stored, maker);
  maker->in_flight++;
  while (maker->in_flight >= IN_FLIGHT)
    loop_iterate(maker->loop, 1000);
}

static void
fill_row(JournalRow *row, unsigned i, int64_t wall_us, unsigned user)
{
  static const char *const models[] = {"gpt-4o", "gpt-4.1", "o3", "claude"};
  static const char *const clients[] = {"vscode", "jetbrains", "copilot-cli"};
  unsigned mark = i / TURNS;

  row->wall_us = wall_us;
  row->user = g_strdup_printf("user%u@example.com", user);
  row->groups = g_strdup(user % 10 ? "developers" : "developers,leads");
  row->issuer = g_strdup("https://login.example.com");
  row->client = g_strdup(clients[user % 3]);
  row->process =
      g_strdup(user % 3 == 1 ? "/opt/idea/bin/java < /usr/bin/bash"
                             : "/usr/share/code/code < /usr/bin/node");
  row->pid = 1000 + user;
  row->connection = g_strdup(mark % 50 ? "copilot" : "anthropic");
  row->host = g_strdup("api.githubcopilot.com");
  row->method = g_strdup("POST");
  row->path = g_strdup("/chat/completions");
  row->api = g_strdup("chat");
  row->model = g_strdup(models[mark % 4]);
  row->conversation = g_strdup_printf("conversation-%u", mark);
  row->policy_revision = g_strdup("0123456789ab");
}

static const char *
rule_of(unsigned i)
{
  if (i % 1000 == 7)
    return "cards";
  return i % 20 == 3 ? "credentials-in-prompt" : NULL;
}

static void
put_exchange(Maker *maker, unsigned i, unsigned all)
{
  int64_t step = (int64_t)DAYS * 24 * 3600 * G_USEC_PER_SEC / all;
  int64_t wall = clock_wall_us() - (int64_t)(all - i) * step;
  JournalRow *request = journal_row_new(ROW_REQUEST);
  JournalRow *response = journal_row_new(ROW_RESPONSE);
  g_autoptr(GString) answer = g_string_new(NULL);
  g_autoptr(GString) body = g_string_new("{\"messages\":[");
  g_autofree char *id = journal_new_id();
  unsigned user = i / TURNS % N_USERS;

  if (i % TURNS == 0)
    g_string_truncate(maker->history, 0);
  g_string_append_printf(maker->history,
                         "%s{\"role\":\"user\",\"content\":\"",
                         maker->history->len ? "," : "");
  append_words(maker, maker->history, 30);
  if (i == all / 2)
    g_string_append(maker->history, " peregrine");
  g_string_append(maker->history, "\"}");
  g_string_append_printf(body, "%s]}", maker->history->str);
  append_words(maker, answer, 30);
  g_string_append_printf(maker->history,
                         ",{\"role\":\"assistant\",\"content\":\"%s\"}",
                         answer->str);
  fill_row(request, i, wall, user);
  fill_row(response, i, wall + 900000, user);
  request->exchange = g_strdup(id);
  response->exchange = g_strdup(id);
  request->verdict = g_strdup(i % 1000 == 7 ? "block" : "allow");
  request->rule = g_strdup(rule_of(i));
  request->detail =
      request->rule
          ? g_strdup_printf("{\"verdict\":{\"action\":\"%s\",\"matched\":[{"
                            "\"rule\":\"%s\",\"action\":\"mask\"}]}}",
                            request->verdict,
                            request->rule)
          : g_strdup("{\"verdict\":{\"action\":\"allow\",\"matched\":[]}}");
  request->bytes_in = (int64_t)body->len;
  request->body = g_string_free_to_bytes(g_steal_pointer(&body));
  response->verdict = g_strdup("ok");
  response->status = 200;
  response->tokens_in = 200;
  response->tokens_out = 40;
  response->duration_us = 900000;
  response->detail = g_strdup("{\"verdict\":{\"action\":\"allow\"}}");
  response->body = g_bytes_new_take(
      g_strdup_printf("{\"choices\":[{\"message\":{\"content\":\"%s\"}}]}",
                      answer->str),
      answer->len + strlen("{\"choices\":[{\"message\":{\"content\":\"\"}}]}"));
  put(maker, request);
  put(maker, response);
}

static void
show_progress(int64_t done, int64_t total, void *data)
{
  (void)data;
  if (done % (256 * 400) == 0)
    fprintf(stderr,
            "\rindexed %" G_GINT64_FORMAT " of %" G_GINT64_FORMAT " rows",
            done,
            total);
}

static void
make(const char *path, unsigned all)
{
  Maker maker = {.loop = loop_new(NULL),
                 .chance = 0x9e3779b97f4a7c15u,
                 .history = g_string_new(NULL)};
  const JournalOptions options = {.path = path,
                                  .durability = DURABILITY_GROUPED,
                                  .bodies = true,
                                  .max_queued = 256 * 1024 * 1024};
  g_autoptr(GError) error = NULL;
  int64_t began = clock_mono_us();

  maker.journal = journal_open(&options, &error);
  if (!maker.journal)
    g_error("%s", error->message);
  for (unsigned i = 0; i < all; i++) {
    put_exchange(&maker, i, all);
    if (i % 50000 == 0)
      fprintf(stderr, "\rwritten %u of %u exchanges", i, all);
  }
  while (maker.in_flight > 0)
    loop_iterate(maker.loop, 1000);
  journal_close(maker.journal);
  loop_iterate(maker.loop, 0);
  loop_free(maker.loop);
  g_string_free(maker.history, TRUE);
  printf("written in %.0f s\n", (double)(clock_mono_us() - began) / 1e6);
  began = clock_mono_us();
  if (!journal_index_update(path, show_progress, NULL, &error))
    g_error("%s", error->message);
  printf("indexed in %.0f s\n", (double)(clock_mono_us() - began) / 1e6);
}

/* ---- The questions ------------------------------------------------------- */

static bool
see(const JournalEntry *entry, void *data)
{
  (void)entry;
  ++*(unsigned *)data;
  return true;
}

static bool
see_hit(const JournalEntry *entry, const JournalHit *hit, void *data)
{
  (void)hit;
  return see(entry, data);
}

static void
see_count(const JournalCount *count, void *data)
{
  (void)count;
  ++*(unsigned *)data;
}

typedef enum { ASK_LIST, ASK_SEARCH, ASK_COUNTS } Ask;

typedef struct {
  const char *name;
  Ask ask;
  const char *text;
  JournalQuery query;
} Question;

#define DAY (INT64_C(24) * 3600 * G_USEC_PER_SEC)

/* Times are so long ago. */
static const Question questions[] = {
    {"list", ASK_LIST, NULL, {.kind = -1, .limit = 50}},
    {"list, oldest",
     ASK_LIST,
     NULL,
     {.kind = -1, .limit = 50, .oldest_first = true}},
    {"list --user",
     ASK_LIST,
     NULL,
     {.kind = -1, .limit = 50, .user = "user7@example.com"}},
    {"list --user, nobody",
     ASK_LIST,
     NULL,
     {.kind = -1, .limit = 50, .user = "nobody"}},
    {"list --group",
     ASK_LIST,
     NULL,
     {.kind = -1, .limit = 50, .group = "leads"}},
    {"list --process",
     ASK_LIST,
     NULL,
     {.kind = -1, .limit = 50, .process = "node"}},
    {"list --model", ASK_LIST, NULL, {.kind = -1, .limit = 50, .model = "o3"}},
    {"list --rule", ASK_LIST, NULL, {.kind = -1, .limit = 50, .rule = "cards"}},
    {"list --verdict",
     ASK_LIST,
     NULL,
     {.kind = -1, .limit = 50, .verdict = "block"}},
    {"list --connection",
     ASK_LIST,
     NULL,
     {.kind = -1, .limit = 50, .connection = "anthropic"}},
    {"list --conversation",
     ASK_LIST,
     NULL,
     {.kind = -1, .limit = 50, .conversation = "conversation-777"}},
    {"list --kind", ASK_LIST, NULL, {.kind = ROW_APPROVAL, .limit = 50}},
    {"list --user --rule",
     ASK_LIST,
     NULL,
     {.kind = -1, .limit = 50, .user = "user7@example.com", .rule = "cards"}},
    {"list --user --model, no such",
     ASK_LIST,
     NULL,
     {.kind = -1, .limit = 50, .user = "user0@example.com", .model = "o3"}},
    {"list --since 2h",
     ASK_LIST,
     NULL,
     {.kind = -1, .limit = 50, .since_us = DAY / 12}},
    {"list a day of long ago",
     ASK_LIST,
     NULL,
     {.kind = -1, .limit = 50, .since_us = 60 * DAY, .until_us = 59 * DAY}},
    {"list --user, long ago",
     ASK_LIST,
     NULL,
     {.kind = -1,
      .limit = 50,
      .user = "user7@example.com",
      .until_us = 59 * DAY}},
    {"search, a common word", ASK_SEARCH, "word17", {.kind = -1, .limit = 20}},
    {"search, two common words",
     ASK_SEARCH,
     "word17 word23",
     {.kind = -1, .limit = 20}},
    {"search, one place", ASK_SEARCH, "peregrine", {.kind = -1, .limit = 20}},
    {"search, nowhere", ASK_SEARCH, "albatross", {.kind = -1, .limit = 20}},
    {"search, a phrase",
     ASK_SEARCH,
     "\"word17 word23\"",
     {.kind = -1, .limit = 20}},
    {"search, a beginning", ASK_SEARCH, "pereg*", {.kind = -1, .limit = 20}},
    {"search --user --rule",
     ASK_SEARCH,
     "word17",
     {.kind = -1, .limit = 20, .user = "user7@example.com", .rule = "cards"}},
    {"search, long ago",
     ASK_SEARCH,
     "word17",
     {.kind = -1, .limit = 20, .since_us = 60 * DAY, .until_us = 59 * DAY}},
    {"stats", ASK_COUNTS, NULL, {.kind = -1}},
    {"stats --since 7d", ASK_COUNTS, NULL, {.kind = -1, .since_us = 7 * DAY}},
    {"stats --user",
     ASK_COUNTS,
     NULL,
     {.kind = -1, .user = "user7@example.com"}},
};

static unsigned
ask(const char *path, const Question *question)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(JournalReader) reader = journal_reader_open(path, &error);
  JournalQuery query = question->query;
  int64_t now = clock_wall_us();
  unsigned n = 0;
  bool good = reader != NULL;

  query.since_us = query.since_us ? now - query.since_us : 0;
  query.until_us = query.until_us ? now - query.until_us : 0;
  if (good && question->ask == ASK_LIST)
    good = journal_query(reader, &query, see, &n, &error);
  else if (good && question->ask == ASK_SEARCH)
    good = journal_search(reader, question->text, &query, see_hit, &n, &error);
  else if (good)
    good = journal_counts(reader, &query, see_count, &n, &error);
  if (!good)
    g_error("%s", error->message);
  return n;
}

/* Of the whole process: what an answer takes when nobody else runs. */
static int64_t
cpu_us(void)
{
  struct timespec now;

  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

static int
compare(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;

  return (x > y) - (x < y);
}

/* True when every median is below the aim. */
static bool
ask_all(const char *path)
{
  bool good = true;

  printf("%-32s %8s %8s %8s %8s\n",
         "question, ms",
         "answers",
         "median",
         "worst",
         "cpu");
  for (unsigned i = 0; i < G_N_ELEMENTS(questions); i++) {
    double ms[TIMES];
    int64_t cpu = cpu_us();
    unsigned n = 0;

    for (unsigned j = 0; j < TIMES; j++) {
      int64_t began = clock_mono_us();

      n = ask(path, &questions[i]);
      ms[j] = (double)(clock_mono_us() - began) / 1000;
    }
    qsort(ms, TIMES, sizeof *ms, compare);
    good = good && ms[TIMES / 2] < AIM_MS;
    cpu = cpu_us() - cpu;
    printf("%-32s %8u %8.1f %8.1f %8.1f%s\n",
           questions[i].name,
           n,
           ms[TIMES / 2],
           ms[TIMES - 1],
           (double)cpu / TIMES / 1000,
           ms[TIMES / 2] < AIM_MS ? "" : "  above the aim");
  }
  return good;
}

static void
say_sizes(const char *path, unsigned all)
{
  g_autofree char *search = g_strconcat(path, ".search", NULL);
  GStatBuf journal, index;

  if (g_stat(path, &journal) == 0 && g_stat(search, &index) == 0)
    printf("journal %.0f MB, search index %.0f MB (%.0f bytes an exchange)\n",
           (double)journal.st_size / 1e6,
           (double)index.st_size / 1e6,
           (double)index.st_size / all);
}

int
main(int argc, char **argv)
{
  unsigned all = argc > 2 ? (unsigned)atoi(argv[2]) : EXCHANGES;
  g_autofree char *path = NULL;

  if (argc < 2 || all == 0) {
    fprintf(stderr, "usage: bench-journal-query FOLDER [EXCHANGES]\n");
    return 2;
  }
  path = g_build_filename(argv[1], "journal.db", NULL);
  if (!g_file_test(path, G_FILE_TEST_EXISTS))
    make(path, all);
  say_sizes(path, all);
  return ask_all(path) ? 0 : 1;
}
