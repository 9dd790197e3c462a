/* SPDX-License-Identifier: Apache-2.0 */
/* The tray's icons, drawn: each state has a shape of its own, so that nobody
 * needs to tell colours apart, and an edge that shows on light and dark
 * panels. */
#ifndef HOOP_TRAY_ICON_H
#define HOOP_TRAY_ICON_H

#include "tray/model.h"

/* Draws one icon: size * size pixels of 4 bytes, alpha, red, green, blue, not
 * premultiplied, row by row (the StatusNotifierItem specification's ARGB32 in
 * network byte order). g_free. */
uint8_t *tray_icon_draw(TrayState state, unsigned size);

/* The icon in the sizes that panels ask for, a(iiay), floating. */
GVariant *tray_icon_pixmaps(TrayState state);

#endif
