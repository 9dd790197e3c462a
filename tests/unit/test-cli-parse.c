/* SPDX-License-Identifier: Apache-2.0 */
/* Command lines: options, arguments, durations, and near misses. */
#include "cli/verb.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- Durations and near words --------------------------------------------
 */

static void
test_durations(void)
{
  static const struct {
    const char *text;
    unsigned seconds; /* 0: refused */
  } cases[] = {
      {"90s", 90},
      {"10m", 600},
      {"2h", 7200},
      {"1d", 86400},
      {"45", 45},
      {"1s", 1},
      {"365d", 31536000},
      {"0", 0},
      {"0s", 0},
      {"", 0},
      {"m", 0},
      {"-5m", 0},
      {"+5m", 0},
      {"5 m", 0},
      {"5m ", 0},
      {"5mm", 0},
      {"5w", 0},
      {"1.5h", 0},
      {"1h30m", 0},
      {"366d", 0},
      {"0x10", 0},
      {" 5m", 0},
      {"99999999999999999999s", 0},
      {"4294967297m", 0},
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
    unsigned seconds = 7;
    bool fine = duration_parse(cases[i].text, &seconds);

    g_test_message("%s", cases[i].text);
    g_assert_cmpint(fine, ==, cases[i].seconds != 0);
    g_assert_cmpuint(seconds, ==, fine ? cases[i].seconds : 7);
  }
}

static void
test_nearest(void)
{
  static const char *const words[] = {
      "serve", "status", "pending", "approve", "deny", "scan"};
  static const struct {
    const char *word, *near;
  } cases[] = {
      {"aprove", "approve"},
      {"stauts", "status"},
      {"Serve", "serve"},
      {"pendnig", "pending"},
      {"scna", "scan"},
      {"login", NULL},
      {"x", NULL},
      {"", NULL},
      {"a-word-that-is-much-longer-than-any-verb-of-this-table-could-ever-be-x",
       NULL},
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++)
    g_assert_cmpstr(nearest_word(cases[i].word, words, G_N_ELEMENTS(words)),
                    ==,
                    cases[i].near);
}

/* ---- Calls ---------------------------------------------------------------
 */

static const Verb plain = {.name = "plain",
                           .arguments = "ONE [TWO]",
                           .least = 1,
                           .most = 2,
                           .options = {{.name = "json"},
                                       {.name = "follow", .letter = 'f'},
                                       {.name = "reason", .value = "TEXT"}}};
static const Verb worded = {
    .name = "worded",
    .arguments = "list|show ID",
    .least = 1,
    .most = 2,
    .words = "list|show",
    .options = {{.name = "limit", .value = "N", .only = "list"}}};

/* What parsing the words (blank between them) says on standard error, or NULL
 * when it is fine. */
static char *
parse(const Verb *verb, const char *line, Call *call, char ***words)
{
  g_autofree char *path = NULL;
  int fd = g_file_open_tmp("test-cli-parse-XXXXXX", &path, NULL);
  int before = dup(STDERR_FILENO);
  char *said = NULL;
  bool fine;

  *words = g_strsplit(line, " ", -1);
  fflush(stderr);
  dup2(fd, STDERR_FILENO);
  fine = call_parse(verb, *words, g_strv_length(*words), call);
  fflush(stderr);
  dup2(before, STDERR_FILENO);
  close(before);
  close(fd);
  g_file_get_contents(path, &said, NULL, NULL);
  unlink(path);
  if (fine) {
    g_assert_cmpstr(said, ==, "");
    g_clear_pointer(&said, g_free);
  }
  return said;
}

static void
test_calls(void)
{
  static const char *const lines[] = {
      "a --json -f --reason why b",
      "--reason=why a b -f --json",
      "-f --json --reason why -- a b",
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(lines); i++) {
    g_auto(Call) call = {0};
    g_auto(GStrv) words = NULL;
    g_autofree char *said = parse(&plain, lines[i], &call, &words);

    g_assert_null(said);
    g_assert_cmpuint(call.n_args, ==, 2);
    g_assert_cmpstr(call.args[0], ==, "a");
    g_assert_cmpstr(call.args[1], ==, "b");
    g_assert_null(call.args[2]);
    g_assert_true(call_has(&call, "json") && call_has(&call, "follow"));
    g_assert_cmpstr(call_value(&call, "reason"), ==, "why");
  }
}

static void
test_dashes(void)
{
  g_auto(Call) call = {0};
  g_auto(GStrv) words = NULL;
  g_autofree char *said = parse(&plain, "- -- --json", &call, &words);

  g_assert_null(said);
  g_assert_cmpstr(call.args[0], ==, "-");
  g_assert_cmpstr(call.args[1], ==, "--json");
  g_assert_false(call_has(&call, "json"));
}

static void
test_wrong_calls(void)
{
  static const struct {
    const Verb *verb;
    const char *line, *said;
  } cases[] = {
      {&plain,
       "a --jsno",
       "there is no option --jsno here; did you mean --json?"},
      {&plain,
       "a --zebra=1",
       "there is no option --zebra=1 here; see hoop-agent plain --help"},
      {&plain, "a -x", "there is no option -x here"},
      {&plain, "a -fx", "there is no option -fx here"},
      {&plain, "a --json --json", "--json stands twice"},
      {&plain, "a --json=1", "--json takes no value"},
      {&plain, "a --reason", "--reason needs a value: --reason TEXT"},
      {&plain, "--json", "something is missing; usage: hoop-agent plain ONE"},
      {&plain, "a b c", "too many arguments"},
      {&worded,
       "lsit",
       "this version has no `worded lsit`; did you mean `worded list`?"},
      {&worded, "zebra", "it has: list|show"},
      {&worded, "show --limit 5", "--limit goes with `worded list` only"},
      {&plain, "a --\033[31mred", "there is no option --^[[31mred here"},
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_auto(Call) call = {0};
    g_auto(GStrv) words = NULL;
    g_autofree char *said = parse(cases[i].verb, cases[i].line, &call, &words);

    g_test_message("%s", cases[i].line);
    g_assert_nonnull(said);
    g_assert_nonnull(strstr(said, cases[i].said));
  }
}

/* ---- The table -----------------------------------------------------------
 */

static void
test_table(void)
{
  unsigned n;
  const Verb *verbs = verb_table(&n);

  g_assert_cmpuint(n, >=, 19);
  for (unsigned i = 0; i < n; i++) {
    const Verb *verb = &verbs[i];

    g_assert_true(verb_find(verb->name) == verb);
    g_assert_cmpuint(verb->least, <=, verb->most);
    g_assert_true(g_str_has_suffix(verb->help, "."));
    g_assert_cmpuint(strlen(verb->help), <=, 60);
    /* The last place ends the list. */
    for (unsigned j = 0; j < MAX_OPTIONS && verb->options[j].name; j++)
      for (unsigned k = 0; k < j; k++)
        g_assert_cmpstr(verb->options[j].name, !=, verb->options[k].name);
  }
  g_assert_null(verb_find("conquer"));
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/cli/durations", test_durations);
  g_test_add_func("/cli/nearest", test_nearest);
  g_test_add_func("/cli/calls", test_calls);
  g_test_add_func("/cli/dashes", test_dashes);
  g_test_add_func("/cli/wrong-calls", test_wrong_calls);
  g_test_add_func("/cli/table", test_table);
  return g_test_run();
}
