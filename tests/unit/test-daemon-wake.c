/* SPDX-License-Identifier: Apache-2.0 */
/* Sleep and unlocking, as a logind of the test's own tells them on a system bus
 * of the test's own: what waits stays decidable, and others are not heard. */
#define _GNU_SOURCE /* unshare */

#include "daemon/private.h"
#include "kit/clock.h"
#include "polkit-kit.h"

#define MANAGER "/org/freedesktop/login1"
#define SESSION "/org/freedesktop/login1/session/_31"

typedef struct {
  Polkit desktop; /* its bus */
  guint name;
  bool owned;
  struct agent agent;
  GDBusConnection *stranger;
  ApproveTicket *ticket;
  unsigned told, decided;
  Outcome outcome;
  int64_t deadline_us;
} Fixture;

static void
on_pending(const PendingView *pending, void *data)
{
  Fixture *f = data;

  f->told++;
  f->deadline_us = pending->deadline_us;
}

static void
on_gone(const char *exchange, Outcome outcome, const char *who, void *data)
{
  (void)exchange;
  (void)outcome;
  (void)who;
  (void)data;
}

static void
decided(const Decision *decision, void *data)
{
  Fixture *f = data;

  f->decided++;
  f->outcome = decision->outcome;
}

static void
on_name(GDBusConnection *bus, const char *name, gpointer data)
{
  Fixture *f = data;

  (void)bus;
  (void)name;
  f->owned = true;
}

static void
set_up(Fixture *f, const void *data)
{
  static const ApproveListener listener = {on_pending, on_gone};
  const ApproveLimits limits = {
      .max_pending = 2, .max_per_client = 2, .kinds = 1 << APPROVER_DEVELOPER};

  (void)data;
  *f = (Fixture){0};
  polkit_bus(&f->desktop);
  f->name = g_bus_own_name_on_connection(f->desktop.agent,
                                         "org.freedesktop.login1",
                                         G_BUS_NAME_OWNER_FLAGS_NONE,
                                         on_name,
                                         NULL,
                                         f,
                                         NULL);
  until(f->owned);
  f->agent.main_loop = loop_new(NULL);
  f->agent.main_source = loop_source_new(f->agent.main_loop);
  g_source_attach(f->agent.main_source, NULL);
  f->agent.approve = approve_queue_new(f->agent.main_loop, &limits);
  approve_listen(f->agent.approve, &listener, f);
  wake_start(&f->agent);
}

static void
tear_down(Fixture *f, const void *data)
{
  (void)data;
  wake_stop(&f->agent);
  approve_ticket_free(f->ticket);
  approve_queue_free(f->agent.approve);
  loop_iterate(f->agent.main_loop, 0);
  g_source_destroy(f->agent.main_source);
  g_source_unref(f->agent.main_source);
  loop_free(f->agent.main_loop);
  g_bus_unown_name(f->name);
  g_clear_object(&f->stranger);
  polkit_stop(&f->desktop);
}

/* For a second, without this. */
static void
hold(Fixture *f)
{
  const PolicyRule rule = {.id = (char *)(uintptr_t) "r",
                           .approvers = &(Approver){APPROVER_DEVELOPER, NULL},
                           .n_approvers = 1,
                           .approvals_needed = 1};
  HeldRequest *held = held_request_new();

  held->exchange = g_strdup("x");
  held->client = g_strdup("cli");
  held->timeout = 1;
  g_ptr_array_add(held->needs, approve_need_new(&rule));
  f->ticket =
      approve_hold(f->agent.approve, held, f->agent.main_loop, decided, f);
  until(f->told == 1);
}

static void
emit(GDBusConnection *bus,
     const char *path,
     const char *interface,
     const char *signal,
     GVariant *arguments)
{
  g_autoptr(GError) error = NULL;

  g_dbus_connection_emit_signal(
      bus, NULL, path, interface, signal, arguments, &error);
  g_assert_no_error(error);
  g_dbus_connection_flush_sync(bus, NULL, NULL);
}

static GVariant *
hint(bool locked)
{
  GVariantDict changed;

  g_variant_dict_init(&changed, NULL);
  g_variant_dict_insert(&changed, "LockedHint", "b", (gboolean)locked);
  return g_variant_new("(s@a{sv}as)",
                       "org.freedesktop.login1.Session",
                       g_variant_dict_end(&changed),
                       NULL);
}

