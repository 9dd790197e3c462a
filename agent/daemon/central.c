/* SPDX-License-Identifier: Apache-2.0 */
/* The hub's policy on this machine: signed on the disk, looked at whole before
 * it is taken, and never followed by an older one. */
#include "config.h"

#include "daemon/private.h"
#include "kit/clock.h"
#include "kit/file.h"
#include "kit/json-put.h"
#include "kit/log.h"
#include <string.h>

/* In the state folder; in a folder of its own, which is watched. */
#define FOLDER "hub"
#define BUNDLE_FILE "policy.bundle"
#define MARK_FILE "policy.mark"
#define MAX_MARK 512
/* Between looks whether it has expired. */
#define TICK_S 30

void
central_clear(Central *central)
{
  bundle_free(central->bundle);
  g_free(central->problem);
  *central = (Central){.bundle = NULL};
}

static char *
path_of(const Config *config, const char *name)
{
  return g_build_filename(config->state_dir, FOLDER, name, NULL);
}

char *
central_file(const Config *config)
{
  return path_of(config, BUNDLE_FILE);
}

/* ---- the disk -------------------------------------------------------------
 */

/* False: there is none. */
static bool
read_whole(const char *path, size_t max, GBytes **out, char **problem)
{
  g_autoptr(GError) error = NULL;

  *out = file_read_trusted(path, max, FILE_OWN, &error);
  if (error && !g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOENT))
    *problem = g_strdup(error->message);
  return *out != NULL;
}

/* False: it says nothing of this key. */
static bool
read_mark(const Config *config,
          const uint8_t key[SIGNING_KEY_LEN],
          Central *out)
{
  g_autofree char *path = path_of(config, MARK_FILE);
  g_autoptr(GBytes) bytes = NULL;
  BundleMark mark;
  gsize len;

  if (!read_whole(path, MAX_MARK, &bytes, &out->problem))
    return out->problem == NULL;
  if (!bundle_mark_parse(
          g_bytes_get_data(bytes, &len), g_bytes_get_size(bytes), &mark)) {
    out->problem = g_strdup_printf("%s is not as it was written", path);
    return false;
  }
  if (memcmp(mark.key, key, SIGNING_KEY_LEN) != 0)
    return false;
  out->mark = mark;
  return true;
}

static void
read_bundle(const Config *config,
            const uint8_t key[SIGNING_KEY_LEN],
            Central *out)
{
  g_autofree char *path = path_of(config, BUNDLE_FILE);
  g_autoptr(GBytes) bytes = NULL;
  g_autoptr(GError) error = NULL;

  if (!read_whole(path, BUNDLE_MAX_SIZE, &bytes, &out->problem)) {
    if (!out->problem && out->mark.version > 0)
      out->problem = g_strdup_printf("%s is gone", path);
    return;
  }
  out->bundle = bundle_open(bytes, key, &error);
  if (!out->bundle)
    out->problem = g_strdup_printf("%s: %s", path, error->message);
  else if (out->bundle->version < out->mark.version ||
           (out->bundle->version == out->mark.version &&
            !g_str_equal(out->bundle->digest, out->mark.digest)))
    out->problem = g_strdup_printf(
        "%s is not the one that was taken last (version %" G_GINT64_FORMAT ")",
        path,
        out->mark.version);
  if (out->problem)
    g_clear_pointer(&out->bundle, bundle_free);
}

void
central_read(const Config *config, Central *out)
{
  g_autoptr(GError) error = NULL;
  uint8_t key[SIGNING_KEY_LEN];

  if (relay_pinned_key(config->state_dir,
                       config->hub_url,
                       config->hub_pinned_key,
                       key,
                       &error)) {
    if (read_mark(config, key, out))
      read_bundle(config, key, out);
  } else if (error) {
    out->problem = g_strdup(error->message);
  }
}

PolicyMemory *
central_memory(const Central *central)
{
  g_autoptr(PolicyMemory) memory = NULL;

  if (!central->bundle && !central->problem)
    return NULL;
  memory = policy_memory_new(CENTRAL_ROOT);
  if (central->problem)
    policy_memory_lose(memory, central->problem);
  for (guint i = 0; central->bundle && i < central->bundle->files->len; i++) {
    const BundleFile *file = central->bundle->files->pdata[i];

    policy_memory_add(memory, file->path, file->bytes);
  }
  return g_steal_pointer(&memory);
}

