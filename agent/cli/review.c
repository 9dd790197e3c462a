/* SPDX-License-Identifier: Apache-2.0 */
/* review: one waiting request as it would go out, with nothing in it that
 * could act on the terminal or hide from the eye. */
#include "cli/verb.h"
#include "kit/clock.h"
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

static void
line(const char *name, const char *value)
{
  g_autofree char *shown = visible(value ?: "unknown", -1, false);

  printf("%-11s %s\n", name, shown);
}

/* Who is asked next and when, and what an approval takes. */
static void
say_next(GVariant *review)
{
  g_autofree const char **next = NULL;
  g_autofree char *names = NULL;
  gint64 when = 0;

  g_variant_lookup(review, "escalate_to", "^a&s", &next);
  g_variant_lookup(review, "escalate_us", "x", &when);
  if (when && next) {
    g_autofree char *left = span_text(when - clock_wall_us());
    g_autofree char *both = NULL;

    names = g_strjoinv(", ", (char **)next);
    both = g_strdup_printf("%s, in %s", names, left);
    line("asked next", both);
  }
  if (text(review, "risk") && !g_str_equal(text(review, "risk"), "normal"))
    line("risk", text(review, "risk"));
  if (flag(review, "presence"))
    line("approving", "asks for your password or fingerprint");
  if (flag(review, "needs_reason"))
    line("reason", "wanted with an approval");
}

static void
say_rules(GVariant *review)
{
  g_autofree const char **rules = NULL;
  g_autofree const char **messages = NULL;
  g_autofree const char **approvers = NULL;
  g_autofree char *asked = NULL;

  g_variant_lookup(review, "rules", "^a&s", &rules);
  g_variant_lookup(review, "messages", "^a&s", &messages);
  g_variant_lookup(review, "approvers", "^a&s", &approvers);
  for (unsigned i = 0; rules && rules[i]; i++) {
    const char *message =
        messages && i < g_strv_length((char **)messages) ? messages[i] : "";
    g_autofree char *both =
        g_strconcat(rules[i], *message ? ": " : "", message, NULL);

    line("asked by", both);
  }
  asked = approvers ? g_strjoinv(", ", (char **)approvers) : NULL;
  line("who answers", asked);
  say_next(review);
}

static void
say_body(const char *heading, const char *body)
{
  g_autofree char *shown = visible(body, -1, true);

  printf("\n%s---- %s%s\n%s%s",
         ink(INK_BOLD),
         heading,
         ink(INK_PLAIN),
         shown,
         g_str_has_suffix(shown, "\n") ? "" : "\n");
}

static void
say(GVariant *review, bool masked_only)
{
  g_autofree char *left = NULL;
  gint64 deadline = 0;
  guint32 findings = 0;

  g_variant_lookup(review, "deadline_us", "x", &deadline);
  g_variant_lookup(review, "findings", "u", &findings);
  left = span_text(deadline - clock_wall_us());
  line("request", text(review, "id"));
  line("client", text(review, "client"));
  line("process", text(review, "process"));
  line("to", text(review, "host"));
  line("model", text(review, "model"));
  say_rules(review);
  printf("%-11s %u\n%-11s %s, then the answer is no\n",
         "findings",
         findings,
         "time left",
         left);
  if (!masked_only && text(review, "text"))
    say_body("as it would go out", text(review, "text"));
  if (can_mask(review) && text(review, "masked_text"))
    say_body("as `approve --masked` would send it",
             text(review, "masked_text"));
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
  g_autoptr(GError) error = NULL;

  if (!id)
    return code;
  if (!hoop_agent1_call_review_sync(agent, id, &review, NULL, &error))
    return complain_error(call, error);
  if (call_has(call, "json")) {
    print_json(variant_to_json(review));
    return CLI_DONE;
  }
  say(review, call_has(call, "masked"));
  if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
    return ask(call, agent, review, call_has(call, "masked"));
  say_verbs(review);
  return CLI_DONE;
}
