/* SPDX-License-Identifier: Apache-2.0 */
/* The names that known APIs use, and what they make of a leaf. */
#include "inspect/roles.h"

#include <string.h>

typedef struct {
  const char *name;
  unsigned context;
} KeyContext;

static const KeyContext key_contexts[] = {
    {"messages", IN_MESSAGES},
    {"input", IN_INPUT},
    {"system", IN_SYSTEM},
    {"instructions", IN_SYSTEM},
    {"prompt", IN_PROMPT},
    {"suffix", IN_PROMPT},
    {"extra", IN_PROMPT},
    {"choices", IN_CHOICES},
    {"output", IN_OUTPUT},
    {"content", IN_CONTENT},
    {"tool_calls", IN_CALLS},
    {"function_call", IN_CALLS},
    {"arguments", IN_ARGUMENTS},
    {"action", IN_ARGUMENTS},
    {"operation", IN_ARGUMENTS},
    {"params", IN_PARAMS},
    {"result", IN_RESULT},
    {"text", IN_TEXT},
    {"refusal", IN_TEXT},
    {"reasoning", IN_TEXT},
    {"reasoning_content", IN_TEXT},
    {"reasoning_text", IN_TEXT},
    {"thinking", IN_TEXT},
    {"summary", IN_TEXT},
    {"tools", IN_TOOLS},
    {"functions", IN_TOOLS},
    {"role", IN_LABEL},
    {"type", IN_LABEL},
    {"id", IN_LABEL},
    {"name", IN_LABEL},
    {"call_id", IN_LABEL},
    {"tool_call_id", IN_LABEL},
    {"tool_use_id", IN_LABEL},
    {"status", IN_LABEL},
};

unsigned
context_of_key(const char *key, size_t len)
{
  for (unsigned i = 0; i < G_N_ELEMENTS(key_contexts); i++) {
    const char *name = key_contexts[i].name;

    if (name[0] == key[0] && strlen(name) == len && memcmp(name, key, len) == 0)
      return key_contexts[i].context;
  }
  return 0;
}

static bool
is_word(const char *text, size_t len, const char *word)
{
  return strlen(word) == len && memcmp(text, word, len) == 0;
}

static bool
ends_with(const char *text, size_t len, const char *end)
{
  const size_t n = strlen(end);

  return len >= n && memcmp(text + len - n, end, n) == 0;
}

Speaker
speaker_of(const char *role, size_t len)
{
  if (is_word(role, len, "system") || is_word(role, len, "developer"))
    return SPEAKER_SYSTEM;
  if (is_word(role, len, "user"))
    return SPEAKER_USER;
  if (is_word(role, len, "assistant") || is_word(role, len, "model"))
    return SPEAKER_ASSISTANT;
  if (is_word(role, len, "tool") || is_word(role, len, "function"))
    return SPEAKER_TOOL;
  return SPEAKER_NONE;
}

Part
part_of(const char *type, size_t len)
{
  if (is_word(type, len, "tool_use") || is_word(type, len, "server_tool_use") ||
      ends_with(type, len, "_call"))
    return PART_CALL;
  if (ends_with(type, len, "tool_result") || ends_with(type, len, "_output"))
    return is_word(type, len, "output_text") ? PART_NONE : PART_RESULT;
  if (is_word(type, len, "reasoning") || is_word(type, len, "thinking"))
    return PART_REASONING;
  return PART_NONE;
}

static FieldRole
role_of_speaker(Speaker speaker)
{
  switch (speaker) {
  case SPEAKER_SYSTEM:
    return FIELD_SYSTEM;
  case SPEAKER_USER:
    return FIELD_PROMPT;
  case SPEAKER_ASSISTANT:
    return FIELD_ASSISTANT;
  case SPEAKER_TOOL:
    return FIELD_TOOL_RESULT;
  case SPEAKER_NONE:
    break;
  }
  return FIELD_OTHER;
}

/* The nearest object on the path that says something. */
static const BodyNode *
nearest(const Inspection *inspection, unsigned node, bool speaks)
{
  while (node != 0) {
    const BodyNode *at = &g_array_index(inspection->nodes, BodyNode, node);

    if (speaks ? at->speaker != SPEAKER_NONE : at->part != PART_NONE)
      return at;
    node = at->parent;
  }
  return NULL;
}

/* Messages and items of requests and answers. */
static FieldRole
role_in_turn(const Inspection *inspection, const FieldPlace *place)
{
  const unsigned in = place->context;
  const BodyNode *part = nearest(inspection, place->node, false);
  const BodyNode *speaker = nearest(inspection, place->node, true);

  if ((in & IN_ARGUMENTS) != 0 && ((in & IN_CALLS) != 0 || part != NULL))
    return FIELD_TOOL_ARGUMENTS;
  if (part != NULL && part->part == PART_RESULT &&
      (in & (IN_CONTENT | IN_OUTPUT | IN_TEXT)) != 0)
    return FIELD_TOOL_RESULT;
  if (part != NULL && part->part == PART_CALL)
    return (in & IN_INPUT) != 0 ? FIELD_TOOL_ARGUMENTS : FIELD_OTHER;
  if ((in & IN_CALLS) != 0)
    return (in & IN_INPUT) != 0 ? FIELD_TOOL_ARGUMENTS : FIELD_OTHER;
  if (part != NULL && part->part == PART_REASONING)
    return FIELD_ASSISTANT;
  if ((in & (IN_CONTENT | IN_TEXT)) == 0)
    return FIELD_OTHER;
  if (inspection->direction == DIRECTION_RESPONSE)
    return FIELD_ASSISTANT;
  return speaker != NULL ? role_of_speaker((Speaker)speaker->speaker)
                         : FIELD_PROMPT;
}

FieldRole
role_of(const Inspection *inspection, const FieldPlace *place)
{
  const unsigned in = place->context;

  if ((in & IN_LABEL) != 0 || (in & IN_TOOLS) != 0)
    return FIELD_OTHER;
  switch (inspection->api) {
  case API_MCP:
    return (in & IN_RESULT) != 0 ? FIELD_TOOL_RESULT
           : (in & IN_PARAMS) != 0 && (in & IN_ARGUMENTS) != 0
               ? FIELD_TOOL_ARGUMENTS
               : FIELD_OTHER;
  case API_COMPLETIONS:
  case API_EMBEDDINGS:
    if (inspection->direction == DIRECTION_RESPONSE)
      return (in & IN_TEXT) != 0 ? FIELD_ASSISTANT : FIELD_OTHER;
    return (in & (IN_PROMPT | IN_INPUT)) != 0 ? FIELD_PROMPT : FIELD_OTHER;
  case API_CHAT:
  case API_RESPONSES:
  case API_MESSAGES:
    if ((in & (IN_MESSAGES | IN_INPUT | IN_CHOICES | IN_OUTPUT)) == 0 &&
        (in & IN_SYSTEM) != 0)
      return FIELD_SYSTEM;
    if (inspection->direction == DIRECTION_REQUEST && (in & ~IN_INPUT) == 0 &&
        in != 0)
      return FIELD_PROMPT; /* the input is one string */
    if ((in & (IN_MESSAGES | IN_INPUT | IN_CHOICES | IN_OUTPUT | IN_CONTENT)) ==
        0)
      return (in & IN_PROMPT) != 0 ? FIELD_PROMPT : FIELD_OTHER;
    return role_in_turn(inspection, place);
  case API_OTHER:
  case API_MODELS:
  case API_TELEMETRY:
  case API_TOKEN:
  case API_USER:
  case N_APIS:
    break;
  }
  return FIELD_OTHER;
}
