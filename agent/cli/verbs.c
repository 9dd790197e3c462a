/* SPDX-License-Identifier: Apache-2.0 */
/* The table of verbs. Parsing, --help, the completions' check and the man
 * page's read it; adding a verb is adding its row and its file. */
#include "cli/verb.h"
#include <string.h>

#define CONFIG                                                                 \
  {                                                                            \
    .name = "config", .value = "FILE",                                         \
    .help = "Read this file instead of the user's agent.conf."                 \
  }
#define JSON                                                                   \
  {                                                                            \
    .name = "json", .help = "Print JSON."                                      \
  }
#define REASON                                                                 \
  {                                                                            \
    .name = "reason", .value = "TEXT", .help = "Why; goes on record."          \
  }

static const Verb verbs[] = {
    {"serve",
     verb_serve,
     "",
     "Run the agent in the foreground.",
     .more = "Serves until SIGTERM or SIGINT, then waits up to 10 s for what "
             "runs. SIGHUP\nreads the policy again.",
     .options = {CONFIG}},
    {"status",
     verb_status,
     "",
     "Show what the agent is doing.",
     .options = {JSON}},
    {"pending",
     verb_pending,
     "",
     "List requests that wait for a person.",
     .options = {JSON,
                 {.name = "watch",
                  .help = "Go on and tell each that comes or goes."}}},
    {"approve",
     verb_approve,
     "ID",
     "Let a waiting request go.",
     .least = 1,
     .most = 1,
     .more = "ID may be shortened to its unique beginning.",
     .options = {{.name = "masked",
                  .help = "Let it go with what was found masked."},
                 REASON}},
    {"deny",
     verb_deny,
     "ID",
     "Refuse a waiting request.",
     .least = 1,
     .most = 1,
     .more = "ID may be shortened to its unique beginning.",
     .options = {REASON}},
};

const Verb *
verb_table(unsigned *n)
{
  *n = G_N_ELEMENTS(verbs);
  return verbs;
}

const Verb *
verb_find(const char *name)
{
  for (unsigned i = 0; i < G_N_ELEMENTS(verbs); i++)
    if (strcmp(verbs[i].name, name) == 0)
      return &verbs[i];
  return NULL;
}
