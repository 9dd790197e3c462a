/* SPDX-License-Identifier: Apache-2.0 */
/* journal replay SESSION: what was said, in its order and with its timing. */
#include "cli/replay.h"
#include "cli/show.h"
#include "kit/digest.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Rows of one replay, unless --limit says otherwise. */
#define PLAY_ROWS 5000
/* A session ends after so long without a request, as the agent's do. */
#define IDLE_US ((int64_t)30 * 60 * G_USEC_PER_SEC)
/* How far from an exchange its session may begin or end. */
#define REACH_US ((int64_t)24 * 3600 * G_USEC_PER_SEC)
/* Without --speed nobody waits longer for a row. */
#define PATIENCE_US ((int64_t)3 * G_USEC_PER_SEC)
#define MAX_SPEED 1000000.0

typedef struct {
  JournalReader *reader;
  GHashTable *said; /* digests of texts that were shown */
  double speed;     /* 0: do not wait */
  bool patient;     /* --speed was given: gaps are kept, however long */
  bool step;
  int64_t last_us;
} Play;

/* ---- Which rows ----------------------------------------------------------
 */

/* The rows around `at` between which nobody was idle. */
static void
cut_session(GPtrArray *rows, int64_t at)
{
  unsigned from = 0, to = rows->len;

  for (unsigned i = 1; i < rows->len; i++) {
    const KeptRow *before = rows->pdata[i - 1], *one = rows->pdata[i];

    if (one->entry.row->wall_us - before->entry.row->wall_us < IDLE_US)
      continue;
    if (one->entry.row->wall_us <= at)
      from = i;
    else
      to = MIN(to, i);
  }
  if (to < rows->len)
    g_ptr_array_remove_range(rows, to, rows->len - to);
  if (from)
    g_ptr_array_remove_range(rows, 0, from);
}

/* The session that an exchange is of: its conversation, or what its client
 * did without a pause. */
static GPtrArray *
session_of(const Call *call,
           JournalReader *reader,
           JournalQuery query,
           int *code)
{
  g_autoptr(GPtrArray) rows =
      rows_of_exchange(call, reader, call->args[1], code);
  const JournalRow *first;
  GPtrArray *session;

  if (!rows)
    return NULL;
  first = ((const KeptRow *)rows->pdata[0])->entry.row;
  query.conversation = first->conversation;
  query.user = first->user;
  query.client = first->client;
  query.since_us = first->wall_us - REACH_US;
  query.until_us = first->wall_us + REACH_US;
  query.kind = -1;
  session = rows_query(call, reader, &query, code);
  if (session && !first->conversation)
    cut_session(session, first->wall_us);
  return session;
}

static GPtrArray *
find_rows(const Call *call, JournalReader *reader, int *code)
{
  JournalQuery query = {.kind = -1, .limit = PLAY_ROWS, .oldest_first = true};
  GPtrArray *rows;

  if (!rows_limit(call, &query.limit) || !rows_filter(call, &query)) {
    *code = CLI_USAGE;
    return NULL;
  }
  if (call->n_args < 2)
    return rows_query(call, reader, &query, code);
  query.conversation = call->args[1];
  rows = rows_query(call, reader, &query, code);
  if (!rows || rows->len)
    return rows;
  g_ptr_array_unref(rows);
  return session_of(call, reader, query, code);
}

/* ---- Playing -------------------------------------------------------------
 */

static bool
is_said(Play *play, const TalkPart *part)
{
  uint8_t digest[SHA256_LEN];
  char hex[SHA256_HEX_SIZE];

  sha256(part->text->str, part->text->len, digest);
  hex_encode(digest, sizeof digest, hex);
  return !g_hash_table_add(play->said, g_strdup(hex));
}

static void
wait_for(Play *play, int64_t wall_us)
{
  int64_t gap = play->last_us ? wall_us - play->last_us : 0;

  play->last_us = wall_us;
  if (gap <= 0 || play->speed <= 0)
    return;
  gap = (int64_t)((double)gap / play->speed);
  fflush(stdout);
  g_usleep((gulong)(play->patient ? gap : MIN(gap, PATIENCE_US)));
}

/* False: no more is wanted. */
static bool
ask_next(void)
{
  char line[16];

  fflush(stdout);
  fputs("-- Enter: next; q: end -- ", stderr);
  return fgets(line, sizeof line, stdin) && *line != 'q';
}

