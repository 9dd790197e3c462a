/* SPDX-License-Identifier: Apache-2.0 */
/* Doctor's checks of the agent: configuration, daemon, port, CA, policy,
 * journal. They read only. */
#include "config.h"

#include "cli/doctor.h"
#include "cli/sessions.h"
#include "cli/shipping.h"
#include "conn/conn.h"
#include "daemon/daemon.h"
#include "journal/journal.h"
#include "kit/digest.h"
#include "kit/file.h"
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* A certificate that ends sooner is worth a word. */
#define SOON_S (30 * 24 * 60 * 60)
/* A disk with less room than this stops the agent soon. */
#define LEAST_FREE ((uint64_t)256 * 1024 * 1024)

/* ---- Configuration and daemon --------------------------------------------
 */

/* Credentials in files are looked at; one in the environment is the agent's
 * alone. */
static bool
credentials_fine(const Config *config, GError **error)
{
  for (unsigned i = 0; i < config->connections->len; i++) {
    const ConfigConnection *one = config->connections->pdata[i];
    g_autoptr(Secret) secret = NULL;

    if (!one->enabled || !one->credential ||
        !g_str_has_prefix(one->credential, "file:"))
      continue;
    secret = file_read_secret(one->credential + strlen("file:"), error);
    if (!secret)
      return false;
  }
  for (unsigned i = 0; i < config->identities->len; i++) {
    const ConfigIdentity *one = config->identities->pdata[i];
    g_autoptr(Secret) secret =
        one->client_secret_file
            ? file_read_secret(one->client_secret_file, error)
            : NULL;

    if (one->client_secret_file && !secret)
      return false;
  }
  return true;
}

/* The file that a running agent was given, as every verb does. */
static char *
file_to_load(Doctor *doctor)
{
  const char *given = call_value(doctor->call, "config");
  char *running = NULL;

  if (!given && doctor->status)
    g_variant_lookup(doctor->status, "config", "s", &running);
  return given ? g_strdup(given) : running;
}

void
check_config(Doctor *doctor)
{
  g_autoptr(GError) error = NULL;
  g_auto(GStrv) hosts = NULL;
  g_autofree char *file = NULL;
  g_autofree char *names = NULL;

  doctor->agent = daemon_try();
  if (doctor->agent)
    hoop_agent1_call_status_sync(doctor->agent, &doctor->status, NULL, NULL);
  file = file_to_load(doctor);
  doctor->config = config_load(file, &error);
  if (doctor->config)
    hosts = conn_hosts(doctor->config, NULL, &error);
  if (!hosts || !credentials_fine(doctor->config, &error)) {
    doctor_say(doctor,
               "config",
               HEALTH_FAIL,
               "correct that line; hoop-agent.conf(5) has every key",
               "%s",
               error->message);
    return;
  }
  names = g_strjoinv(", ", doctor->config->files);
  doctor_say(doctor,
             "config",
             HEALTH_OK,
             NULL,
             "%s%s",
             *names ? names : "no file: the defaults",
             doctor->config->managed ? " (managed)" : "");
}

void
check_agent(Doctor *doctor)
{
  const char *version = "?", *paused = NULL, *policy = NULL;

  if (!doctor->status) {
    doctor_say(doctor,
               "agent",
               HEALTH_FAIL,
               "systemctl --user start hoop-agent, or hoop-agent serve",
               "the agent does not run%s",
               doctor->agent ? " (or does not answer)" : "");
    return;
  }
  g_variant_lookup(doctor->status, "version", "&s", &version);
  g_variant_lookup(doctor->status, "paused", "&s", &paused);
  g_variant_lookup(doctor->status, "policy_error", "&s", &policy);
  if (paused)
    doctor_say(doctor,
               "agent",
               HEALTH_WARN,
               strstr(paused, "administrator")
                   ? "ask who administers this machine"
                   : "hoop-agent resume",
               "paused %s: everything governed is refused",
               paused);
  else if (!g_str_equal(version, PACKAGE_VERSION))
    doctor_say(doctor,
               "agent",
               HEALTH_WARN,
               "systemctl --user restart hoop-agent",
               "version %s runs, %s is installed",
               version,
               PACKAGE_VERSION);
  else
    doctor_say(doctor, "agent", HEALTH_OK, NULL, "version %s answers", version);
}

