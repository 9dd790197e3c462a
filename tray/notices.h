/* SPDX-License-Identifier: Apache-2.0 */
/* Notifications (the Desktop Notifications Specification 1.2): one for all that
 * waits, taken back wherever it was answered, and others for what went wrong.
 * No text of a prompt is ever in one: any program of the user reads them. */
#ifndef HOOP_TRAY_NOTICES_H
#define HOOP_TRAY_NOTICES_H

#include "tray/model.h"
#include <gio/gio.h>

typedef struct tray_notices TrayNotices;

typedef enum {
  NOTICE_REVIEW,  /* the body or the button Review was clicked */
  NOTICE_APPROVE, /* offered for one request of low risk alone */
  NOTICE_DENY
} NoticeAnswer;

/* A person answered the notification about what waits; id: the request that
 * it showed first. */
typedef void (*NoticeAnswered)(NoticeAnswer answer, const char *id, void *data);

/* state_file remembers which notification is ours, so that one that a killed
 * tray left behind is closed by the next. */
TrayNotices *tray_notices_new(GDBusConnection *bus,
                              const char *state_file,
                              NoticeAnswered answered,
                              void *data);
/* Closes what is shown. */
void tray_notices_free(TrayNotices *notices);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TrayNotices, tray_notices_free)

/* Shows, changes or takes back the notification about what waits. One that a
 * person dismissed comes again only with another request. */
void tray_notices_show(TrayNotices *notices, const TrayModel *model);

/* One that needs no answer, at most one in ten seconds of the same headline;
 * the body is passed through tray_shown(). */
void tray_notices_tell(TrayNotices *notices,
                       const char *headline,
                       const char *body);

#endif
