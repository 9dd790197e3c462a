/* SPDX-License-Identifier: Apache-2.0 */
/* ship: how far the record has left this machine, and sending it now. */
#include "config.h"

#include "cli/progress.h"
#include "cli/rows.h"
#include "cli/shipping.h"
#include "daemon/daemon.h"
#include "ship/ship.h"
#include <stdio.h>
#include <string.h>

/* Between looks while --now runs. */
#define POLL_US (100 * 1000)
/* Rows of `grouped` reach the disk within 100 ms, and are shipped then. */
#define MAX_ASKED 20

/* ---- Status -------------------------------------------------------------- */

static void
add_number(GVariantDict *dict, const char *key, int64_t value)
{
  g_variant_dict_insert(dict, key, "x", (gint64)value);
}

/* From the journal alone. NULL after having complained into *code. */
static GVariant *
offline(const Call *call, const Config *config, int *code)
{
  ShipOptions options = daemon_ship_options(config);
  g_autoptr(JournalReader) reader = rows_open(call, config, code);
  g_autoptr(GError) error = NULL;
  ShipStatus status;
  GVariantDict dict;

  if (!reader)
    return NULL;
  if (!ship_check(&options, &error) ||
      !ship_status_offline(reader, &options, 0, &status, &error)) {
    *code = complain_error(call, error);
    return NULL;
  }
  g_variant_dict_init(&dict, NULL);
  g_variant_dict_insert(&dict, "format", "s", status.format);
  g_variant_dict_insert(&dict, "receiver", "s", status.receiver);
  add_number(&dict, "head_seq", status.head_seq);
  add_number(&dict, "shipped_seq", status.shipped_seq);
  add_number(&dict, "shipped_us", status.shipped_us);
  add_number(&dict, "behind_rows", status.behind_rows);
  add_number(&dict, "behind_bytes", status.behind_bytes);
  add_number(&dict, "behind_us", status.behind_us);
  add_number(&dict, "quarantined", status.quarantined);
  return g_variant_ref_sink(g_variant_dict_end(&dict));
}

static GVariant *
of_agent(const Call *call, HoopAgent1 *agent, int *code)
{
  g_autoptr(GVariant) status = NULL;
  g_autoptr(GError) error = NULL;
  GVariant *shipping;

  if (!hoop_agent1_call_status_sync(agent, &status, NULL, &error)) {
    *code = complain_error(call, error);
    return NULL;
  }
  shipping =
      g_variant_lookup_value(status, "shipping", G_VARIANT_TYPE("a{sv}"));
  if (!shipping)
    *code = complain(call,
                     CLI_USAGE,
                     "nothing is shipped: agent.conf has no [ship] endpoint");
  return shipping;
}

static void
say_quarantined(int64_t seq, int64_t wall_us, const char *reason, void *data)
{
  g_autofree char *when = time_text(wall_us);
  g_autofree char *why = visible(reason, -1, false);

  (void)data;
  printf("  %s  row %" G_GINT64_FORMAT ": %s\n", when, seq, why);
}

/* What the receiver would not take, row by row. */
static int
list_quarantined(const Call *call, const Config *config)
{
  int code = CLI_DONE;
  g_autoptr(JournalReader) reader = rows_open(call, config, &code);
  g_autoptr(GError) error = NULL;

  if (!reader)
    return code;
  if (journal_quarantined(
          reader, config->ship_endpoint, say_quarantined, NULL, &error))
    return CLI_DONE;
  return complain_error(call, error);
}

static int
show(const Call *call, const Config *config)
{
  int code = CLI_DONE;
  g_autoptr(HoopAgent1) agent = daemon_try();
  g_autoptr(GVariant) status = NULL;

  if (!agent && !config->ship_endpoint)
    return complain(call,
                    CLI_USAGE,
                    "nothing is shipped: agent.conf has no [ship] endpoint");
  status = agent ? of_agent(call, agent, &code) : offline(call, config, &code);
  if (!status)
    return code;
  if (call_has(call, "json")) {
    print_json(variant_to_json(status));
    return CLI_DONE;
  }
  shipping_say(status);
  if (!agent)
    puts("The agent does not run: nothing is sent meanwhile.");
  return shipping_number(status, "quarantined") && config->ship_endpoint
             ? list_quarantined(call, config)
             : CLI_DONE;
}

