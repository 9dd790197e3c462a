/* SPDX-License-Identifier: Apache-2.0 */
/* Where the tool calls of a whole answer stand. Private to the room. */
#ifndef HOOP_INSPECT_CALLS_H
#define HOOP_INSPECT_CALLS_H

#include "inspect/dom.h"

typedef struct {
  uint32_t node;  /* the call: item of tool_calls, output or content, or the
                     member function_call */
  uint32_t owner; /* the choice, or the document's node */
  ToolCall call;
} CallSite;

/* Fills `sites` (CallSite; the calls' texts belong to the caller) in order. */
void calls_find(const Dom *dom, Api api, GArray *sites);
void call_sites_free(GArray *sites);
void tool_call_clear(ToolCall *call);

/* True when an output item of this type is a call that the client executes;
 * the provider's own tools are not. */
bool responses_item_is_call(const Dom *dom, uint32_t item);
/* A call as one output item or content block tells it. */
void responses_call_read(const Dom *dom, uint32_t item, ToolCall *call);
void messages_call_read(const Dom *dom, uint32_t block, ToolCall *call);

#endif
