/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's start, run and stop. */
#include "config.h"

#include "daemon/private.h"
#include "kit/clock.h"
#include "kit/log.h"
#include "kit/trim.h"
#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <sys/resource.h>
#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

/* How long exchanges that run may go on after SIGTERM. */
#define DRAIN_S 10
#define DRAIN_POLL_MS 50

/* Each client connection has one descriptor, its upstream one more, tunnels
 * pipes beside them. */
#define DESCRIPTORS 8192
/* From the start to the first request; usually some tens of milliseconds. */
#define SLOW_START_US ((int64_t)1 * G_USEC_PER_SEC)

static void
tell_systemd(const char *state)
{
#ifdef HAVE_SYSTEMD
  sd_notify(0, state);
#else
  (void)state;
#endif
}

/* ---- Calls into the data thread ---------------------------------------------
 */

static void *
data_thread(void *data)
{
  struct agent *agent = data;

  loop_run(agent->data_loop);
  return NULL;
}

static bool
start_data_thread(struct agent *agent, GError **error)
{
  sigset_t all, before;
  int failed;

  /* Signals are the main thread's. */
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  front_start(agent->front, agent->env);
  failed = pthread_create(&agent->data_thread, NULL, data_thread, agent);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  agent->data_started = !failed;
  if (failed)
    g_set_error(error,
                DAEMON_ERROR,
                DAEMON_ERROR_START,
                "the data thread cannot be started: %s",
                g_strerror(failed));
  return !failed;
}

/* One line for `systemctl --user status`. */
static void
tell_state(struct agent *agent)
{
  g_autofree char *state = NULL;

  if (agent_paused(agent))
    state = g_strdup_printf("STATUS=Paused %s", agent_paused(agent));
  else if (agent->policy_error)
    state = g_strdup_printf("STATUS=On %s; the policy file is wrong, the "
                            "former policy stays in force",
                            agent->self_url);
  else
    state = g_strdup_printf("STATUS=On %s", agent->self_url);
  tell_systemd(state);
}

void
agent_state_changed(struct agent *agent)
{
  hoop_agent1_emit_state_changed(agent->skeleton);
  tell_state(agent);
}

/* ---- Signals and the drain
 * --------------------------------------------------- */

typedef struct {
  struct agent *agent;
  int64_t until_us;
  LoopTimer *timer;
} Drain;

/* On the data thread: nothing new, then wait for what runs. */
static void
drain_look(void *data)
{
  Drain *drain = data;

  if (exchange_env_running(drain->agent->env) &&
      clock_mono_us() < drain->until_us) {
    loop_timer_set(drain->timer, DRAIN_POLL_MS);
    return;
  }
  loop_timer_free(drain->timer);
  loop_quit(drain->agent->data_loop);
  g_main_loop_quit(drain->agent->main); /* thread-safe */
  g_free(drain);
}

static void
drain_begin(void *data)
{
  Drain *drain = data;

  front_stop(drain->agent->front);
  exchange_env_drain(drain->agent->env);
  drain->timer = loop_timer_new(drain->agent->data_loop, drain_look, drain);
  drain_look(drain);
}

static gboolean
terminate(gpointer data)
{
  struct agent *agent = data;
  Drain *drain;

  if (agent->stopping)
    return G_SOURCE_REMOVE; /* the other signal came first */
  agent->stopping = true;
  approve_stop(agent->approve);
  drain = g_new0(Drain, 1);
  log_info("stopping: waiting up to %d s for what runs", DRAIN_S);
  tell_systemd("STOPPING=1\nSTATUS=Waiting for what runs");
  drain->agent = agent;
  drain->until_us = clock_mono_us() + (int64_t)DRAIN_S * G_USEC_PER_SEC;
  loop_post(agent->data_loop, drain_begin, drain);
  return G_SOURCE_REMOVE;
}

static gboolean
reload(gpointer data)
{
  agent_reload(data, NULL);
  return G_SOURCE_CONTINUE;
}

static void
raise_descriptors(void)
{
  struct rlimit limit;

  if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
    return;
  limit.rlim_cur = MIN((rlim_t)DESCRIPTORS, limit.rlim_max);
  setrlimit(RLIMIT_NOFILE, &limit);
}

/* A start that took long says what took it. */
static void
tell_slow_start(const struct agent *agent)
{
  const int64_t all = clock_mono_us() - agent->began_us;
  g_autoptr(GString) parts = g_string_new(NULL);

  if (all < SLOW_START_US)
    return;
  for (unsigned i = 0; i < agent->n_started; i++)
    if (agent->started[i].us >= all / 20)
      g_string_append_printf(parts,
                             "%s%s %.1f s",
                             parts->len ? ", " : "",
                             agent->started[i].what,
                             (double)agent->started[i].us / G_USEC_PER_SEC);
  log_warning(
      "ready only after %.1f s: %s", (double)all / G_USEC_PER_SEC, parts->str);
}

static void
announce(struct agent *agent)
{
  agent_timed(agent, "control and threads", true);
  tell_slow_start(agent);
  log_info("hoop-agent %s listens on %s", PACKAGE_VERSION, agent->self_url);
  if (!agent->journal)
    log_warning("[journal] enabled=false: nothing is recorded");
  if (!agent->detector)
    log_warning("[detect] enabled=false: nothing is inspected");
  record_agent(
      agent, ROW_START, "started", "{\"version\":\"" PACKAGE_VERSION "\"}");
  tell_systemd("READY=1");
  tell_state(agent);
  if (agent->detector)
    detector_rest(agent->detector);
  memory_trim();
}

/* The story: make the parts; take up grants and an administrator's pause; start
 * the control interface, so that `status` answers as soon as the port does;
 * start the data thread; serve until a signal; drain; let a renewal that is
 * under way end; record the stop; unmake in reverse. */
static bool
run(struct agent *agent, GError **error)
{
  if (!agent_make(agent, error) ||
      !agent_timed(agent, "grants", grants_start(agent, error)))
    return false;
  pause_start(agent);
  if (!control_start(agent, error) || !start_data_thread(agent, error))
    return false;
  g_unix_signal_add(SIGTERM, terminate, agent);
  g_unix_signal_add(SIGINT, terminate, agent);
  g_unix_signal_add(SIGHUP, reload, agent);
  announce(agent);
  g_main_loop_run(agent->main);
  pthread_join(agent->data_thread, NULL);
  identity_settle(agent->identity);
  control_stop(agent);
  record_agent(agent, ROW_STOP, "stopped", NULL);
  return true;
}

bool
daemon_run(const Config *config, GError **error)
{
  struct agent agent = {.config = config, .began_us = clock_mono_us()};
  bool fine;

  signal(SIGPIPE, SIG_IGN);
  memory_bound();
  raise_descriptors();
  fine = run(&agent, error);
  control_stop(&agent);
  agent_unmake(&agent);
  return fine;
}
