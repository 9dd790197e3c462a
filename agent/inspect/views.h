/* SPDX-License-Identifier: Apache-2.0 */
/* Other forms of a text in which a secret may stand: folded (normalise.h), and
 * decoded runs of it (decode.h), each of them again in their other forms.
 * Private to the room.
 *
 * Every form is at most as long as what it is made of, but that windows of a
 * run overlap by a third; so all forms of a text together have no more than
 * some twenty times its bytes, however it is made. */
#ifndef HOOP_INSPECT_VIEWS_H
#define HOOP_INSPECT_VIEWS_H

#include "inspect/decode.h"
#include "inspect/normalise.h"

/* Forms inside forms: escaped lines of base64 of base64 in percent-encoding.
 * What is inside more of them is text that nobody decodes by accident; it stays
 * as it is. */
#define VIEW_LEVELS 4

/* Appends what the other forms of a text hold, as spans of the view and with
 * field 0, in no order and perhaps twice. `level` of them are around it.
 */
bool views_scan(DetectorScratch *scratch,
                const TextView *view,
                unsigned level,
                size_t max_findings,
                GArray *findings,
                GError **error);
/* The same for one window of it; *is_text tells whether it decodes to text. */
bool views_scan_window(DetectorScratch *scratch,
                       const TextView *view,
                       const DecodeWindow *window,
                       unsigned level,
                       size_t max_findings,
                       GArray *findings,
                       bool *is_text,
                       GError **error);

#endif
