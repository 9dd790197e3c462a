/* SPDX-License-Identifier: Apache-2.0 */
/* The way to the daemon: keeps a model of it up to date by its signals, finds
 * it again after it went, and gives it answers. Main thread; never blocks. */
#ifndef HOOP_TRAY_LINK_H
#define HOOP_TRAY_LINK_H

#include "tray/model.h"

typedef struct tray_link TrayLink;

typedef struct {
  /* The model changed. */
  void (*changed)(void *data);
  /* A request does not wait any more; the model does not hold it already. */
  void (*decided)(const char *id, void *data);
  /* What needs no answer, as the signal Happened told it. */
  void (*happened)(const char *kind, GVariant *what, void *data);
  /* What was asked for did not go through: a sentence for the person. */
  void (*failed)(const char *message, void *data);
} TrayLinkEvents;

/* Watches runtime_dir (made if it is not there, 0700) for the daemon's socket.
 */
TrayLink *tray_link_new(const char *runtime_dir,
                        const TrayLinkEvents *events,
                        void *data,
                        GError **error);
void tray_link_free(TrayLink *link);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TrayLink, tray_link_free)

const TrayModel *tray_link_model(const TrayLink *link);

/* Answers a request as it is now: asks the daemon for its digest and nonce
 * first, so that an answer can only be for what is held at this moment.
 * `answer`: "approve", "approve-masked" or "deny"; `how`: where the person
 * clicked, for the record; `seconds`: to remember the answer for, 0: not, or
 * TRAY_SESSION: while this conversation goes on. */
#define TRAY_SESSION G_MAXUINT
void tray_link_answer(TrayLink *link,
                      const char *id,
                      const char *how,
                      const char *answer,
                      unsigned seconds);
/* seconds 0: until resumed. */
void tray_link_pause(TrayLink *link, unsigned seconds);
void tray_link_resume(TrayLink *link);

#endif
