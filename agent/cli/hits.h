/* SPDX-License-Identifier: Apache-2.0 */
/* What was found in one file, as people and tools are told. Private. */
#ifndef HOOP_CLI_HITS_H
#define HOOP_CLI_HITS_H

#include "cli/text.h"
#include "inspect/inspect.h"

/* 16 hex characters, 3 more where the value has a part in it, NUL. */
#define PLACE_SIZE 20

typedef struct {
  const DetectorRule *rule;
  size_t start, end;                           /* bytes of the file */
  unsigned line, column, end_line, end_column; /* from 1, in characters */
  double confidence;
  char fingerprint[FINGERPRINT_SIZE]; /* keyed; "" without a masker */
  /* Names the finding wherever its line moves, on every machine: a hash of the
   * rule and of what stands before it in its line, masked. Of long tokens 12
   * bits of a hash of the value stand behind it, so that another token in the
   * same place is another finding; hashes that let somebody try values are
   * never given out. */
  char place[PLACE_SIZE];
  unsigned nth; /* which of the findings of this place in its file, from 1 */
  char *shown;  /* its line, masked and shortened; not yet visible() */
} Hit;

typedef struct {
  Masker *masker;     /* for fingerprints; NULL: none */
  const bool *wanted; /* by rule index; NULL: all */
  bool marks;         /* hoop:allow counts */
} HitOptions;

/* Appends Hit to `hits` (see hits_new()), by place; *allowed counts those on a
 * line that says hoop:allow. False as inspection_new(). */
bool hits_find(DetectorScratch *scratch,
               const HitOptions *options,
               const FileText *file,
               GArray *hits,
               unsigned *allowed,
               GError **error);
GArray *hits_new(void);

/* Which findings of a text are told, by index; `spans` as
 * inspection_body_spans() gives them. A secret that a rule finds in a text
 * inside the text, where another rule of its class found more, is told once.
 * g_free. */
bool *hits_told(const Inspection *inspection, const BodySpan *spans);

#endif
