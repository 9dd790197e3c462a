/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of many agents into the record: whole requests as they are shipped
 * (gzip), parsed, checked against their chains, on disk. */
#include "hub/audit/audit.h"
#include "kit/clock.h"
#include "ship/format.h"
#include "tests/unit/folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <zlib.h>

#define ROWS 1000 /* of a request */
#define MAX_S 600

typedef struct {
  char journal[33];
  uint8_t link[SHA256_LEN];
  int64_t seq;
  GPtrArray *requests; /* GBytes */
  unsigned next;
  char *machine;
} Agent;

typedef struct {
  Loop *loop;
  Audit *audit;
  Agent *agents;
  unsigned n_agents;
  int64_t left, taken;
} Bench;

/* As an exchange of a chat leaves them, by size. */
static JournalRow *
row_of(int64_t i)
{
  JournalRow *row = journal_row_new(i % 2 ? ROW_RESPONSE : ROW_REQUEST);

  row->exchange = journal_new_id();
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
  row->duration_us = 345678;
  row->detail = g_strdup(
      "{\"verdict\":{\"matched\":[{\"rule\":\"credentials-in-prompt\"}]},"
      "\"n_findings\":1,\"findings\":[{\"rule\":\"aws-access-key\",\"class\":"
      "\"secret\",\"field\":\"messages[3].content\",\"offset\":120}],"
      "\"masked\":{\"aws-access-key\":1}}");
  return row;
}

static GBytes *
gzipped(const GString *text)
{
  z_stream stream = {0};
  uint8_t *out;
  size_t size;

  deflateInit2(&stream, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  size = deflateBound(&stream, text->len);
  out = g_malloc(size);
  stream.next_in = (uint8_t *)text->str;
  stream.avail_in = (uInt)text->len;
  stream.next_out = out;
  stream.avail_out = (uInt)size;
  deflate(&stream, Z_FINISH);
  size -= stream.avail_out;
  deflateEnd(&stream);
  return g_bytes_new_take(out, size);
}

static GBytes *
request_of(Agent *agent)
{
  const ShipSource source = {"1", agent->journal, "host", "dev"};
  g_autoptr(GString) text = g_string_new(NULL);
  g_auto(Record) record;

  record_init(&record);
  otlp_open(text, &source);
  for (unsigned i = 0; i < ROWS; i++) {
    JournalEntry entry = {
        .seq = ++agent->seq, .body_len = 1234, .kept_len = -1};

    entry.row = row_of(agent->seq);
    journal_row_hash(&entry, agent->link, entry.hash);
    record_set_row(&record, agent->journal, &entry, agent->link);
    memcpy(agent->link, entry.hash, SHA256_LEN);
    if (i)
      g_string_append_c(text, ',');
    otlp_write(text, &record);
    journal_row_free(entry.row);
  }
  otlp_close(text);
  return gzipped(text);
}

static void send_next(Bench *bench, Agent *agent);

typedef struct {
  Bench *bench;
  Agent *agent;
} Sent;

static void
on_done(const AuditAnswer *answer, const GError *error, void *data)
{
  g_autofree Sent *sent = data;

  if (error)
    g_error("%s", error->message);
  if (answer->rejected || answer->known)
    g_error("%s", answer->why ? answer->why : "known");
  sent->bench->taken += answer->taken;
  send_next(sent->bench, sent->agent);
  if (--sent->bench->left == 0)
    loop_quit(sent->bench->loop);
}

static void
send_next(Bench *bench, Agent *agent)
{
  const AuditSender sender = {
      "https://idp.example.com", agent->machine, "dev", agent->machine};
  Sent *sent;

  if (agent->next == agent->requests->len)
    return;
  sent = g_new0(Sent, 1);
  *sent = (Sent){bench, agent};
  if (!audit_post(bench->audit,
                  agent->requests->pdata[agent->next++],
                  true,
                  &sender,
                  on_done,
                  sent))
    g_error("too much waits");
}

static double
cpu_seconds(void)
{
  struct rusage usage;

  getrusage(RUSAGE_SELF, &usage);
  return (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void
make_agents(Bench *bench, unsigned requests)
{
  for (unsigned i = 0; i < bench->n_agents; i++) {
    Agent *agent = &bench->agents[i];
    uint8_t id[16];

    random_bytes(id, sizeof id);
    hex_encode(id, sizeof id, agent->journal);
    agent->machine = g_strdup(agent->journal);
    agent->requests =
        g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    for (unsigned j = 0; j < requests; j++)
      g_ptr_array_add(agent->requests, request_of(agent));
  }
}

int
main(int argc, char **argv)
{
  g_autofree char *folder = g_dir_make_tmp("hoop-bench-XXXXXX", NULL);
  g_autofree char *file = g_build_filename(folder, "audit.db", NULL);
  g_autofree char *seed = g_build_filename(folder, "key", NULL);
  g_autoptr(GError) error = NULL;
  g_autoptr(SigningKey) key = signing_key_load(seed, true, &error);
  Bench bench = {.n_agents = argc > 3 ? (unsigned)atoi(argv[3]) : 8};
  const char *where = argc > 1 && *argv[1] ? argv[1] : file;
  const unsigned requests =
      (argc > 2 ? (unsigned)atoi(argv[2]) : 80000) / ROWS / bench.n_agents;
  int64_t begun;
  double cpu, seconds;

  if (!key)
    g_error("%s", error->message);
  bench.agents = g_new0(Agent, bench.n_agents);
  make_agents(&bench, requests);
  bench.loop = loop_new(&error);
  bench.audit = audit_new(
      bench.loop, &(AuditOptions){.where = where, .key = key}, &error);
  if (!bench.audit)
    g_error("%s", error->message);
  bench.left = (int64_t)requests * bench.n_agents;
  cpu = cpu_seconds();
  begun = clock_mono_us();
  for (unsigned i = 0; i < bench.n_agents; i++)
    send_next(&bench, &bench.agents[i]);
  loop_run(bench.loop);
  seconds = (double)(clock_mono_us() - begun) / 1e6;
  cpu = cpu_seconds() - cpu;
  printf("%s: %u agents, %" G_GINT64_FORMAT " rows in %.1f s: %.0f rows/s; "
         "%.0f us of processor time a row\n",
         db_is_shared(where) ? "postgresql" : "sqlite",
         bench.n_agents,
         bench.taken,
         seconds,
         (double)bench.taken / seconds,
         cpu * 1e6 / (double)bench.taken);
  audit_free(bench.audit);
  loop_free(bench.loop);
  remove_folder(folder);
  return 0;
}
