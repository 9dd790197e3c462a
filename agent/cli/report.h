/* SPDX-License-Identifier: Apache-2.0 */
/* What scan says of files: to people, or to other programs. Private. */
#ifndef HOOP_CLI_REPORT_H
#define HOOP_CLI_REPORT_H

#include "cli/hits.h"
#include "cli/verb.h"

typedef struct {
  unsigned files, found_in, findings; /* read; with findings; not known */
  uint64_t bytes;
  unsigned known, allowed; /* findings: in the baseline, marked */
  unsigned binary, links, special, ignored; /* passed over */
  unsigned unread;                          /* could not be read */
  int signal;                               /* that ended it, or 0 */
  int64_t began_us;                         /* on the monotonic clock */
  unsigned *by_rule;                        /* findings, by rule index */
} ScanTotals;

typedef struct report Report;

/* Each prints as it comes; nothing is kept but what stands at the end. */
typedef struct {
  void (*begin)(Report *report);
  void (*hit)(Report *report, const char *name, const Hit *hit);
  void (*unread)(Report *report, const char *name, const char *why);
  void (*end)(Report *report, const ScanTotals *totals, int code);
} ReportKind;

extern const ReportKind report_people, report_json, report_sarif;

struct report {
  const ReportKind *kind;
  RulePack *pack;
  const bool *wanted;  /* by rule index; NULL: all */
  unsigned n;          /* hits so far */
  unsigned n_unread;   /* notes so far */
  GString *notes;      /* SARIF: notifications, JSON */
  unsigned *positions; /* SARIF: of rules in the driver's list */
};
/* `pack` and `wanted` must outlive it. */
void report_init(Report *report,
                 const ReportKind *kind,
                 RulePack *pack,
                 const bool *wanted);
void report_clear(Report *report);

/* The summary for people, on standard error. */
void report_summary(const RulePack *pack, const ScanTotals *totals);

/* What stands for standard input in place of a path. */
#define STDIN_NAME "<stdin>"
/* A path as a URI reference: relative to the current folder when it is below
 * it, else with file:; "stdin:" for STDIN_NAME. g_free. */
char *report_uri(const char *name);
/* "error" for secrets, "warning" for the rest: SARIF's levels. */
const char *report_level(const DetectorRule *rule);
/* Appends ,"NAME":"TEXT" or, with first, without the comma. */
void report_member(GString *out,
                   bool first,
                   const char *name,
                   const char *text);

#endif
