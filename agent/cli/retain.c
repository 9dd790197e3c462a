/* SPDX-License-Identifier: Apache-2.0 */
/* journal prune and unseal: what retention takes away, and originals that were
 * sealed to the organisation's key. */
#include "cli/evidence.h"
#include "cli/rows.h"
#include "daemon/daemon.h"
#include "kit/loop.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- prune ---------------------------------------------------------------
 */

static void
say_gone(const Call *call, const JournalPruned *gone, bool dry)
{
  if (call_has(call, "json")) {
    struct json_object *json = json_object_new_object();

    json_object_object_add(json, "dry_run", json_object_new_boolean(dry));
    json_object_object_add(json, "rows", json_object_new_int64(gone->rows));
    json_object_object_add(json, "bodies", json_object_new_int64(gone->bodies));
    if (dry) {
      json_object_object_add(
          json, "through_seq", json_object_new_int64(gone->through_seq));
      json_object_object_add(
          json, "used_bytes", json_object_new_uint64(gone->used));
      json_object_object_add(
          json, "beside_bytes", json_object_new_uint64(gone->beside));
    }
    print_json(json);
    return;
  }
  if (gone->rows == 0)
    puts(dry ? "Nothing would go." : "Nothing was due.");
  else
    printf("%s %" G_GINT64_FORMAT " rows and %" G_GINT64_FORMAT
           " bodies that no other row names%s\n",
           dry ? "Would take away" : "Took away",
           gone->rows,
           gone->bodies,
           dry && gone->by_size ? ", about, for max-size." : ".");
}

/* What counts to max-size, and how much of it there is. */
static void
say_size(const JournalPruned *plan, const JournalRetention *keep)
{
  g_autofree char *used = g_format_size(plan->used);
  g_autofree char *beside = g_format_size(plan->beside);
  g_autofree char *all = g_format_size(plan->used + plan->beside);
  g_autofree char *most = g_format_size(keep->max_size);

  if (keep->max_size)
    printf("%s of %s (max-size) in use: %s of rows and bodies, %s of the "
           "search index and other files beside.\n",
           all,
           most,
           used,
           beside);
}

static int
tell(const Call *call, const Config *config)
{
  const JournalRetention keep = daemon_retention(config);
  g_autoptr(GError) error = NULL;
  g_autoptr(JournalReader) reader = NULL;
  JournalPruned gone;
  int code = CLI_DONE;

  reader = rows_open(call, config, &code);
  if (!reader)
    return code;
  if (!journal_prune_plan(reader, &keep, &gone, &error))
    return complain_error(call, error);
  say_gone(call, &gone, true);
  if (!call_has(call, "json"))
    say_size(&gone, &keep);
  return CLI_DONE;
}

typedef struct {
  JournalPruned gone;
  GError *error;
  bool done;
} Wait;

static void
pruned(const JournalPruned *gone, const GError *error, void *data)
{
  Wait *wait = data;

  wait->gone = *gone;
  wait->error = error ? g_error_copy(error) : NULL;
  wait->done = true;
}

/* No agent runs: as the one writer, for as long as it takes. */
static int
prune_alone(const Call *call, const Config *config)
{
  const JournalOptions options = {
      .path = config->journal_path,
      .durability = DURABILITY_FULL,
      .keep = daemon_retention(config),
      .max_queued = 1024 * 1024,
  };
  g_autoptr(GError) error = NULL;
  g_autofree char *search = g_strconcat(config->journal_path, ".search", NULL);
  g_autoptr(Loop) loop = NULL;
  Journal *journal = NULL;
  Wait wait = {0};

  if (!g_file_test(config->journal_path, G_FILE_TEST_EXISTS))
    return complain(call, CLI_FOUND, "there is no journal yet");
  loop = loop_new(&error);
  journal = loop ? journal_open(&options, &error) : NULL;
  if (!journal)
    return complain_error(call, error);
  journal_prune(journal, loop, pruned, &wait);
  while (!wait.done)
    loop_iterate(loop, -1);
  journal_close(journal);
  /* The search index forgets what went. */
  if (g_file_test(search, G_FILE_TEST_EXISTS))
    journal_index_update(config->journal_path, NULL, NULL, NULL);
  if (wait.error) {
    g_propagate_error(&error, wait.error);
    return complain_error(call, error);
  }
  say_gone(call, &wait.gone, false);
  return CLI_DONE;
}

int
journal_take_away(const Call *call)
{
  g_autoptr(HoopAgent1) agent = NULL;
  g_autoptr(Config) config = NULL;
  g_autoptr(GError) error = NULL;
  guint64 rows, bodies;
  int code = CLI_DONE;

  config = cli_config(call, &code);
  if (!config)
    return code;
  if (call_has(call, "dry-run"))
    return tell(call, config);
  agent = daemon_try();
  if (!agent)
    return prune_alone(call, config);
  g_dbus_proxy_set_default_timeout(G_DBUS_PROXY(agent), G_MAXINT);
  if (!hoop_agent1_call_prune_sync(agent, &rows, &bodies, NULL, &error))
    return complain_error(call, error);
  say_gone(call,
           &(JournalPruned){.rows = (int64_t)rows, .bodies = (int64_t)bodies},
           false);
  return CLI_DONE;
}

/* ---- unseal --------------------------------------------------------------
 */

/* As it was, unless a terminal would act on it. */
static void
print_original(const JournalEntry *entry, GBytes *text, bool only)
{
  size_t len;
  const char *bytes = g_bytes_get_data(text, &len);
  g_autofree char *shown = NULL;

  if (!only)
    printf("%srow %" G_GINT64_FORMAT ": %s, as it was before masking%s\n",
           ink(INK_BOLD),
           entry->seq,
           row_kind_name(entry->row->kind),
           ink(INK_PLAIN));
  if (isatty(STDOUT_FILENO))
    shown = visible(bytes, (gssize)len, true);
  fwrite(shown ? shown : bytes, 1, shown ? strlen(shown) : len, stdout);
  if (!only || (len > 0 && bytes[len - 1] != '\n'))
    putchar('\n');
}

int
journal_open_sealed(const Call *call, JournalReader *reader)
{
  const char *key = call_value(call, "key");
  g_autoptr(GPtrArray) rows = NULL;
  unsigned sealed = 0;
  int code = CLI_DONE;

  if (!key)
    return complain(call, CLI_USAGE, "--key FILE: the private key is needed");
  rows = rows_of_exchange(call, reader, call->args[1], &code);
  if (!rows)
    return code;
  for (unsigned i = 0; i < rows->len; i++)
    sealed += ((const KeptRow *)rows->pdata[i])->entry.sealed;
  if (sealed == 0)
    return complain(call,
                    CLI_FOUND,
                    "no original is sealed for this exchange: masking changed "
                    "nothing in it, or no escrow key was configured then");
  for (unsigned i = 0; i < rows->len; i++) {
    const JournalEntry *entry = &((const KeptRow *)rows->pdata[i])->entry;
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) text = NULL;

    if (!entry->sealed)
      continue;
    text = journal_unseal(reader, entry->seq, key, &error);
    if (!text)
      return complain_error(call, error);
    print_original(entry, text, sealed == 1);
  }
  return CLI_DONE;
}
