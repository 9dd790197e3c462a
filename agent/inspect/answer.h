/* SPDX-License-Identifier: Apache-2.0 */
/* What a client has seen of a streamed answer, and the message that ends it in
 * the agent's own words. Private to the room. */
#ifndef HOOP_INSPECT_ANSWER_H
#define HOOP_INSPECT_ANSWER_H

#include "inspect/inspect.h"

/* Kept by the filter while events pass to the client. A zeroed state is an
 * answer of which nothing was sent. */
typedef struct {
  bool started;    /* its first event (role, response.created, message_start) */
  char *id;        /* of the chunks, the response, the message; or NULL */
  char *model;     /* or NULL */
  int64_t created; /* s; 0 unknown */
  bool has_text;   /* some text went out: the message begins a new paragraph */
  /* Completions and chat */
  unsigned n_choices; /* highest index seen + 1 */
  uint64_t finished;  /* bit per choice that has its finish_reason */
  /* Responses and Messages */
  unsigned next_index; /* of the next output item or content block */
  bool open;           /* an item or block was begun and not ended … */
  unsigned open_index; /* … at this index */
  /* Responses */
  int64_t next_sequence; /* sequence_number of the next event */
  char *open_item;       /* the open message item's id; NULL: another kind */
  unsigned open_part;    /* its open text part's content_index */
  GString *open_text;    /* of that part, as it went out; or NULL */
  GString *items; /* ended output items, JSON, comma separated; or NULL */
} AnswerState;

void answer_state_clear(AnswerState *state);

/* Appends the events that show `message` to the user and end the stream as its
 * API ends. `model`: where state has none. In a code completion the text would
 * be inserted into the user's file: there the stream just ends. An API without
 * known events gets one with an error object. */
void answer_append_message(Api api,
                           const AnswerState *state,
                           const char *model,
                           const char *message,
                           GString *out);

#endif
