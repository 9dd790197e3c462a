/* SPDX-License-Identifier: Apache-2.0 */
/* The journal's report: written into a file of this user alone, then shown by
 * whatever shows pages on this desktop. Main thread; never blocks. */
#ifndef HOOP_TRAY_REPORT_H
#define HOOP_TRAY_REPORT_H

#include <glib.h>
#include <stdbool.h>

typedef struct tray_report TrayReport;

/* `failed` tells a person what went wrong. The file's folder is made, 0700. */
TrayReport *tray_report_new(const char *file,
                            void (*failed)(const char *message, void *data),
                            void *data);
/* What is being written then is finished, but not shown. */
void tray_report_free(TrayReport *report);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TrayReport, tray_report_free)

/* Writes it anew and shows it; nothing while it is being written. */
void tray_report_open(TrayReport *report);

#endif
