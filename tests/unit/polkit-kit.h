/* SPDX-License-Identifier: Apache-2.0 */
/* A system bus of the test's own with the real polkitd on it, which knows the
 * product's action, and an agent that answers as it is told. Needs root. */
#ifndef HOOP_TEST_POLKIT_KIT_H
#define HOOP_TEST_POLKIT_KIT_H

#include <gio/gio.h>
#include <glib/gstdio.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define POLKITD "/usr/lib/polkit-1/polkitd"
#define ACTIONS "/usr/share/polkit-1/actions"
#define AUTHORITY "org.freedesktop.PolicyKit1"
#define AUTHORITY_PATH "/org/freedesktop/PolicyKit1/Authority"
#define AGENT_PATH "/io/hoop/test/agent"
#define LONG_S 30

/* What the person at the agent does. */
typedef enum { GIVES_PASSWORD, GIVES_UP, CLOSES_IT, WAITS } Behaviour;

typedef struct {
  char *dir, *address;
  GPid bus, polkitd;
  GDBusConnection *agent;
  guint object;
  Behaviour person;
  unsigned asked, taken_back;
  char *message;
  GDBusMethodInvocation *waiting;
} Polkit;

#define until(condition)                                                       \
  do {                                                                         \
    int64_t end_ = g_get_monotonic_time() + LONG_S * G_USEC_PER_SEC;           \
    while (!(condition)) {                                                     \
      g_assert_cmpint(g_get_monotonic_time(), <, end_);                        \
      if (!g_main_context_iteration(NULL, FALSE))                              \
        g_usleep(1000);                                                        \
    }                                                                          \
  } while (0)

static const char bus_config[] =
    "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration "
    "1.0//EN\" "
    "\"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n"
    "<busconfig><type>system</type><listen>unix:path=%s/bus</listen>"
    "<auth>EXTERNAL</auth><policy context=\"default\"><allow user=\"*\"/>"
    "<allow own=\"*\"/><allow send_type=\"method_call\"/>"
    "<allow send_type=\"signal\"/>"
    "<allow send_requested_reply=\"true\" send_type=\"method_return\"/>"
    "<allow send_requested_reply=\"true\" send_type=\"error\"/>"
    "<allow receive_type=\"method_call\"/>"
    "<allow receive_type=\"method_return\"/><allow receive_type=\"error\"/>"
    "<allow receive_type=\"signal\"/></policy></busconfig>\n";

/* polkitd looks for actions in one place: another folder is put over it, for
 * it alone. */
static void
before_polkitd(gpointer data)
{
  const Polkit *polkit = data;

  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (unshare(CLONE_NEWNS) != 0 ||
      mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) != 0 ||
      mount(polkit->dir, ACTIONS, "none", MS_BIND, NULL) != 0)
    _exit(77);
}

static void
before_bus(gpointer data)
{
  (void)data;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static GPid
start(const char *const *argv, GSpawnChildSetupFunc setup, Polkit *polkit)
{
  g_autoptr(GError) error = NULL;
  GPid pid = 0;

  g_spawn_async(NULL,
                (char **)(uintptr_t)argv,
                NULL,
                G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD |
                    G_SPAWN_STDOUT_TO_DEV_NULL | G_SPAWN_STDERR_TO_DEV_NULL,
                setup,
                polkit,
                &pid,
                &error);
  g_assert_no_error(error);
  return pid;
}

static void
stop(GPid *pid)
{
  if (!*pid)
    return;
  kill(*pid, SIGKILL);
  waitpid(*pid, NULL, 0);
  *pid = 0;
}

static bool
has_owner(const Polkit *polkit, const char *name)
{
  gboolean owned = FALSE;
  g_autoptr(GVariant) reply =
      g_dbus_connection_call_sync(polkit->agent,
                                  "org.freedesktop.DBus",
                                  "/org/freedesktop/DBus",
                                  "org.freedesktop.DBus",
                                  "NameHasOwner",
                                  g_variant_new("(s)", name),
                                  G_VARIANT_TYPE("(b)"),
                                  G_DBUS_CALL_FLAGS_NONE,
                                  -1,
                                  NULL,
                                  NULL);

  if (reply)
    g_variant_get(reply, "(b)", &owned);
  return owned;
}

/* ---- The agent -----------------------------------------------------------
 */

static void
respond(Polkit *polkit, const char *cookie, GVariant *identities)
{
  g_autoptr(GVariant) first = g_variant_get_child_value(identities, 0);
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) reply = g_dbus_connection_call_sync(
      polkit->agent,
      AUTHORITY,
      AUTHORITY_PATH,
      AUTHORITY ".Authority",
      "AuthenticationAgentResponse2",
      g_variant_new("(us@(sa{sv}))", 0u, cookie, first),
      NULL,
      G_DBUS_CALL_FLAGS_NONE,
      -1,
      NULL,
      &error);

  g_assert_no_error(error);
}

