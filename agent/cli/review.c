/* SPDX-License-Identifier: Apache-2.0 */
/* review: one waiting request as it would go out, with nothing in it that
 * could act on the terminal or hide from the eye. */
#include "cli/verb.h"
#include "kit/clock.h"
#include "sheet/sheet.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A reason of two lines is enough. */
#define MAX_LINE 512

static const char *
text(GVariant *review, const char *key)
{
  const char *value = NULL;

  g_variant_lookup(review, key, "&s", &value);
  return value;
}

static bool
flag(GVariant *review, const char *key)
{
  gboolean set = FALSE;

  g_variant_lookup(review, key, "b", &set);
  return set;
}

static bool
can_mask(GVariant *review)
{
  return flag(review, "can_mask");
}

/* Told by more than colour: labels and codes stand in the text itself. */
static Ink
ink_of(SheetStyle style)
{
  switch (style) {
  case SHEET_HEADING:
    return INK_BOLD;
  case SHEET_FINDING:
  case SHEET_HIDDEN:
  case SHEET_GAP:
    return INK_RED;
  case SHEET_SENT:
  case SHEET_MASKED:
    return INK_GREEN;
  case SHEET_DETAIL:
  case SHEET_LABEL:
    return INK_DIM;
  case SHEET_PLAIN:
    break;
  }
  return INK_PLAIN;
}

static void
say_body(const char *heading, const SheetText *text)
{
  printf("\n%s---- %s%s\n", ink(INK_BOLD), heading, ink(INK_PLAIN));
  for (unsigned i = 0; i < text->runs->len; i++) {
    const SheetRun *run = &g_array_index(text->runs, SheetRun, i);

    fputs(ink(ink_of(run->style)), stdout);
    fwrite(text->text->str + run->start, 1, run->end - run->start, stdout);
    fputs(ink(INK_PLAIN), stdout);
  }
}

static void
say(Sheet *sheet, bool masked_only)
{
  const int64_t now = clock_wall_us();
  const GPtrArray *rows = sheet_rows(sheet, now);
  g_autofree char *left =
      sheet_time_left(sheet_time(sheet, "deadline_us") - now, NULL);
  g_autofree char *absent = sheet_left_out(sheet);

  printf("%-11s %s\n", "request", sheet_get(sheet, "id"));
  for (unsigned i = 0; i < rows->len; i++) {
    const SheetRow *row = rows->pdata[i];

    printf("%-11s %s\n", row->label, row->value);
  }
  printf("%-11s %u\n%-11s %s, then the answer is no\n",
         "findings",
         (unsigned)sheet_time(sheet, "findings"),
         "time",
         left);
  if (absent)
    printf("%-11s %s\n", "not shown", absent);
  if (!masked_only)
    say_body("as it would go out", sheet_text(sheet, false));
  if (sheet_flag(sheet, "can_mask"))
    say_body("as `approve --masked` would send it", sheet_text(sheet, true));
}

static void
say_verbs(GVariant *review)
{
  printf("\nhoop-agent approve %s%s, or hoop-agent deny %s\n",
         text(review, "id"),
         can_mask(review) ? " [--masked]" : "",
         text(review, "id"));
}

/* ---- Answering -----------------------------------------------------------
 */

static unsigned
extensions(GVariant *review)
{
  guint32 n = 0;

  g_variant_lookup(review, "extensions", "u", &n);
  return n;
}

static bool
is(const char *word, const char *whole, const char *letter)
{
  return g_str_equal(word, whole) || g_str_equal(word, letter);
}

/* One line as a word and what is behind it, in `typed`. */
static char *
read_word(char typed[MAX_LINE], char **rest)
{
  char *word;

  if (!fgets(typed, MAX_LINE, stdin))
    typed[0] = '\0';
  word = g_strstrip(typed);
  *rest = word + strcspn(word, " \t");
  if (**rest)
    *(*rest)++ = '\0';
  *rest = g_strstrip(*rest);
  return word;
}

/* The word that lets the prompt go as it is must be written out: a key hit by
 * accident, or an empty line, leaves it waiting. */
static int
ask(const Call *call, HoopAgent1 *agent, GVariant *review, bool masked_only)
{
  const bool maskable = can_mask(review);
  unsigned more = extensions(review);
  char typed[MAX_LINE];
  char *word, *rest;

  for (;;) {
    printf("\n%sAnswer%s: deny [reason]%s%s%s, or nothing to leave it "
           "waiting: ",
           ink(INK_BOLD),
           ink(INK_PLAIN),
           more ? ", more (time)" : "",
           maskable ? ", masked" : "",
           masked_only ? "" : ", approve");
    fflush(stdout);
    word = read_word(typed, &rest);
    if (!more || !g_str_equal(word, "more"))
      break;
    if (extend_shown(call, agent, review) != CLI_DONE)
      return CLI_FOUND;
    more--;
  }
  if (is(word, "deny", "d"))
    return answer_shown(call, agent, review, "deny", rest, NULL);
  if (maskable && is(word, "masked", "m"))
    return answer_shown(call, agent, review, "approve-masked", rest, NULL);
  if (!masked_only && g_str_equal(word, "approve"))
    return answer_shown(call, agent, review, "approve", rest, NULL);
  puts(*word ? "That is no answer: it still waits." : "It still waits.");
  say_verbs(review);
  return CLI_DONE;
}

int
verb_review(const Call *call)
{
  int code = CLI_DONE;
  g_autoptr(HoopAgent1) agent = daemon_connect(call, &code);
  g_autofree char *id =
      agent ? pending_id(call, agent, call->args[0], &code) : NULL;
  g_autoptr(GVariant) review = NULL;
  g_autoptr(Sheet) sheet = NULL;
  g_autoptr(GError) error = NULL;

  if (!id)
    return code;
  if (!hoop_agent1_call_review_sync(agent, id, &review, NULL, &error))
    return complain_error(call, error);
  if (call_has(call, "json")) {
    print_json(variant_to_json(review));
    return CLI_DONE;
  }
  sheet = sheet_new(review);
  say(sheet, call_has(call, "masked"));
  if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
    return ask(call, agent, review, call_has(call, "masked"));
  say_verbs(review);
  return CLI_DONE;
}
