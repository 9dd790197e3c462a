/* SPDX-License-Identifier: Apache-2.0 */
/* doctor's look at the desktop: where what waits for a person can be shown, how
 * they prove to be there, and where sign-ins are kept. Nothing here fails: the
 * terminal always answers. */
#include "cli/doctor.h"
#include "daemon/daemon.h"
#include <gio/gio.h>

/* A desktop that is well answers at once. */
#define ASK_MS 2000

#define TRAY "io.hoop.AgentTray"
#define WATCHER "org.kde.StatusNotifierWatcher"
#define SERVER "org.freedesktop.Notifications"
#define SECRETS "org.freedesktop.secrets"
/* PRESENCE_ACTION of approve/approve.h. */
#define ACTION "org.hoop-agent.approve"
#define ACTION_FOLDER "/usr/share/polkit-1/actions"
#define ACTION_FILE HOOP_DATADIR "/../polkit-1/actions/" ACTION ".policy"
#define SECRETS_PATH "/org/freedesktop/secrets"

static bool
is_set(const char *variable)
{
  const char *value = g_getenv(variable);

  return value && *value;
}

/* NULL when there is no session bus: none is started for this. */
static GDBusConnection *
session_bus(void)
{
  g_autofree char *usual =
      g_build_filename(g_get_user_runtime_dir(), "bus", NULL);

  if (!is_set("DBUS_SESSION_BUS_ADDRESS") &&
      !g_file_test(usual, G_FILE_TEST_EXISTS))
    return NULL;
  return g_bus_get_sync(G_BUS_TYPE_SESSION, NULL, NULL);
}

static bool
has_owner(GDBusConnection *bus, const char *name)
{
  g_autoptr(GVariant) reply =
      g_dbus_connection_call_sync(bus,
                                  "org.freedesktop.DBus",
                                  "/org/freedesktop/DBus",
                                  "org.freedesktop.DBus",
                                  "NameHasOwner",
                                  g_variant_new("(s)", name),
                                  G_VARIANT_TYPE("(b)"),
                                  G_DBUS_CALL_FLAGS_NONE,
                                  ASK_MS,
                                  NULL,
                                  NULL);
  gboolean owned = FALSE;

  if (reply)
    g_variant_get(reply, "(b)", &owned);
  return owned;
}

static void
check_icon(Doctor *doctor, GDBusConnection *bus)
{
  if (!has_owner(bus, TRAY))
    doctor_say(doctor,
               "tray",
               HEALTH_WARN,
               "start hoop-agent-tray, or sign in to the desktop again",
               "the icon does not run: what waits shows in the terminal only");
  else if (!has_owner(bus, WATCHER))
    doctor_say(doctor,
               "tray",
               HEALTH_WARN,
               "add a status tray to the panel (GNOME: the AppIndicator "
               "extension); notifications work without it",
               "no panel shows status icons");
  else
    doctor_say(doctor, "tray", HEALTH_OK, NULL, "the icon is in the panel");
}

/* "mako 1.7.1", or NULL. */
static char *
server_name(GDBusConnection *bus)
{
  g_autoptr(GVariant) reply =
      g_dbus_connection_call_sync(bus,
                                  SERVER,
                                  "/org/freedesktop/Notifications",
                                  SERVER,
                                  "GetServerInformation",
                                  NULL,
                                  G_VARIANT_TYPE("(ssss)"),
                                  G_DBUS_CALL_FLAGS_NONE,
                                  ASK_MS,
                                  NULL,
                                  NULL);
  const char *name, *vendor, *version, *specification;

  if (!reply)
    return NULL;
  g_variant_get(reply, "(&s&s&s&s)", &name, &vendor, &version, &specification);
  return g_strdup_printf("%.40s %.20s", name, version);
}

