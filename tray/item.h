/* SPDX-License-Identifier: Apache-2.0 */
/* The status item: org.kde.StatusNotifierItem on the session bus, registered
 * with whichever watcher there is, and again when that returns. */
#ifndef HOOP_TRAY_ITEM_H
#define HOOP_TRAY_ITEM_H

#include "tray/model.h"
#include <gio/gio.h>

#define TRAY_ITEM_PATH "/StatusNotifierItem"
#define TRAY_MENU_PATH "/MenuBar"

typedef struct tray_item TrayItem;

/* Exports the item; `activate` runs when it is clicked. NULL when the bus
 * refuses the object. */
TrayItem *tray_item_new(GDBusConnection *bus,
                        void (*activate)(void *data),
                        void *data,
                        GError **error);
void tray_item_free(TrayItem *item);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TrayItem, tray_item_free)

/* Shows the model's state; sends what changed, and nothing when nothing did. */
void tray_item_show(TrayItem *item, const TrayModel *model);

#endif
