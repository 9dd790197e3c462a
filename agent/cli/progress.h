/* SPDX-License-Identifier: Apache-2.0 */
/* One line on the terminal while something lasts. Private. */
#ifndef HOOP_CLI_PROGRESS_H
#define HOOP_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
  bool on; /* standard error is a terminal */
  bool shown;
  int64_t began_us, next_us;
} Progress;

void progress_init(Progress *progress);
/* Says how far it is, at most ten times a second and not in the first half
 * second. */
void progress_show(Progress *progress, unsigned files, uint64_t bytes);
/* The same of something else: how many, of what (“rows”). */
void progress_count(Progress *progress, uint64_t count, const char *what);
/* Takes the line away, before anything else is printed. */
void progress_hide(Progress *progress);

#endif
