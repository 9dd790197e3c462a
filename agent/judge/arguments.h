/* SPDX-License-Identifier: Apache-2.0 */
/* What the arguments of a tool call say once every encoding is undone. */
#ifndef HOOP_JUDGE_ARGUMENTS_H
#define HOOP_JUDGE_ARGUMENTS_H

#include <glib.h>
#include <stdbool.h>

/* Appends to `texts` (of GString) every decoded string of the JSON text, also
 * of JSON inside its strings, and all its values in order with blanks between
 * them (a command may come as a list of words); and to `keys` (a set of owned
 * names) the lower-case names of its members. What is not JSON is taken as
 * text, as it is and with backslash escapes undone. False when there is too
 * much of it. */
bool arguments_decode(const char *arguments,
                      GPtrArray *texts,
                      GHashTable *keys);

#endif
