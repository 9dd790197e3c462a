/* SPDX-License-Identifier: Apache-2.0 */
/* The log that edges (daemon, programs) write: one line a fact on standard
 * error, prefixed for the systemd journal. Rooms return errors instead. */
#ifndef HOOP_KIT_LOG_H
#define HOOP_KIT_LOG_H

#include <glib.h>

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

#define log_error(...) log_line(LOG_AT_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_AT_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LOG_AT_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_AT_DEBUG, __VA_ARGS__)

#endif
