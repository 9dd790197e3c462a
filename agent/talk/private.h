/* SPDX-License-Identifier: Apache-2.0 */
/* What whole bodies and streams share. Private to the room. */
#ifndef HOOP_TALK_PRIVATE_H
#define HOOP_TALK_PRIVATE_H

#include "talk/talk.h"

#include <json-c/json.h>

/* Parts of one body, far above what a context window holds. */
#define TALK_MAX_PARTS 20000
/* Nesting that is followed; kit's own reader allows as much. */
#define TALK_MAX_DEPTH 128

/* Appends a part with this text (NULL: none yet). NULL beyond the limit. */
TalkPart *talk_add(GPtrArray *parts,
                   TalkRole role,
                   TalkKind kind,
                   const char *text);
void talk_append(TalkPart *part, const char *text, size_t len);
void talk_append_json(TalkPart *part, struct json_object *text);

/* A member, or NULL. */
struct json_object *talk_member(struct json_object *from, const char *name);
/* A member that is a string, or NULL. */
const char *talk_string(struct json_object *from, const char *name);

struct json_object *talk_parse(const char *text, size_t len);
void talk_add_strings(GPtrArray *parts, const char *text, size_t len);

/* A message's content: a string, or a list of blocks of any known type. */
void talk_content(GPtrArray *parts,
                  TalkRole role,
                  unsigned choice,
                  struct json_object *content);
/* A message of chat/completions or Anthropic messages. */
void talk_message(GPtrArray *parts,
                  TalkRole role,
                  unsigned choice,
                  struct json_object *message);
/* An item of Responses' input or output. */
void talk_item(GPtrArray *parts, TalkRole role, struct json_object *item);
/* {"error": {"message": …}}; true when it was one. */
bool talk_error(GPtrArray *parts, struct json_object *body);

/* True for server-sent events; then talk_stream() reads them. */
bool talk_is_stream(const char *body, size_t len);
void talk_stream(GPtrArray *parts, const char *body, size_t len);

#endif
