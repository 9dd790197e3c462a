/* SPDX-License-Identifier: Apache-2.0 */
/* The way to the daemon. Nothing is polled: the socket's folder is watched, and
 * the daemon's signals say what to ask for. */
#include "tray/link.h"
#include "bus/bus.h"
#include <glib/gstdio.h>
#include <pthread.h>
#include <string.h>

/* A socket that appears is bound a moment before it is served. */
#define TRIES 6
#define FIRST_RETRY_MS 200
/* Longer than a rule may let a request wait. */
#define ANSWER_MS (25 * 60 * 60 * 1000)

struct tray_link {
  char *dir;
  TrayLinkEvents events;
  void *data;
  TrayModel *model;
  GFileMonitor *monitor;
  HoopAgent1 *agent; /* NULL: not connected */
  GCancellable *cancel;
  bool connecting;
  bool again;     /* something happened while connecting */
  unsigned tries; /* since the last reason to hope */
  guint retry;
};

static void try_to_connect(TrayLink *link);

const TrayModel *
tray_link_model(const TrayLink *link)
{
  return link->model;
}

/* ---- Asking --------------------------------------------------------------
 */

/* True when the call was cancelled: then the link may be gone. */
static bool
is_over(const GError *error)
{
  return g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
}

static void
on_status(GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr(GVariant) status = NULL;
  g_autoptr(GError) error = NULL;
  TrayLink *link = data;

  if (!hoop_agent1_call_status_finish(
          HOOP_AGENT1(source), &status, result, &error))
    return;
  tray_model_take_status(link->model, status);
  link->events.changed(link->data);
}

static void
on_pending(GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr(GVariant) pending = NULL;
  g_autoptr(GError) error = NULL;
  TrayLink *link = data;

  if (!hoop_agent1_call_pending_finish(
          HOOP_AGENT1(source), &pending, result, &error))
    return;
  tray_model_take_pending(link->model, pending);
  link->events.changed(link->data);
}

static void
on_sessions(GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr(GVariant) sessions = NULL;
  g_autoptr(GError) error = NULL;
  TrayLink *link = data;

  if (!hoop_agent1_call_sessions_finish(
          HOOP_AGENT1(source), &sessions, result, &error))
    return;
  tray_model_take_sessions(link->model, sessions);
  link->events.changed(link->data);
}

static void
ask_state(TrayLink *link)
{
  hoop_agent1_call_status(link->agent, link->cancel, on_status, link);
  hoop_agent1_call_sessions(link->agent, link->cancel, on_sessions, link);
}

static void
ask_pending(TrayLink *link)
{
  hoop_agent1_call_pending(link->agent, link->cancel, on_pending, link);
}

/* ---- What the daemon says by itself --------------------------------------
 */

static void
on_pending_changed(HoopAgent1 *agent, const char *id, gpointer data)
{
  (void)agent;
  (void)id;
  ask_pending(data);
}

static void
on_decided(HoopAgent1 *agent,
           const char *id,
           const char *outcome,
           const char *who,
           gpointer data)
{
  TrayLink *link = data;

  (void)agent;
  tray_model_decided(link->model, id, outcome, who);
  link->events.decided(id, link->data);
  link->events.changed(link->data);
}

static void
on_state_changed(HoopAgent1 *agent, gpointer data)
{
  (void)agent;
  ask_state(data);
}

static void
on_happened(HoopAgent1 *agent, const char *kind, GVariant *what, gpointer data)
{
  TrayLink *link = data;

  (void)agent;
  link->events.happened(kind, what, link->data);
}

static void
disconnect(TrayLink *link)
{
  GDBusConnection *connection;

  if (!link->agent)
    return;
  g_cancellable_cancel(link->cancel);
  connection = g_dbus_proxy_get_connection(G_DBUS_PROXY(link->agent));
  g_signal_handlers_disconnect_by_data(connection, link);
  g_signal_handlers_disconnect_by_data(link->agent, link);
  g_dbus_connection_close(connection, NULL, NULL, NULL);
  g_clear_object(&link->agent);
  g_clear_object(&link->cancel);
}

static void
on_closed(GDBusConnection *connection,
          gboolean remote,
          GError *error,
          gpointer data)
{
  TrayLink *link = data;

  (void)connection;
  (void)remote;
  (void)error;
  disconnect(link);
  tray_model_lost(link->model,
                  "It ended. Start it with systemctl --user start hoop-agent.");
  link->events.changed(link->data);
  /* It may have been restarted already. */
  link->tries = 0;
  try_to_connect(link);
}

/* ---- Finding it ----------------------------------------------------------
 */

/* One try, made in a thread of its own, which hands over what it made under a
 * lock that ThreadSanitizer knows, as GTask's is not. */