/* Starts a server that the bus can activate, as the tray does. */
static void
check_notifications(Doctor *doctor, GDBusConnection *bus)
{
  g_autoptr(GVariant) reply =
      g_dbus_connection_call_sync(bus,
                                  SERVER,
                                  "/org/freedesktop/Notifications",
                                  SERVER,
                                  "GetCapabilities",
                                  NULL,
                                  G_VARIANT_TYPE("(as)"),
                                  G_DBUS_CALL_FLAGS_NONE,
                                  ASK_MS,
                                  NULL,
                                  NULL);
  g_autofree const char **list = NULL;
  g_autofree char *server = reply ? server_name(bus) : NULL;

  if (reply)
    g_variant_get(reply, "(^a&s)", &list);
  if (!list)
    doctor_say(doctor,
               "notices",
               HEALTH_WARN,
               "install a notification server, or use the icon's menu and "
               "hoop-agent pending",
               "no notification server answers");
  else if (!g_strv_contains(list, "actions"))
    doctor_say(doctor,
               "notices",
               HEALTH_WARN,
               "use the icon's menu or hoop-agent pending to answer",
               "the notification server has no buttons");
  else
    doctor_say(doctor,
               "notices",
               HEALTH_OK,
               NULL,
               "%s shows notifications and takes answers",
               server ? server : "a server");
}

void
check_desktop(Doctor *doctor)
{
  bool graphical = is_set("DISPLAY") || is_set("WAYLAND_DISPLAY");
  g_autoptr(GDBusConnection) bus = graphical ? session_bus() : NULL;

  if (!bus) {
    doctor_say(doctor,
               "desktop",
               HEALTH_OK,
               NULL,
               "none here: hoop-agent pending, review, approve and deny answer "
               "what waits");
    return;
  }
  check_icon(doctor, bus);
  check_notifications(doctor, bus);
}

/* ---- Presence ------------------------------------------------------------
 */

static bool
names_presence(const Approver *list, unsigned n)
{
  for (unsigned i = 0; i < n; i++)
    if (list[i].kind == APPROVER_PRESENCE)
      return true;
  return false;
}

static bool
wants_presence(const Policy *policy)
{
  unsigned n;
  const PolicyRule *const *rules = policy_rules(policy, &n);

  for (unsigned i = 0; i < n; i++)
    if (names_presence(rules[i]->approvers, rules[i]->n_approvers) ||
        names_presence(rules[i]->next.list, rules[i]->next.n))
      return true;
  return false;
}

/* Of the actions that polkit knows; NULL: it does not answer. */
static GVariant *
polkit_actions(void)
{
  g_autoptr(GDBusConnection) bus =
      g_bus_get_sync(G_BUS_TYPE_SYSTEM, NULL, NULL);
  GVariant *reply = NULL;

  if (bus)
    reply = g_dbus_connection_call_sync(bus,
                                        "org.freedesktop.PolicyKit1",
                                        "/org/freedesktop/PolicyKit1/Authority",
                                        "org.freedesktop.PolicyKit1.Authority",
                                        "EnumerateActions",
                                        g_variant_new("(s)", ""),
                                        G_VARIANT_TYPE("(a(ssssssuuua{ss}))"),
                                        G_DBUS_CALL_FLAGS_NONE,
                                        ASK_MS,
                                        NULL,
                                        NULL);
  return reply;
}

static bool
knows_action(GVariant *reply)
{
  g_autoptr(GVariant) list = g_variant_get_child_value(reply, 0);
  const size_t n = g_variant_n_children(list);

  for (size_t i = 0; i < n; i++) {
    g_autoptr(GVariant) action = g_variant_get_child_value(list, i);
    const char *id;

    g_variant_get_child(action, 0, "&s", &id);
    if (g_str_equal(id, ACTION))
      return true;
  }
  return false;
}

