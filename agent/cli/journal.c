/* SPDX-License-Identifier: Apache-2.0 */
/* journal: its words. */
#include "cli/evidence.h"
#include "cli/replay.h"
#include "cli/show.h"
#include <string.h>

/* A session is played; without one, recorded traffic is judged again. */
static int
replay(const Call *call)
{
  return call->n_args > 1 || call_has(call, "speed") || call_has(call, "step")
             ? journal_play(call)
             : journal_replay(call);
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
    {"report", NULL, false, journal_report, NULL},
    {"verify", NULL, false, journal_check, NULL},
    {"head", NULL, false, journal_show_head, NULL},
    {"unseal", "ID", true, journal_open_sealed, NULL},
    {"prune", NULL, false, NULL, journal_take_away},
    {"stats", NULL, false, NULL, journal_stats},
    {"replay", "SESSION", false, NULL, replay},
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
