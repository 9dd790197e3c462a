/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of connections: their hosts, which path belongs to which of them,
 * and how the credential travels. A new kind is a row here. */
#include "conn/private.h"
#include <string.h>

static const char *const copilot_hosts[] = {
    "githubcopilot.com",
    "copilot-proxy.githubusercontent.com",
    "origin-tracker.githubusercontent.com",
    "copilot-telemetry.githubusercontent.com",
    NULL,
};
static const char *const copilot_held_hosts[] = {"api.github.com", NULL};
static const char *const anthropic_hosts[] = {"api.anthropic.com", NULL};
static const char *const openai_hosts[] = {"api.openai.com", NULL};
static const char *const no_hosts[] = {NULL};

static const char *const copilot_headers[] = {"authorization",
                                              "x-github-token",
                                              NULL};
static const char *const anthropic_headers[] = {"authorization",
                                                "x-api-key",
                                                "x-trusted-device-token",
                                                NULL};
static const char *const openai_headers[] = {"authorization", NULL};

static bool
below(const char *path, const char *prefix)
{
  size_t len = strlen(prefix);

  return strncmp(path, prefix, len) == 0 &&
         (path[len] == '\0' || path[len] == '/' || prefix[len - 1] == '/');
}

static Service
copilot_service(const char *path)
{
  static const struct {
    const char *prefix;
    Service service;
  } paths[] = {
      {"/login", SERVICE_LOGIN},
      {"/copilot_internal", SERVICE_ACCOUNT},
      {"/copilot/mcp_registry", SERVICE_ACCOUNT},
      {"/api/v3", SERVICE_ACCOUNT},
      {"/user", SERVICE_ACCOUNT},
      {"/repos", SERVICE_ACCOUNT},
      {"/embeddings/models", SERVICE_ACCOUNT},
      {"/v1/engines", SERVICE_PROXY},
      {"/v1/completions", SERVICE_PROXY},
      {"/telemetry", SERVICE_TELEMETRY},
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(paths); i++)
    if (below(path, paths[i].prefix))
      return paths[i].service;
  return SERVICE_API;
}

static Service
one_service(const char *path)
{
  (void)path;
  return SERVICE_API;
}

static const ConnType types[] = {
    {
        .name = "copilot",
        .on_by_default = true,
        .hosts = copilot_hosts,
        .held_hosts = copilot_held_hosts,
        .defaults =
            {
                [SERVICE_API] = "https://api.githubcopilot.com",
                [SERVICE_PROXY] = "https://copilot-proxy.githubusercontent.com",
                [SERVICE_TELEMETRY] =
                    "https://copilot-telemetry.githubusercontent.com",
                [SERVICE_ACCOUNT] = "https://api.github.com",
                [SERVICE_LOGIN] = "https://github.com",
            },
        .service = copilot_service,
        .session_tokens = true,
        .key_header = "Authorization",
        .key_prefix = "Bearer ",
        .own_headers = copilot_headers,
        .models = "/models",
    },
    {
        .name = "anthropic",
        .hosts = anthropic_hosts,
        .held_hosts = no_hosts,
        .defaults = {[SERVICE_API] = "https://api.anthropic.com"},
        .service = one_service,
        .key_header = "x-api-key",
        .key_prefix = "",
        .own_headers = anthropic_headers,
        .models = "/v1/models",
    },
    {
        .name = "openai",
        .hosts = openai_hosts,
        .held_hosts = no_hosts,
        .defaults = {[SERVICE_API] = "https://api.openai.com"},
        .service = one_service,
        .key_header = "Authorization",
        .key_prefix = "Bearer ",
        .own_headers = openai_headers,
        .models = "/v1/models",
    },
};

const ConnType *
conn_types(unsigned *n)
{
  *n = G_N_ELEMENTS(types);
  return types;
}

const ConnType *
conn_type_find(const char *name)
{
  for (unsigned i = 0; i < G_N_ELEMENTS(types); i++)
    if (g_strcmp0(types[i].name, name) == 0)
      return &types[i];
  return NULL;
}
