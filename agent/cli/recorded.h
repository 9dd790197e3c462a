/* SPDX-License-Identifier: Apache-2.0 */
/* Recorded requests and answers, judged again by another policy. Private. */
#ifndef HOOP_CLI_RECORDED_H
#define HOOP_CLI_RECORDED_H

#include "cli/trial.h"
#include "journal/journal.h"

/* A row as rules see it. */
typedef struct {
  Subject subject;
  char **groups, **processes;
  char *model, *repo;
  const char *initiator;
  Inspection *inspection; /* of the masked body; or NULL: a stream, or see … */
  const char *unjudged;   /* … why it cannot be judged; or NULL */
  GArray *findings;       /* Finding: those of the record, then what the body
                             still holds that this policy looks for */
  GPtrArray *rules;       /* DetectorRules that are in the pack no more */
  GBytes *stream;         /* of an answer that was one */
  struct json_object *detail;
} Recorded;

/* Reads a request or response row; `bodies` fetches its body (another reader
 * than the one that runs a query). */
void recorded_read(Trial *trial,
                   JournalReader *bodies,
                   const JournalEntry *entry,
                   Recorded *out);
void recorded_clear(Recorded *recorded);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Recorded, recorded_clear)

/* The verdict on the body, then those on an answer's tool calls, whose names
 * go to `tools` (may be NULL) in the same order. NULL with recorded->unjudged
 * set when it cannot be judged. Verdicts; g_ptr_array_unref. */
GPtrArray *recorded_judge(Trial *trial,
                          Recorded *recorded,
                          bool explain,
                          JudgeRate rate,
                          void *rate_data,
                          GPtrArray *tools);

#endif
