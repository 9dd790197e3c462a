/* SPDX-License-Identifier: Apache-2.0 */
/* Files and folders that others change: told once they came to rest, however
 * they were changed (in place, renamed over, through links, taken away). */
#ifndef HOOP_KIT_WATCH_H
#define HOOP_KIT_WATCH_H

#include <glib.h>
#include <stdbool.h>

typedef struct watch Watch;

/* Watches paths (NULL terminated; they need not exist; of a folder its
 * *.yaml too). changed(data) is called from the default main context when
 * what stat(2) says of one of them is another than before and has been the same
 * for settle_ms, a missing file for longer: editors take the old one away
 * first. settle_ms 0: as soon as the loop comes round. Where inotify(7) cannot
 * be had, it looks every other second. Never NULL. */
Watch *watch_new(const char *const *paths,
                 unsigned settle_ms,
                 void (*changed)(void *data),
                 void *data);
/* Other paths from now on, also inside changed(). What changed before this call
 * is not told: read them after it. */
void watch_set_paths(Watch *watch, const char *const *paths);
/* The same ones, in any order? */
bool watch_has_paths(const Watch *watch, const char *const *paths);
/* Accepts NULL; not inside changed(). */
void watch_free(Watch *watch);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Watch, watch_free)

#endif
