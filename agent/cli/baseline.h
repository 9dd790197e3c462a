/* SPDX-License-Identifier: Apache-2.0 */
/* Findings of an earlier scan, which are not news. Private. */
#ifndef HOOP_CLI_BASELINE_H
#define HOOP_CLI_BASELINE_H

#include "cli/hits.h"

typedef struct baseline Baseline;

/* Reads what `scan --json` or `scan --sarif` wrote. G_FILE_ERROR or JSON's. */
Baseline *baseline_read(const char *path, GError **error);
/* Accepts NULL. */
void baseline_free(Baseline *baseline);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Baseline, baseline_free)
/* The same rule in the same place of the same file (a report_uri()). */
bool baseline_has(const Baseline *baseline, const char *uri, const Hit *hit);

#endif
