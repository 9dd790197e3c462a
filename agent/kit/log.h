/* SPDX-License-Identifier: Apache-2.0 */
/* The log that edges (daemon, programs) write: one line a fact on standard
 * error, prefixed for the systemd journal. Rooms return errors instead. */
#ifndef HOOP_KIT_LOG_H
#define HOOP_KIT_LOG_H

#include <glib.h>
#include <stdbool.h>

typedef enum {
  LOG_AT_ERROR,
  LOG_AT_WARNING,
  LOG_AT_INFO,
  LOG_AT_DEBUG
} LogLevel;

/* Lines above this level are not written; set before threads start. */
void log_set_level(LogLevel level);
/* One line of about 4 KiB at most, written at once; control and invisible
 * characters, backslashes and bytes that are not UTF-8 are escaped so that
 * text from outside cannot forge lines. On a terminal the level is a word, else
 * the prefix of sd-daemon(3). Any thread. Callers never pass bodies, headers
 * or secrets. */
void log_line(LogLevel level, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* Lines go to this file (0600, appended) as well, each behind its time in UTC;
 * past `max` bytes it is renamed to PATH.1, over the former one. False when it
 * cannot be opened. Before threads start; once. */
bool log_to_file(const char *path, size_t max, GError **error);
/* True when standard error is the systemd journal's, which keeps lines by
 * itself (JOURNAL_STREAM of systemd.exec(5)). */
bool log_is_journaled(void);

#define log_error(...) log_line(LOG_AT_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_AT_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LOG_AT_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_AT_DEBUG, __VA_ARGS__)

#endif
