/* SPDX-License-Identifier: Apache-2.0 */
/* Pauses: the user's, for a time or until resume, and the administrator's, as
 * long as a file is there that only root can remove. */
#include "daemon/private.h"
#include "kit/clock.h"
#include "kit/json.h"
#include "kit/log.h"
#include <errno.h>
#include <sys/stat.h>

typedef struct {
  ExchangeEnv *env;
  char *paused;
} Change;

static void
apply_pause(void *data)
{
  Change *change = data;

  exchange_env_set_paused(change->env, change->paused);
  g_free(change->paused);
  g_free(change);
}

static const char outdated[] = "until the policy can be loaded: the central "
                               "layer is another, and the files of this "
                               "machine do not go together with it";

const char *
agent_paused(const struct agent *agent)
{
  if (agent->stopped)
    return agent->stopped;
  if (agent->outdated)
    return outdated;
  return agent->unbundled ? agent->unbundled : agent->paused;
}

/* What clients are told behind "hoop-agent is paused". g_free; NULL: it is
 * not. */
static char *
sentence(const struct agent *agent)
{
  if (agent->stopped)
    return g_strdup_printf("%s. It goes on once that file is removed.",
                           agent->stopped);
  if (agent->outdated)
    return g_strdup_printf("%s. `hoop-agent status` says what is wrong.",
                           outdated);
  if (agent->unbundled)
    return g_strdup_printf("%s. `hoop-agent status` says what is wrong.",
                           agent->unbundled);
  if (agent->paused)
    return g_strdup_printf("(%s). Run `hoop-agent resume`.", agent->paused);
  return NULL;
}

/* In force before the data thread serves its first request. */
static void
post_pause(struct agent *agent)
{
  Change *change = g_new0(Change, 1);

  change->env = agent->env;
  change->paused = sentence(agent);
  if (agent->data_started)
    loop_post(agent->data_loop, apply_pause, change);
  else
    apply_pause(change);
  if (agent->skeleton)
    agent_state_changed(agent);
}

/* ---- The user's ----------------------------------------------------------
 */

static gboolean
pause_over(gpointer data)
{
  struct agent *agent = data;

  agent->pause_timer = 0;
  agent_resume(agent, NULL);
  return G_SOURCE_REMOVE;
}

void
agent_pause(struct agent *agent, unsigned seconds)
{
  g_autofree char *until = NULL;

  g_clear_handle_id(&agent->pause_timer, g_source_remove);
  g_free(agent->paused);
  if (seconds) {
    until = clock_rfc3339(clock_wall_us() + (int64_t)seconds * G_USEC_PER_SEC);
    agent->paused = g_strdup_printf("until %s", until);
    agent->pause_timer = g_timeout_add_seconds(seconds, pause_over, agent);
  } else {
    agent->paused = g_strdup("until `hoop-agent resume`");
  }
  record_agent(agent, ROW_PAUSE, "paused", NULL);
  post_pause(agent);
}

bool
agent_resume(struct agent *agent, GError **error)
{
  g_clear_handle_id(&agent->pause_timer, g_source_remove);
  if (agent->paused) {
    g_clear_pointer(&agent->paused, g_free);
    record_agent(agent, ROW_PAUSE, "resumed", NULL);
    post_pause(agent);
  }
  if (!agent->stopped)
    return true;
  g_set_error_literal(error,
                      BUS_ERROR,
                      BUS_ERROR_REFUSED,
                      "an administrator paused this agent: it goes on once "
                      "the file " PAUSE_FILE " is removed, which only they can "
                      "do");
  return false;
}

/* ---- The central policy's ------------------------------------------------
 */

void
agent_set_outdated(struct agent *agent, bool is_outdated)
{
  if (agent->outdated == is_outdated)
    return;
  agent->outdated = is_outdated;
  record_agent(agent,
               ROW_PAUSE,
               is_outdated ? "paused" : "resumed",
               "{\"by\":\"central policy\"}");
  post_pause(agent);
}

/* Texts are the same as long as the reason is. */
void
agent_set_unbundled(struct agent *agent, const char *why)
{
  g_autofree char *text =
      why ? g_strdup_printf("until the hub's policy is there: %s", why) : NULL;

  if (g_strcmp0(agent->unbundled, text) == 0)
    return;
  if (!agent->unbundled != !text)
    record_agent(agent,
                 ROW_PAUSE,
                 text ? "paused" : "resumed",
                 "{\"by\":\"hub policy\"}");
  g_free(agent->unbundled);
  agent->unbundled = g_steal_pointer(&text);
  if (agent->env)
    post_pause(agent);
}

/* ---- The administrator's -------------------------------------------------
 */

/* Who paused. Whatever lies there counts, and what cannot be looked at; but
 * that an administrator put it there is said only of what root alone can
 * change. g_free; NULL: nothing is there. */
static char *
look_for_stop(void)
{
  struct stat info;

  if (lstat(PAUSE_FILE, &info) != 0)
    return errno == ENOENT || errno == ENOTDIR
               ? NULL
               : g_strdup_printf("by " PAUSE_FILE
                                 ", which cannot be looked at (%s)",
                                 g_strerror(errno));
  if (info.st_uid != 0)
    return g_strdup_printf("by " PAUSE_FILE
                           ", which is not an administrator's: it belongs to "
                           "uid %lu",
                           (unsigned long)info.st_uid);
  if (!S_ISLNK(info.st_mode) && (info.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return g_strdup_printf("by " PAUSE_FILE
                           ", which others than an administrator can write "
                           "(mode %04o)",
                           (unsigned)(info.st_mode & 07777));
  return g_strdup("by an administrator (" PAUSE_FILE ")");
}

/* Recorded once for each pause; who it is by may become another. */
static void
record_stop(struct agent *agent, bool stopped)
{
  g_autoptr(GString) detail =
      g_string_new("{\"by\":\"administrator\",\"file\":\"" PAUSE_FILE "\"");

  if (agent->stopped && !g_str_has_prefix(agent->stopped, "by an admin")) {
    g_string_append(detail, ",\"warning\":\"");
    json_escape(detail, agent->stopped, -1);
    g_string_append_c(detail, '"');
  }
  g_string_append_c(detail, '}');
  record_agent(agent, ROW_PAUSE, stopped ? "paused" : "resumed", detail->str);
}

static void
look(void *data)
{
  struct agent *agent = data;
  g_autofree char *stopped = look_for_stop();
  const bool was = agent->stopped != NULL;

  if (g_strcmp0(stopped, agent->stopped) == 0)
    return;
  g_free(agent->stopped);
  agent->stopped = g_steal_pointer(&stopped);
  if (agent->stopped)
    log_warning("paused %s", agent->stopped);
  else
    log_info("not paused by an administrator any more");
  if (!agent->stopped || !was)
    record_stop(agent, agent->stopped != NULL);
  post_pause(agent);
}

void
pause_start(struct agent *agent)
{
  static const char *const paths[] = {PAUSE_FILE, NULL};

  /* Watched first, so that nothing comes in between. */
  agent->pause_watch = watch_new(paths, 0, look, agent);
  look(agent);
}

void
pause_stop(struct agent *agent)
{
  g_clear_handle_id(&agent->pause_timer, g_source_remove);
  g_clear_pointer(&agent->pause_watch, watch_free);
  g_clear_pointer(&agent->paused, g_free);
  g_clear_pointer(&agent->stopped, g_free);
  g_clear_pointer(&agent->unbundled, g_free);
}
