/* SPDX-License-Identifier: Apache-2.0 */
/* status: what the daemon says of itself. */
#include "cli/sessions.h"
#include "cli/shipping.h"
#include <stdio.h>

static const char *
text(GVariant *status, const char *key)
{
  const char *value = NULL;

  g_variant_lookup(status, key, "&s", &value);
  return value;
}

static uint64_t
number(GVariant *status, const char *key)
{
  g_autoptr(GVariant) value = g_variant_lookup_value(status, key, NULL);

  if (!value)
    return 0;
  if (g_variant_is_of_type(value, G_VARIANT_TYPE_UINT64))
    return g_variant_get_uint64(value);
  if (g_variant_is_of_type(value, G_VARIANT_TYPE_UINT32))
    return g_variant_get_uint32(value);
  if (g_variant_is_of_type(value, G_VARIANT_TYPE_INT64))
    return (uint64_t)g_variant_get_int64(value);
  if (g_variant_is_of_type(value, G_VARIANT_TYPE_INT32))
    return (uint64_t)g_variant_get_int32(value);
  return 0;
}

static void line(const char *name, Ink colour, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

static void
line(const char *name, Ink colour, const char *format, ...)
{
  g_autofree char *shown = NULL;
  va_list args;

  va_start(args, format);
  shown = visible_format(false, format, args);
  va_end(args);
  printf("%-10s %s%s%s\n", name, ink(colour), shown, ink(INK_PLAIN));
}

/* What the list of files does not say: a layer that is wrong, and whether there
 * is one of the user's. */
static void
say_layers(GVariant *status)
{
  g_autoptr(GVariant) layers =
      g_variant_lookup_value(status, "policy_layers", G_VARIANT_TYPE("aa{sv}"));
  GVariantIter iter;
  GVariant *one;

  if (!layers)
    return;
  g_variant_iter_init(&iter, layers);
  while ((one = g_variant_iter_next_value(&iter))) {
    const char *state = text(one, "state") ?: "?";
    const char *layer = text(one, "layer") ?: "?";
    const char *file = text(one, "file") ?: "?";

    if (g_str_equal(state, "bad"))
      line("", INK_RED, "%s layer: %s is wrong", layer, file);
    else if (g_str_equal(state, "absent") && g_str_equal(layer, "user"))
      line("", INK_PLAIN, "user layer: none (%s)", file);
    g_variant_unref(one);
  }
}

static void
say_policy(GVariant *status)
{
  g_autofree const char **files = NULL;
  g_autofree char *names = NULL;
  const char *failed = text(status, "policy_error");

  g_variant_lookup(status, "policy_files", "^a&s", &files);
  names = files ? g_strjoinv(", ", (char **)files) : g_strdup("");
  line("policy",
       INK_PLAIN,
       "revision %.12s from %s",
       text(status, "policy_revision") ?: "?",
       names);
  say_layers(status);
  if (failed)
    line("", INK_RED, "the last reload failed, so this one stays: %s", failed);
}

static void
say_journal(GVariant *status)
{
  const char *health = text(status, "journal") ?: "?";
  bool fine = g_str_equal(health, "ok");

  if (fine)
    line("journal",
         INK_GREEN,
         "recording (%s durability)",
         text(status, "durability") ?: "?");
  else if (g_str_equal(health, "off"))
    line("journal", INK_YELLOW, "switched off: nothing is recorded");
  else
    line("journal", INK_RED, "%s", health);
}

static void
say_shipping(GVariant *status)
{
  g_autoptr(GVariant) shipping =
      g_variant_lookup_value(status, "shipping", G_VARIANT_TYPE("a{sv}"));
  g_autofree char *behind = shipping ? shipping_behind(shipping) : NULL;

  if (!shipping)
    return;
  line("shipping",
       shipping_number(shipping, "behind_rows") ? INK_YELLOW : INK_GREEN,
       "%s to %s",
       behind,
       shipping_text(shipping, "receiver") ?: "?");
  if (shipping_number(shipping, "quarantined"))
    line("",
         INK_YELLOW,
         "%" G_GINT64_FORMAT " set aside: hoop-agent ship",
         shipping_number(shipping, "quarantined"));
  if (shipping_text(shipping, "problem"))
    line("", INK_RED, "%s", shipping_text(shipping, "problem"));
}

static void
say_hub(GVariant *status)
{
  g_autoptr(GVariant) hub =
      g_variant_lookup_value(status, "hub", G_VARIANT_TYPE("a{sv}"));
  gboolean enrolled = FALSE, connected = FALSE, expired = FALSE;
  guint64 version = 0;

  if (!hub)
    return;
  g_variant_lookup(hub, "enrolled", "b", &enrolled);
  g_variant_lookup(hub, "connected", "b", &connected);
  g_variant_lookup(hub, "bundle_expired", "b", &expired);
  line("hub",
       connected ? INK_GREEN : INK_YELLOW,
       "%s, %s",
       text(hub, "url"),
       connected  ? "connected"
       : enrolled ? "out of reach"
                  : "not enrolled: hoop-agent enrol");
  if (g_variant_lookup(hub, "bundle_version", "t", &version))
    line("",
         expired ? INK_RED : INK_PLAIN,
         "its policy %s, version %" G_GUINT64_FORMAT "%s%s",
         text(hub, "bundle"),
         version,
         expired ? ", EXPIRED " : "",
         expired ? text(hub, "bundle_expires") : "");
  if (text(hub, "bundle_problem"))
    line("", INK_RED, "%s", text(hub, "bundle_problem"));
}

static void
say_values(GVariant *status)
{
  const char *failed = text(status, "values_error");
  g_autoptr(GVariant) any =
      g_variant_lookup_value(status, "dictionary_values", NULL);

  if (any)
    line("values",
         INK_PLAIN,
         "%" G_GUINT64_FORMAT " of the dictionary, %" G_GUINT64_FORMAT
         " of .env files",
         number(status, "dictionary_values"),
         number(status, "env_file_values"));
  if (failed)
    line(any ? "" : "values",
         INK_RED,
         "the files cannot be read, so these stay: %s",
         failed);
}

static void
say_traffic(GVariant *status)
{
  line("traffic",
       INK_PLAIN,
       "%" G_GUINT64_FORMAT " requests: %" G_GUINT64_FORMAT
       " masked, %" G_GUINT64_FORMAT " blocked, %" G_GUINT64_FORMAT
       " approved, %" G_GUINT64_FORMAT " denied, %" G_GUINT64_FORMAT
       " failed; %" G_GUINT64_FORMAT " tunnels; %" G_GUINT64_FORMAT
       " running now",
       number(status, "requests"),
       number(status, "masked"),
       number(status, "blocked"),
       number(status, "approved"),
       number(status, "denied"),
       number(status, "errors"),
       number(status, "tunnels"),
       number(status, "running"));
}

static void
say_session(GVariant *session)
{
  g_autofree char *who = session_line(session);
  const char *storage = session_storage(session);
  const char *problem = session_text(session, "problem");
  bool in = session_signed_in(session);

  line("session",
       in ? INK_PLAIN : INK_RED,
       "%s: %s%s",
       session_text(session, "name") ?: "?",
       who,
       in ? "" : "; run `hoop-agent login`");
  if (in && storage)
    line("",
         g_strcmp0(session_text(session, "storage"), "file") == 0 ? INK_YELLOW
                                                                  : INK_PLAIN,
         "%s",
         storage);
  if (problem)
    line("", INK_YELLOW, "%s", problem);
}

static void
say_sessions(GVariant *status)
{
  g_autoptr(GVariant) sessions =
      g_variant_lookup_value(status, "sessions", G_VARIANT_TYPE("aa{sv}"));
  GVariantIter iter;
  GVariant *one;

  if (!sessions)
    return;
  g_variant_iter_init(&iter, sessions);
  while ((one = g_variant_iter_next_value(&iter))) {
    if (!session_is_local(one))
      say_session(one);
    g_variant_unref(one);
  }
}

static void
say(GVariant *status)
{
  g_autofree char *up = span_text((int64_t)number(status, "uptime_us"));
  const char *paused = text(status, "paused");
  uint64_t pending = number(status, "pending");
  gboolean detection = TRUE, managed = FALSE;

  g_variant_lookup(status, "detection", "b", &detection);
  g_variant_lookup(status, "managed", "b", &managed);
  line("agent",
       INK_GREEN,
       "%s, running for %s (pid %" G_GUINT64_FORMAT ")%s",
       text(status, "version") ?: "?",
       up,
       number(status, "pid"),
       managed ? ", managed" : "");
  if (paused)
    line("paused", INK_YELLOW, "%s: everything governed is refused", paused);
  line("address", INK_PLAIN, "%s", text(status, "address") ?: "?");
  line("user",
       INK_PLAIN,
       "%s (%s)",
       text(status, "user") ?: "nobody is signed in",
       text(status, "issuer") ?: "-");
  say_sessions(status);
  say_policy(status);
  if (!detection)
    line("detection", INK_YELLOW, "switched off: nothing is inspected");
  say_hub(status);
  say_values(status);
  say_journal(status);
  say_shipping(status);
  if (pending)
    line("pending",
         INK_YELLOW,
         "%" G_GUINT64_FORMAT " wait%s for a person: hoop-agent pending",
         pending,
         pending == 1 ? "s" : "");
  else
    line("pending", INK_PLAIN, "nothing waits for a person");
  if (number(status, "grants"))
    line("grants",
         INK_PLAIN,
         "%" G_GUINT64_FORMAT " remembered: hoop-agent grants",
         number(status, "grants"));
  say_traffic(status);
}

int
verb_status(const Call *call)
{
  int code = CLI_DONE;
  g_autoptr(HoopAgent1) agent = daemon_connect(call, &code);
  g_autoptr(GVariant) status = NULL;
  g_autoptr(GError) error = NULL;

  if (!agent)
    return code;
  if (!hoop_agent1_call_status_sync(agent, &status, NULL, &error))
    return complain_error(call, error);
  if (call_has(call, "json"))
    print_json(variant_to_json(status));
  else
    say(status);
  return CLI_DONE;
}
