/* SPDX-License-Identifier: Apache-2.0 */
/* What needs no answer, told rarely: what was masked or blocked, summed up
 * while it is quiet after the last of its kind. Main thread. */
#ifndef HOOP_TRAY_NEWS_H
#define HOOP_TRAY_NEWS_H

#include <glib.h>
#include <stdbool.h>

typedef struct tray_news TrayNews;

/* A headline and a body that anybody may read. */
typedef void (*NewsTell)(const char *headline, const char *body, void *data);

/* The file exists while a person wants to hear nothing. */
TrayNews *tray_news_new(const char *quiet_file, NewsTell tell, void *data);
void tray_news_free(TrayNews *news);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TrayNews, tray_news_free)

/* What the signal Happened of io.hoop.Agent1 told: at once the first time, then
 * the sum of what came while it was quiet. */
void tray_news_take(TrayNews *news, const char *kind, GVariant *what);
/* How long that is after each: half a minute where this is not called. */
void tray_news_set_window(TrayNews *news, unsigned window_ms);

bool tray_news_quiet(const TrayNews *news);
/* Remembered; what cannot be stored lasts as long as this process. */
void tray_news_set_quiet(TrayNews *news, bool quiet);

#endif
