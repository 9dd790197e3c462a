/* SPDX-License-Identifier: Apache-2.0 */
/* What a body says beside its texts: model, stream, conversation, usage.
 * Private to the room. */
#ifndef HOOP_INSPECT_FACTS_H
#define HOOP_INSPECT_FACTS_H

#include "inspect/body.h"

/* Members further down are none of these. */
#define FACT_DEPTH 2

/* Notes a member's value (no container) at `path`. */
void fact_note(Inspection *inspection,
               const char *path,
               const char *text,
               const JsonToken *token);

/* A JSON integer from 0 to 2^53; -1 when it is not one. */
int64_t fact_number(const char *text, size_t len);

#endif
