/* SPDX-License-Identifier: Apache-2.0 */
/* Presence: polkit's word, by a password or a fingerprint, that the user is
 * there. Whatever goes wrong on the way there is a no. */
#include "approve/approve.h"
#include <gio/gio.h>
#include <string.h>

#define AUTHORITY "org.freedesktop.PolicyKit1"
#define AUTHORITY_PATH "/org/freedesktop/PolicyKit1/Authority"
#define AUTHORITY_INTERFACE "org.freedesktop.PolicyKit1.Authority"
/* CheckAuthorizationFlags: AllowUserInteraction */
#define ALLOW_INTERACTION 1
/* Of /proc/PID/stat, proc(5), counted behind the name's bracket. */
#define FIELD_START_TIME 19

struct presence_check {
  GCancellable *cancel;
  GDBusConnection *bus;
  char *id; /* by which polkit knows the call, to cancel it */
  GVariant *subject;
  bool asking; /* polkit was asked and did not answer yet */
  void (*done)(const GError *error, void *data);
  void *data;
};

/* ---- Who is asked about --------------------------------------------------
 */

/* When the process began, so that no later one of its number is meant. 0: it is
 * gone. */
static guint64
start_time(pid_t pid)
{
  g_autofree char *path = g_strdup_printf("/proc/%d/stat", (int)pid);
  g_autofree char *text = NULL;
  g_auto(GStrv) fields = NULL;
  const char *behind;

  if (!g_file_get_contents(path, &text, NULL, NULL))
    return 0;
  behind = strrchr(text, ')');
  fields = behind && behind[1] ? g_strsplit(behind + 2, " ", -1) : NULL;
  if (!fields || g_strv_length(fields) <= FIELD_START_TIME)
    return 0;
  return g_ascii_strtoull(fields[FIELD_START_TIME], NULL, 10);
}

static GVariant *
subject_of(pid_t pid, uid_t uid)
{
  const guint64 began = start_time(pid);
  GVariantDict details;

  if (!began)
    return NULL;
  g_variant_dict_init(&details, NULL);
  g_variant_dict_insert(&details, "pid", "u", (guint32)pid);
  g_variant_dict_insert(&details, "start-time", "t", began);
  g_variant_dict_insert(&details, "uid", "i", (gint32)uid);
  return g_variant_ref_sink(
      g_variant_new("(s@a{sv})", "unix-process", g_variant_dict_end(&details)));
}

/* ---- The end -------------------------------------------------------------
 */

static void
close_bus(GObject *bus, GAsyncResult *result, gpointer data)
{
  (void)result;
  (void)data;
  g_dbus_connection_close(G_DBUS_CONNECTION(bus), NULL, NULL, NULL);
}

static void
check_free(PresenceCheck *check)
{
  /* Closing alone would lose what is not written yet. */
  if (check->bus)
    g_dbus_connection_flush(check->bus, NULL, close_bus, NULL);
  g_clear_object(&check->bus);
  g_object_unref(check->cancel);
  g_variant_unref(check->subject);
  g_free(check->id);
  g_free(check);
}

/* Tells how it ended, unless it was cancelled. */
static void
finish(PresenceCheck *check, GError *error)
{
  if (!g_cancellable_is_cancelled(check->cancel))
    check->done(error, check->data);
  g_clear_error(&error);
  check_free(check);
}

static void
fail(PresenceCheck *check, const char *why)
{
  finish(check,
         g_error_new(APPROVE_ERROR,
                     APPROVE_ERROR_PRESENCE,
                     "you could not prove that you are there: %s; it still "
                     "waits",
                     why));
}

static void
fail_by(PresenceCheck *check, GError *error)
{
  g_autoptr(GError) owned = error;
  g_autofree char *name = g_dbus_error_get_remote_error(error);

  g_dbus_error_strip_remote_error(error);
  if (g_strcmp0(name, "org.freedesktop.DBus.Error.ServiceUnknown") == 0 ||
      g_strcmp0(name, "org.freedesktop.DBus.Error.NameHasNoOwner") == 0)
    fail(check, "polkit is not there (package polkitd)");
  else
    fail(check, error->message);
}

