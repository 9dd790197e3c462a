/* SPDX-License-Identifier: Apache-2.0 */
/* Which API a method and path speak: the paths that clients were seen to use,
 * and the ways to write them otherwise. */

#include "kit/api.h"

#include <glib.h>

typedef struct {
  const char *method;
  const char *path;
  Api api;
} Row;

static const Row rows[] = {
    /* copilot-language-server */
    {"POST", "/v1/engines/gpt-41-copilot/completions", API_COMPLETIONS},
    {"POST", "/chat/completions", API_CHAT},
    {"POST", "/responses", API_RESPONSES},
    {"POST", "/v1/messages", API_MESSAGES},
    {"GET", "/models", API_MODELS},
    {"GET", "/models/gpt-41-copilot", API_MODELS},
    {"POST", "/embeddings", API_EMBEDDINGS},
    {"GET", "/copilot_internal/v2/token", API_TOKEN},
    {"GET", "/copilot_internal/user", API_USER},
    {"POST", "/telemetry", API_TELEMETRY},
    {"POST", "/v2/track", API_TELEMETRY},
    {"POST", "/mcp/readonly", API_MCP},
    {"POST", "/mcp/", API_MCP},
    {"GET", "/mcp", API_MCP},
    {"DELETE", "/mcp", API_MCP},
    {"POST", "/agents", API_OTHER},
    {"GET", "/agents", API_OTHER},
    /* Copilot CLI */
    {"GET", "/responses", API_RESPONSES},
    {"GET", "/copilot/mcp_registry", API_OTHER},
    {"GET", "/copilot_internal/managed_settings", API_OTHER},
    {"GET", "/repos/github/copilot-cli/releases", API_OTHER},
    {"POST", "/agents/swe/v1/jobs", API_OTHER},
    /* Claude Code, Codex, the openai SDK, other providers */
    {"POST", "/v1/messages?beta=true", API_MESSAGES},
    {"POST", "/v1/messages/count_tokens?beta=true", API_MESSAGES},
    {"POST", "/v1/messages/batches", API_OTHER},
    {"HEAD", "/", API_OTHER},
    {"POST", "/v1/responses", API_RESPONSES},
    {"POST", "/v1/responses/compact", API_RESPONSES},
    {"GET", "/v1/responses/resp_1", API_RESPONSES},
    {"POST", "/backend-api/codex/responses", API_RESPONSES},
    {"POST", "/v1/chat/completions", API_CHAT},
    {"POST", "/v1/completions", API_COMPLETIONS},
    {"POST", "/completions", API_COMPLETIONS},
    {"POST", "/v1/embeddings", API_EMBEDDINGS},
    {"GET", "/v1/models", API_MODELS},
    {"HEAD", "/v1/models", API_MODELS},
    {"POST", "/openai/v1/chat/completions", API_CHAT},
    {"POST", "/openai/deployments/my-gpt/chat/completions", API_CHAT},
    {"POST", "/openai/deployments/d/embeddings?api-version=1", API_EMBEDDINGS},
    {"POST", "/anthropic/v1/messages", API_MESSAGES},
    {"POST", "/api/v1/chat/completions", API_CHAT},
    /* GitHub Enterprise Server */
    {"GET", "/api/v3/copilot_internal/v2/token", API_TOKEN},
    {"GET", "/api/v3/copilot_internal/user", API_USER},
    /* written otherwise */
    {"POST", "//v1//chat///completions/", API_CHAT},
    {"POST", "/chat/%63ompletions", API_CHAT},
    {"POST", "/%63%68%61%74/completions", API_CHAT},
    {"POST", "/chat/completions#f", API_CHAT},
    {"POST", "/chat/completions?a=/v1/messages", API_CHAT},
    {"POST", "/v1/engines/a%20b/completions", API_OTHER},
    {"POST", "/chat%2fcompletions", API_OTHER},
    {"POST", "/chat/%6", API_OTHER},
    {"POST", "/chat/%zzcompletions", API_OTHER},
    {"POST", "/v1/../chat/completions", API_OTHER},
    {"POST", "/./chat/completions", API_OTHER},
    {"POST", "/mcp/../chat/completions", API_OTHER},
    {"GET", "/models/%2E%2e/copilot_internal/v2/token", API_OTHER},
    {"GET", "/models/./x", API_OTHER},
    {"POST", "/%2e%2e/chat/completions", API_OTHER},
    {"POST", "/chat/completions%00", API_OTHER},
    {"POST", "/Chat/Completions", API_OTHER},
    /* not quite */
    {"GET", "/chat/completions", API_OTHER},
    {"PUT", "/chat/completions", API_OTHER},
    {"post", "/chat/completions", API_OTHER},
    {"POST", "/chat/completions/x", API_OTHER},
    {"POST", "/chat", API_OTHER},
    {"POST", "/x/chat/completions", API_OTHER},
    {"POST", "/v1/engines/completions", API_OTHER},
    {"POST", "/v1/engines/a/b/completions", API_OTHER},
    {"POST", "/v1/v1/completions", API_OTHER},
    {"POST", "/models", API_OTHER},
    {"POST", "/models/x/policy", API_OTHER},
    {"POST", "/copilot_internal/v2/token", API_OTHER},
    {"GET", "/copilot_internal/v2/token/x", API_OTHER},
    {"GET", "/mcpx", API_OTHER},
    {"POST", "/responsesx", API_OTHER},
    {"POST", "", API_OTHER},
    {"POST", "/", API_OTHER},
    {"POST", "?", API_OTHER},
    {"POST", "*", API_OTHER},
    {"POST", "/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p", API_OTHER},
    {"GET", "/models/a/b/c/d/e/f/g/h/i/j/k", API_MODELS},
    {"GET", "/models/a/b/c/d/e/f/g/h/i/j/k/l", API_OTHER},
};

static void
test_from_path(void)
{
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    const Api api = api_from_path(rows[i].method, rows[i].path);

    if (api != rows[i].api)
      g_error("%s %s: %s, not %s",
              rows[i].method,
              rows[i].path,
              api_name(api),
              api_name(rows[i].api));
  }
}

static void
test_names(void)
{
  Api api = API_USER;

  for (unsigned i = 0; i < N_APIS; i++) {
    api = N_APIS;
    g_assert_true(api_from_name(api_name((Api)i), &api));
    g_assert_cmpuint(api, ==, i);
  }
  api = API_CHAT;
  g_assert_false(api_from_name("Chat", &api));
  g_assert_false(api_from_name("", &api));
  g_assert_cmpuint(api, ==, API_CHAT);
  g_assert_cmpstr(api_name(N_APIS), ==, "other");
}

static void
test_generation(void)
{
  g_assert_true(api_is_generation(API_COMPLETIONS));
  g_assert_true(api_is_generation(API_CHAT));
  g_assert_true(api_is_generation(API_RESPONSES));
  g_assert_true(api_is_generation(API_MESSAGES));
  g_assert_false(api_is_generation(API_EMBEDDINGS));
  g_assert_false(api_is_generation(API_OTHER));
  g_assert_false(api_is_generation(API_MCP));
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/kit/api/from-path", test_from_path);
  g_test_add_func("/kit/api/names", test_names);
  g_test_add_func("/kit/api/generation", test_generation);
  return g_test_run();
}