static void
on_call(GDBusConnection *bus,
        const char *sender,
        const char *path,
        const char *interface,
        const char *method,
        GVariant *arguments,
        GDBusMethodInvocation *call,
        gpointer data)
{
  Polkit *polkit = data;
  g_autoptr(GVariant) identities = NULL;
  const char *message, *cookie;

  (void)bus;
  (void)sender;
  (void)path;
  (void)interface;
  if (g_str_equal(method, "CancelAuthentication")) {
    polkit->taken_back++;
    g_dbus_method_invocation_return_value(call, NULL);
    return;
  }
  g_variant_get(arguments,
                "(&s&s&s@a{ss}&s@a(sa{sv}))",
                NULL,
                &message,
                NULL,
                NULL,
                &cookie,
                &identities);
  polkit->asked++;
  g_free(polkit->message);
  polkit->message = g_strdup(message);
  if (polkit->person == GIVES_PASSWORD)
    respond(polkit, cookie, identities);
  if (polkit->person == CLOSES_IT)
    g_dbus_method_invocation_return_dbus_error(
        call, AUTHORITY ".Error.Cancelled", "closed");
  else if (polkit->person == WAITS)
    polkit->waiting = call;
  else
    g_dbus_method_invocation_return_value(call, NULL);
}

/* For this process alone, as pkttyagent --process would. */
G_GNUC_UNUSED static void
polkit_agent_for(Polkit *polkit, GPid pid, guint64 began)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) reply = NULL;
  GVariantDict details;

  g_variant_dict_init(&details, NULL);
  g_variant_dict_insert(&details, "pid", "u", (guint32)pid);
  g_variant_dict_insert(&details, "start-time", "t", began);
  reply =
      g_dbus_connection_call_sync(polkit->agent,
                                  AUTHORITY,
                                  AUTHORITY_PATH,
                                  AUTHORITY ".Authority",
                                  "RegisterAuthenticationAgent",
                                  g_variant_new("((s@a{sv})ss)",
                                                "unix-process",
                                                g_variant_dict_end(&details),
                                                "C",
                                                AGENT_PATH),
                                  NULL,
                                  G_DBUS_CALL_FLAGS_NONE,
                                  -1,
                                  NULL,
                                  &error);
  g_assert_no_error(error);
}

/* ---- Life ----------------------------------------------------------------
 */

