/* SPDX-License-Identifier: Apache-2.0 */
/* The lines in a shell's profile: variables that only the client reads are
 * exported; what every program would follow (a proxy) is set for the client's
 * own command alone, by a function of its name. */
#include "cli/block.h"
#include "cli/plan.h"
#include <string.h>

typedef struct {
  char *path;
  bool fish;
} Profile;

/* --profile, else the file that the user's shell reads when it starts. */
static void
find_profile(const Plan *plan, Profile *profile)
{
  const char *given = call_value(plan->call, "profile");
  const char *shell = g_getenv("SHELL");
  const char *home = g_get_home_dir();
  g_autofree char *name = shell ? g_path_get_basename(shell) : NULL;

  profile->fish = g_strcmp0(name, "fish") == 0;
  if (given) {
    profile->path = g_canonicalize_filename(given, NULL);
    profile->fish = g_str_has_suffix(given, ".fish");
  } else if (profile->fish) {
    g_autofree char *file =
        g_strdup_printf("hoop-agent-%s.fish", plan->client->name);

    profile->path =
        g_build_filename(g_get_user_config_dir(), "fish", "conf.d", file, NULL);
  } else if (g_strcmp0(name, "zsh") == 0) {
    profile->path =
        g_build_filename(g_getenv("ZDOTDIR") ?: home, ".zshrc", NULL);
  } else {
    profile->path = g_build_filename(
        home, g_strcmp0(name, "bash") == 0 ? ".bashrc" : ".profile", NULL);
  }
}

/* A proxy for all programs is not what the user asked for; codex is given a
 * file of authorities that replaces the system's. */
static bool
is_wrapped(const Plan *plan)
{
  const char *program = plan->client->program;

  return program && !strchr(program, '-') &&
         (plan->via == VIA_PROXY || g_str_equal(plan->client->name, "codex"));
}

static bool
is_exported(const Plan *plan, const Variable *variable)
{
  return plan->via == VIA_BASE_URL || !variable_is_proxy(variable);
}

static void
append_assignments(GString *out, GArray *variables)
{
  for (unsigned i = 0; i < variables->len; i++) {
    const Variable *one = &g_array_index(variables, Variable, i);
    g_autofree char *value = g_shell_quote(one->value);

    g_string_append_printf(out, "%s=%s ", one->name, value);
  }
}

static void
append_function(GString *out, GArray *variables, const char *program, bool fish)
{
  if (fish) {
    g_string_append_printf(out, "function %s\n  env ", program);
    append_assignments(out, variables);
    g_string_append_printf(out, "%s $argv\nend\n", program);
    return;
  }
  /* An alias of that name would be put into the next line. */
  g_string_append_printf(
      out, "unalias %s 2>/dev/null || true\n%s() {\n  ", program, program);
  append_assignments(out, variables);
  g_string_append_printf(out, "command %s \"$@\"\n}\n", program);
}

static void
append_exports(const Plan *plan, GString *out, GArray *variables, bool fish)
{
  for (unsigned i = 0; i < variables->len; i++) {
    const Variable *one = &g_array_index(variables, Variable, i);
    g_autofree char *value = g_shell_quote(one->value);

    if (is_exported(plan, one))
      g_string_append_printf(
          out, fish ? "set -gx %s %s\n" : "export %s=%s\n", one->name, value);
  }
}

/* Codex reads its address from config.toml. */
static void
drop_base_url(GArray *variables)
{
  for (unsigned i = variables->len; i-- > 0;)
    if (g_str_equal(g_array_index(variables, Variable, i).name,
                    "OPENAI_BASE_URL"))
      g_array_remove_index(variables, i);
}

bool
plan_profile(Plan *plan, GError **error)
{
  g_autoptr(GArray) variables =
      variables_new(plan->site, plan->client, plan->via, error);
  g_autoptr(GString) lines = g_string_new(NULL);
  const char *names[] = {plan->client->name, NULL};
  g_autofree char *path = NULL;
  Profile profile;
  Change *change;

  if (!variables)
    return false;
  if (g_str_equal(plan->client->name, "codex"))
    drop_base_url(variables);
  find_profile(plan, &profile);
  path = profile.path;
  g_string_append_printf(lines,
                         "# hoop-agent setup %s --undo takes this out again\n",
                         plan->client->name);
  if (is_wrapped(plan))
    append_function(lines, variables, plan->client->program, profile.fish);
  else
    append_exports(plan, lines, variables, profile.fish);
  change = plan_file(plan, path, CHANGE_BLOCKS, names, error);
  if (!change)
    return false;
  g_free(change->after);
  change->after = block_append(change->before, plan->client->name, lines->str);
  plan_note(plan, "It counts in shells that start from now on.");
  if (g_str_equal(plan->client->name, "language-server") &&
      plan->via == VIA_PROXY)
    plan_note(plan,
              "Give the server the editor settings http.proxy = %s and "
              "http.proxyStrictSSL = true.",
              plan->site->proxy);
  return true;
}
