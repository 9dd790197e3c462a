/* SPDX-License-Identifier: Apache-2.0 */
/* What a leaf of a known API is: the names on its path give a context, objects
 * on the path give role and type. Private to the room. */
#ifndef HOOP_INSPECT_ROLES_H
#define HOOP_INSPECT_ROLES_H

#include "inspect/body.h"

/* Names on the path so far, as bits. */
enum {
  IN_MESSAGES = 1 << 0,
  IN_INPUT = 1 << 1,
  IN_SYSTEM = 1 << 2,
  IN_PROMPT = 1 << 3,
  IN_CHOICES = 1 << 4,
  IN_OUTPUT = 1 << 5,
  IN_CONTENT = 1 << 6,
  IN_CALLS = 1 << 7,
  IN_ARGUMENTS = 1 << 8,
  IN_PARAMS = 1 << 9,
  IN_RESULT = 1 << 10,
  IN_TEXT = 1 << 11,
  IN_TOOLS = 1 << 12,
  IN_LABEL = 1 << 13 /* a name, id or type: never text */
};
unsigned context_of_key(const char *key, size_t len);

/* An object on a leaf's path. */
typedef enum {
  SPEAKER_NONE,
  SPEAKER_SYSTEM,
  SPEAKER_USER,
  SPEAKER_ASSISTANT,
  SPEAKER_TOOL
} Speaker;
typedef enum {
  PART_NONE,
  PART_CALL,   /* function_call, tool_use, … */
  PART_RESULT, /* tool_result, function_call_output, … */
  PART_REASONING
} Part;
typedef struct {
  unsigned parent; /* index, 0 for none */
  uint8_t speaker;
  uint8_t part;
} BodyNode;
Speaker speaker_of(const char *role, size_t len);
Part part_of(const char *type, size_t len);

FieldRole role_of(const Inspection *inspection, const FieldPlace *place);

#endif
