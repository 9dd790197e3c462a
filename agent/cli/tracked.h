/* SPDX-License-Identifier: Apache-2.0 */
/* The files that git tracks, of a work tree's index. Private. */
#ifndef HOOP_CLI_TRACKED_H
#define HOOP_CLI_TRACKED_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct tracked Tracked;

/* Reads an index (gitformat-index(5), versions 2 to 4, either hash). NULL when
 * it is none, or one whose entries are in another file (split indexes). */
Tracked *tracked_parse(const void *bytes, size_t len);
/* Accepts NULL. */
void tracked_free(Tracked *tracked);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Tracked, tracked_free)

/* The path itself, relative to the work tree's top. */
bool tracked_has(const Tracked *tracked, const char *path);
/* Anything in this folder. */
bool tracked_below(const Tracked *tracked, const char *folder);
unsigned tracked_count(const Tracked *tracked);

#endif
