/* SPDX-License-Identifier: Apache-2.0 */
/* Times as people say them. Private. */
#ifndef HOOP_CLI_WHEN_H
#define HOOP_CLI_WHEN_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* "2h" (ago), "now", "today", "yesterday", "14:30", "yesterday 14:30",
 * "2026-11-19", "2026-11-19 14:30", ISO 8601 with or without a zone; local
 * time. A day that ends a span (`end`) is meant whole: its end is given. False:
 * it is none of these. */
bool when_parse(const char *text,
                int64_t now_us,
                GTimeZone *zone,
                bool end,
                int64_t *us);

#endif
