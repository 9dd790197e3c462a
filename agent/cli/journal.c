/* SPDX-License-Identifier: Apache-2.0 */
/* journal: its words, and verify: whether what was recorded still is what was
 * written. */
#include "cli/replay.h"
#include "cli/show.h"
#include "kit/digest.h"
#include "kit/file.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* "SEQ:" and 64 digits, perhaps with a line end. */
#define MAX_HEAD 256

/* ---- verify --------------------------------------------------------------
 */

static void
progress(int64_t done, int64_t total, void *data)
{
  (void)data;
  fprintf(stderr,
          "\r%" G_GINT64_FORMAT " of %" G_GINT64_FORMAT " rows%s",
          done,
          total,
          done == total ? "\n" : "");
}

/* --head names a file that holds SEQ:HASH, or is that itself. */
static char *
read_head(const Call *call, int *code)
{
  const char *text = call_value(call, "head");
  g_autoptr(GError) error = NULL;
  g_autoptr(GBytes) bytes = NULL;

  if (g_ascii_isdigit(text[0]) && strchr(text, ':') &&
      !g_file_test(text, G_FILE_TEST_EXISTS))
    return g_strdup(text);
  bytes = file_read(text, MAX_HEAD, &error);
  if (!bytes) {
    *code = complain(call, CLI_USAGE, "--head: %s", error->message);
    return NULL;
  }
  return g_strstrip(
      g_strndup(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes)));
}

static void
say_verification(const JournalVerification *seen, const char *head)
{
  if (seen->intact)
    printf("%sintact%s: %" G_GINT64_FORMAT " rows, %" G_GINT64_FORMAT
           " signed checkpoints, head %s\n",
           ink(INK_GREEN),
           ink(INK_PLAIN),
           seen->rows,
           seen->checkpoints,
           head);
  else
    printf("%snot intact%s, from row %" G_GINT64_FORMAT " on: %s\n",
           ink(INK_RED),
           ink(INK_PLAIN),
           seen->first_bad_seq,
           seen->reason);
}

static void
say_verification_json(const JournalVerification *seen, const char *head)
{
  struct json_object *json = json_object_new_object();
  const struct {
    const char *key;
    int64_t number;
  } numbers[] = {{"rows", seen->rows},
                 {"checkpoints", seen->checkpoints},
                 {"first_seq", seen->first_seq},
                 {"signed_seq", seen->signed_seq},
                 {"first_bad_seq", seen->first_bad_seq},
                 {"head_seq", seen->head_seq}};

  json_object_object_add(json, "intact", json_object_new_boolean(seen->intact));
  for (unsigned i = 0; i < G_N_ELEMENTS(numbers); i++)
    json_object_object_add(
        json, numbers[i].key, json_object_new_int64(numbers[i].number));
  json_object_object_add(json, "head", json_object_new_string(head));
  if (seen->reason)
    json_object_object_add(
        json, "reason", json_object_new_string(seen->reason));
  print_json(json);
}

static int
verify(const Call *call, JournalReader *reader)
{
  JournalVerification seen = {0};
  g_autofree char *wanted = NULL;
  g_autofree char *head = NULL;
  g_autoptr(GError) error = NULL;
  char hash[SHA256_HEX_SIZE];
  int code = CLI_DONE;

  if (call_has(call, "head")) {
    wanted = read_head(call, &code);
    if (!wanted)
      return code;
  }
  if (!journal_verify(reader,
                      wanted,
                      isatty(STDERR_FILENO) ? progress : NULL,
                      NULL,
                      &seen,
                      &error))
    return complain_error(call, error);
  hex_encode(seen.head, SHA256_LEN, hash);
  head = g_strdup_printf("%" G_GINT64_FORMAT ":%s", seen.head_seq, hash);
  if (call_has(call, "json"))
    say_verification_json(&seen, head);
  else
    say_verification(&seen, head);
  code = seen.intact ? CLI_DONE : CLI_FOUND;
  journal_verification_clear(&seen);
  return code;
}

/* What stands behind a word, and what it does. */
typedef struct {
  const char *word, *argument; /* NULL: none */
  bool needs;                  /* the argument must be there */
  int (*run)(const Call *call, JournalReader *reader);
  int (*alone)(const Call *call); /* opens the journal by itself */
} Word;

static const Word words[] = {
    {"list", NULL, false, journal_list, NULL},
    {"search", "TEXT", true, journal_find, NULL},
    {"show", "ID", true, journal_show, NULL},
    {"export", "FILE", false, journal_export, NULL},
    {"verify", NULL, false, verify, NULL},
    {"stats", NULL, false, NULL, journal_stats},
    {"replay", "SESSION", false, NULL, journal_replay},
};

static bool
fits(const Call *call, const Word *word)
{
  if (call->n_args == 1 ? !word->needs : word->argument != NULL)
    return true;
  complain(call,
           CLI_USAGE,
           "usage: hoop-agent journal %s%s%s%s [OPTION]...",
           word->word,
           word->argument ? word->needs ? " " : " [" : "",
           word->argument ? word->argument : "",
           word->argument && !word->needs ? "]" : "");
  return false;
}

int
verb_journal(const Call *call)
{
  const Word *word = words;
  g_autoptr(Config) config = NULL;
  g_autoptr(JournalReader) reader = NULL;
  int code = CLI_DONE;

  while (!g_str_equal(word->word, call->args[0]))
    word++;
  if (!fits(call, word))
    return CLI_USAGE;
  if (word->alone)
    return word->alone(call);
  config = cli_config(call, &code);
  reader = config ? rows_open(call, config, &code) : NULL;
  return reader ? word->run(call, reader) : code;
}
