/* SPDX-License-Identifier: Apache-2.0 */
/* What --help prints, from the table. */
#include "cli/verb.h"
#include <stdio.h>
#include <string.h>

void
help_all(void)
{
  unsigned n;
  const Verb *verbs = verb_table(&n);

  puts("hoop-agent stands between your coding assistant and its backend.\n");
  for (unsigned i = 0; i < n; i++)
    printf("  hoop-agent %-12s %s\n", verbs[i].name, verbs[i].help);
  puts("\nhoop-agent VERB --help tells more of one; so does hoop-agent(1).\n"
       "Exit codes: 0 done; 1 found, refused or not verified; 2 usage; 3 the "
       "daemon is not\nrunning; 4 not signed in; 5 a service is out of reach; "
       "login has four more.");
}

static void
help_option(const VerbOption *option)
{
  g_autofree char *left =
      g_strconcat(option->letter ? "-" : "",
                  option->letter ? (char[]){option->letter, '\0'} : "",
                  option->letter ? ", " : "",
                  "--",
                  option->name,
                  option->value ? " " : "",
                  option->value ? option->value : "",
                  NULL);

  printf("  %-20s %s\n", left, option->help);
}

void
help_verb(const Verb *verb)
{
  bool any = verb->options[0].name != NULL;

  printf("hoop-agent %s%s%s%s\n\n%s\n",
         verb->name,
         *verb->arguments ? " " : "",
         verb->arguments,
         any ? " [OPTION]..." : "",
         verb->help);
  if (verb->more)
    printf("\n%s\n", verb->more);
  if (any)
    puts("");
  for (unsigned i = 0; i < MAX_OPTIONS && verb->options[i].name; i++)
    if (verb->options[i].help)
      help_option(&verb->options[i]);
}
