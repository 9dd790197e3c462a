/* SPDX-License-Identifier: Apache-2.0 */
/* The API shapes that the agent reads: their names, as policy, journal and
 * error bodies use them. */
#ifndef HOOP_KIT_API_H
#define HOOP_KIT_API_H

#include <stdbool.h>

typedef enum {
  API_OTHER, /* JSON, form or text of no known shape: every leaf is read */
  API_COMPLETIONS, /* POST /v1/engines/…/completions, /v1/completions */
  API_CHAT,        /* POST /chat/completions */
  API_RESPONSES,   /* POST /responses */
  API_MESSAGES,    /* POST /v1/messages */
  API_EMBEDDINGS,
  API_MODELS, /* GET /models */
  API_MCP,    /* JSON-RPC over HTTP */
  API_TELEMETRY,
  API_TOKEN, /* GET /copilot_internal/v2/token */
  API_USER,  /* GET /copilot_internal/user */
  N_APIS
} Api;

typedef enum { DIRECTION_REQUEST, DIRECTION_RESPONSE } Direction;

/* "chat", "completions", …; never NULL. */
const char *api_name(Api api);
/* False when `name` is none of them; `out` untouched. */
bool api_from_name(const char *name, Api *out);
/* The shape that a request of this method and path speaks. What follows `?` is
 * ignored; a version or provider prefix (/v1, /openai/v1, /api/v3 …) may come
 * first; empty segments and percent escapes are read as servers do. What is
 * not certain is API_OTHER, of which every leaf is read: other methods, dot
 * segments, unknown paths. */
Api api_from_path(const char *method, const char *path);
/* True for the shapes that a model answers with generated text. */
bool api_is_generation(Api api);

#endif