static bool
store(const Config *config,
      GBytes *bytes,
      const Bundle *bundle,
      const uint8_t key[SIGNING_KEY_LEN],
      GError **error)
{
  g_autofree char *folder = g_build_filename(config->state_dir, FOLDER, NULL);
  g_autofree char *path = path_of(config, BUNDLE_FILE);
  g_autofree char *mark_path = path_of(config, MARK_FILE);
  g_autofree char *text = NULL;
  BundleMark mark = {.version = bundle->version};
  gsize len;
  const void *data = g_bytes_get_data(bytes, &len);

  memcpy(mark.key, key, SIGNING_KEY_LEN);
  g_strlcpy(mark.digest, bundle->digest, sizeof mark.digest);
  text = bundle_mark_format(&mark);
  /* The mark comes last: between the two the newer bundle is the one. */
  return file_private_dir(folder, error) &&
         file_replace(path, data, len, 0600, error) &&
         file_replace(mark_path, text, strlen(text), 0600, error);
}

/* ---- what is in force -----------------------------------------------------
 */

static bool
is_in_force(const struct agent *agent)
{
  PolicyLayer layer;
  const char *name;

  for (unsigned i = 0; (name = policy_file(agent->policy, i, &layer)); i++)
    if (g_str_equal(name, CENTRAL_ENTRY))
      return true;
  return false;
}

char *
central_detail(const struct agent *agent)
{
  GString *out;

  if (!agent->bundle)
    return NULL;
  out = g_string_new("{\"bundle\":{");
  json_put_text(out, "name", agent->bundle->name);
  json_put_number(out, "version", agent->bundle->version);
  json_put_text(out, "digest", agent->bundle->digest);
  g_string_append(out, "}}");
  return g_string_free(out, FALSE);
}

static void
tell_hub(struct agent *agent)
{
  const char *problem =
      agent->bundle_problem ? agent->bundle_problem : agent->policy_error;

  relay_took_bundle(
      agent->relay,
      agent->bundle && !agent->central.problem ? agent->bundle->digest : NULL);
  relay_report(
      agent->relay,
      &(RelayReport){.version = PACKAGE_VERSION,
                     .revision = policy_revision(agent->policy),
                     .bundle = agent->bundle ? agent->bundle->version : 0,
                     .problem = problem});
}

/* Something worth a row and a line, once. */
static void
say(struct agent *agent, const char *verdict, const char *key, const char *what)
{
  GString *detail = g_string_new("{");

  json_put_text(detail, key, what);
  g_string_append_c(detail, '}');
  record_agent(agent, ROW_POLICY, verdict, detail->str);
  g_string_free(detail, TRUE);
  log_warning("hub: policy %s: %s", verdict, what);
}

/* Still enforced, but said. */
static void
look_at_time(struct agent *agent)
{
  const bool expired =
      agent->bundle && agent->bundle->expires_us <= clock_wall_us();

  if (expired && !agent->bundle_expired) {
    g_autofree char *time = clock_rfc3339(agent->bundle->expires_us);
    g_autofree char *what = g_strdup_printf("version %" G_GINT64_FORMAT
                                            " ended %s; it stays in force",
                                            agent->bundle->version,
                                            time);

    say(agent, "expired", "expired", what);
  }
  agent->bundle_expired = expired;
}

static void
look_whether_needed(struct agent *agent)
{
  const bool needed = agent->config->hub_require_policy;
  const char *why = NULL;

  if (!agent->bundle && agent->central.problem)
    why = agent->central.problem;
  else if (needed && !agent->bundle)
    why = "none has come yet";
  else if (needed && agent->bundle_expired)
    why = "it has expired";
  agent_set_unbundled(agent, why);
}

void
central_accepted(struct agent *agent)
{
  /* As policy_load_over() says it: the former layer stays. */
  const bool held =
      agent->policy_error && strstr(agent->policy_error, "central layer: ");

  if (!is_in_force(agent)) {
    g_clear_pointer(&agent->bundle, bundle_free);
  } else if (agent->central.bundle && !held) {
    bundle_free(agent->bundle);
    agent->bundle = g_steal_pointer(&agent->central.bundle);
  }
}

void
central_follow(struct agent *agent)
{
  look_at_time(agent);
  look_whether_needed(agent);
  if (agent->relay)
    tell_hub(agent);
}

