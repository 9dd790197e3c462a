/* SPDX-License-Identifier: Apache-2.0 */
/* Model, stream, conversation and usage of the known APIs. */
#include "inspect/facts.h"

#include <string.h>

/* Longer names and ids are none. */
#define FACT_MAX 512
#define MAX_SAFE_INTEGER (INT64_C(1) << 53)

/* Members that name a conversation, the best one first. */
static const char *const conversation_paths[] = {"conversation.id",
                                                 "conversation",
                                                 "conversation_id",
                                                 "conversationId",
                                                 "thread_id",
                                                 "session_id",
                                                 "metadata.conversation_id",
                                                 "prompt_cache_key",
                                                 "previous_response_id",
                                                 "metadata.user_id",
                                                 "params.sessionId"};

static char *
text_of(const char *text, const JsonToken *token)
{
  g_autoptr(GString) out = NULL;

  if (token->type != JSON_STRING || token->end - token->start > FACT_MAX)
    return NULL;
  out = g_string_new(NULL);
  json_unescape(text, token, out);
  if (out->len == 0 || memchr(out->str, '\0', out->len) != NULL)
    return NULL;
  return g_string_free(g_steal_pointer(&out), FALSE);
}

int64_t
fact_number(const char *text, size_t len)
{
  int64_t value = 0;

  if (len == 0 || len > 16)
    return -1;
  for (size_t i = 0; i < len; i++) {
    if (!g_ascii_isdigit(text[i]))
      return -1;
    value = value * 10 + (text[i] - '0');
  }
  return value <= MAX_SAFE_INTEGER ? value : -1;
}

static void
note_conversation(Inspection *inspection,
                  const char *path,
                  const char *text,
                  const JsonToken *token)
{
  for (unsigned i = 0; i < G_N_ELEMENTS(conversation_paths); i++) {
    char *value;

    if (strcmp(path, conversation_paths[i]) != 0)
      continue;
    if (inspection->conversation != NULL && inspection->conversation_rank < i)
      return;
    value = text_of(text, token);
    if (value == NULL)
      return;
    g_free(inspection->conversation);
    inspection->conversation = value;
    inspection->conversation_rank = i;
    return;
  }
}

static void
note_usage(Inspection *inspection,
           const char *name,
           const char *text,
           const JsonToken *token)
{
  const int64_t value =
      fact_number(text + token->start, token->end - token->start);

  if (value < 0)
    return;
  if (strcmp(name, "prompt_tokens") == 0 || strcmp(name, "input_tokens") == 0)
    inspection->input_tokens = value;
  else if (strcmp(name, "completion_tokens") == 0 ||
           strcmp(name, "output_tokens") == 0)
    inspection->output_tokens = value;
}

void
fact_note(Inspection *inspection,
          const char *path,
          const char *text,
          const JsonToken *token)
{
  if (strcmp(path, "model") == 0) {
    if (inspection->model == NULL)
      inspection->model = text_of(text, token);
  } else if (strcmp(path, "stream") == 0) {
    inspection->stream = token->type == JSON_TRUE;
  } else if (token->type == JSON_NUMBER) {
    if (g_str_has_prefix(path, "usage."))
      note_usage(inspection, path + strlen("usage."), text, token);
  } else if (token->type == JSON_STRING) {
    note_conversation(inspection, path, text, token);
  }
}
