/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks of lines between marker lines, in files that belong to somebody else.
 * Private. */
#ifndef HOOP_CLI_BLOCK_H
#define HOOP_CLI_BLOCK_H

#include <stdbool.h>

/* What a line of the owner's begins with while it is set aside. */
#define BLOCK_ASIDE "# set aside by hoop-agent: "

/* The text with the block NAME at its end: "# >>> hoop-agent NAME >>>", the
 * lines, "# <<< hoop-agent NAME <<<". A text without a line end at its own end
 * gets one before the block and the block none, so that block_remove() finds
 * the way back. g_free. */
char *block_append(const char *text, const char *name, const char *lines);
/* The same at the beginning of the text. */
char *block_prepend(const char *text, const char *name, const char *lines);
bool block_has(const char *text, const char *name);
/* The text without the block, else as it was before; a copy when there is no
 * whole block. */
char *block_remove(const char *text, const char *name);

#endif