void
check_port(Doctor *doctor)
{
  g_autofree char *holder = NULL;
  const char *address = NULL;

  if (doctor->status &&
      g_variant_lookup(doctor->status, "address", "&s", &address)) {
    doctor_say(
        doctor, "port", HEALTH_OK, NULL, "the agent listens on %s", address);
    return;
  }
  if (!doctor->config || !doctor->config->port)
    return;
  holder = front_port_holder(doctor->config->port);
  if (holder)
    doctor_say(doctor,
               "port",
               HEALTH_FAIL,
               "stop that, or set another [listen] port",
               "port %u is held by %s",
               (unsigned)doctor->config->port,
               holder);
  else
    doctor_say(doctor,
               "port",
               HEALTH_OK,
               NULL,
               "port %u is free",
               (unsigned)doctor->config->port);
}

/* ---- CA ------------------------------------------------------------------
 */

static void
say_ca(Doctor *doctor, const Ca *ca, const char *missing)
{
  const CaFacts *facts = ca_facts(ca);
  int64_t now = g_get_real_time() / G_USEC_PER_SEC;
  g_autofree char *until = time_text(facts->until_s * G_USEC_PER_SEC);

  if (missing)
    doctor_say(doctor,
               "ca",
               HEALTH_WARN,
               "hoop-agent ca rotate, then restart the agent and the clients",
               "the CA does not cover %s: only base URLs work for it",
               missing);
  else if (facts->until_s < now + SOON_S)
    doctor_say(doctor,
               "ca",
               facts->until_s < now ? HEALTH_FAIL : HEALTH_WARN,
               "hoop-agent ca rotate, then restart the agent and the clients",
               "the CA ends %s",
               until);
  else
    doctor_say(doctor,
               "ca",
               HEALTH_OK,
               NULL,
               "%s covers every governed host until %s",
               ca_path(ca),
               until);
}

void
check_ca(Doctor *doctor)
{
  g_autofree char *key = NULL;
  g_auto(GStrv) hosts = NULL;
  g_autoptr(GError) error = NULL;
  g_autoptr(Ca) ca = NULL;
  const char *missing = NULL;

  hosts = doctor->config ? conn_hosts(doctor->config, NULL, NULL) : NULL;
  if (!hosts)
    return;
  key = g_build_filename(doctor->config->state_dir, "ca.key", NULL);
  if (!g_file_test(key, G_FILE_TEST_EXISTS)) {
    doctor_say(doctor,
               "ca",
               HEALTH_WARN,
               NULL,
               "there is no CA yet; the agent makes it when it starts");
    return;
  }
  ca = cli_ca(doctor->config, &error);
  if (!ca) {
    doctor_say(doctor,
               "ca",
               HEALTH_FAIL,
               "hoop-agent ca rotate makes another",
               "%s",
               error->message);
    return;
  }
  for (char **host = hosts; *host && !missing; host++)
    if (!ca_covers(ca, *host))
      missing = *host;
  say_ca(doctor, ca, missing);
}

/* ---- Policy --------------------------------------------------------------
 */

