/* SPDX-License-Identifier: Apache-2.0 */
/* The detector as the verbs scan and policy use it, without the daemon; what
 * the files of scan share. Private. */
#ifndef HOOP_CLI_SCAN_H
#define HOOP_CLI_SCAN_H

#include "cli/verb.h"
#include "inspect/inspect.h"

typedef struct {
  RulePack *pack;
  Detector *detector;
  DetectorScratch *scratch;
  Masker *masker;
  bool own_keys; /* the user's: its masks and fingerprints are the daemon's */
} Scanner;

/* Loads the rule pack, with those rules on that are named (as
 * policy_named_findings() does; NULL: none), and the user's mask keys (random
 * ones where the daemon has made none yet). False after having complained into
 * *code. */
bool scanner_init(const Call *call,
                  const Config *config,
                  const char *const *named,
                  Scanner *scanner,
                  int *code);
void scanner_clear(Scanner *scanner);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Scanner, scanner_clear)

typedef struct {
  char *rule;
  size_t start, end;
} Found;

/* What one text holds, and the text with all of it masked. */
typedef struct {
  GArray *found; /* Found, by start */
  char *masked;
  size_t masked_len;
} Scanned;
void scanned_clear(Scanned *scanned);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Scanned, scanned_clear)

/* `wanted` by rule index; NULL: all. */
bool scanner_scan(Scanner *scanner,
                  const bool *wanted,
                  const char *text,
                  size_t len,
                  Scanned *out,
                  GError **error);
/* The same through the masker of streamed answers, `chunk` bytes at a time. */
bool scanner_stream(Scanner *scanner,
                    const bool *wanted,
                    const char *text,
                    size_t len,
                    size_t chunk,
                    Scanned *out,
                    GError **error);

/* A file, or standard input for "-", of at most `max` bytes; wiped when it
 * goes. */
GBytes *read_input(const char *name, size_t max, GError **error);

/* ---- The parts of the verb */

/* As much of one text as the daemon takes for one body by default. */
#define SCAN_MAX_TEXT ((size_t)32 * 1024 * 1024)

typedef struct {
  const Call *call;
  Scanner scanner;
  bool *wanted; /* by rule index; NULL: all */
  size_t max_size;
  size_t chunk; /* --batch --chunks; 0: whole */
} Scan;

/* scan-rules.c: what the configured policy names, and --rules and --class: that
 * is on, too. For scanner_init(); NULL after having complained into *code. */
char **scan_named(const Call *call, const Config *config, int *code);
/* The rules that --rules and --class name. False after a complaint: there are
 * none. */
bool scan_choose(Scan *scan);
/* Prints the rules. */
int scan_list_rules(const Scan *scan);

/* scan-batch.c: one answer for each line of standard input. */
int scan_batch(Scan *scan);

/* scan-files.c: files, folders, standard input. */
int scan_files(Scan *scan);

#endif
