/* SPDX-License-Identifier: Apache-2.0 */
/* A long time offline, then all of it delivered: writes a journal of many rows
 * and ships it. run-ship.mjs receives it and checks the order. */
#include "kit/clock.h"
#include "ship/ship.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define POLL_MS 5
#define MAX_S 600

static unsigned stored;

static void
on_stored(const GError *error, void *data)
{
  (void)data;
  if (error)
    g_error("%s", error->message);
  stored++;
}

/* As an exchange of a chat leaves them, by size. */
static JournalRow *
row_of(unsigned i)
{
  JournalRow *row = journal_row_new(i % 2 ? ROW_RESPONSE : ROW_REQUEST);

  row->exchange = g_strdup_printf("%026u", i / 2);
  row->user = g_strdup("dev@example.com");
  row->groups = g_strdup("developers,leads");
  row->issuer = g_strdup("https://login.example.com");
  row->client = g_strdup("vscode");
  row->pid = 4711;
  row->process = g_strdup("/usr/share/code/code < /usr/bin/bash");
  row->connection = g_strdup("copilot");
  row->host = g_strdup("api.githubcopilot.com");
  row->method = g_strdup("POST");
  row->path = g_strdup("/chat/completions");
  row->api = g_strdup("chat");
  row->model = g_strdup("gpt-4o");
  row->conversation = g_strdup("0f8fad5b-d9cb-469f-a165-70867728950e");
  row->verdict = g_strdup(i % 2 ? "ok" : "mask");
  row->rule = g_strdup("credentials-in-prompt");
  row->policy_revision = g_strnfill(64, 'a');
  row->bytes_in = 12345;
  row->tokens_in = i % 2 ? 1234 : -1;
  row->duration_us = 123456;
  row->detail = g_strdup_printf(
      "{\"verdict\":{\"action\":\"mask\",\"phase\":\"request\",\"rule\":"
      "\"credentials-in-prompt\",\"matched\":[{\"rule\":"
      "\"credentials-in-prompt\"}]},\"n_findings\":1,\"findings\":[{\"rule\":"
      "\"aws-access-key\",\"class\":\"secret\",\"field\":\"messages[%u]\","
      "\"start\":12,\"length\":20,\"fingerprint\":\"0011223344556677\"}],"
      "\"masked\":{\"aws-access-key\":1}}",
      i % 40);
  return row;
}

static void
fill(Journal *journal, Loop *loop, unsigned rows)
{
  for (unsigned i = 0; i < rows; i++) {
    journal_append(journal, row_of(i), loop, on_stored, NULL);
    while (i + 1 - stored > 2048)
      loop_iterate(loop, POLL_MS);
  }
  while (stored < rows)
    loop_iterate(loop, POLL_MS);
}

static double
cpu_s(void)
{
  struct rusage usage;

  getrusage(RUSAGE_SELF, &usage);
  return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void
run(Journal *journal,
    Loop *loop,
    const ShipOptions *options,
    unsigned rows,
    unsigned least)
{
  const int64_t began = clock_mono_us();
  const double cpu = cpu_s();
  g_autoptr(GError) error = NULL;
  Ship *ship = ship_new(loop, journal, options, &error);
  ShipStatus status = {0};
  struct rusage usage;
  double wall;

  if (!ship)
    g_error("%s", error->message);
  ship_now(ship);
  while (status.shipped_seq < rows) {
    loop_iterate(loop, POLL_MS);
    if (!ship_status(ship, &status, &error))
      g_error("%s", error->message);
    if (status.problem || clock_mono_us() - began > MAX_S * G_USEC_PER_SEC)
      g_error("%s", status.problem ? status.problem : "too slow");
  }
  wall = (double)(clock_mono_us() - began) / 1e6;
  getrusage(RUSAGE_SELF, &usage);
  printf("%u rows, %lld records in %.2f s: %.0f rows/s; %.0f rows per second "
         "of processor time; at most %ld KiB resident\n",
         rows,
         (long long)status.delivered,
         wall,
         rows / wall,
         rows / (cpu_s() - cpu),
         usage.ru_maxrss);
  if (rows / wall < least)
    g_error("fewer than %u rows a second", least);
  ship_free(ship);
}

int
main(int argc, char **argv)
{
  g_autoptr(GError) error = NULL;
  const unsigned rows = argc > 3 ? (unsigned)atoi(argv[3]) : 100000;
  const unsigned least = argc > 4 ? (unsigned)atoi(argv[4]) : 0;
  JournalOptions options = {.durability = DURABILITY_GROUPED,
                            .bodies = true,
                            .max_queued = 64 * 1024 * 1024};
  ShipOptions shipping = {
      .format = SHIP_OTLP,
      .interval = 1,
      .version = "0",
      .upstream = {.connect_timeout = 10, .idle_timeout = 60}};
  Loop *loop = loop_new(&error);

  if (argc < 3) {
    fprintf(stderr, "usage: bench-ship JOURNAL ENDPOINT [ROWS [LEAST]]\n");
    return 2;
  }
  options.path = shipping.journal_path = argv[1];
  shipping.endpoint = argv[2];
  {
    Journal *journal = journal_open(&options, &error);

    if (!journal)
      g_error("%s", error->message);
    fill(journal, loop, rows);
    run(journal, loop, &shipping, rows, least);
    journal_close(journal);
  }
  loop_iterate(loop, 0);
  loop_free(loop);
  return 0;
}
