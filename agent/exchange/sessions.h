/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions: one client and one conversation, until 30 idle minutes; and how
 * often each rule was met. Private to the room. */
#ifndef HOOP_EXCHANGE_SESSIONS_H
#define HOOP_EXCHANGE_SESSIONS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct sessions Sessions;

Sessions *sessions_new(void);
void sessions_free(Sessions *sessions);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Sessions, sessions_free)

/* Notes a request at now_us (clock_boot_us(): a machine that sleeps is idle);
 * true when it is the session's first. When too many sessions are alive the
 * longest idle one is forgotten: its next request counts as a first one again,
 * which can only ask more. */
bool sessions_touch(Sessions *sessions, const char *key, int64_t now_us);

/* Of the session with this key: never the same again once it ended; 0: none. */
uint64_t sessions_serial(const Sessions *sessions, const char *key);
/* The serials (GSIZE_TO_POINTER) of those that did not end by now_us;
 * g_hash_table_unref. */
GHashTable *sessions_alive(const Sessions *sessions, int64_t now_us);

/* Counts this request for `key` and returns how many there were in the last
 * `window` seconds, this one included. */
unsigned sessions_rate(Sessions *sessions,
                       const char *key,
                       unsigned window,
                       int64_t now_us);

#endif