void
check_policy(Doctor *doctor)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(RulePack) pack = NULL;
  g_autoptr(Policy) policy = NULL;
  g_auto(GStrv) warnings = NULL;
  unsigned n_rules, n_detectors;

  if (!doctor->config)
    return;
  pack = daemon_load_rules(doctor->config, &error);
  policy = pack ? daemon_load_policy(doctor->config, &error) : NULL;
  if (!policy) {
    doctor_say(doctor,
               "policy",
               HEALTH_FAIL,
               pack ? "correct it; hoop-agent policy check FILE tells more"
                    : "the installation is not whole: install it again",
               "%s",
               error->message);
    return;
  }
  policy_rules(policy, &n_rules);
  rule_pack_rules(pack, &n_detectors);
  warnings = policy_warnings(policy, pack);
  if (!doctor->config->detect)
    doctor_say(doctor,
               "policy",
               HEALTH_WARN,
               "take [detect] enabled=false out of agent.conf",
               "detection is switched off: nothing is inspected");
  else if (*warnings)
    doctor_say(doctor,
               "policy",
               HEALTH_WARN,
               "hoop-agent policy check FILE lists all of it",
               "%s",
               *warnings);
  else
    doctor_say(doctor,
               "policy",
               HEALTH_OK,
               NULL,
               "%u rules, %u detectors, revision %.12s",
               n_rules,
               n_detectors,
               policy_revision(policy));
}

/* ---- Journal -------------------------------------------------------------
 */

static void
say_verified(Doctor *doctor, const JournalVerification *seen)
{
  const char *health = "ok";

  if (doctor->status)
    g_variant_lookup(doctor->status, "journal", "&s", &health);
  if (!seen->intact)
    doctor_say(doctor,
               "journal",
               HEALTH_FAIL,
               "keep a copy of it for whoever looks into this",
               "from row %" G_GINT64_FORMAT " on it is not what was written: "
               "%s",
               seen->first_bad_seq,
               seen->reason);
  else if (!g_str_equal(health, "ok"))
    doctor_say(doctor,
               "journal",
               HEALTH_FAIL,
               "requests are refused until it can be written",
               "%s",
               health);
  else
    doctor_say(doctor,
               "journal",
               HEALTH_OK,
               NULL,
               "%" G_GINT64_FORMAT " rows, intact up to row %" G_GINT64_FORMAT,
               seen->rows,
               seen->head_seq);
}

static void
verify(Doctor *doctor, const char *path)
{
  const char *hex = doctor->config->ship_receiver_key;
  uint8_t key[32];
  const JournalWitness witness = {
      .receiver_key = hex && hex_decode(hex, key, sizeof key) ? key : NULL};
  g_autoptr(GError) error = NULL;
  g_autoptr(JournalReader) reader = journal_reader_open(path, &error);
  JournalVerification seen = {0};

  if (reader && journal_verify(reader, &witness, NULL, NULL, &seen, &error)) {
    say_verified(doctor, &seen);
    journal_verification_clear(&seen);
    return;
  }
  doctor_say(doctor,
             "journal",
             HEALTH_FAIL,
             "hoop-journal(5) says what it should be",
             "%s",
             error->message);
}

static bool
check_room(Doctor *doctor, const char *path)
{
  g_autofree char *dir = g_path_get_dirname(path);
  struct statvfs disk;

  if (!g_file_test(dir, G_FILE_TEST_IS_DIR))
    return true; /* the agent makes it */
  if (access(dir, W_OK) != 0) {
    doctor_say(doctor,
               "journal",
               HEALTH_FAIL,
               "give the folder back to your user, mode 0700",
               "%s cannot be written",
               dir);
    return false;
  }
  if (statvfs(dir, &disk) != 0 ||
      (uint64_t)disk.f_bavail * disk.f_frsize >= LEAST_FREE)
    return true;
  doctor_say(doctor,
             "journal",
             HEALTH_WARN,
             "make room: a full disk stops every request",
             "only %" G_GUINT64_FORMAT " MiB are free in %s",
             (guint64)disk.f_bavail * disk.f_frsize / 1024 / 1024,
             dir);
  return true;
}

