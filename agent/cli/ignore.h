/* SPDX-License-Identifier: Apache-2.0 */
/* What gitignore(5) files say of a path. Private. */
#ifndef HOOP_CLI_IGNORE_H
#define HOOP_CLI_IGNORE_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

/* The patterns of one file, and of those that it may overrule. Immutable. */
typedef struct ignore Ignore;

/* Patterns in `text` (len bytes, any bytes), which hold for paths that begin
 * with the first base_len bytes, the folder of the file with its slash. They
 * overrule those of `under` (may be NULL; must outlive this). */
Ignore *ignore_new(const Ignore *under,
                   size_t base_len,
                   const char *text,
                   size_t len);
/* Frees these patterns, not those under them. Accepts NULL. */
void ignore_free(Ignore *ignore);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Ignore, ignore_free)

/* True when the patterns name this path (relative to the top of all of them,
 * without a slash at its end). What lies in an ignored folder is ignored too,
 * but this looks at the path alone: ask of each folder on the way down. */
bool ignore_matches(const Ignore *ignore, const char *path, bool is_dir);

/* One pattern without its marks ('!', slashes at both ends) against a text, as
 * fnmatch(3) with FNM_PATHNAME and ** for folders; `path` false: * and ? match
 * slashes too. */
bool ignore_glob(const char *pattern, const char *text, bool path);

#endif