/* polkit reads one folder alone, wherever this was installed to. */
void
check_presence(Doctor *doctor)
{
  g_autoptr(Policy) policy =
      doctor->config ? daemon_load_policy(doctor->config, NULL) : NULL;
  g_autoptr(GVariant) actions = NULL;
  g_autofree char *file = g_canonicalize_filename(ACTION_FILE, "/");
  g_autofree char *advice =
      g_strdup_printf("sudo install -m 644 %s " ACTION_FOLDER "/", file);

  if (!policy || !wants_presence(policy))
    return;
  actions = polkit_actions();
  if (!actions)
    doctor_say(doctor,
               "presence",
               HEALTH_WARN,
               "install polkit (package polkitd)",
               "polkit does not answer: what a rule wants proved presence for "
               "cannot be approved");
  else if (!knows_action(actions))
    doctor_say(doctor,
               "presence",
               HEALTH_WARN,
               advice,
               "polkit does not know " ACTION ", it reads " ACTION_FOLDER
               " alone: what a rule wants proved presence for cannot be "
               "approved");
  else
    doctor_say(doctor,
               "presence",
               HEALTH_OK,
               NULL,
               "polkit asks people to prove that they are there");
}

/* ---- Keyring -------------------------------------------------------------
 */

static GVariant *
ask_keyring(GDBusConnection *bus,
            const char *path,
            const char *interface,
            const char *method,
            GVariant *parameters,
            const char *type)
{
  return g_dbus_connection_call_sync(bus,
                                     SECRETS,
                                     path,
                                     interface,
                                     method,
                                     parameters,
                                     G_VARIANT_TYPE(type),
                                     G_DBUS_CALL_FLAGS_NONE,
                                     ASK_MS,
                                     NULL,
                                     NULL);
}

typedef enum { KEYRING_NONE, KEYRING_EMPTY, KEYRING_LOCKED, KEYRING_OPEN } Ring;

/* Never makes anybody be asked. */
static Ring
keyring_state(GDBusConnection *bus)
{
  g_autoptr(GVariant) alias = NULL;
  g_autoptr(GVariant) locked = NULL;
  g_autoptr(GVariant) value = NULL;
  const char *path = NULL;

  alias = bus ? ask_keyring(bus,
                            SECRETS_PATH,
                            "org.freedesktop.Secret.Service",
                            "ReadAlias",
                            g_variant_new("(s)", "default"),
                            "(o)")
              : NULL;
  if (!alias)
    return KEYRING_NONE;
  g_variant_get(alias, "(&o)", &path);
  if (g_str_equal(path, "/"))
    return KEYRING_EMPTY;
  locked = ask_keyring(
      bus,
      path,
      "org.freedesktop.DBus.Properties",
      "Get",
      g_variant_new("(ss)", "org.freedesktop.Secret.Collection", "Locked"),
      "(v)");
  if (locked)
    g_variant_get(locked, "(v)", &value);
  if (value && g_variant_is_of_type(value, G_VARIANT_TYPE_BOOLEAN) &&
      !g_variant_get_boolean(value))
    return KEYRING_OPEN;
  return KEYRING_LOCKED;
}

void
check_keyring(Doctor *doctor)
{
  static const struct {
    Health health;
    const char *text, *advice;
  } states[] = {
      [KEYRING_NONE] = {HEALTH_WARN,
                        "no keyring answers: a sign-in lasts until the agent "
                        "ends",
                        "install gnome-keyring or another Secret Service, then "
                        "sign in again"},
      [KEYRING_EMPTY] = {HEALTH_WARN,
                         "the keyring has no default collection",
                         "make one with the desktop's password program, then "
                         "sign in again"},
      [KEYRING_LOCKED] = {HEALTH_WARN,
                          "the keyring is locked",
                          "unlock it, then hoop-agent login"},
      [KEYRING_OPEN] = {HEALTH_OK, "sign-ins are kept in the keyring", NULL},
  };
  g_autoptr(GDBusConnection) bus = NULL;
  Ring ring;

  if (!doctor->config || !doctor->config->identities->len)
    return; /* nobody signs in */
  bus = session_bus();
  ring = keyring_state(bus);
  doctor_say(doctor,
             "keyring",
             states[ring].health,
             states[ring].advice,
             "%s",
             states[ring].text);
}
