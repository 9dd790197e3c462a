/* SPDX-License-Identifier: Apache-2.0 */
/* Findings that the user says are none: kept by their fingerprints, each until
 * some time, in a file of the state folder. Two clocks tell the time: the wall
 * clock, which people set, and the one since the boot. What is left of each is
 * noted, so that one set back while the machine is off gains nothing either. */
#include "daemon/private.h"
#include "kit/clock.h"
#include "kit/file.h"
#include "kit/log.h"
#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>

#define FILE_NAME "allowed"
/* A year: what is harmless for good belongs into the policy. */
#define MAX_SECONDS (365u * 24 * 60 * 60)
/* Between notes of what is left: as much may be gained by a boot, no more. */
#define NOTE_S (60 * 60)
#define MAGIC "hoop-agent allowed 2"
/* Without boot clock. */
#define MAGIC_1 "hoop-agent allowed 1"

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

static int64_t
left_us(const Allowed *entry)
{
  return MIN(entry->finding.until_us - clock_wall_us(),
             entry->finding.until_boot_us - clock_boot_us());
}

static void
drop_expired(struct agent *agent)
{
  for (unsigned i = agent->allowed->len; i-- > 0;)
    if (left_us(&g_array_index(agent->allowed, Allowed, i)) <= 0)
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
  g_autofree char *boot = clock_boot_id();
  g_autoptr(GString) text = g_string_new(MAGIC);

  g_string_append_printf(text, " %s\n", boot ? boot : "-");
  for (unsigned i = 0; i < agent->allowed->len; i++) {
    const Allowed *entry = &g_array_index(agent->allowed, Allowed, i);

    g_string_append_printf(text,
                           "%s %" G_GINT64_FORMAT " %" G_GINT64_FORMAT
                           " %" G_GINT64_FORMAT " %" G_GINT64_FORMAT "\n",
                           entry->finding.fingerprint,
                           entry->finding.until_us,
                           entry->since_us,
                           entry->finding.until_boot_us,
                           left_us(entry));
  }
  agent->allowed_dirty = !file_replace(path, text->str, text->len, 0600, error);
  return !agent->allowed_dirty;
}

static bool
read_number(const char *word, int64_t *out)
{
  return g_ascii_string_to_signed(word, 10, 0, G_MAXINT64, out, NULL);
}

/* `same_boot`: the stored time of the boot clock means something now. */
static bool
read_line(struct agent *agent, const char *line, bool same_boot)
{
  g_auto(GStrv) words = g_strsplit(line, " ", -1);
  const unsigned n = g_strv_length(words);
  const int64_t most = (int64_t)MAX_SECONDS * G_USEC_PER_SEC;
  Allowed entry = {0};
  int64_t boot_us = 0, left;

  if ((n != 3 && n != 5) || !is_fingerprint(words[0]) ||
      !read_number(words[1], &entry.finding.until_us) ||
      !read_number(words[2], &entry.since_us))
    return false;
  left = entry.finding.until_us - entry.since_us;
  if (n == 5 &&
      (!read_number(words[3], &boot_us) || !read_number(words[4], &left)))
    return false;
  if (same_boot && n == 5)
    left = boot_us - clock_boot_us();
  memcpy(entry.finding.fingerprint, words[0], FINGERPRINT_SIZE);
  entry.finding.until_boot_us = clock_boot_us() + MIN(left, most);
  if (!find(agent, words[0]) && agent->allowed->len < ALLOWED_MAX)
    g_array_append_val(agent->allowed, entry);
  return true;
}

static bool
read_lines(struct agent *agent, const char *text)
{
  g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
  g_autofree char *boot = clock_boot_id();
  g_autofree char *head = g_strconcat(MAGIC " ", boot, NULL);
  bool same_boot = boot && lines[0] && g_str_equal(lines[0], head);
  bool fine = lines[0] && (g_str_has_prefix(lines[0], MAGIC " ") ||
                           g_str_equal(lines[0], MAGIC_1));

  for (unsigned i = 1; fine && lines[i]; i++)
    fine = !*lines[i] || read_line(agent, lines[i], same_boot);
  return fine;
}

static gboolean
note_left(gpointer data)
{
  struct agent *agent = data;

  drop_expired(agent);
  if (agent->allowed->len || agent->allowed_dirty)
    store(agent, NULL);
  return G_SOURCE_CONTINUE;
}

void
allowed_load(struct agent *agent)
{
  g_autofree char *path = file_name(agent);
  g_autoptr(GError) error = NULL;
  g_autoptr(Secret) text = NULL;

  agent->allowed = g_array_new(FALSE, FALSE, sizeof(Allowed));
  agent->allowed_timer = g_timeout_add_seconds(NOTE_S, note_left, agent);
  if (!g_file_test(path, G_FILE_TEST_EXISTS))
    return;
  /* Another user's file, or one that others write, allows nothing. */
  text = file_read_secret(path, &error);
  if (!text) {
    log_warning("nothing is allowed by its fingerprint: %s", error->message);
    return;
  }
  if (!read_lines(agent, secret_text(text))) {
    log_warning("nothing is allowed by its fingerprint: %s is not readable",
                path);
    g_array_set_size(agent->allowed, 0);
    return;
  }
  note_left(agent);
  apply(agent);
}

void
allowed_free(struct agent *agent)
{
  g_clear_handle_id(&agent->allowed_timer, g_source_remove);
  if (agent->allowed)
    note_left(agent);
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
  int64_t lasts;

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
  lasts = (int64_t)CLAMP(seconds, 1, MAX_SECONDS) * G_USEC_PER_SEC;
  fresh.finding.until_us = now_us + lasts;
  fresh.finding.until_boot_us = clock_boot_us() + lasts;
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

/* What cannot be written must not come back at the next start; the others are
 * stored again as soon as they can be. */
static bool
store_fewer(struct agent *agent, GError **error)
{
  g_autofree char *path = file_name(agent);

  if (store(agent, error))
    return true;
  if (g_unlink(path) == 0 || errno == ENOENT)
    g_prefix_error(error,
                   "it is allowed no longer, but the others may not "
                   "outlast the agent: ");
  else
    g_prefix_error(error,
                   "it is allowed no longer, but will be after a "
                   "restart: remove %s. ",
                   path);
  return false;
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
  return store_fewer(agent, error);
}

const GArray *
allowed_list(struct agent *agent)
{
  drop_expired(agent);
  return agent->allowed;
}
