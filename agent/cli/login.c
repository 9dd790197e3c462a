/* SPDX-License-Identifier: Apache-2.0 */
/* login: the daemon signs in and keeps the tokens; here a person sees what to
 * do, and how it went. */
#include "cli/qr.h"
#include "cli/sessions.h"
#include "kit/clock.h"
#include <gio/gio.h>
#include <glib-unix.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* As a shell reports a program that Ctrl-C ended. */
#define CLI_INTERRUPTED 130

typedef struct {
  const Call *call;
  HoopAgent1 *agent;
  GMainLoop *loop;
  char *id;
  bool json, terminal;
  bool waiting; /* a line that says so is open */
  int64_t expires_us;
  guint ticks;
  int code;
} Wait;

/* ---- What a person sees -----------------------------------------------------
 */

static void say(const char *format, ...) G_GNUC_PRINTF(1, 2);

static void
say(const char *format, ...)
{
  g_autofree char *shown = NULL;
  va_list args;

  va_start(args, format);
  shown = visible_format(true, format, args);
  va_end(args);
  fputs(shown, stdout);
  fflush(stdout);
}

static char *
left_text(int64_t expires_us)
{
  int64_t s = MAX(expires_us - clock_wall_us(), 0) / G_USEC_PER_SEC;

  return g_strdup_printf("%d:%02d", (int)(s / 60), (int)(s % 60));
}

static gboolean
tick(gpointer data)
{
  const Wait *wait = data;
  g_autofree char *left = left_text(wait->expires_us);

  printf("\rWaiting… %s left \033[K", left);
  fflush(stdout);
  return G_SOURCE_CONTINUE;
}

static void
begin_waiting(Wait *wait)
{
  wait->waiting = true;
  if (wait->terminal && wait->expires_us) {
    tick(wait);
    wait->ticks = g_timeout_add_seconds(1, tick, wait);
  } else {
    say("Waiting…%s", wait->terminal ? " " : "\n");
  }
}

static void
end_waiting(Wait *wait)
{
  g_clear_handle_id(&wait->ticks, g_source_remove);
  if (wait->waiting && wait->terminal)
    fputs("\r\033[K", stdout);
  wait->waiting = false;
}

static void
say_device(const Wait *wait, GVariant *prompt)
{
  const char *url = session_text(prompt, "url");
  const char *whole = session_text(prompt, "url_whole");
  g_autofree char *left = left_text(wait->expires_us);
  g_autofree char *code = NULL;

  say("  1. Open   %s\n", url ? url : "?");
  say("  2. Enter  %s%s%s%s\n",
      session_text(prompt, "user_code") ?: "?",
      wait->expires_us ? "      (expires in " : "",
      wait->expires_us ? left : "",
      wait->expires_us ? ")" : "");
  if (whole && wait->terminal && !call_has(wait->call, "no-qr") &&
      g_get_charset(NULL))
    code = qr_text(whole);
  if (code)
    fputs(code, stdout);
  puts("Only approve a code shown by this command.");
}

static bool
may_open(const char *url)
{
  return g_ascii_strncasecmp(url, "https://", 8) == 0;
}

static void
say_browser(const Wait *wait, GVariant *prompt)
{
  const char *url = session_text(prompt, "url");
  const char *fallback = session_text(prompt, "fallback");
  g_autoptr(GError) error = NULL;

  if (fallback)
    say("There is no device flow here (%s), so the browser is used.\n",
        fallback);
  say("  Open   %s\n", url ? url : "?");
  puts("on this machine: the browser comes back to it.");
  fflush(stdout);
  if (wait->terminal && url && may_open(url) &&
      g_app_info_launch_default_for_uri(url, NULL, &error))
    puts("A browser was asked to.");
}

