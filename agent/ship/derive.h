/* SPDX-License-Identifier: Apache-2.0 */
/* What a row's detail says, in numbers and lists that can be searched. Private
 * to the room. */
#ifndef HOOP_SHIP_DERIVE_H
#define HOOP_SHIP_DERIVE_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
  char **rules;       /* that matched, once each */
  int64_t n_findings; /* -1: it does not say */
  char **found_rules; /* detectors, once each */
  char **classes;     /* of findings, once each */
  int64_t n_masks;    /* -1: none */
  char **approvals;   /* "ANSWER by WHO (HOW)" */
} Derived;

/* Each list has at most `most` items. Lists are the caller's, g_strfreev().
 * False, with `out` untouched, when it is no JSON object. */
bool derive(const char *detail, size_t len, unsigned most, Derived *out);

#endif
