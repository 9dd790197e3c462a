/* SPDX-License-Identifier: Apache-2.0 */
/* A QR code on a terminal. Private. */
#ifndef HOOP_CLI_QR_H
#define HOOP_CLI_QR_H

#include <glib.h>

/* The text as lines of half blocks, black on white by escape sequences; NULL
 * when it is too long, or in a build without libqrencode. g_free. */
char *qr_text(const char *text);

#endif
