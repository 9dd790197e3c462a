/* SPDX-License-Identifier: Apache-2.0 */
/* What the journal costs: rows a second in both durabilities, the caller's
 * share of it, and the fsync of this disk beside. Not part of `make check`.
 * Usage: bench-journal [FOLDER [WORD-IN-CASE]] */

#include "journal/journal.h"

#include "kit/clock.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a prompt weighs in the figures of the product. */
#define BODY_SIZE 32768
/* Each case runs for this long. */
#define RUN_US (3 * 1000 * 1000)
#define QUEUE_BYTES (256 * 1024 * 1024)
#define FSYNCS 200

typedef enum { NO_BODY, NEW_BODY, SAME_BODY } BodyUse;

typedef struct {
  const char *name;
  Durability durability;
  BodyUse use;
  unsigned in_flight;
} Case;

static const Case cases[] = {
    {"full, 1 waiting, no body", DURABILITY_FULL, NO_BODY, 1},
    {"full, 16 waiting, no body", DURABILITY_FULL, NO_BODY, 16},
    {"full, 16 waiting, 32 KB new", DURABILITY_FULL, NEW_BODY, 16},
    {"full, 256 waiting, 32 KB new", DURABILITY_FULL, NEW_BODY, 256},
    {"grouped, 1 waiting, no body", DURABILITY_GROUPED, NO_BODY, 1},
    {"grouped, 16 waiting, no body", DURABILITY_GROUPED, NO_BODY, 16},
    {"grouped, 1000 waiting, no body", DURABILITY_GROUPED, NO_BODY, 1000},
    {"grouped, 16 waiting, 32 KB new", DURABILITY_GROUPED, NEW_BODY, 16},
    {"grouped, 1000 waiting, 32 KB new", DURABILITY_GROUPED, NEW_BODY, 1000},
    {"grouped, 1000 waiting, 32 KB same", DURABILITY_GROUPED, SAME_BODY, 1000},
};

typedef struct {
  Journal *journal;
  Loop *loop;
  unsigned in_flight;
  int64_t done;
  int64_t refused;
  int64_t append_ns;
  int64_t appended;
  char *text;
} Run;