static void
print_event(const char *event, GVariant *about, const char *message)
{
  struct json_object *json =
      about ? variant_to_json(about) : json_object_new_object();

  json_object_object_add(json, "event", json_object_new_string(event));
  if (message && *message)
    json_object_object_add(json, "message", json_object_new_string(message));
  puts(json_object_to_json_string_ext(
      json, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
  fflush(stdout);
  json_object_put(json);
}

/* ---- What the daemon tells --------------------------------------------------
 */

static void
on_prompt(HoopAgent1 *agent, const char *id, GVariant *prompt, gpointer data)
{
  Wait *wait = data;

  (void)agent;
  if (g_strcmp0(id, wait->id) != 0)
    return;
  g_variant_lookup(prompt, "expires_us", "x", &wait->expires_us);
  if (wait->json) {
    print_event("prompt", prompt, NULL);
    return;
  }
  say("Signing in to %s (hoop-agent on %s)\n",
      session_text(prompt, "issuer") ?: "?",
      g_get_host_name());
  if (g_strcmp0(session_text(prompt, "method"), "browser") == 0)
    say_browser(wait, prompt);
  else
    say_device(wait, prompt);
  begin_waiting(wait);
}

static void
say_done(const Wait *wait,
         const char *result,
         const char *message,
         GVariant *session)
{
  g_autofree char *line = NULL;
  const char *storage;

  if (!g_str_equal(result, "signed-in")) {
    complain(wait->call, wait->code, "%s", message);
    return;
  }
  line = session_line(session);
  storage = session_storage(session);
  say("Signed in: %s\n", line);
  if (*message)
    say("%s\n", message);
  else if (storage &&
           g_strcmp0(session_text(session, "storage"), "keyring") != 0)
    say("The session is %s.\n", storage);
}

static void
on_done(HoopAgent1 *agent,
        const char *id,
        const char *result,
        const char *message,
        GVariant *session,
        gpointer data)
{
  Wait *wait = data;

  (void)agent;
  if (g_strcmp0(id, wait->id) != 0)
    return;
  wait->code = session_code(result);
  end_waiting(wait);
  if (wait->json)
    print_event(result, session, message);
  else
    say_done(wait, result, message, session);
  g_main_loop_quit(wait->loop);
}

static void
on_closed(GDBusConnection *connection,
          gboolean remote,
          GError *error,
          gpointer data)
{
  Wait *wait = data;

  (void)connection;
  (void)remote;
  (void)error;
  end_waiting(wait);
  wait->code = complain(wait->call, CLI_NOT_RUNNING, "the agent ended");
  g_main_loop_quit(wait->loop);
}

static gboolean
on_interrupt(gpointer data)
{
  Wait *wait = data;

  end_waiting(wait);
  hoop_agent1_call_cancel_login_sync(wait->agent, wait->id, NULL, NULL);
  wait->code = complain(wait->call, CLI_INTERRUPTED, "cancelled");
  g_main_loop_quit(wait->loop);
  return G_SOURCE_CONTINUE;
}

/* ---- What is asked ----------------------------------------------------------
 */

/* NULL after a complaint: two ways at once. */
static const char *
method_asked(const Call *call)
{
  static const char *const methods[] = {
      "device", "browser", "client-credentials", "token-file"};
  const char *found = "";

  for (unsigned i = 0; i < G_N_ELEMENTS(methods); i++) {
    if (!call_has(call, methods[i]))
      continue;
    if (*found) {
      complain(call, CLI_USAGE, "--%s or --%s, not both", found, methods[i]);
      return NULL;
    }
    found = methods[i];
  }
  return found;
}

/* Whoever writes the file says who is signed in, whoever reads it is that. */
static void
advise_file(const Call *call, const char *file)
{
  struct stat info;

  if (stat(file, &info) == 0 && (info.st_mode & 077))
    complain(call,
             CLI_DONE,
             "others may read %s (mode %03o): the token in it is theirs too; "
             "mount it with mode 0400",
             file,
             (unsigned)(info.st_mode & 0777));
}

static GVariant *
options_asked(const Call *call)
{
  GVariantDict options;
  const char *file = call_value(call, "token-file");

  g_variant_dict_init(&options, NULL);
  if (file) {
    g_autofree char *absolute = g_canonicalize_filename(file, NULL);

    advise_file(call, absolute);
    g_variant_dict_insert(&options, "token_file", "s", absolute);
  }
  if (call_has(call, "insecure-storage"))
    g_variant_dict_insert(&options, "insecure_storage", "b", TRUE);
  return g_variant_dict_end(&options);
}

static int
fail(const Call *call, const GError *error)
{
  g_autoptr(GError) copy = g_error_copy(error);

  if (!g_error_matches(error, BUS_ERROR, BUS_ERROR_INVALID))
    return complain_error(call, error);
  g_dbus_error_strip_remote_error(copy);
  return complain(call, CLI_USAGE, "%s", copy->message);
}

static void
wait_for_end(Wait *wait)
{
  GDBusConnection *connection =
      g_dbus_proxy_get_connection(G_DBUS_PROXY(wait->agent));
  guint interrupt = g_unix_signal_add(SIGINT, on_interrupt, wait);
  guint terminate = g_unix_signal_add(SIGTERM, on_interrupt, wait);
  gulong closed =
      g_signal_connect(connection, "closed", G_CALLBACK(on_closed), wait);

  g_main_loop_run(wait->loop);
  g_signal_handler_disconnect(connection, closed);
  g_source_remove(interrupt);
  g_source_remove(terminate);
}

int
verb_login(const Call *call)
{
  Wait wait = {.call = call,
               .json = call_has(call, "json"),
               .terminal = isatty(STDOUT_FILENO) && !call_has(call, "json")};
  const char *method = method_asked(call);
  g_autoptr(HoopAgent1) agent = NULL;
  g_autoptr(GError) error = NULL;

  if (!method)
    return CLI_USAGE;
  agent = daemon_connect(call, &wait.code);
  if (!agent)
    return wait.code;
  wait.agent = agent;
  wait.loop = g_main_loop_new(NULL, FALSE);
  g_signal_connect(agent, "login-prompt", G_CALLBACK(on_prompt), &wait);
  g_signal_connect(agent, "login-done", G_CALLBACK(on_done), &wait);
  if (hoop_agent1_call_login_sync(agent,
                                  call_value(call, "issuer") ?: "",
                                  method,
                                  options_asked(call),
                                  &wait.id,
                                  NULL,
                                  &error))
    wait_for_end(&wait);
  else
    wait.code = fail(call, error);
  g_signal_handlers_disconnect_by_data(agent, &wait);
  g_clear_handle_id(&wait.ticks, g_source_remove);
  g_main_loop_unref(wait.loop);
  g_free(wait.id);
  return wait.code;
}
