/* SPDX-License-Identifier: Apache-2.0 */
/* Masks that stand in a body and may be undone there. Private to the room. */
#ifndef HOOP_INSPECT_RESTORE_H
#define HOOP_INSPECT_RESTORE_H

#include "inspect/body.h"
#include "inspect/text-field.h"

/* A mask in a body's bytes and the value as it would stand there, escaped. */
typedef struct {
  size_t start, end;
  char *value;
  bool argument; /* of a tool call: what is restored is read again */
} Restoration;

/* Masks of the scope in the body's texts, ordered by start; NULL beyond the
 * limits. `arguments`: all of the body is a tool call's arguments. Adds what
 * they take to *restored, of all of the answer. Free with restorations_free().
 */
GArray *restorations_find(const Inspection *inspection,
                          Masker *masker,
                          const char *scope,
                          Restore restore,
                          bool arguments,
                          size_t *restored,
                          GError **error);
void restorations_free(GArray *restorations);
/* Drops those that touch [start, end). */
void restorations_cut(GArray *restorations, size_t start, size_t end);
/* True when one of them is exactly [start, end). */
bool restorations_cover(const GArray *restorations, size_t start, size_t end);
/* The bytes with all of them, or only those in arguments, undone. */
GString *restorations_apply(const GArray *restorations,
                            const char *text,
                            size_t len,
                            bool only_arguments);
/* Reads the body again as the tools would get it; drops what policy masks and
 * tells in *blocked what it blocks, noted in `context` (or NULL). */
bool restorations_judge(GArray *restorations,
                        const Inspection *inspection,
                        DetectorScratch *scratch,
                        const StreamPlan *plan,
                        MaskContext *context,
                        unsigned choice,
                        bool *blocked,
                        GError **error);

#endif