static int64_t
now_ns(void)
{
  struct timespec now;

  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* Of the whole process: the journal's share of the machine. */
static int64_t
cpu_us(void)
{
  struct timespec now;

  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

/* Words as prompts have them, some often and most seldom: compresses about
 * threefold, as code and prose do. */
static char *
make_text(void)
{
  g_autoptr(GString) text = g_string_new(NULL);

  while (text->len < BODY_SIZE) {
    unsigned word =
        (unsigned)(rand() % 1000) * (unsigned)(rand() % 1000) / 1000;

    for (unsigned i = 0; i < 2 + word % 7; i++)
      g_string_append_c(text, (char)('a' + (word * 7 + i * i * 5 + i) % 26));
    g_string_append_c(text, ' ');
  }
  g_string_truncate(text, BODY_SIZE);
  return g_strdup(text->str);
}

static GBytes *
make_body(Run *run, BodyUse use)
{
  if (use == NO_BODY)
    return NULL;
  if (use == NEW_BODY)
    snprintf(run->text, 24, "%020lld", (long long)run->appended);
  return g_bytes_new(run->text, BODY_SIZE);
}

static JournalRow *
make_row(Run *run, BodyUse use)
{
  JournalRow *row =
      journal_row_new(run->appended % 2 ? ROW_RESPONSE : ROW_REQUEST);

  row->exchange = journal_new_id();
  row->user = g_strdup("ada@example.com");
  row->groups = g_strdup("developers");
  row->issuer = g_strdup("https://id.example.com");
  row->client = g_strdup("vscode");
  row->pid = 4711;
  row->process = g_strdup("/usr/bin/node < /usr/bin/code");
  row->connection = g_strdup("copilot");
  row->host = g_strdup("api.individual.githubcopilot.com");
  row->method = g_strdup("POST");
  row->path = g_strdup("/chat/completions");
  row->api = g_strdup("chat");
  row->model = g_strdup("gpt-4.1");
  row->verdict = g_strdup("allow");
  row->detail = g_strdup("{\"findings\":[],\"timings\":{\"inspect\":312}}");
  row->bytes_in = BODY_SIZE;
  row->body = make_body(run, use);
  return row;
}

static void
on_done(const GError *error, void *data)
{
  Run *run = data;

  run->in_flight--;
  run->done++;
  if (error) {
    run->refused++;
    fprintf(stderr, "%s\n", error->message);
  }
}

static void
append_one(Run *run, BodyUse use)
{
  JournalRow *row = make_row(run, use);
  int64_t start = now_ns();

  journal_append(run->journal, row, run->loop, on_done, run);
  run->append_ns += now_ns() - start;
  run->appended++;
  run->in_flight++;
}

static int64_t
file_size(const char *path)
{
  GStatBuf info;

  return g_stat(path, &info) == 0 ? (int64_t)info.st_size : 0;
}

static void
remove_journal(const char *path)
{
  static const char *const suffixes[] = {"", "-wal", "-shm", ".key", ".lock"};

  for (size_t i = 0; i < G_N_ELEMENTS(suffixes); i++) {
    g_autofree char *name = g_strconcat(path, suffixes[i], NULL);
    g_unlink(name);
  }
}

static bool
run_case(const char *path, const Case *one)
{
  const JournalOptions options = {.path = path,
                                  .durability = one->durability,
                                  .bodies = true,
                                  .max_queued = QUEUE_BYTES};
  g_autoptr(GError) error = NULL;
  g_autoptr(Loop) loop = loop_new(NULL);
  Run run = {.loop = loop, .text = make_text()};
  int64_t start, took, cpu;

  run.journal = journal_open(&options, &error);
  if (run.journal == NULL) {
    fprintf(stderr, "%s\n", error->message);
    g_free(run.text);
    return false;
  }
  start = clock_mono_us();
  cpu = cpu_us();
  while (clock_mono_us() - start < RUN_US) {
    while (run.in_flight < one->in_flight)
      append_one(&run, one->use);
    loop_iterate(loop, 1000);
  }
  while (run.in_flight > 0)
    loop_iterate(loop, 1000);
  took = clock_mono_us() - start;
  journal_close(run.journal);
  printf("%-34s %7.0f rows/s, append %5.2f us, %4.0f us CPU and %5lld bytes "
         "a row\n",
         one->name,
         (double)run.done * 1e6 / (double)took,
         (double)run.append_ns / 1e3 / (double)run.appended,
         (double)(cpu_us() - cpu) / (double)run.done,
         (long long)(file_size(path) / MAX(run.done, 1)));
  g_free(run.text);
  remove_journal(path);
  return run.refused == 0;
}

static int
compare_times(const void *a, const void *b)
{
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

  return (x > y) - (x < y);
}

/* What an fsync costs here, so that the figures can be read. */
static void
measure_fsync(const char *folder)
{
  g_autofree char *path = g_build_filename(folder, "fsync", NULL);
  int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, (mode_t)0600);
  int64_t times[FSYNCS];
  char page[4096] = {0};

  for (int i = 0; i < FSYNCS; i++) {
    int64_t start = now_ns();
    if (pwrite(fd, page, sizeof page, (off_t)i * 4096) != sizeof page ||
        fdatasync(fd) != 0)
      perror("fdatasync");
    times[i] = now_ns() - start;
  }
  close(fd);
  g_unlink(path);
  qsort(times, FSYNCS, sizeof times[0], compare_times);
  printf("fdatasync of 4 KiB in %s: %.0f us median, %.0f us p99\n",
         folder,
         (double)times[FSYNCS / 2] / 1e3,
         (double)times[FSYNCS * 99 / 100] / 1e3);
}

int
main(int argc, char **argv)
{
  g_autofree char *folder =
      argc > 1
          ? g_build_filename(argv[1], "bench-journal-XXXXXX", NULL)
          : g_build_filename(g_get_tmp_dir(), "bench-journal-XXXXXX", NULL);
  g_autofree char *path = NULL;
  bool good = true;

  if (g_mkdtemp(folder) == NULL) {
    perror(folder);
    return 1;
  }
  path = g_build_filename(folder, "journal.db", NULL);
  measure_fsync(folder);
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    if (argc < 3 || strstr(cases[i].name, argv[2]))
      good = run_case(path, &cases[i]) && good;
  }
  g_rmdir(folder);
  return good ? 0 : 1;
}