/* ---- what the hub sends ---------------------------------------------------
 */

static void
set_problem(struct agent *agent, const char *problem)
{
  if (g_strcmp0(agent->bundle_problem, problem) == 0)
    return;
  g_free(agent->bundle_problem);
  agent->bundle_problem = g_strdup(problem);
  if (problem)
    say(agent, "refused", "error", problem);
  tell_hub(agent);
  agent_state_changed(agent);
}

/* It alone must be a policy, whatever this machine has beside it. */
static bool
check(const Bundle *bundle, GError **error)
{
  const Central central = {.bundle = (Bundle *)(uintptr_t)bundle};
  g_autoptr(PolicyMemory) memory = central_memory(&central);
  const PolicySource source = {CENTRAL_ENTRY, LAYER_CENTRAL, FILE_ROOTS};
  g_autoptr(Policy) policy =
      policy_load_beside(memory, &source, 1, NULL, NULL, NULL, error);

  return policy != NULL;
}

/* The last that was taken, by whatever remembers a later one. */
static BundleMark
last_mark(const struct agent *agent, const Central *disk)
{
  BundleMark mark = disk->mark;

  if (agent->bundle && agent->bundle->version > mark.version) {
    mark.version = agent->bundle->version;
    g_strlcpy(mark.digest, agent->bundle->digest, sizeof mark.digest);
  }
  return mark;
}

static bool
take(struct agent *agent, GBytes *bytes, GError **error)
{
  const Config *config = agent->config;
  g_auto(Central) disk = {.bundle = NULL};
  g_autoptr(Bundle) bundle = NULL;
  uint8_t key[SIGNING_KEY_LEN];
  BundleMark mark;

  if (!relay_pinned_key(config->state_dir,
                        config->hub_url,
                        config->hub_pinned_key,
                        key,
                        error)) {
    if (!*error)
      g_set_error_literal(
          error, DAEMON_ERROR, DAEMON_ERROR_START, "no key is pinned");
    return false;
  }
  bundle = bundle_open(bytes, key, error);
  if (!bundle)
    return false;
  central_read(config, &disk);
  mark = last_mark(agent, &disk);
  if (!bundle_may_follow(bundle, &mark, clock_wall_us(), error) ||
      !check(bundle, error)) {
    g_prefix_error(
        error, "the hub sent version %" G_GINT64_FORMAT ": ", bundle->version);
    return false;
  }
  return store(config, bytes, bundle, key, error);
}

void
central_take(struct agent *agent, GBytes *bytes)
{
  g_autoptr(GError) error = NULL;

  if (agent->stopping)
    return;
  if (!take(agent, bytes, &error)) {
    set_problem(agent, error->message);
    return;
  }
  agent_reload(agent, NULL);
  set_problem(agent, NULL);
}

/* ---- life -----------------------------------------------------------------
 */

static gboolean
on_tick(gpointer data)
{
  struct agent *agent = data;
  const bool expired = agent->bundle_expired;

  look_at_time(agent);
  if (expired != agent->bundle_expired) {
    look_whether_needed(agent);
    agent_state_changed(agent);
  }
  return G_SOURCE_CONTINUE;
}

bool
central_start(struct agent *agent, GError **error)
{
  g_autofree char *folder =
      g_build_filename(agent->config->state_dir, FOLDER, NULL);

  /* Watched while it is there. */
  if (!file_private_dir(folder, error))
    return false;
  central_accepted(agent);
  central_follow(agent);
  agent->central_timer = g_timeout_add_seconds(TICK_S, on_tick, agent);
  return true;
}

void
central_stop(struct agent *agent)
{
  g_clear_handle_id(&agent->central_timer, g_source_remove);
}

void
central_status(const struct agent *agent, GVariantDict *dict)
{
  const Bundle *bundle = agent->bundle;

  if (bundle) {
    g_autofree char *expires = clock_rfc3339(bundle->expires_us);

    control_add_text(dict, "bundle", bundle->name);
    g_variant_dict_insert(
        dict, "bundle_version", "t", (guint64)bundle->version);
    control_add_text(dict, "bundle_expires", expires);
    g_variant_dict_insert(dict, "bundle_expired", "b", agent->bundle_expired);
  }
  control_add_text(dict,
                   "bundle_problem",
                   agent->bundle_problem ? agent->bundle_problem
                                         : agent->central.problem);
}
