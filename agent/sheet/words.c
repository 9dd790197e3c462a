/* SPDX-License-Identifier: Apache-2.0 */
/* Who asks and why it waits, in rows; times and scopes, in words. */
#include "kit/visible.h"
#include "sheet/private.h"
#include <string.h>

#define MAX_VALUE 400
#define MAX_RULES 8
#define SECOND ((int64_t)G_USEC_PER_SEC)
#define MINUTE (60 * SECOND)

char *
sheet_line(const char *text, unsigned max)
{
  GString *out = g_string_new(NULL);
  const char *end = text + strlen(text);
  unsigned n = 0;

  for (; text < end && n < max; n++) {
    const gunichar c = g_utf8_get_char_validated(text, end - text);

    if (c == (gunichar)-1 || c == (gunichar)-2) {
      g_string_append_printf(out, "<%02X>", (unsigned)(guchar)*text++);
      continue;
    }
    if (char_is_hidden(c) || g_unichar_ismark(c))
      char_append_visible(out, c);
    else
      g_string_append_unichar(out, c);
    text = g_utf8_next_char(text);
  }
  if (text < end)
    g_string_append(out, "…");
  return g_string_free(out, FALSE);
}

/* ---- Rows ------------------------------------------------------------------
 */

static void
row_free(void *data)
{
  SheetRow *row = data;

  g_free(row->label);
  g_free(row->value);
  g_free(row);
}

static void
add_row(Sheet *sheet, const char *label, const char *value)
{
  SheetRow *row;

  if (!*value)
    return;
  row = g_new0(SheetRow, 1);
  row->label = g_strdup(label);
  row->value = sheet_line(value, MAX_VALUE);
  g_ptr_array_add(sheet->rows, row);
}

/* g_strfreev; empty where it is absent. */
static char **
strings(const Sheet *sheet, const char *key)
{
  char **list = NULL;

  if (!g_variant_lookup(sheet->state, key, "^as", &list))
    list = g_new0(char *, 1);
  return list;
}

/* Each once. g_free. */
static char *
joined(char **list, const char *between)
{
  GString *out = g_string_new(NULL);

  for (unsigned i = 0; list[i]; i++) {
    bool said = false;

    for (unsigned j = 0; j < i && !said; j++)
      said = g_str_equal(list[i], list[j]);
    if (!said)
      g_string_append_printf(out, "%s%s", out->len ? between : "", list[i]);
    if (out->len > MAX_VALUE * 4)
      break;
  }
  return g_string_free(out, FALSE);
}

static void
add_person(Sheet *sheet)
{
  g_auto(GStrv) groups = strings(sheet, "groups");
  g_autofree char *list = joined(groups, ", ");
  g_autofree char *both =
      *list ? g_strdup_printf("%s (%s)", sheet_get(sheet, "user"), list)
            : g_strdup(sheet_get(sheet, "user"));

  add_row(sheet, "user", both);
}

static void
add_rules(Sheet *sheet)
{
  g_auto(GStrv) rules = strings(sheet, "rules");
  g_auto(GStrv) messages = strings(sheet, "messages");

  for (unsigned i = 0; i < MAX_RULES && rules[i]; i++) {
    const char *message =
        i < g_strv_length(messages) && *messages[i] ? messages[i] : NULL;
    g_autofree char *both =
        g_strconcat(rules[i], message ? ": " : NULL, message, NULL);

    add_row(sheet, "asked by", both);
  }
  if (g_strv_length(rules) > MAX_RULES) {
    g_autofree char *more =
        g_strdup_printf("%u more rules", g_strv_length(rules) - MAX_RULES);

    add_row(sheet, "and by", more);
  }
}

static void
add_answers(Sheet *sheet, int64_t now_us)
{
  g_auto(GStrv) approvers = strings(sheet, "approvers");
  g_auto(GStrv) next = strings(sheet, "escalate_to");
  g_auto(GStrv) answered = strings(sheet, "answered");
  const int64_t when = sheet_time(sheet, "escalate_us");
  g_autofree char *who = joined(approvers, ", ");
  g_autofree char *later = joined(next, ", ");
  g_autofree char *yes = joined(answered, ", ");

  add_row(sheet, "who answers", who);
  if (*later && (when > now_us || sheet_flag(sheet, "escalated"))) {
    g_autofree char *text =
        sheet_flag(sheet, "escalated")
            ? g_strdup_printf("%s, by now", later)
            : g_strdup_printf("%s, if nobody answers", later);

    add_row(sheet, "asked next", text);
  }
  add_row(sheet, "said yes", yes);
}