void
check_journal(Doctor *doctor)
{
  const Config *config = doctor->config;

  if (!config)
    return;
  if (!config->journal) {
    doctor_say(doctor,
               "journal",
               HEALTH_WARN,
               "take [journal] enabled=false out of agent.conf",
               "switched off: nothing is recorded");
    return;
  }
  if (!check_room(doctor, config->journal_path))
    return;
  if (g_file_test(config->journal_path, G_FILE_TEST_EXISTS))
    verify(doctor, config->journal_path);
  else
    doctor_say(doctor,
               "journal",
               HEALTH_OK,
               NULL,
               "%s: made when the agent starts",
               config->journal_path);
}

/* ---- Shipping ------------------------------------------------------------ */

/* A receiver that is away for so long is worth a word. */
#define LONG_BEHIND_US ((int64_t)24 * 60 * 60 * G_USEC_PER_SEC)

static void
say_shipping(Doctor *doctor, GVariant *shipping)
{
  g_autofree char *behind = shipping_behind(shipping);
  const char *problem = shipping_text(shipping, "problem");
  const bool long_behind =
      shipping_number(shipping, "behind_us") > LONG_BEHIND_US;

  if (problem)
    doctor_say(doctor,
               "shipping",
               long_behind ? HEALTH_FAIL : HEALTH_WARN,
               "nothing is lost meanwhile: all of it is sent once that is "
               "mended; hoop-agent ship --now tries at once",
               "%s; %s",
               behind,
               problem);
  else if (shipping_number(shipping, "quarantined"))
    doctor_say(doctor,
               "shipping",
               HEALTH_WARN,
               "hoop-agent ship lists them and why; they stay in the journal",
               "%s; %" G_GINT64_FORMAT " set aside that the receiver does not "
               "take",
               behind,
               shipping_number(shipping, "quarantined"));
  else
    doctor_say(doctor,
               "shipping",
               HEALTH_OK,
               NULL,
               "%s, to %s",
               behind,
               shipping_text(shipping, "receiver") ?: "?");
}

void
check_shipping(Doctor *doctor)
{
  g_autoptr(GVariant) shipping =
      doctor->status ? g_variant_lookup_value(
                           doctor->status, "shipping", G_VARIANT_TYPE("a{sv}"))
                     : NULL;

  if (shipping)
    say_shipping(doctor, shipping);
}

/* ---- Sign-in ------------------------------------------------------------- */

static void
say_session(Doctor *doctor, GVariant *session)
{
  const char *name = session_text(session, "name") ?: "?";
  const char *problem = session_text(session, "problem");
  const char *storage = session_text(session, "storage");
  g_autofree char *who = session_line(session);
  g_autofree char *login =
      g_strdup_printf("hoop-agent login --issuer %s", name);

  if (!session_signed_in(session))
    doctor_say(doctor,
               "session",
               HEALTH_FAIL,
               login,
               "%s: nobody is signed in%s%s",
               name,
               problem ? ": " : "",
               problem ? problem : "");
  else if (problem)
    doctor_say(doctor, "session", HEALTH_WARN, login, "%s: %s", name, problem);
  else if (g_strcmp0(storage, "file") == 0)
    doctor_say(doctor,
               "session",
               HEALTH_WARN,
               "set up a keyring, then sign in again",
               "%s: %s; kept in an insecure file",
               name,
               who);
  else
    doctor_say(doctor, "session", HEALTH_OK, NULL, "%s: %s", name, who);
}

void
check_sessions(Doctor *doctor)
{
  g_autoptr(GVariant) sessions =
      doctor->status ? g_variant_lookup_value(
                           doctor->status, "sessions", G_VARIANT_TYPE("aa{sv}"))
                     : NULL;
  GVariantIter iter;
  GVariant *one;

  if (!sessions)
    return;
  g_variant_iter_init(&iter, sessions);
  while ((one = g_variant_iter_next_value(&iter))) {
    if (!session_is_local(one))
      say_session(doctor, one);
    g_variant_unref(one);
  }
}