/* ---- Asking --------------------------------------------------------------
 */

static void
answered(GObject *bus, GAsyncResult *result, gpointer data)
{
  PresenceCheck *check = data;
  GError *error = NULL;
  g_autoptr(GVariant) reply =
      g_dbus_connection_call_finish(G_DBUS_CONNECTION(bus), result, &error);
  g_autoptr(GVariant) details = NULL;
  gboolean authorized = FALSE, challenge = FALSE;
  const char *dismissed = NULL;

  check->asking = false;
  if (!reply) {
    fail_by(check, error);
    return;
  }
  g_variant_get(reply, "((bb@a{ss}))", &authorized, &challenge, &details);
  g_variant_lookup(details, "polkit.dismissed", "&s", &dismissed);
  if (authorized)
    finish(check, NULL);
  else if (dismissed)
    fail(check, "the question was dismissed");
  else if (challenge)
    fail(check,
         "no polkit agent is there to ask you; in a terminal `hoop-agent "
         "approve` asks by itself");
  else
    fail(check, "polkit says no");
}

static void
connected(GObject *source, GAsyncResult *result, gpointer data)
{
  PresenceCheck *check = data;
  GError *error = NULL;
  GVariantBuilder no_details;

  (void)source;
  check->bus = g_dbus_connection_new_for_address_finish(result, &error);
  if (!check->bus) {
    fail_by(check, error);
    return;
  }
  if (g_cancellable_is_cancelled(check->cancel)) {
    finish(check, NULL);
    return;
  }
  /* Only root may give details: what is decided was shown before. */
  g_variant_builder_init(&no_details, G_VARIANT_TYPE("a{ss}"));
  check->asking = true;
  g_dbus_connection_call(check->bus,
                         AUTHORITY,
                         AUTHORITY_PATH,
                         AUTHORITY_INTERFACE,
                         "CheckAuthorization",
                         g_variant_new("(@(sa{sv})sa{ss}us)",
                                       check->subject,
                                       PRESENCE_ACTION,
                                       &no_details,
                                       (guint32)ALLOW_INTERACTION,
                                       check->id),
                         G_VARIANT_TYPE("((bba{ss}))"),
                         G_DBUS_CALL_FLAGS_NONE,
                         G_MAXINT,
                         check->cancel,
                         answered,
                         check);
}

PresenceCheck *
presence_ask(pid_t pid,
             uid_t uid,
             void (*done)(const GError *error, void *data),
             void *data,
             GError **error)
{
  g_autoptr(GVariant) subject = subject_of(pid, uid);
  g_autofree char *address = NULL;
  PresenceCheck *check;

  if (!subject) {
    g_set_error_literal(error,
                        APPROVE_ERROR,
                        APPROVE_ERROR_PRESENCE,
                        "the program that answers has ended");
    return NULL;
  }
  address = g_dbus_address_get_for_bus_sync(G_BUS_TYPE_SYSTEM, NULL, error);
  if (!address)
    return NULL;
  check = g_new0(PresenceCheck, 1);
  check->cancel = g_cancellable_new();
  check->id = g_uuid_string_random();
  check->subject = g_steal_pointer(&subject);
  check->done = done;
  check->data = data;
  g_dbus_connection_new_for_address(
      address,
      G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
          G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
      NULL,
      check->cancel,
      connected,
      check);
  return check;
}

void
presence_cancel(PresenceCheck *check)
{
  if (!check)
    return;
  /* The person's question goes, too. */
  if (check->asking)
    g_dbus_connection_call(check->bus,
                           AUTHORITY,
                           AUTHORITY_PATH,
                           AUTHORITY_INTERFACE,
                           "CancelCheckAuthorization",
                           g_variant_new("(s)", check->id),
                           NULL,
                           G_DBUS_CALL_FLAGS_NONE,
                           -1,
                           NULL,
                           NULL,
                           NULL);
  /* What is under way ends with that, and frees it. */
  g_cancellable_cancel(check->cancel);
}
