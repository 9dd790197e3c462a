/* SPDX-License-Identifier: Apache-2.0 */
/* Reads what stands behind a verb: options as the verb's row names them,
 * arguments, durations. */
#include "cli/verb.h"
#include <string.h>

/* A year: longer is a slip of the keys. */
#define MAX_DURATION (365u * 24 * 60 * 60)
/* One slip in three letters is still the same word. */
#define LETTERS_A_SLIP 3
#define MAX_WORD 64

static unsigned
option_count(const Verb *verb)
{
  unsigned n = 0;

  while (n < MAX_OPTIONS && verb->options[n].name)
    n++;
  return n;
}

/* ---- Likeness ------------------------------------------------------------ */

/* Letters to add, drop or change, or neighbours to swap (optimal string
 * alignment). */
static unsigned
distance(const char *a, const char *b)
{
  unsigned rows[3][MAX_WORD + 1];
  size_t len_a = strlen(a), len_b = strlen(b);
  unsigned *before = rows[0], *above = rows[1], *row = rows[2], *spare;

  if (len_a > MAX_WORD || len_b > MAX_WORD)
    return MAX_WORD;
  for (size_t j = 0; j <= len_b; j++)
    above[j] = (unsigned)j;
  for (size_t i = 1; i <= len_a; i++) {
    row[0] = (unsigned)i;
    for (size_t j = 1; j <= len_b; j++) {
      unsigned change = above[j - 1] + (a[i - 1] != b[j - 1]);

      row[j] = MIN(MIN(row[j - 1], above[j]) + 1, change);
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = MIN(row[j], before[j - 2] + 1);
    }
    spare = before;
    before = above;
    above = row;
    row = spare;
  }
  return above[len_b];
}

const char *
nearest_word(const char *word, const char *const *words, unsigned n_words)
{
  const char *best = NULL;
  unsigned least = MAX_WORD;

  for (unsigned i = 0; i < n_words; i++) {
    unsigned away = distance(word, words[i]);
    size_t longer = MAX(strlen(word), strlen(words[i]));

    if (away < least && away <= MAX(1, longer / LETTERS_A_SLIP)) {
      least = away;
      best = words[i];
    }
  }
  return best;
}

/* ---- Durations ----------------------------------------------------------- */

bool
duration_parse(const char *text, unsigned *seconds)
{
  static const struct {
    char letter;
    unsigned seconds;
  } units[] = {{'s', 1}, {'m', 60}, {'h', 60 * 60}, {'d', 24 * 60 * 60}};
  unsigned unit = 1;
  uint64_t number;
  char *end;

  if (!g_ascii_isdigit(*text))
    return false;
  number = g_ascii_strtoull(text, &end, 10);
  if (*end) {
    unit = 0;
    for (unsigned i = 0; i < G_N_ELEMENTS(units); i++)
      if (*end == units[i].letter && !end[1])
        unit = units[i].seconds;
  }
  if (!unit || !number || number > MAX_DURATION / unit)
    return false;
  *seconds = (unsigned)number * unit;
  return true;
}

/* ---- Options ------------------------------------------------------------- */

static int
find_option(const Verb *verb, const char *name, size_t len)
{
  for (unsigned i = 0; i < option_count(verb); i++)
    if (strlen(verb->options[i].name) == len &&
        strncmp(verb->options[i].name, name, len) == 0)
      return (int)i;
  return -1;
}

static int
find_letter(const Verb *verb, char letter)
{
  for (unsigned i = 0; i < option_count(verb); i++)
    if (verb->options[i].letter == letter)
      return (int)i;
  return -1;
}

static bool
unknown_option(const Call *call, const char *word)
{
  g_autofree char *shown = visible(word, -1, false);
  g_autofree char *name = g_strndup(word, strcspn(word, "="));
  const char *names[MAX_OPTIONS];
  unsigned n = option_count(call->verb);
  const char *near;

  for (unsigned i = 0; i < n; i++)
    names[i] = call->verb->options[i].name;
  near = nearest_word(name + strspn(name, "-"), names, n);
  if (near)
    complain(call,
             CLI_USAGE,
             "there is no option %s here; did you mean --%s?",
             shown,
             near);
  else
    complain(call,
             CLI_USAGE,
             "there is no option %s here; see hoop-agent %s --help",
             shown,
             call->verb->name);
  return false;
}

