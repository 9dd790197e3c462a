/* SPDX-License-Identifier: Apache-2.0 */
/* What every verb's file shares: the table's row, a parsed call, exit codes,
 * and the helpers for speaking to people and to the daemon. Private. */
#ifndef HOOP_CLI_VERB_H
#define HOOP_CLI_VERB_H

#include "bus/bus.h"
#include "config/config.h"
#include <glib.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

/* gdbus-codegen leaves it out for interfaces. */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HoopAgent1, g_object_unref)

enum {
  CLI_DONE = 0,
  CLI_FOUND = 1, /* found something, refused, not verified */
  CLI_USAGE = 2,
  CLI_NOT_RUNNING = 3,
  CLI_SIGNED_OUT = 4,
  CLI_UNREACHABLE = 5,
  /* login */
  CLI_DENIED = 6,
  CLI_EXPIRED = 7,
  CLI_BAD_TOKEN = 8,
  CLI_LOCKED = 9
};

/* Options of one verb; the longest list of the table has fewer. */
#define MAX_OPTIONS 32

typedef struct {
  const char *name;  /* without dashes */
  char letter;       /* its short form, or 0 */
  const char *value; /* what stands behind it, e.g. "FILE"; NULL: a switch */
  const char *help;  /* NULL: not told about */
  const char *only;  /* first argument that it goes with, "list|stats" for
                        several; NULL: any */
} VerbOption;

typedef struct call Call;

typedef struct verb {
  const char *name;
  int (*run)(const Call *call);
  const char *arguments; /* what stands behind the verb, "" for nothing */
  const char *help;      /* one line */
  unsigned least, most;  /* arguments */
  const char *words;     /* first argument is one of these ("show|export");
                            NULL: anything */
  const char *more;      /* paragraphs of --help, or NULL */
  VerbOption options[MAX_OPTIONS];
} Verb;

struct call {
  const Verb *verb;
  char **args; /* NULL terminated, without the options */
  unsigned n_args;
  const char *values[MAX_OPTIONS]; /* by the option's place; NULL: not given */
};

/* ---- verbs.c: the table */
const Verb *verb_table(unsigned *n);
const Verb *verb_find(const char *name);

/* ---- parse.c: a call from a command line */
/* Options may stand anywhere behind the verb; -- ends them. False after saying
 * on standard error what is wrong. call_clear() it either way. */
bool call_parse(const Verb *verb, char **words, unsigned n_words, Call *call);
void call_clear(Call *call);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Call, call_clear)
/* Of an option that the verb's row names; anything else ends the program. */
bool call_has(const Call *call, const char *option);
const char *call_value(const Call *call, const char *option);
/* The nearest word of a list, or NULL when none is near. */
const char *nearest_word(const char *word,
                         const char *const *words,
                         unsigned n_words);
/* "10m", "2h", "90s", "1d" or a bare number of seconds; at least 1 s, at most
 * a year. */
bool duration_parse(const char *text, unsigned *seconds);

/* ---- help.c */
void help_all(void);
void help_verb(const Verb *verb);

/* ---- say.c: to people */
/* "hoop-agent VERB: …" and a line end on standard error; returns code. */
int complain(const Call *call, int code, const char *format, ...)
    G_GNUC_PRINTF(3, 4);
/* The same with an error's message; the code follows from its domain. */
int complain_error(const Call *call, const GError *error);
/* Text from outside in one line, with everything that a terminal would act on
 * made visible. g_free. `lines`: keeps line ends. */
char *visible(const char *text, gssize len, bool lines);
char *visible_format(bool lines, const char *format, va_list args)
    G_GNUC_PRINTF(2, 0);
/* Prints "  NAME       TEXT" and a line end, the text made visible(). */
void say_field(const char *name, const char *format, ...) G_GNUC_PRINTF(2, 3);
/* Escape sequences when standard output is a terminal and NO_COLOR is not
 * set, else "". */
typedef enum {
  INK_PLAIN,
  INK_BOLD,
  INK_DIM,
  INK_RED,
  INK_YELLOW,
  INK_GREEN
} Ink;
const char *ink(Ink which);
/* "3 m 20 s", "2 h", for people. g_free. */
char *span_text(int64_t us);
/* Local date and time, to the second. g_free. */
char *time_text(int64_t wall_us);
/* Prints and frees. */
void print_json(struct json_object *json);
/* Columns that line up: rows of `columns` cells each, the first one a heading.
 * Cells are made visible(). */
typedef struct table Table;
Table *table_new(const char *const *headings); /* NULL terminated */
void table_add(Table *table, const char *const *cells);
void table_print(Table *table); /* and frees it */
void table_free(Table *table);

/* ---- reach.c: the daemon and its configuration */
/* The daemon's proxy, or NULL after having complained into *code. */
HoopAgent1 *daemon_connect(const Call *call, int *code);
/* NULL without complaint when none answers. g_object_unref. */
HoopAgent1 *daemon_try(void);
/* The configuration: --config when the verb has it and it was given, else the
 * one that the running daemon was given, else the user's; NULL after having
 * complained into *code. */
Config *cli_config(const Call *call, int *code);
/* The full id of what waits, from its unique beginning. g_free; NULL after
 * having complained into *code. */
char *pending_id(const Call *call,
                 HoopAgent1 *agent,
                 const char *prefix,
                 int *code);
struct json_object *variant_to_json(GVariant *value);

/* ---- answer.c: what approve and deny share */
typedef struct {
  unsigned seconds;
  bool session; /* then seconds is 0 */
} Term;
/* Answers what the call names, with its --reason and --for: "approve",
 * "approve-masked" or "deny". */
int answer_held(const Call *call, const char *answer);
/* The same of a review that the daemon gave, and was shown; term NULL: for this
 * one request. */
int answer_shown(const Call *call,
                 HoopAgent1 *agent,
                 GVariant *review,
                 const char *answer,
                 const char *reason,
                 const Term *term);

/* ---- presence.c
 * On a terminal: an agent through which polkit can ask whoever sits at it about
 * this process; 0: none. Stop it when it is not needed any more. */
GPid presence_agent_start(void);
void presence_agent_stop(GPid child);

/* ---- enrol.c: how something at the hub went
 * The exit code of a result of Enrol and the like, after having complained; 0
 * for "done". */
int hub_code(const Call *call, const char *result, const char *text);

/* ---- extend.c */
int extend_shown(const Call *call, HoopAgent1 *agent, GVariant *review);

/* ---- grants.c */
/* Those in force; NULL without complaint when no daemon runs. */
GVariant *grants_in_force(void);
/* A line of what it lets pass. g_free. */
char *grant_line(GVariant *grant);

/* ---- the verbs, each in the file of its name */
int verb_serve(const Call *call);
int verb_status(const Call *call);
int verb_pending(const Call *call);
int verb_approve(const Call *call);
int verb_deny(const Call *call);
int verb_extend(const Call *call);
int verb_enrol(const Call *call);
int verb_reviews(const Call *call);
int verb_grants(const Call *call);
int verb_allow(const Call *call);
int verb_pause(const Call *call);
int verb_resume(const Call *call);
int verb_logs(const Call *call);
int verb_login(const Call *call);
int verb_logout(const Call *call);
int verb_whoami(const Call *call);
int verb_connection(const Call *call);
int verb_journal(const Call *call);
int verb_why(const Call *call);
int verb_review(const Call *call);
int verb_scan(const Call *call);
int verb_policy(const Call *call);
int verb_env(const Call *call);
int verb_setup(const Call *call);
int verb_ca(const Call *call);
int verb_doctor(const Call *call);
int verb_ship(const Call *call);

#endif
