/* SPDX-License-Identifier: Apache-2.0 */
/* Durations, sizes and times of day as policy files write them. */
#ifndef HOOP_POLICY_UNITS_H
#define HOOP_POLICY_UNITS_H

#include <stdbool.h>
#include <stdint.h>

/* "90" or "90s", "10m", "12h", "7d" → seconds. False when it is none or more
 * than a year; `out` untouched. */
bool units_duration(const char *text, unsigned *out);
/* "4096", "64K", "32M", "1G" (powers of 1024) → bytes. */
bool units_size(const char *text, int64_t *out);
/* "08:30" → minutes of the day, 0 to 1440 ("24:00"). */
bool units_clock(const char *text, int *out);

#endif