static void
export_agent(Polkit *polkit)
{
  static const char xml[] =
      "<node><interface name='" AUTHORITY ".AuthenticationAgent'>"
      "<method name='BeginAuthentication'><arg type='s' direction='in'/>"
      "<arg type='s' direction='in'/><arg type='s' direction='in'/>"
      "<arg type='a{ss}' direction='in'/><arg type='s' direction='in'/>"
      "<arg type='a(sa{sv})' direction='in'/></method>"
      "<method name='CancelAuthentication'><arg type='s' direction='in'/>"
      "</method></interface></node>";
  static const GDBusInterfaceVTable table = {.method_call = on_call};
  g_autoptr(GDBusNodeInfo) node = g_dbus_node_info_new_for_xml(xml, NULL);
  g_autoptr(GError) error = NULL;

  polkit->object = g_dbus_connection_register_object(polkit->agent,
                                                     AGENT_PATH,
                                                     node->interfaces[0],
                                                     &table,
                                                     polkit,
                                                     NULL,
                                                     &error);
  g_assert_no_error(error);
}

static bool
try_bus(Polkit *polkit)
{
  polkit->agent = g_dbus_connection_new_for_address_sync(
      polkit->address,
      G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
          G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
      NULL,
      NULL,
      NULL);
  return polkit->agent != NULL;
}

/* Only the bus: `polkit->address`. */
static void
polkit_bus(Polkit *polkit)
{
  g_autofree char *file = NULL, *text = NULL, *option = NULL, *path = NULL;

  *polkit = (Polkit){0};
  polkit->dir = g_dir_make_tmp("hoop-polkit-XXXXXX", NULL);
  g_chmod(polkit->dir, 0755);
  file = g_build_filename(polkit->dir, "bus.conf", NULL);
  text = g_strdup_printf(bus_config, polkit->dir);
  g_assert_true(g_file_set_contents(file, text, -1, NULL));
  option = g_strconcat("--config-file=", file, NULL);
  path = g_build_filename(polkit->dir, "bus", NULL);
  polkit->address = g_strconcat("unix:path=", path, NULL);
  polkit->bus = start((const char *[]){"dbus-daemon", "--nofork", option, NULL},
                      before_bus,
                      polkit);
  g_setenv("DBUS_SYSTEM_BUS_ADDRESS", polkit->address, TRUE);
  /* Its socket is there before anybody listens on it. */
  until(try_bus(polkit));
}

/* False where there is no polkitd, or none can be given the action. */
G_GNUC_UNUSED static bool
polkit_start(Polkit *polkit)
{
  g_autofree char *source = g_test_build_filename(
      G_TEST_DIST, "..", "agent/data/org.hoop-agent.approve.policy", NULL);
  g_autofree char *action = NULL, *text = NULL;
  int status = 0;

  polkit_bus(polkit);
  action = g_build_filename(polkit->dir, "org.hoop-agent.approve.policy", NULL);
  g_assert_true(g_file_get_contents(source, &text, NULL, NULL));
  g_assert_true(g_file_set_contents(action, text, -1, NULL));
  g_chmod(action, 0644);
  polkit->polkitd = start(
      (const char *[]){POLKITD, "--no-debug", NULL}, before_polkitd, polkit);
  until(has_owner(polkit, AUTHORITY) ||
        waitpid(polkit->polkitd, &status, WNOHANG) == polkit->polkitd);
  if (status) {
    polkit->polkitd = 0;
    return false;
  }
  export_agent(polkit);
  return true;
}

static void
polkit_stop(Polkit *polkit)
{
  static const char *const files[] = {
      "bus", "bus.conf", "org.hoop-agent.approve.policy"};

  if (polkit->waiting)
    g_dbus_method_invocation_return_value(polkit->waiting, NULL);
  if (polkit->object)
    g_dbus_connection_unregister_object(polkit->agent, polkit->object);
  g_dbus_connection_close_sync(polkit->agent, NULL, NULL);
  g_clear_object(&polkit->agent);
  stop(&polkit->polkitd);
  stop(&polkit->bus);
  for (unsigned i = 0; i < G_N_ELEMENTS(files); i++) {
    g_autofree char *path = g_build_filename(polkit->dir, files[i], NULL);

    g_unlink(path);
  }
  g_rmdir(polkit->dir);
  g_free(polkit->dir);
  g_free(polkit->address);
  g_free(polkit->message);
}

#endif
