/* SPDX-License-Identifier: Apache-2.0 */
/* why: one exchange's story from the journal, rule by rule. */
#include "cli/member.h"
#include "cli/rows.h"
#include <stdio.h>
#include <string.h>

/* Findings that are listed; their number is always told. */
#define MAX_FINDINGS 20

/* ---- Verdicts and findings ----------------------------------------------- */

static void
say_match(struct json_object *match, bool shadow)
{
  g_autoptr(GString) out = g_string_new(json_member_text(match, "rule") ?: "?");
  const char *effect = json_member_text(match, "effect");
  const char *assumed = json_member_text(match, "assumed");
  int findings = json_object_get_int(json_member(match, "findings"));

  if (effect)
    g_string_append_printf(out, " (here: %s)", effect);
  if (findings)
    g_string_append_printf(
        out, ", %d finding%s", findings, findings == 1 ? "" : "s");
  if (assumed)
    g_string_append_printf(out, ", %s is not known and counts", assumed);
  if (json_object_get_boolean(json_member(match, "limited")))
    g_string_append(out, ", a regex met its limit, which counts");
  if (shadow)
    g_string_append(out, " (shadow: only recorded)");
  say_field(json_member_text(match, "action") ?: "?", "%s", out->str);
}

static void
say_verdict(struct json_object *verdict)
{
  struct json_object *matched = json_member(verdict, "matched");
  struct json_object *shadow = json_member(verdict, "shadow");
  const char *rule = json_member_text(verdict, "rule");

  if (!verdict)
    return;
  if (rule)
    say_field("reason",
              "rule %s, %s",
              rule,
              json_member_text(verdict, "origin") ?: "?");
  else
    say_field("reason",
              "%s",
              json_member(verdict, "default")
                  ? "no rule decided: the policy's default"
                  : "no rule asked for anything");
  if (json_member_text(verdict, "message"))
    say_field("message", "%s", json_member_text(verdict, "message"));
  for (size_t i = 0; i < json_items(matched); i++)
    say_match(json_object_array_get_idx(matched, i), false);
  for (size_t i = 0; i < json_items(shadow); i++)
    say_match(json_object_array_get_idx(shadow, i), true);
  if (json_member_text(verdict, "revision"))
    say_field(
        "policy", "revision %.12s", json_member_text(verdict, "revision"));
}

static void
say_findings(struct json_object *detail)
{
  struct json_object *list = json_member(detail, "findings");
  size_t n = (size_t)json_object_get_int64(json_member(detail, "n_findings"));

  for (size_t i = 0; i < MIN(json_items(list), MAX_FINDINGS); i++) {
    struct json_object *one = json_object_array_get_idx(list, i);

    say_field("found",
              "%s in %s, %d bytes (fingerprint %s%s)",
              json_member_text(one, "rule") ?: "?",
              json_member_text(one, "field") ?: "?",
              json_object_get_int(json_member(one, "length")),
              json_member_text(one, "fingerprint") ?: "?",
              json_member(one, "allowed") ? ", allowed by you" : "");
  }
  if (n > MAX_FINDINGS)
    say_field("", "and %zu more", n - MAX_FINDINGS);
}

/* How many masks of each rule. */
static void
say_masked(struct json_object *detail)
{
  struct json_object *masked = json_member(detail, "masked");
  g_autoptr(GString) out = g_string_new(NULL);

  if (!masked || !json_object_is_type(masked, json_type_object))
    return;
  json_object_object_foreach(masked, rule, count)
  {
    g_string_append_printf(
        out, "%s%d %s", out->len ? ", " : "", json_object_get_int(count), rule);
  }
  say_field("masked", "%s", out->str);
}

/* Where an answer came from, and what it gave. g_free. */
static char *
way_of(struct json_object *answer)
{
  const char *how = json_member_text(answer, "how") ?: "?";
  const char *grant = json_member_text(answer, "grant");

  if (!grant)
    return g_strdup(how);
  if (g_str_equal(how, "grant"))
    return g_strdup_printf("grant %s", grant);
  return g_strdup_printf("%s, gave grant %s", how, grant);
}

static void
say_answers(struct json_object *detail)
{
  struct json_object *list = json_member(detail, "answers");
  struct json_object *extended = json_member(detail, "extended");

  if (json_object_get_boolean(json_member(detail, "escalated")))
    say_field("escalated", "others were asked, too, after a while");
  if (extended)
    say_field("extended", "%d times", json_object_get_int(extended));
  for (size_t i = 0; i < json_items(list); i++) {
    struct json_object *one = json_object_array_get_idx(list, i);
    const char *reason = json_member_text(one, "reason");
    g_autofree char *way = way_of(one);

    say_field(json_member_text(one, "answer") ?: "?",
              "by %s (%s, %s) at %s%s%s",
              json_member_text(one, "who") ?: "?",
              json_member_text(one, "approver") ?: "?",
              way,
              json_member_text(one, "when") ?: "?",
              reason ? ": " : "",
              reason ? reason : "");
  }
}

/* ---- Rows ---------------------------------------------------------------- */

