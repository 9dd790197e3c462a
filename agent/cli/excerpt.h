/* SPDX-License-Identifier: Apache-2.0 */
/* A line around a finding in which no finding can be read. Private. */
#ifndef HOOP_CLI_EXCERPT_H
#define HOOP_CLI_EXCERPT_H

#include <glib.h>
#include <stddef.h>

/* Bytes of a text that findings cover; what overlaps is one. */
typedef struct {
  size_t start, end;
  const char *rule_id; /* of the first */
} Cover;

/* The covers of a text: disjoint, by start. */
typedef struct {
  const char *text;
  size_t len;
  const GArray *covers; /* Cover */
} Covered;

/* The cover that holds the byte `at`. */
const Cover *cover_at(const Covered *covered, size_t at);

/* What stands before `cover` in its line, at most `max` bytes of it; other
 * findings masked, and whatever looks like one left out. */
void excerpt_before(const Covered *covered,
                    const Cover *cover,
                    size_t line_start,
                    size_t max,
                    GString *out);
/* The same of what stands behind it in its last line. */
void excerpt_behind(const Covered *covered,
                    const Cover *cover,
                    size_t max,
                    GString *out);

#endif
