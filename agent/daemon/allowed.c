/* SPDX-License-Identifier: Apache-2.0 */
/* Findings that the user says are none: kept by their fingerprints, each until
 * some time, in a file of the state folder. */
#include "daemon/private.h"
#include "kit/clock.h"
#include "kit/file.h"
#include "kit/log.h"
#include <string.h>

#define FILE_NAME "allowed"
/* A year: what is harmless for good belongs into the policy. */
#define MAX_SECONDS (365u * 24 * 60 * 60)

static Allowed *
find(const struct agent *agent, const char *fingerprint)
{
  for (unsigned i = 0; i < agent->allowed->len; i++) {
    Allowed *entry = &g_array_index(agent->allowed, Allowed, i);

    if (g_str_equal(entry->finding.fingerprint, fingerprint))
      return entry;
  }
  return NULL;
}

static bool
is_fingerprint(const char *text)
{
  return strlen(text) == FINGERPRINT_SIZE - 1 &&
         strspn(text, "0123456789abcdef") == FINGERPRINT_SIZE - 1;
}

static void
drop_expired(struct agent *agent)
{
  const int64_t now_us = clock_wall_us();

  for (unsigned i = agent->allowed->len; i-- > 0;)
    if (g_array_index(agent->allowed, Allowed, i).finding.until_us <= now_us)
      g_array_remove_index(agent->allowed, i);
}

/* From now on, for requests and streams alike. */
static void
apply(struct agent *agent)
{
  g_autofree AllowedFinding *list =
      g_new(AllowedFinding, MAX(agent->allowed->len, 1));

  for (unsigned i = 0; i < agent->allowed->len; i++)
    list[i] = g_array_index(agent->allowed, Allowed, i).finding;
  masker_set_allowed(agent->masker, list, agent->allowed->len);
}

static char *
file_name(const struct agent *agent)
{
  return g_build_filename(agent->config->state_dir, FILE_NAME, NULL);
}

static bool
store(struct agent *agent, GError **error)
{
  g_autofree char *path = file_name(agent);
  g_autoptr(GString) text = g_string_new("hoop-agent allowed 1\n");

  for (unsigned i = 0; i < agent->allowed->len; i++) {
    const Allowed *entry = &g_array_index(agent->allowed, Allowed, i);

    g_string_append_printf(text,
                           "%s %" G_GINT64_FORMAT " %" G_GINT64_FORMAT "\n",
                           entry->finding.fingerprint,
                           entry->finding.until_us,
                           entry->since_us);
  }
  return file_replace(path, text->str, text->len, 0600, error);
}

static bool
read_line(struct agent *agent, const char *line)
{
  g_auto(GStrv) words = g_strsplit(line, " ", -1);
  Allowed entry = {0};

  if (g_strv_length(words) != 3 || !is_fingerprint(words[0]) ||
      !g_ascii_string_to_signed(
          words[1], 10, 0, G_MAXINT64, &entry.finding.until_us, NULL) ||
      !g_ascii_string_to_signed(
          words[2], 10, 0, G_MAXINT64, &entry.since_us, NULL))
    return false;
  memcpy(entry.finding.fingerprint, words[0], FINGERPRINT_SIZE);
  if (!find(agent, words[0]) && agent->allowed->len < ALLOWED_MAX)
    g_array_append_val(agent->allowed, entry);
  return true;
}

void
allowed_load(struct agent *agent)
{
  g_autofree char *path = file_name(agent);
  g_autoptr(GError) error = NULL;
  g_autoptr(Secret) text = NULL;
  g_auto(GStrv) lines = NULL;
  bool fine;

  agent->allowed = g_array_new(FALSE, FALSE, sizeof(Allowed));
  if (!g_file_test(path, G_FILE_TEST_EXISTS))
    return;
  /* Another user's file, or one that others write, allows nothing. */
  text = file_read_secret(path, &error);
  if (!text) {
    log_warning("nothing is allowed by its fingerprint: %s", error->message);
    return;
  }
  lines = g_strsplit(secret_text(text), "\n", -1);
  fine = lines[0] && g_str_equal(lines[0], "hoop-agent allowed 1");
  for (unsigned i = 1; fine && lines[i]; i++)
    fine = !*lines[i] || read_line(agent, lines[i]);
  if (!fine) {
    log_warning("nothing is allowed by its fingerprint: %s is not readable",
                path);
    g_array_set_size(agent->allowed, 0);
  }
  drop_expired(agent);
  apply(agent);
}

