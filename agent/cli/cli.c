/* SPDX-License-Identifier: Apache-2.0 */
/* From the command line to the verb: unknown words are answered with the
 * nearest known one. */
#include "config.h"

#include "cli/cli.h"
#include "cli/verb.h"
#include <stdio.h>
#include <string.h>

static int
unknown_verb(const char *word)
{
  g_autofree char *shown = visible(word, -1, false);
  const char *names[64];
  const char *near;
  unsigned n;
  const Verb *verbs = verb_table(&n);

  g_assert(n <= G_N_ELEMENTS(names));
  for (unsigned i = 0; i < n; i++)
    names[i] = verbs[i].name;
  near = nearest_word(word, names, n);
  fprintf(stderr, "hoop-agent: this version has no verb %s", shown);
  if (near)
    fprintf(stderr, "; did you mean %s?", near);
  fputs(near ? " It has: " : "; it has: ", stderr);
  for (unsigned i = 0; i < n; i++)
    fprintf(stderr, "%s%s", i ? ", " : "", names[i]);
  fputs(".\n", stderr);
  return CLI_USAGE;
}

static bool
asks_for_help(char **words, unsigned n)
{
  for (unsigned i = 0; i < n && strcmp(words[i], "--") != 0; i++)
    if (strcmp(words[i], "--help") == 0 || strcmp(words[i], "-h") == 0)
      return true;
  return false;
}

static int
help(char **words, unsigned n)
{
  const Verb *verb = n ? verb_find(words[0]) : NULL;

  if (n && !verb)
    return unknown_verb(words[0]);
  if (verb)
    help_verb(verb);
  else
    help_all();
  return CLI_DONE;
}

int
cli_main(int argc, char **argv)
{
  g_auto(Call) call = {0};
  unsigned n = argc > 2 ? (unsigned)argc - 2 : 0;
  char **words = argv + 2;
  const Verb *verb;

  if (argc < 2) {
    help_all();
    return CLI_USAGE;
  }
  if (strcmp(argv[1], "--version") == 0) {
    puts("hoop-agent " PACKAGE_VERSION);
    return CLI_DONE;
  }
  if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
      strcmp(argv[1], "help") == 0)
    return help(words, n);
  verb = verb_find(argv[1]);
  if (!verb)
    return unknown_verb(argv[1]);
  if (asks_for_help(words, n))
    return help(argv + 1, 1);
  if (!call_parse(verb, words, n, &call))
    return CLI_USAGE;
  return verb->run(&call);
}