static void
say_row(const JournalEntry *entry, int64_t gap_us)
{
  const JournalRow *row = entry->row;
  g_autofree char *when = time_text(row->wall_us);
  g_autofree char *verdict = visible(row->verdict ?: "-", -1, false);
  g_autofree char *model = visible(row->model ?: "", -1, false);
  g_autofree char *id = visible(row->exchange ?: "-", -1, false);

  printf("\n%s── %s%s  +%.3f s  %s: %s  %s%s%.13s%s\n",
         ink(INK_BOLD),
         when,
         ink(INK_PLAIN),
         (double)MAX(gap_us, 0) / G_USEC_PER_SEC,
         row_kind_name(row->kind),
         verdict,
         model,
         *model ? "  " : "",
         id,
         row->rule ? "  (a rule decided)" : "");
}

static bool
play_row(Play *play, const JournalEntry *entry)
{
  const char *why;
  g_autoptr(GPtrArray) parts = NULL;
  int64_t gap = play->last_us ? entry->row->wall_us - play->last_us : 0;

  wait_for(play, entry->row->wall_us);
  say_row(entry, gap);
  if (entry->row->kind == ROW_REQUEST || entry->row->kind == ROW_RESPONSE) {
    parts = show_parts(play->reader, entry, &why);
    if (!parts)
      printf("    (%s)\n", why);
  }
  for (unsigned i = 0; parts && i < parts->len; i++) {
    g_autofree char *shown = NULL;

    if (is_said(play, parts->pdata[i]))
      continue;
    shown = show_part(parts->pdata[i], true);
    fputs(shown, stdout);
  }
  return !play->step || ask_next();
}

static int
play_rows(GPtrArray *rows, Play *play)
{
  for (unsigned i = 0; i < rows->len; i++) {
    const KeptRow *kept = rows->pdata[i];

    if (!play_row(play, &kept->entry))
      break;
  }
  return CLI_DONE;
}

static int
play_json(GPtrArray *rows, Play *play)
{
  struct json_object *list = json_object_new_array();

  for (unsigned i = 0; i < rows->len; i++) {
    const KeptRow *kept = rows->pdata[i];
    struct json_object *json = row_json(NULL, &kept->entry);
    int64_t wall = kept->entry.row->wall_us;

    json_object_object_add(
        json,
        "after_us",
        json_object_new_int64(play->last_us ? wall - play->last_us : 0));
    play->last_us = wall;
    json_object_object_add(json,
                           "conversation_parts",
                           show_parts_json(play->reader, &kept->entry));
    json_object_array_add(list, json);
  }
  print_json(list);
  return CLI_DONE;
}

static bool
read_speed(const Call *call, Play *play)
{
  const char *text = call_value(call, "speed");
  char *end = NULL;

  play->step = call_has(call, "step");
  play->speed = isatty(STDOUT_FILENO) && !play->step ? 1 : 0;
  if (!text)
    return true;
  play->patient = true;
  play->speed = g_ascii_strtod(text, &end);
  if (end && g_str_equal(end, "x"))
    end++;
  if (end != text && end && *end == '\0' && isfinite(play->speed) &&
      play->speed > 0 && play->speed <= MAX_SPEED)
    return true;
  complain(call, CLI_USAGE, "--speed takes a factor such as 1, 10 or 0.5");
  return false;
}

int
journal_play(const Call *call)
{
  Play play = {0};
  g_autoptr(Config) config = NULL;
  g_autoptr(JournalReader) reader = NULL;
  g_autoptr(GPtrArray) rows = NULL;
  g_autoptr(GHashTable) said = NULL;
  int code = CLI_DONE;

  if (call_has(call, "policy"))
    return complain(
        call, CLI_USAGE, "--policy goes without SESSION, --speed and --step");
  if (!read_speed(call, &play))
    return CLI_USAGE;
  config = cli_config(call, &code);
  reader = config ? rows_open(call, config, &code) : NULL;
  rows = reader ? find_rows(call, reader, &code) : NULL;
  if (!rows)
    return code;
  if (!rows->len) {
    puts("The journal has no such rows.");
    return CLI_DONE;
  }
  said = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  play.reader = reader;
  play.said = said;
  return call_has(call, "json") ? play_json(rows, &play)
                                : play_rows(rows, &play);
}
