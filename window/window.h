/* SPDX-License-Identifier: Apache-2.0 */
/* One request that waits, in a window: read, searched, answered. */
#ifndef HOOP_WINDOW_H
#define HOOP_WINDOW_H

typedef struct _GtkApplication GtkApplication;

/* Shows the request of this id, or why it cannot be shown; the window frees
 * itself when it is closed. A window of this id that is there already is
 * presented instead. Main thread; blocks until the daemon answered. */
void review_window_open(GtkApplication *application, const char *id);

#endif
