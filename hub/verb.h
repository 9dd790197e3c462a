/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs of hoop-hub beside serve: their arguments, and the hub's database
 * and key, used beside a hub that runs. */
#ifndef HOOP_HUB_VERB_H
#define HOOP_HUB_VERB_H

#include "hub/settings.h"
#include "hub/store/store.h"

typedef struct hub_verb HubVerb;

typedef struct {
  const char *name;
  const char *values, *flags; /* options, a space between; --config is always */
  int n_args;
  int (*run)(const HubVerb *verb);
} HubVerbRow;

struct hub_verb {
  const char *usage;
  char *const *args; /* n_args of them */
  GHashTable *options;
};

/* argv[0] is the verb, argv[1] the row's name. Exit status: 0 done, 1 it
 * failed, 2 misused. */
int verb_run(const HubVerbRow *rows, const char *usage, int argc, char **argv);
/* An option's value ("" for a flag), or NULL. */
const char *verb_value(const HubVerb *verb, const char *name);
int verb_misused(const HubVerb *verb, const char *what);
/* Text from elsewhere, with nothing in it that acts on a terminal. g_free. */
char *verb_visible(const char *text);
int verb_fail(const HubVerb *verb, const GError *error);

/* What a verb works with. */
typedef struct {
  HubConfig *config;
  Store *store;
  Db *db; /* the store's */
  SigningKey *key;
  Actor actor; /* the account that runs the verb */
} HubOpen;
/* NULL after having complained into *code. */
HubOpen *verb_open(const HubVerb *verb, int *code);
void verb_close(HubOpen *open);

#endif