typedef struct {
  char *dir;
  pthread_mutex_t lock;
  HoopAgent1 *agent;
} Attempt;

static Attempt *
attempt_new(const char *dir)
{
  Attempt *attempt = g_new0(Attempt, 1);

  attempt->dir = g_strdup(dir);
  pthread_mutex_init(&attempt->lock, NULL);
  return attempt;
}

static HoopAgent1 *
attempt_swap(Attempt *attempt, HoopAgent1 *agent)
{
  HoopAgent1 *before;

  pthread_mutex_lock(&attempt->lock);
  before = attempt->agent;
  attempt->agent = agent;
  pthread_mutex_unlock(&attempt->lock);
  return before;
}

static void
attempt_free(gpointer data)
{
  Attempt *attempt = data;
  HoopAgent1 *unwanted = attempt_swap(attempt, NULL);

  g_clear_object(&unwanted);
  pthread_mutex_destroy(&attempt->lock);
  g_free(attempt->dir);
  g_free(attempt);
}

static void *
connect_in_thread(void *data)
{
  g_autoptr(GTask) task = data;
  Attempt *attempt = g_task_get_task_data(task);
  GError *error = NULL;
  HoopAgent1 *agent = bus_connect(attempt->dir, &error);

  attempt_swap(attempt, agent);
  if (agent)
    g_task_return_boolean(task, TRUE);
  else
    g_task_return_error(task, error);
  return NULL;
}

static void
adopt(TrayLink *link, HoopAgent1 *agent)
{
  GDBusConnection *connection =
      g_dbus_proxy_get_connection(G_DBUS_PROXY(agent));

  link->agent = agent;
  link->cancel = g_cancellable_new();
  /* An approval may wait until the person proved to be there. */
  g_dbus_proxy_set_default_timeout(G_DBUS_PROXY(agent), ANSWER_MS);
  g_signal_connect(
      agent, "pending-changed", G_CALLBACK(on_pending_changed), link);
  g_signal_connect(agent, "decided", G_CALLBACK(on_decided), link);
  g_signal_connect(agent, "state-changed", G_CALLBACK(on_state_changed), link);
  g_signal_connect(agent, "happened", G_CALLBACK(on_happened), link);
  g_signal_connect(connection, "closed", G_CALLBACK(on_closed), link);
  if (g_dbus_connection_is_closed(connection)) {
    on_closed(connection, TRUE, NULL, link);
    return;
  }
  ask_state(link);
  ask_pending(link);
}

static gboolean
on_retry(gpointer data)
{
  TrayLink *link = data;

  link->retry = 0;
  try_to_connect(link);
  return G_SOURCE_REMOVE;
}

/* After the last try only the folder's watch brings another. */
static void
try_later(TrayLink *link)
{
  if (link->retry || link->tries >= TRIES)
    return;
  link->retry = g_timeout_add(FIRST_RETRY_MS << link->tries, on_retry, link);
  link->tries++;
}

static void
on_connected(GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr(GError) error = NULL;
  const bool there = g_task_propagate_boolean(G_TASK(result), &error);
  TrayLink *link = data;

  (void)source;
  if (is_over(error))
    return;
  link->connecting = false;
  g_clear_object(&link->cancel);
  if (there) {
    link->tries = 0;
    adopt(link, attempt_swap(g_task_get_task_data(G_TASK(result)), NULL));
    return;
  }
  tray_model_lost(link->model, error->message);
  link->events.changed(link->data);
  if (link->again)
    link->tries = 0;
  try_later(link);
}

static void
try_to_connect(TrayLink *link)
{
  g_autoptr(GTask) task = NULL;

  if (link->agent)
    return;
  link->again = link->connecting;
  if (link->connecting)
    return;
  link->connecting = true;
  link->cancel = g_cancellable_new();
  task = g_task_new(NULL, link->cancel, on_connected, link);
  g_task_set_task_data(task, attempt_new(link->dir), attempt_free);
  g_thread_unref(
      g_thread_new("connect", connect_in_thread, g_object_ref(task)));
}

static void
on_folder(GFileMonitor *monitor,
          GFile *file,
          GFile *other,
          GFileMonitorEvent event,
          gpointer data)
{
  g_autofree char *name = g_file_get_basename(file);
  TrayLink *link = data;

  (void)monitor;
  (void)other;
  if (event != G_FILE_MONITOR_EVENT_CREATED ||
      !g_str_equal(name, "control.sock"))
    return;
  link->tries = 0;
  try_to_connect(link);
}

