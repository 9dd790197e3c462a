/* SPDX-License-Identifier: Apache-2.0 */
/* Wall and monotonic time in microseconds, and their text form. */
#ifndef HOOP_KIT_CLOCK_H
#define HOOP_KIT_CLOCK_H

#include <glib.h>
#include <stdint.h>

int64_t clock_wall_us(void);
int64_t clock_mono_us(void);
/* Monotonic too, and goes on while the machine sleeps: for how long something
 * may last, whatever is done to the wall clock. Begins anew at each boot. */
int64_t clock_boot_us(void);
/* Names the boot that clock_boot_us() counts from; NULL when it has no name.
 * g_free. */
char *clock_boot_id(void);
/* RFC 3339 in UTC with milliseconds, e.g. 2026-03-01T09:30:00.123Z. */
char *clock_rfc3339(int64_t wall_us);

#endif
