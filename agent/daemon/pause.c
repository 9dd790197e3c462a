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

const char *
agent_paused(const struct agent *agent)
{
  return agent->stopped ? agent->stopped : agent->paused;
}

/* What clients are told behind "hoop-agent is paused". g_free; NULL: it is
 * not. */
static char *
sentence(const struct agent *agent)
{
  if (agent->stopped)
    return g_strdup_printf("%s. It goes on once that file is removed.",
                           agent->stopped);
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

/* ---- The administrator's -------------------------------------------------
 */

/* Whatever lies there counts, and what cannot be looked at: only root can put
 * something there or take it away. */
static bool
is_stopped(void)
{
  struct stat info;

  return lstat(PAUSE_FILE, &info) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

static void
look(void *data)
{
  struct agent *agent = data;
  const bool stopped = is_stopped();

  if (stopped == (agent->stopped != NULL))
    return;
  g_clear_pointer(&agent->stopped, g_free);
  if (stopped) {
    agent->stopped = g_strdup("by an administrator (" PAUSE_FILE ")");
    log_warning("paused by an administrator: %s", PAUSE_FILE);
  } else {
    log_info("not paused by an administrator any more");
  }
  record_agent(agent,
               ROW_PAUSE,
               stopped ? "paused" : "resumed",
               "{\"by\":\"administrator\",\"file\":\"" PAUSE_FILE "\"}");
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
}