static void
add_terms(Sheet *sheet)
{
  const char *risk = sheet_get(sheet, "risk");
  const unsigned waiting = (unsigned)sheet_time(sheet, "waiting");

  if (*risk && !g_str_equal(risk, "normal"))
    add_row(sheet, "risk", risk);
  if (sheet_flag(sheet, "presence"))
    add_row(sheet, "approving", "asks for your password or fingerprint");
  if (sheet_flag(sheet, "needs_reason"))
    add_row(sheet, "reason", "wanted with an approval");
  if (waiting > 1) {
    g_autofree char *text =
        g_strdup_printf("%u equal requests; the answer is for all", waiting);

    add_row(sheet, "waiting", text);
  }
}

const GPtrArray *
sheet_rows(Sheet *sheet, int64_t now_us)
{
  const char *connection = sheet_get(sheet, "connection");
  g_autofree char *to = g_strdup_printf("%s%s%s%s",
                                        sheet_get(sheet, "host"),
                                        *connection ? " (connection " : "",
                                        connection,
                                        *connection ? ")" : "");

  g_clear_pointer(&sheet->rows, g_ptr_array_unref);
  sheet->rows = g_ptr_array_new_with_free_func(row_free);
  add_person(sheet);
  add_row(sheet, "client", sheet_get(sheet, "client"));
  add_row(sheet, "process", sheet_get(sheet, "process"));
  add_row(sheet, "to", to);
  add_row(sheet, "model", sheet_get(sheet, "model"));
  add_rules(sheet);
  add_answers(sheet, now_us);
  add_terms(sheet);
  return sheet->rows;
}

/* ---- Times and scopes ------------------------------------------------------
 */

/* From how much time on it is said; the last holds to the end. */
static const struct {
  int64_t from;
  const char *text;
} soon[] = {
    {75 * SECOND, "about a minute and a half left"},
    {45 * SECOND, "about 1 minute left"},
    {20 * SECOND, "about half a minute left"},
    {5 * SECOND, "some seconds left"},
    {1, "no time left to speak of"},
};

char *
sheet_time_left(int64_t left_us, int64_t *next_us)
{
  const int64_t minutes = (left_us + MINUTE / 2) / MINUTE;
  int64_t ignored = 0;

  next_us = next_us ? next_us : &ignored;
  *next_us = 0;
  if (left_us <= 0)
    return g_strdup("the time is over");
  if (minutes >= 90) {
    const int64_t hours = (minutes + 30) / 60;

    *next_us = left_us - (hours * 60 - 30) * MINUTE + MINUTE / 2 + 1;
    return g_strdup_printf("about %d hours left", (int)hours);
  }
  if (minutes >= 2 && left_us >= 105 * SECOND) {
    *next_us = left_us - MAX(minutes * MINUTE - MINUTE / 2, 105 * SECOND) + 1;
    return g_strdup_printf("about %d minutes left", (int)minutes);
  }
  for (unsigned i = 0; i < G_N_ELEMENTS(soon); i++)
    if (left_us >= soon[i].from) {
      *next_us = left_us - soon[i].from + 1;
      return g_strdup(soon[i].text);
    }
  return g_strdup("the time is over");
}

char *
sheet_scope(const Sheet *sheet, int64_t now_us, unsigned seconds)
{
  g_auto(GStrv) list = strings(sheet, "rules");
  g_autofree char *rules = joined(list, " or ");
  g_autofree char *raw =
      g_strdup_printf("Requests that rule %s holds, from %s as %s, on %s",
                      rules,
                      sheet_get(sheet, "client"),
                      sheet_get(sheet, "user"),
                      sheet_get(sheet, "connection"));
  g_autofree char *said = sheet_line(raw, MAX_VALUE);
  g_autoptr(GDateTime) until = NULL;
  g_autofree char *clock = NULL;

  if (seconds == 0)
    return g_strdup_printf("%s, in this conversation", said);
  until = g_date_time_new_from_unix_local(now_us / SECOND + seconds);
  clock = until ? g_date_time_format(until, "%H:%M") : g_strdup("?");
  return g_strdup_printf("%s, until %s", said, clock);
}

char *
sheet_ended(const char *outcome, const char *who)
{
  static const struct {
    const char *outcome, *text, *by;
  } ends[] = {
      {"approved", "Approved", " by "},
      {"approved-masked", "Approved masked", " by "},
      {"denied", "Denied", " by "},
      {"timeout", "Nobody answered in time, so it was denied", NULL},
      {"withdrawn", "The program that asked went away; nothing was sent", NULL},
      {"refused", "The agent ended, so it was denied; nothing was sent", NULL},
  };
  g_autofree char *name = sheet_line(who, 100);

  for (unsigned i = 0; i < G_N_ELEMENTS(ends); i++)
    if (g_str_equal(outcome, ends[i].outcome))
      return g_strdup_printf("%s%s%s.",
                             ends[i].text,
                             ends[i].by && *name ? ends[i].by : "",
                             ends[i].by ? name : "");
  return g_strdup("It does not wait any more.");
}