/* One option at words[*at]; a value may stand in the next word. */
static bool
take_option(Call *call, char **words, unsigned n_words, unsigned *at)
{
  const char *word = words[*at];
  const char *equals = strchr(word, '=');
  const VerbOption *option;
  int index;

  if (word[1] == '-')
    index =
        find_option(call->verb,
                    word + 2,
                    equals ? (size_t)(equals - word) - 2 : strlen(word + 2));
  else
    index = word[2] ? -1 : find_letter(call->verb, word[1]);
  if (index < 0)
    return unknown_option(call, word);
  option = &call->verb->options[index];
  if (call->values[index]) {
    complain(call, CLI_USAGE, "--%s stands twice", option->name);
    return false;
  }
  if (!option->value && equals) {
    complain(call, CLI_USAGE, "--%s takes no value", option->name);
    return false;
  }
  if (!option->value)
    call->values[index] = "";
  else if (equals)
    call->values[index] = equals + 1;
  else if (*at + 1 < n_words)
    call->values[index] = words[++*at];
  if (call->values[index])
    return true;
  complain(call,
           CLI_USAGE,
           "--%s needs a value: --%s %s",
           option->name,
           option->name,
           option->value);
  return false;
}

/* ---- Arguments ----------------------------------------------------------- */

static bool
first_word_known(const Call *call)
{
  g_auto(GStrv) words = g_strsplit(call->verb->words, "|", -1);
  g_autofree char *shown = NULL;
  const char *near;

  if (g_strv_contains((const char *const *)words, call->args[0]))
    return true;
  near = nearest_word(
      call->args[0], (const char *const *)words, g_strv_length(words));
  shown = visible(call->args[0], -1, false);
  if (near)
    complain(call,
             CLI_USAGE,
             "this version has no `%s %s`; did you mean `%s %s`?",
             call->verb->name,
             shown,
             call->verb->name,
             near);
  else
    complain(call,
             CLI_USAGE,
             "this version has no `%s %s`; it has: %s",
             call->verb->name,
             shown,
             call->verb->words);
  return false;
}

/* `only` is one word, or several with | between. */
static bool
goes_with(const Call *call, const char *only)
{
  g_auto(GStrv) words = g_strsplit(only, "|", -1);

  return call->n_args &&
         g_strv_contains((const char *const *)words, call->args[0]);
}

/* An option of `list` says nothing to `show`. */
static bool
options_go_with(const Call *call)
{
  for (unsigned i = 0; i < option_count(call->verb); i++) {
    const VerbOption *option = &call->verb->options[i];

    if (!call->values[i] || !option->only || goes_with(call, option->only))
      continue;
    complain(call,
             CLI_USAGE,
             "--%s goes with `%s %s` only",
             option->name,
             call->verb->name,
             option->only);
    return false;
  }
  return true;
}

static bool
arguments_fit(const Call *call)
{
  const Verb *verb = call->verb;

  if (call->n_args < verb->least || call->n_args > verb->most) {
    complain(call,
             CLI_USAGE,
             "%s; usage: hoop-agent %s %s",
             call->n_args < verb->least ? "something is missing"
                                        : "too many arguments",
             verb->name,
             verb->arguments);
    return false;
  }
  return (!verb->words || !call->n_args || first_word_known(call)) &&
         options_go_with(call);
}

bool
call_parse(const Verb *verb, char **words, unsigned n_words, Call *call)
{
  bool options = true;

  *call = (Call){.verb = verb, .args = g_new0(char *, n_words + 1)};
  for (unsigned i = 0; i < n_words; i++) {
    if (options && strcmp(words[i], "--") == 0) {
      options = false;
    } else if (options && words[i][0] == '-' && words[i][1]) {
      if (!take_option(call, words, n_words, &i))
        return false;
    } else {
      call->args[call->n_args++] = words[i];
    }
  }
  return arguments_fit(call);
}

void
call_clear(Call *call)
{
  g_clear_pointer(&call->args, g_free);
}

const char *
call_value(const Call *call, const char *option)
{
  int index = find_option(call->verb, option, strlen(option));

  if (index < 0)
    g_error("%s has no option %s", call->verb->name, option);
  return call->values[index];
}

bool
call_has(const Call *call, const char *option)
{
  return call_value(call, option) != NULL;
}
