/* SPDX-License-Identifier: Apache-2.0 */
/* The difference of two texts, line by line. Private. */
#ifndef HOOP_CLI_DIFF_H
#define HOOP_CLI_DIFF_H

/* In unified form without the two head lines, three lines of context; "" when
 * they are equal. Every line ends with a newline. g_free. */
char *diff_text(const char *before, const char *after);

#endif