TrayLink *
tray_link_new(const char *runtime_dir,
              const TrayLinkEvents *events,
              void *data,
              GError **error)
{
  g_autoptr(TrayLink) link = g_new0(TrayLink, 1);
  g_autoptr(GFile) folder = g_file_new_for_path(runtime_dir);

  link->dir = g_strdup(runtime_dir);
  link->events = *events;
  link->data = data;
  link->model = tray_model_new();
  g_mkdir_with_parents(runtime_dir, 0700); /* or the watch says why not */
  link->monitor =
      g_file_monitor_directory(folder, G_FILE_MONITOR_NONE, NULL, error);
  if (!link->monitor)
    return NULL;
  g_signal_connect(link->monitor, "changed", G_CALLBACK(on_folder), link);
  try_to_connect(link);
  return g_steal_pointer(&link);
}

void
tray_link_free(TrayLink *link)
{
  if (!link)
    return;
  disconnect(link);
  if (link->cancel)
    g_cancellable_cancel(link->cancel);
  g_clear_object(&link->cancel);
  if (link->retry)
    g_source_remove(link->retry);
  if (link->monitor)
    g_signal_handlers_disconnect_by_data(link->monitor, link);
  g_clear_object(&link->monitor);
  tray_model_free(link->model);
  g_free(link->dir);
  g_free(link);
}

/* ---- Answers -------------------------------------------------------------
 */

typedef struct {
  TrayLink *link;
  char *id, *how, *answer;
  unsigned seconds;
} Given;

static void
given_free(Given *given)
{
  g_free(given->id);
  g_free(given->how);
  g_free(given->answer);
  g_free(given);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Given, given_free)

/* A call that was cancelled is nobody's any more. */
static void
tell_failure(TrayLink *link, GError *error)
{
  if (is_over(error))
    return;
  g_dbus_error_strip_remote_error(error);
  link->events.failed(error->message, link->data);
}

static void
on_answered(GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr(Given) given = data;
  g_autoptr(GError) error = NULL;
  bool done = given->seconds
                  ? hoop_agent1_call_answer_for_finish(
                        HOOP_AGENT1(source), NULL, NULL, result, &error)
                  : hoop_agent1_call_answer_finish(
                        HOOP_AGENT1(source), NULL, result, &error);

  if (!done)
    tell_failure(given->link, error);
}

static void
send_answer(Given *given, const char *digest, const char *nonce)
{
  TrayLink *link = given->link;
  bool session = given->seconds == TRAY_SESSION;

  if (given->seconds)
    hoop_agent1_call_answer_for(link->agent,
                                given->id,
                                given->how,
                                given->answer,
                                digest,
                                nonce,
                                "",
                                session ? 0 : given->seconds,
                                session,
                                link->cancel,
                                on_answered,
                                given);
  else
    hoop_agent1_call_answer(link->agent,
                            given->id,
                            given->how,
                            given->answer,
                            digest,
                            nonce,
                            "",
                            link->cancel,
                            on_answered,
                            given);
}

static void
on_review(GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr(Given) given = data;
  g_autoptr(GVariant) review = NULL;
  g_autoptr(GError) error = NULL;
  const char *digest = NULL, *nonce = NULL;
  bool masked = g_str_equal(given->answer, "approve-masked");

  if (!hoop_agent1_call_review_finish(
          HOOP_AGENT1(source), &review, result, &error)) {
    tell_failure(given->link, error);
    return;
  }
  g_variant_lookup(review, masked ? "masked_digest" : "digest", "&s", &digest);
  g_variant_lookup(review, "nonce", "&s", &nonce);
  if (digest && nonce)
    send_answer(g_steal_pointer(&given), digest, nonce);
  else
    given->link->events.failed("The agent did not say what it holds.",
                               given->link->data);
}

void
tray_link_answer(TrayLink *link,
                 const char *id,
                 const char *how,
                 const char *answer,
                 unsigned seconds)
{
  Given *given;

  if (!link->agent) {
    link->events.failed("hoop-agent does not run.", link->data);
    return;
  }
  given = g_new0(Given, 1);
  given->link = link;
  given->id = g_strdup(id);
  given->how = g_strdup(how);
  given->answer = g_strdup(answer);
  given->seconds = seconds;
  hoop_agent1_call_review(link->agent, id, link->cancel, on_review, given);
}

/* ---- Pause ---------------------------------------------------------------
 */

static void
on_paused(GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr(GError) error = NULL;

  if (!hoop_agent1_call_pause_finish(HOOP_AGENT1(source), result, &error))
    tell_failure(data, error);
}

static void
on_resumed(GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr(GError) error = NULL;

  if (!hoop_agent1_call_resume_finish(HOOP_AGENT1(source), result, &error))
    tell_failure(data, error);
}

void
tray_link_pause(TrayLink *link, unsigned seconds)
{
  if (link->agent)
    hoop_agent1_call_pause(link->agent, seconds, link->cancel, on_paused, link);
}

void
tray_link_resume(TrayLink *link)
{
  if (link->agent)
    hoop_agent1_call_resume(link->agent, link->cancel, on_resumed, link);
}
