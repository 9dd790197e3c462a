/* SPDX-License-Identifier: Apache-2.0 */
/* allow: marks a finding as a false positive by its fingerprint, where policy
 * permits; shows and removes such marks. */
#include "cli/verb.h"
#include "kit/clock.h"
#include <stdio.h>

#define DEFAULT_S (7u * 24 * 60 * 60)

static int64_t
time_of(GVariant *entry, const char *key)
{
  gint64 value = 0;

  g_variant_lookup(entry, key, "x", &value);
  return value;
}

static void
print_list(GVariant *list)
{
  static const char *const headings[] = {"FINGERPRINT", "UNTIL", "SINCE", NULL};
  Table *table = table_new(headings);
  gsize n = g_variant_n_children(list);

  for (gsize i = 0; i < n; i++) {
    g_autoptr(GVariant) entry = g_variant_get_child_value(list, i);
    g_autofree char *until = clock_rfc3339(time_of(entry, "until_us"));
    g_autofree char *since = clock_rfc3339(time_of(entry, "since_us"));
    const char *fingerprint = "?";
    const char *cells[3];

    g_variant_lookup(entry, "fingerprint", "&s", &fingerprint);
    cells[0] = fingerprint;
    cells[1] = until;
    cells[2] = since;
    table_add(table, cells);
  }
  if (n) {
    table_print(table);
    return;
  }
  table_free(table);
  puts("No finding is allowed by its fingerprint.");
}

static int
list_allowed(const Call *call, HoopAgent1 *agent)
{
  g_autoptr(GVariant) list = NULL;
  g_autoptr(GError) error = NULL;

  if (!hoop_agent1_call_allowed_sync(agent, &list, NULL, &error))
    return complain_error(call, error);
  if (call_has(call, "json"))
    print_json(variant_to_json(list));
  else
    print_list(list);
  return CLI_DONE;
}

static int
add(const Call *call, HoopAgent1 *agent, unsigned seconds)
{
  g_autofree char *span = span_text((int64_t)seconds * G_USEC_PER_SEC);
  g_autoptr(GError) error = NULL;

  if (!hoop_agent1_call_allow_sync(agent, call->args[0], seconds, NULL, &error))
    return complain_error(call, error);
  printf("Allowed for %s, where a rule permits: what has the fingerprint %s.\n",
         span,
         call->args[0]);
  return CLI_DONE;
}

static int
take_back(const Call *call, HoopAgent1 *agent, const char *fingerprint)
{
  g_autoptr(GError) error = NULL;

  if (!hoop_agent1_call_disallow_sync(agent, fingerprint, NULL, &error))
    return complain_error(call, error);
  printf("Not allowed any more: %s.\n", fingerprint);
  return CLI_DONE;
}

int
verb_allow(const Call *call)
{
  const char *for_text = call_value(call, "for");
  const char *removed = call_value(call, "remove");
  const bool list = call_has(call, "list");
  g_autoptr(HoopAgent1) agent = NULL;
  unsigned seconds = DEFAULT_S;
  int code = CLI_DONE;

  if ((call->n_args != 0) + (removed != NULL) + list != 1 ||
      (for_text && !call->n_args) || (call_has(call, "json") && !list))
    return complain(call,
                    CLI_USAGE,
                    "give a FINGERPRINT (with --for), --list (with --json), or "
                    "--remove");
  if (for_text && !duration_parse(for_text, &seconds))
    return complain(call,
                    CLI_USAGE,
                    "--for takes a time such as 10m, 2h or 7d, not %s",
                    for_text);
  agent = daemon_connect(call, &code);
  if (!agent)
    return code;
  if (list)
    return list_allowed(call, agent);
  if (removed)
    return take_back(call, agent, removed);
  return add(call, agent, seconds);
}
