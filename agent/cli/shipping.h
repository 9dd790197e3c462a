/* SPDX-License-Identifier: Apache-2.0 */
/* How shipping reads, for `ship`, `status` and `doctor`. Private. */
#ifndef HOOP_CLI_SHIPPING_H
#define HOOP_CLI_SHIPPING_H

#include "cli/verb.h"

/* Of Status's `shipping`; 0 and NULL when it is not there. */
int64_t shipping_number(GVariant *shipping, const char *key);
const char *shipping_text(GVariant *shipping, const char *key);

/* "3 rows (about 5 KB) behind, the oldest 2 m old" or "up to date". g_free. */
char *shipping_behind(GVariant *shipping);
/* Several lines on standard output. */
void shipping_say(GVariant *shipping);

#endif
