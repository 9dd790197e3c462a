/* SPDX-License-Identifier: Apache-2.0 */
/* The item's menu: what waits and its answers, pause, sign-in, the record.
 * libdbusmenu is known here only. */
#ifndef HOOP_TRAY_MENU_H
#define HOOP_TRAY_MENU_H

#include "tray/model.h"

typedef struct tray_menu TrayMenu;

typedef enum {
  TRAY_DO_REVIEW,  /* id */
  TRAY_DO_APPROVE, /* id; `seconds` */
  TRAY_DO_MASKED,  /* id */
  TRAY_DO_DENY,    /* id; `seconds` to remember it for, or TRAY_SESSION */
  TRAY_DO_PAUSE,   /* `seconds`, 0: until resumed */
  TRAY_DO_RESUME,
  TRAY_DO_SIGN_IN, /* id: the issuer's name */
  TRAY_DO_REPORT,
  TRAY_DO_JOURNAL,
  TRAY_DO_NEWS, /* `seconds` 1: tell what happens; 0: do not */
  TRAY_DO_QUIT
} TrayAction;

/* What a person chose. */
typedef void (*TrayChosen)(TrayAction action,
                           const char *id,
                           unsigned seconds,
                           void *data);

/* Exports a menu at object_path on the session bus. */
TrayMenu *tray_menu_new(const char *object_path, TrayChosen chosen, void *data);
void tray_menu_free(TrayMenu *menu);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TrayMenu, tray_menu_free)

/* Makes the menu anew from the model. While a panel shows it nothing moves
 * under the pointer: what changed then shows when it closes. */
void tray_menu_show(TrayMenu *menu, const TrayModel *model);
/* How the switch stands that tells what happens; shown with the next model. */
void tray_menu_set_news(TrayMenu *menu, bool told);

#endif
