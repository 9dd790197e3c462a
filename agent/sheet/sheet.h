/* SPDX-License-Identifier: Apache-2.0 */
/* What a person is shown of a request that waits, whatever shows it: who asks,
 * the text with its findings, what they must have seen before they may say yes,
 * and the words for times and scopes. No toolkit, no bus. One thread. */
#ifndef HOOP_SHEET_H
#define HOOP_SHEET_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct sheet Sheet;
/* `review`: a{sv} as io.hoop.Agent1.Review gives it; a reference is kept. What
 * it lacks is not shown; what does not fit together is shown without marks. */
Sheet *sheet_new(GVariant *review);
/* The same request as it was told again: its times and who is asked; the text
 * stays. A reference is kept; strings of sheet_get() end. */
void sheet_follow(Sheet *sheet, GVariant *review);
/* Wipes the text. Accepts NULL. */
void sheet_free(Sheet *sheet);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Sheet, sheet_free)

/* Strings of the review, "" where they are absent; and its flags. */
const char *sheet_get(const Sheet *sheet, const char *key);
bool sheet_flag(const Sheet *sheet, const char *key);
int64_t sheet_time(const Sheet *sheet, const char *key); /* x or u; or 0 */

/* ---- Who asks, and why it waits ------------------------------------------ */

typedef struct {
  char *label, *value; /* one line each, harmless, the value of 400 characters
                          at most */
} SheetRow;
/* Of SheetRow, in the order in which they are read; now_us: wall clock. */
const GPtrArray *sheet_rows(Sheet *sheet, int64_t now_us);
/* One line of text from outside, everything that is hidden made visible, with
 * an ellipsis after `max` characters. g_free. */
char *sheet_line(const char *text, unsigned max);

/* ---- The text -------------------------------------------------------------
 */

typedef enum {
  SHEET_PLAIN,
  SHEET_HEADING, /* what the following is to the API */
  SHEET_DETAIL,  /* the keys that lead to it */
  SHEET_FINDING,
  SHEET_SENT,   /* what "approve masked" sends in place of a finding */
  SHEET_MASKED, /* a mask, whatever is answered */
  SHEET_LABEL,  /* a finding's number and rules */
  SHEET_HIDDEN, /* a character that nobody would see, as its code */
  SHEET_GAP     /* something is not shown here */
} SheetStyle;

typedef struct {
  SheetStyle style;
  unsigned finding; /* from 1: of this finding; else 0 */
  size_t start, end;
} SheetRun;

typedef struct {
  GString *text; /* valid UTF-8 without anything that acts on what shows it but
                    line ends and tabs */
  GArray *runs;  /* SheetRun, one after the other, all of the text */
} SheetText;
/* As it would go, or as "approve masked" would send it. Tool calls' JSON is
 * laid out over lines; lines of more than 4,000 bytes are broken. */
const SheetText *sheet_text(Sheet *sheet, bool masked);

/* ---- Seen, and answered ----------------------------------------------------
 */

/* Nobody reads a prompt in less; a click meant for something else comes
 * sooner. */
#define SHEET_LOOK_US ((int64_t)1200 * 1000)

unsigned sheet_findings(const Sheet *sheet);
void sheet_see(Sheet *sheet, unsigned finding); /* from 1 */
bool sheet_saw(const Sheet *sheet, unsigned finding);
unsigned sheet_unseen(const Sheet *sheet);
/* What is not shown, a sentence (g_free); NULL: all is. */
char *sheet_left_out(const Sheet *sheet);
void sheet_acknowledge(Sheet *sheet, bool acknowledged);
/* Why it cannot be approved yet, a sentence (g_free), or NULL: it can. look_us:
 * for how long it has been shown. */
char *sheet_why_not(const Sheet *sheet, int64_t look_us, const char *reason);

/* ---- Words; all g_free ----------------------------------------------------
 */

/* "about 2 minutes left"; *next_us: after how long it will say something else
 * (NULL: not asked). */
char *sheet_time_left(int64_t left_us, int64_t *next_us);
/* What a yes (`deny`: a no) of this length would be for, from now on: "Requests
 * that rule x holds, from copilot-cli as anna, on copilot, until 14:32".
 * seconds 0: in this conversation. */
char *sheet_scope(const Sheet *sheet, int64_t now_us, unsigned seconds);
/* How it ended: outcome and who as the signal Decided tells them. */
char *sheet_ended(const char *outcome, const char *who);

#endif
