/* SPDX-License-Identifier: Apache-2.0 */
/* A recorded body as the conversation that it is: who said what, which tools
 * were called and what they answered, for every API shape. */
#ifndef HOOP_TALK_H
#define HOOP_TALK_H

#include "kit/api.h"

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

typedef enum {
  TALK_SYSTEM,
  TALK_USER,
  TALK_ASSISTANT,
  TALK_TOOL, /* what a tool gave back */
  TALK_OTHER /* of no conversation: an error, a body of no known shape */
} TalkRole;
/* "system", "user", "assistant", "tool" or "other". */
const char *talk_role_name(TalkRole role);

typedef enum {
  TALK_TEXT,
  TALK_THINKING, /* what the model told of its reasoning */
  TALK_CALL,     /* text: the arguments, mostly JSON */
  TALK_RESULT,
  TALK_ATTACHED, /* an image or file: text says what kind, not the bytes */
  TALK_STRINGS   /* the decoded strings of JSON of no known shape, one a line;
                  * or text that is no JSON */
} TalkKind;
const char *talk_kind_name(TalkKind kind);

typedef struct {
  TalkRole role;
  TalkKind kind;
  unsigned choice; /* of an answer with several; else 0 */
  char *name;      /* of a tool, of a speaker, "suffix", "error"; or NULL */
  char *id;        /* of the tool call; or NULL */
  GString *text;   /* valid UTF-8 without NULs; may be empty */
} TalkPart;

/* Reads the body of a request, or of its answer (whole, or a stream of
 * server-sent events: WHATWG HTML, section 9.2). Shapes: chat/completions,
 * engines completions, Responses, Anthropic messages, embeddings; all else is
 * TALK_STRINGS. Never fails: what is not of the shape that it claims, or was
 * cut, gives its strings. TalkParts in the body's order, at most 20,000;
 * g_ptr_array_unref. Any thread. */
GPtrArray *talk_read(Api api, bool answer, const char *body, size_t len);

/* Whether that would be one part (TALK_OTHER, TALK_STRINGS) with just the
 * body's bytes; false also where this is not seen at a glance. Any thread. */
bool talk_is_plain(bool answer, const char *body, size_t len);

#endif