void
allowed_free(struct agent *agent)
{
  g_clear_pointer(&agent->allowed, g_array_unref);
}

static void
record(struct agent *agent, const char *verdict, const Allowed *entry)
{
  g_autofree char *until = clock_rfc3339(entry->finding.until_us);
  g_autofree char *detail =
      g_strdup_printf("{\"fingerprint\":\"%s\",\"until\":\"%s\"}",
                      entry->finding.fingerprint,
                      until);

  record_agent(agent, ROW_POLICY, verdict, detail);
}

static bool
policy_permits(const struct agent *agent)
{
  unsigned n;
  const PolicyRule *const *rules = policy_rules(agent->policy, &n);

  for (unsigned i = 0; i < n; i++)
    if (rules[i]->allow_fingerprints)
      return true;
  return false;
}

static bool
refuse(GError **error, BusErrorCode code, const char *why)
{
  g_set_error_literal(error, BUS_ERROR, (gint)code, why);
  return false;
}

bool
allowed_add(struct agent *agent,
            const char *fingerprint,
            unsigned seconds,
            GError **error)
{
  const int64_t now_us = clock_wall_us();
  Allowed *entry = find(agent, fingerprint);
  Allowed before, fresh = {.since_us = now_us};

  if (!is_fingerprint(fingerprint))
    return refuse(error,
                  BUS_ERROR_INVALID,
                  "a fingerprint is 16 hexadecimal digits; `hoop-agent why ID` "
                  "shows those of an exchange's findings");
  if (!policy_permits(agent))
    return refuse(error,
                  BUS_ERROR_REFUSED,
                  "no rule of the policy lets findings be allowed by their "
                  "fingerprint (allow-fingerprints, hoop-policy(5))");
  drop_expired(agent);
  entry = find(agent, fingerprint);
  if (!entry && agent->allowed->len >= ALLOWED_MAX)
    return refuse(error,
                  BUS_ERROR_REFUSED,
                  "1000 findings are allowed already; remove some");
  memcpy(fresh.finding.fingerprint, fingerprint, FINGERPRINT_SIZE);
  fresh.finding.until_us =
      now_us + (int64_t)CLAMP(seconds, 1, MAX_SECONDS) * G_USEC_PER_SEC;
  before = entry ? *entry : fresh;
  if (entry)
    *entry = fresh;
  else
    g_array_append_val(agent->allowed, fresh);
  if (!store(agent, error)) {
    /* Nothing is in force that would be forgotten. */
    if (entry)
      *entry = before;
    else
      g_array_set_size(agent->allowed, agent->allowed->len - 1);
    return false;
  }
  apply(agent);
  record(agent, "finding-allowed", &fresh);
  return true;
}

bool
allowed_remove(struct agent *agent, const char *fingerprint, GError **error)
{
  Allowed *entry = find(agent, fingerprint);
  Allowed gone;

  if (!entry)
    return refuse(error,
                  BUS_ERROR_NOT_FOUND,
                  "that fingerprint is not allowed; `hoop-agent allow --list` "
                  "shows which are");
  gone = *entry;
  g_array_remove_index(
      agent->allowed,
      (unsigned)(entry - &g_array_index(agent->allowed, Allowed, 0)));
  apply(agent);
  record(agent, "finding-removed", &gone);
  return store(agent, error);
}

const GArray *
allowed_list(struct agent *agent)
{
  drop_expired(agent);
  return agent->allowed;
}