/* The deadline is over when the signal was not heard. */
static void
stays(Fixture *f)
{
  const int64_t began = clock_mono_us();

  until(f->told > 1);
  g_assert_cmpint(f->deadline_us - clock_wall_us(),
                  >,
                  (APPROVE_WAKE_S - 10) * (int64_t)G_USEC_PER_SEC);
  while (clock_mono_us() - began < 1200000)
    g_main_context_iteration(NULL, FALSE);
  g_assert_cmpuint(f->decided, ==, 0);
}

static void
ends(Fixture *f)
{
  until(f->decided);
  g_assert_cmpint(f->outcome, ==, OUTCOME_TIMEOUT);
}

/* The bus answers in order: it knows by then what is listened for. */
static void
settle(Fixture *f)
{
  g_autoptr(GVariant) reply = NULL;
  g_autoptr(GError) error = NULL;

  until(wake_bus(&f->agent));
  reply = g_dbus_connection_call_sync(wake_bus(&f->agent),
                                      "org.freedesktop.DBus",
                                      "/org/freedesktop/DBus",
                                      "org.freedesktop.DBus",
                                      "GetId",
                                      NULL,
                                      NULL,
                                      G_DBUS_CALL_FLAGS_NONE,
                                      -1,
                                      NULL,
                                      &error);
  g_assert_no_error(error);
}

static void
test_sleep(Fixture *f, const void *data)
{
  const gboolean begins = GPOINTER_TO_INT(data);

  settle(f);
  hold(f);
  emit(f->desktop.agent,
       MANAGER,
       "org.freedesktop.login1.Manager",
       "PrepareForSleep",
       g_variant_new("(b)", begins));
  stays(f);
}

static void
test_unlock(Fixture *f, const void *data)
{
  (void)data;
  settle(f);
  hold(f);
  emit(f->desktop.agent,
       SESSION,
       "org.freedesktop.login1.Session",
       "Unlock",
       NULL);
  stays(f);
}

static void
test_hint(Fixture *f, const void *data)
{
  (void)data;
  settle(f);
  hold(f);
  emit(f->desktop.agent,
       SESSION,
       "org.freedesktop.DBus.Properties",
       "PropertiesChanged",
       hint(false));
  stays(f);
}

/* Locking gives no time and takes none. */
static void
test_lock(Fixture *f, const void *data)
{
  (void)data;
  settle(f);
  hold(f);
  emit(f->desktop.agent,
       SESSION,
       "org.freedesktop.login1.Session",
       "Lock",
       NULL);
  emit(f->desktop.agent,
       SESSION,
       "org.freedesktop.DBus.Properties",
       "PropertiesChanged",
       hint(true));
  ends(f);
}

/* Only logind is heard, and only what it says in its form. */
static void
test_strangers(Fixture *f, const void *data)
{
  g_autoptr(GError) error = NULL;

  (void)data;
  f->stranger = g_dbus_connection_new_for_address_sync(
      f->desktop.address,
      G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
          G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
      NULL,
      NULL,
      &error);
  g_assert_no_error(error);
  settle(f);
  hold(f);
  emit(f->stranger,
       MANAGER,
       "org.freedesktop.login1.Manager",
       "PrepareForSleep",
       g_variant_new("(b)", FALSE));
  emit(f->desktop.agent,
       MANAGER,
       "org.freedesktop.login1.Manager",
       "PrepareForSleep",
       g_variant_new("(s)", "no"));
  emit(f->desktop.agent,
       SESSION,
       "org.freedesktop.DBus.Properties",
       "PropertiesChanged",
       g_variant_new("(ss)", "org.freedesktop.login1.Session", "no"));
  ends(f);
  g_assert_cmpuint(f->told, ==, 1);
}

#define TEST(name, data, func)                                                 \
  g_test_add("/daemon/wake/" name, Fixture, data, set_up, func, tear_down)

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  TEST("goes-to-sleep", GINT_TO_POINTER(TRUE), test_sleep);
  TEST("wakes", GINT_TO_POINTER(FALSE), test_sleep);
  TEST("unlocked", NULL, test_unlock);
  TEST("unlocked-by-hint", NULL, test_hint);
  TEST("locked", NULL, test_lock);
  TEST("strangers", NULL, test_strangers);
  return g_test_run();
}
