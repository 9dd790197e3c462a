/* SPDX-License-Identifier: Apache-2.0 */
/* What reading and writing of chat streams share. Private to the room. */
#ifndef HOOP_INSPECT_FILTER_CHAT_H
#define HOOP_INSPECT_FILTER_CHAT_H

#include "inspect/filter.h"

/* What an event of a chat stream holds. */
enum {
  TAG_TEXT = 1 << 0,   /* text of a choice */
  TAG_FINISH = 1 << 1, /* the end of a choice */
  TAG_MANY = 1 << 2,   /* several choices */
  TAG_CALLS = 1 << 3,  /* parts of tool calls */
  TAG_CHOICE = 1 << 4  /* anything of a choice */
};

/* The one call of the older function_call member. */
#define FUNCTION_CALL UINT_MAX

unsigned chat_choice_index(const Dom *dom, uint32_t node, unsigned position);
bool chat_has_finish(const Dom *dom, uint32_t choice);

/* filter-chat-write.c */
void *chat_data_new(void);
void chat_data_free(void *data);
bool chat_write(ResponseFilter *filter,
                FilterEvent *event,
                Edits *edits,
                Buf *out,
                Buf *record);
void chat_state(ResponseFilter *filter, AnswerState *state);
bool chat_is_complete(const ResponseFilter *filter);

#endif