static void
say_numbers(const JournalRow *row)
{
  g_autofree char *took = span_text(MAX(row->duration_us, 0));

  if (row->status >= 0)
    say_field("status", "%d", (int)row->status);
  if (row->duration_us >= 0)
    say_field("took",
              row->duration_us < G_USEC_PER_SEC ? "%d ms" : "%.0d%s",
              row->duration_us < G_USEC_PER_SEC ? (int)(row->duration_us / 1000)
                                                : 0,
              took);
  if (row->tokens_in >= 0 || row->tokens_out >= 0)
    say_field("tokens",
              "%" G_GINT64_FORMAT " in, %" G_GINT64_FORMAT " out",
              MAX(row->tokens_in, 0),
              MAX(row->tokens_out, 0));
}

static void
say_row(const JournalEntry *entry)
{
  const JournalRow *row = entry->row;
  struct json_object *detail =
      row->detail ? json_tokener_parse(row->detail) : NULL;
  g_autofree char *when = time_text(row->wall_us);
  g_autofree char *verdict = visible(row->verdict ?: "", -1, false);

  printf("\n%s%s: %s%s  %s, row %" G_GINT64_FORMAT "\n",
         ink(INK_BOLD),
         row_kind_name(row->kind),
         verdict,
         ink(INK_PLAIN),
         when,
         entry->seq);
  if (json_member_text(detail, "tool"))
    say_field("tool", "%s", json_member_text(detail, "tool"));
  if (json_member_text(detail, "groups_unknown"))
    say_field("groups",
              "not known (%s): the strictest rules of all groups apply",
              json_member_text(detail, "groups_unknown"));
  say_verdict(json_member(detail, "verdict"));
  say_findings(detail);
  say_masked(detail);
  say_answers(detail);
  if (json_member_text(detail, "refused"))
    say_field("refused", "%s", json_member_text(detail, "refused"));
  if (json_member_text(detail, "message"))
    say_field("told", "%s", json_member_text(detail, "message"));
  if (json_member_text(detail, "inside"))
    say_field("inside",
              "%s%s%s%s",
              json_member_text(detail, "inside"),
              json_member_text(detail, "sni") ? " for " : "",
              json_member_text(detail, "sni") ?: "",
              json_object_get_boolean(json_member(detail, "ech"))
                  ? " (encrypted hello: it may be for another)"
                  : "");
  if (json_member_text(detail, "why"))
    say_field("why", "%s", json_member_text(detail, "why"));
  say_numbers(row);
  json_object_put(detail);
}

static void
say_head(const JournalRow *row)
{
  say_field("exchange", "%s", row->exchange);
  say_field("user", "%s (%s)", row->user ?: "unknown", row->issuer ?: "-");
  say_field("client", "%s", row->client ?: "unknown");
  if (row->process)
    say_field("process", "%s", row->process);
  say_field("request",
            "%s %s at %s (%s, connection %s)",
            row->method ?: "?",
            row->path ?: "?",
            row->host ?: "?",
            row->api ?: "?",
            row->connection ?: "-");
  if (row->model)
    say_field("model", "%s", row->model);
}

static void
say_json(GPtrArray *rows)
{
  struct json_object *json = json_object_new_object();
  struct json_object *list = json_object_new_array();
  const KeptRow *first = rows->pdata[0];

  json_object_object_add(
      json, "exchange", json_object_new_string(first->entry.row->exchange));
  for (unsigned i = 0; i < rows->len; i++) {
    const KeptRow *kept = rows->pdata[i];

    json_object_array_add(list, row_json(NULL, &kept->entry));
  }
  json_object_object_add(json, "rows", list);
  print_json(json);
}

/* One that still waits has no row yet. */
static bool
waits(const char *prefix)
{
  g_autoptr(HoopAgent1) agent = daemon_try();
  g_autoptr(GVariant) list = NULL;
  GVariantIter iter;
  GVariant *one;
  bool found = false;

  if (!agent || !hoop_agent1_call_pending_sync(agent, &list, NULL, NULL))
    return false;
  g_variant_iter_init(&iter, list);
  while ((one = g_variant_iter_next_value(&iter))) {
    const char *id = "";

    g_variant_lookup(one, "id", "&s", &id);
    found = found || g_str_has_prefix(id, prefix);
    g_variant_unref(one);
  }
  return found;
}

int
verb_why(const Call *call)
{
  int code = CLI_DONE;
  g_autoptr(Config) config = cli_config(call, &code);
  g_autoptr(JournalReader) reader = NULL;
  g_autoptr(GPtrArray) rows = NULL;
  const KeptRow *first;

  if (!config)
    return code;
  if (waits(call->args[0]))
    return complain(call,
                    CLI_FOUND,
                    "it waits for a person: `hoop-agent review %s` shows it",
                    call->args[0]);
  reader = rows_open(call, config, &code);
  rows = reader ? rows_of_exchange(call, reader, call->args[0], &code) : NULL;
  if (!rows)
    return code;
  if (call_has(call, "json")) {
    say_json(rows);
    return CLI_DONE;
  }
  first = rows->pdata[0];
  say_head(first->entry.row);
  for (unsigned i = 0; i < rows->len; i++) {
    const KeptRow *kept = rows->pdata[i];

    say_row(&kept->entry);
  }
  return CLI_DONE;
}
