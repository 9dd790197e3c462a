/* SPDX-License-Identifier: Apache-2.0 */
/* Which API shape a request speaks, told by its method and path. */
#include "kit/api.h"

#include <glib.h>
#include <string.h>

/* No path of a known shape has more segments; longer ones are of none. */
#define MAX_SEGMENTS 12

enum { GET = 1, POST = 2, ANY = 7 };

/* What may stand before a route: versions, providers' and enterprise servers'
 * prefixes. "*" is one segment of any text. */
static const char *const prefixes[] = {
    "",
    "v1",
    "api/v1",
    "api/v3",
    "openai",
    "openai/v1",
    "openai/deployments/*",
    "anthropic",
    "anthropic/v1",
    "backend-api/codex",
};

/* "*" is one segment, "**" at the end is none or more. */
static const struct {
  unsigned methods;
  Api api;
  const char *pattern;
} routes[] = {
    {POST, API_COMPLETIONS, "engines/*/completions"},
    {POST, API_COMPLETIONS, "completions"},
    {POST, API_CHAT, "chat/completions"},
    /* GET is the WebSocket upgrade, or a stored response read again. */
    {GET | POST, API_RESPONSES, "responses/**"},
    {POST, API_MESSAGES, "messages"},
    {POST, API_MESSAGES, "messages/count_tokens"},
    {POST, API_EMBEDDINGS, "embeddings"},
    {POST, API_EMBEDDINGS, "engines/*/embeddings"},
    {GET, API_MODELS, "models/**"},
    {ANY, API_MCP, "mcp/**"},
    {ANY, API_TELEMETRY, "telemetry"},
    {ANY, API_TELEMETRY, "v2/track"},
    {GET, API_TOKEN, "copilot_internal/v2/token"},
    {GET, API_USER, "copilot_internal/user"},
};

static const char *const names[N_APIS] = {
    [API_OTHER] = "other",
    [API_COMPLETIONS] = "completions",
    [API_CHAT] = "chat",
    [API_RESPONSES] = "responses",
    [API_MESSAGES] = "messages",
    [API_EMBEDDINGS] = "embeddings",
    [API_MODELS] = "models",
    [API_MCP] = "mcp",
    [API_TELEMETRY] = "telemetry",
    [API_TOKEN] = "token",
    [API_USER] = "user",
};

static unsigned
method_bit(const char *method)
{
  if (strcmp(method, "POST") == 0)
    return POST;
  if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0)
    return GET;
  return ANY & ~(unsigned)(GET | POST);
}

/* Percent-decodes in place, since servers do; false on a bad escape or one
 * for a byte that no segment of a known path holds. */
static bool
decode(char *segment)
{
  char *to = segment;

  for (const char *at = segment; *at != '\0'; at++) {
    char c = *at;

    if (c == '%') {
      if (!g_ascii_isxdigit(at[1]) || !g_ascii_isxdigit(at[2]))
        return false;
      c = (char)(g_ascii_xdigit_value(at[1]) << 4 |
                 g_ascii_xdigit_value(at[2]));
      at += 2;
    }
    if (c == '/' || !g_ascii_isgraph(c))
      return false;
    *to++ = c;
  }
  *to = '\0';
  return true;
}

/* Splits in place; empty segments are dropped as servers do. False for a path
 * of no known shape. */
static bool
split(char *path, char *segments[MAX_SEGMENTS], size_t *n)
{
  char *rest = NULL;

  *n = 0;
  for (char *segment = strtok_r(path, "/", &rest); segment != NULL;
       segment = strtok_r(NULL, "/", &rest)) {
    if (*n == MAX_SEGMENTS || !decode(segment) || strcmp(segment, ".") == 0 ||
        strcmp(segment, "..") == 0)
      return false;
    segments[(*n)++] = segment;
  }
  return true;
}

/* The number of segments that the pattern covers when they begin with it, or
 * -1. */
static int
match(const char *pattern, char *const segments[], size_t n)
{
  size_t i = 0;

  while (*pattern != '\0') {
    size_t len = strcspn(pattern, "/");

    if (strcmp(pattern, "**") == 0)
      return (int)n;
    if (i == n)
      return -1;
    if (strncmp(pattern, "*", len) != 0 &&
        (strlen(segments[i]) != len || memcmp(pattern, segments[i], len) != 0))
      return -1;
    i++;
    pattern += len;
    pattern += *pattern == '/';
  }
  return (int)i;
}

const char *
api_name(Api api)
{
  return (unsigned)api < N_APIS ? names[api] : names[API_OTHER];
}

bool
api_from_name(const char *name, Api *out)
{
  for (unsigned i = 0; i < N_APIS; i++) {
    if (strcmp(names[i], name) == 0) {
      *out = (Api)i;
      return true;
    }
  }
  return false;
}

Api
api_from_path(const char *method, const char *path)
{
  g_autofree char *copy = g_strndup(path, strcspn(path, "?#"));
  char *segments[MAX_SEGMENTS];
  const unsigned bit = method_bit(method);
  size_t n;

  if (!split(copy, segments, &n))
    return API_OTHER;
  for (size_t i = 0; i < G_N_ELEMENTS(prefixes); i++) {
    int skip = match(prefixes[i], segments, n);

    if (skip < 0)
      continue;
    for (size_t j = 0; j < G_N_ELEMENTS(routes); j++) {
      size_t left = n - (size_t)skip;

      if ((routes[j].methods & bit) != 0 &&
          match(routes[j].pattern, segments + skip, left) == (int)left)
        return routes[j].api;
    }
  }
  return API_OTHER;
}

bool
api_is_generation(Api api)
{
  switch (api) {
  case API_COMPLETIONS:
  case API_CHAT:
  case API_RESPONSES:
  case API_MESSAGES:
    return true;
  case API_OTHER:
  case API_EMBEDDINGS:
  case API_MODELS:
  case API_MCP:
  case API_TELEMETRY:
  case API_TOKEN:
  case API_USER:
  case N_APIS:
    break;
  }
  return false;
}