/* ---- Now ----------------------------------------------------------------- */

static bool
ask(const Call *call, HoopAgent1 *agent, int *code)
{
  g_autoptr(GError) error = NULL;

  if (hoop_agent1_call_ship_sync(agent, NULL, &error))
    return true;
  *code = complain_error(call, error);
  return false;
}

/* Waits until what was there at the start is shipped. */
static GVariant *
wait_shipped(const Call *call, HoopAgent1 *agent, int *code)
{
  Progress progress;
  int64_t target = -1;
  unsigned asked = 0;

  progress_init(&progress);
  while (asked < MAX_ASKED) {
    g_autoptr(GVariant) status = of_agent(call, agent, code);
    const char *problem;
    gboolean busy = FALSE;

    if (!status)
      return NULL;
    if (target < 0)
      target = shipping_number(status, "head_seq");
    g_variant_lookup(status, "busy", "b", &busy);
    problem = shipping_text(status, "problem");
    /* The cursor is seen in the journal before the agent is told of it. */
    if ((shipping_number(status, "shipped_seq") >= target && !problem) ||
        (!busy && asked > 0 && problem)) {
      progress_hide(&progress);
      return g_steal_pointer(&status);
    }
    progress_count(&progress,
                   (uint64_t)shipping_number(status, "behind_rows"),
                   "rows to go");
    if (!busy && (asked++, !ask(call, agent, code)))
      return NULL;
    g_usleep(POLL_US);
  }
  progress_hide(&progress);
  *code = complain(call,
                   CLI_UNREACHABLE,
                   "the newest rows are not on the disk yet; try again");
  return NULL;
}

static int
now(const Call *call)
{
  int code = CLI_DONE;
  g_autoptr(HoopAgent1) agent = daemon_connect(call, &code);
  g_autoptr(GVariant) status = NULL;
  const char *problem;

  if (!agent || !ask(call, agent, &code))
    return code;
  status = wait_shipped(call, agent, &code);
  if (!status)
    return code;
  problem = shipping_text(status, "problem");
  if (call_has(call, "json"))
    print_json(variant_to_json(status));
  else if (!problem)
    shipping_say(status);
  if (!problem)
    return CLI_DONE;
  return complain(call, CLI_UNREACHABLE, "%s", problem);
}

/* ---- To standard output -------------------------------------------------- */

static bool
print(const char *text, size_t len, void *data)
{
  bool *broken = data;

  *broken = fwrite(text, 1, len, stdout) != len;
  return !*broken;
}

static int
lines(const Call *call, const Config *config)
{
  const char *after_text = call_value(call, "after");
  int code = CLI_DONE;
  g_autoptr(JournalReader) reader = NULL;
  g_autoptr(GError) error = NULL;
  guint64 after = 0;
  bool broken = false;

  if (after_text &&
      !g_ascii_string_to_unsigned(after_text, 10, 0, INT64_MAX, &after, NULL))
    return complain(
        call, CLI_USAGE, "--after takes a row's number, not %s", after_text);
  reader = rows_open(call, config, &code);
  if (!reader)
    return code;
  if (!ship_lines(reader,
                  PACKAGE_VERSION,
                  (int64_t)after,
                  print,
                  &broken,
                  NULL,
                  &error))
    return complain_error(call, error);
  if (broken || fflush(stdout) != 0)
    return complain(call, CLI_FOUND, "cannot write to standard output");
  return CLI_DONE;
}

int
verb_ship(const Call *call)
{
  const bool is_now = call_has(call, "now");
  const bool is_stdout = call_has(call, "stdout");
  g_autoptr(Config) config = NULL;
  int code = CLI_DONE;

  if (is_now + is_stdout + call_has(call, "status") > 1 ||
      (call_value(call, "after") && !is_stdout) ||
      (is_stdout && call_has(call, "json")))
    return complain(call,
                    CLI_USAGE,
                    "give one of --status, --now (both with --json) and "
                    "--stdout (with --after)");
  if (is_now)
    return now(call);
  config = cli_config(call, &code);
  if (!config)
    return code;
  return is_stdout ? lines(call, config) : show(call, config);
}
