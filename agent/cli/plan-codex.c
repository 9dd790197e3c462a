/* SPDX-License-Identifier: Apache-2.0 */
/* Codex: a model provider in config.toml, and the authorities that its command
 * trusts. */
#include "cli/block.h"
#include "cli/plan.h"
#include <string.h>

#define PROVIDER "hoop-agent"
#define TOP "codex"
#define TABLE "codex provider"

/* ---- config.toml ---------------------------------------------------------
 */

/* Which multi-line string a line leaves open: '"', '\'' or 0. */
static char
open_string(const char *line, char open)
{
  for (const char *at = line; *at && *at != '\n'; at++) {
    if (open) {
      if (open == '"' && *at == '\\' && at[1] && at[1] != '\n')
        at++;
      else if (at[0] == open && at[1] == open && at[2] == open) {
        open = 0;
        at += 2;
      }
    } else if (*at == '#') {
      return 0;
    } else if ((*at == '"' || *at == '\'') && at[1] == *at && at[2] == *at) {
      open = *at;
      at += 2;
    } else if (*at == '"' || *at == '\'') {
      char quote = *at++;

      while (*at && *at != '\n' && *at != quote)
        at += *at == '\\' && quote == '"' && at[1] && at[1] != '\n' ? 2 : 1;
      if (*at != quote)
        return 0;
    }
  }
  return open;
}

static bool
sets(const char *line, const char *key)
{
  const char *at = line + strspn(line, " \t");
  size_t len = strlen(key);

  return strncmp(at, key, len) == 0 && at[len + strspn(at + len, " \t")] == '=';
}

static bool
is_own_table(const char *line)
{
  const char *at = line + strspn(line, " \t");

  return g_str_has_prefix(at, "[model_providers." PROVIDER "]") ||
         g_str_has_prefix(at, "[model_providers.\"" PROVIDER "\"]");
}

char *
codex_config(const char *text, const char *provider, GError **error)
{
  g_autoptr(GString) body = g_string_new(NULL);
  g_autofree char *topped = NULL;
  bool tables = false;
  char open = 0;

  for (const char *line = text; *line;) {
    size_t len = strcspn(line, "\n");

    len += line[len] == '\n';
    if (!open && line[strspn(line, " \t")] == '[')
      tables = true;
    if (!open && is_own_table(line)) {
      g_set_error_literal(error,
                          CHANGE_ERROR,
                          CHANGE_ERROR_TEXT,
                          "config.toml has a provider named " PROVIDER
                          " already, not of this setup: remove it first");
      return NULL;
    }
    /* One that stands there would stand twice. */
    if (!open && !tables && sets(line, "model_provider"))
      g_string_append(body, BLOCK_ASIDE);
    g_string_append_len(body, line, (gssize)len);
    open = open_string(line, open);
    line += len;
  }
  topped = block_prepend(body->str, TOP, "model_provider = \"" PROVIDER "\"\n");
  return block_append(topped, TABLE, provider);
}

static char *
provider_lines(const Plan *plan)
{
  return g_strdup_printf("[model_providers." PROVIDER "]\n"
                         "name = \"OpenAI through hoop-agent\"\n"
                         "base_url = \"%s/c/openai/v1\"\n"
                         "env_key = \"OPENAI_API_KEY\"\n"
                         "wire_api = \"responses\"\n",
                         plan->site->base);
}

bool
plan_codex(Plan *plan, GError **error)
{
  static const char *const names[] = {TOP, TABLE, NULL};
  const char *home = g_getenv("CODEX_HOME");
  g_autofree char *usual = g_build_filename(g_get_home_dir(), ".codex", NULL);
  g_autofree char *path =
      g_build_filename(home && *home ? home : usual, "config.toml", NULL);
  g_autofree char *lines = provider_lines(plan);
  Change *change;

  if (plan->via == VIA_PROXY)
    return plan_profile(plan, error);
  change = plan_file(plan, path, CHANGE_BLOCKS, names, error);
  if (!change)
    return false;
  g_free(change->after);
  change->after = codex_config(change->before, lines, error);
  return change->after && plan_profile(plan, error);
}
