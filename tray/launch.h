/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that the tray starts: the review, a sign-in, the report. */
#ifndef HOOP_TRAY_LAUNCH_H
#define HOOP_TRAY_LAUNCH_H

#include <glib.h>
#include <stdbool.h>

/* Where a program of this installation is; the bare name when it is nowhere, so
 * that an error names it. g_free. */
char *launch_program(const char *name);
/* Shows the request: in the review window where it is installed, else in a
 * terminal. False: neither was found; the message says what to run. */
bool launch_review(const char *id, GError **error);
/* `hoop-agent login` of this issuer, in the browser. */
bool launch_sign_in(const char *issuer, GError **error);
/* The journal, in a terminal. */
bool launch_journal(GError **error);
/* A file, by what the desktop shows such files with. */
bool launch_show(const char *file, GError **error);

#endif
