/* SPDX-License-Identifier: Apache-2.0 */
/* Spans of decoded texts and the bytes that they were decoded from. Private to
 * the room. */
#ifndef HOOP_INSPECT_SPANS_H
#define HOOP_INSPECT_SPANS_H

#include "inspect/body.h"

/* Offsets of decoded fields, kept for one rewrite. */
GHashTable *span_maps_new(void);
/* A mask in place of a number: a string, escaped as its place wants it. */
void span_quote_number(const Inspection *inspection,
                       unsigned field,
                       GString *mask);
/* A span of a field's text becomes the span of the body's bytes. */
void span_lead_back(const Inspection *inspection,
                    unsigned field,
                    size_t *start,
                    size_t *end,
                    GHashTable *maps);
/* A secret inside a JSON text inside a text is found in both: the inner finding
 * is the exact one and stays. */
void findings_drop_outer(Inspection *inspection);

#endif
