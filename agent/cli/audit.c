/* SPDX-License-Identifier: Apache-2.0 */
/* Counts rows for the report: what came, what was decided and by whom, and when
 * nobody looked. */
#include "cli/audit.h"
#include "cli/member.h"
#include <string.h>

/* Lines of a table in the report; their number is always told. The newest
 * stay. */
#define MAX_EVENTS 200
/* Names told apart; those beyond count together. */
#define MAX_NAMES 10000
#define OTHERS "(others)"

/* ---- Names ---------------------------------------------------------------
 */

static void
line_free(gpointer data)
{
  AuditLine *line = data;

  g_free(line->name);
  g_free(line);
}

static GHashTable *
lines_new(void)
{
  return g_hash_table_new_full(g_str_hash, g_str_equal, NULL, line_free);
}

static AuditLine *
line_of(GHashTable *lines, const char *name)
{
  AuditLine *line;

  name = name && *name ? name : "(unknown)";
  line = g_hash_table_lookup(lines, name);
  if (!line && g_hash_table_size(lines) >= MAX_NAMES) {
    name = OTHERS;
    line = g_hash_table_lookup(lines, name);
  }
  if (line)
    return line;
  line = g_new0(AuditLine, 1);
  line->name = g_strdup(name);
  g_hash_table_insert(lines, line->name, line);
  return line;
}

static int
compare_lines(const void *a, const void *b)
{
  const AuditLine *x = *(const AuditLine *const *)a;
  const AuditLine *y = *(const AuditLine *const *)b;

  if (x->count != y->count)
    return x->count > y->count ? -1 : 1;
  return strcmp(x->name, y->name);
}

GPtrArray *
audit_sorted(GHashTable *lines)
{
  GPtrArray *list = g_ptr_array_new();
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init(&iter, lines);
  while (g_hash_table_iter_next(&iter, NULL, &value))
    g_ptr_array_add(list, value);
  g_ptr_array_sort(list, compare_lines);
  return list;
}

/* ---- Events --------------------------------------------------------------
 */

static void
event_free(gpointer data)
{
  AuditEvent *event = data;

  g_free(event->what);
  g_free(event->who);
  g_free(event->how);
  g_free(event->why);
  g_free(event);
}

/* Takes the texts. */
static void
add_event(GPtrArray *events, unsigned *n, AuditEvent event)
{
  if (events->len >= MAX_EVENTS)
    g_ptr_array_remove_index(events, 0);
  ++*n;
  g_ptr_array_add(events, g_memdup2(&event, sizeof event));
}

/* ---- Rows ----------------------------------------------------------------
 */

static AuditDay *
day_of(Audit *audit, int64_t wall_us)
{
  g_autoptr(GDateTime) utc =
      g_date_time_new_from_unix_utc(wall_us / G_USEC_PER_SEC);
  g_autoptr(GDateTime) local = utc ? g_date_time_to_local(utc) : NULL;
  GDate date;
  gpointer key;
  AuditDay *day;

  g_date_clear(&date, 1);
  if (local)
    g_date_set_dmy(&date,
                   (GDateDay)g_date_time_get_day_of_month(local),
                   (GDateMonth)g_date_time_get_month(local),
                   (GDateYear)g_date_time_get_year(local));
  key = GINT_TO_POINTER(local ? (int)g_date_get_julian(&date) : 1);
  day = g_hash_table_lookup(audit->days, key);
  if (!day) {
    day = g_new0(AuditDay, 1);
    g_hash_table_insert(audit->days, key, day);
  }
  return day;
}

static void
count_matched(Audit *audit, struct json_object *detail)
{
  struct json_object *list =
      json_member(json_member(detail, "verdict"), "matched");

  for (size_t i = 0; i < json_items(list); i++) {
    struct json_object *one = json_object_array_get_idx(list, i);

    if (json_member_text(one, "rule"))
      line_of(audit->rules, json_member_text(one, "rule"))->count++;
  }
}

static void
see_request(Audit *audit, const JournalRow *row, struct json_object *detail)
{
  AuditLine *const lines[] = {line_of(audit->users, row->user),
                              line_of(audit->models, row->model),
                              line_of(audit->clients, row->client)};
  AuditDay *day = day_of(audit, row->wall_us);
  bool blocked = g_strcmp0(row->verdict, "block") == 0 ||
                 g_strcmp0(row->verdict, "refused") == 0;
  bool masked = g_strcmp0(row->verdict, "mask") == 0;
  bool asked = g_strcmp0(row->verdict, "approve") == 0;

  audit->requests++;
  audit->bytes_in += MAX(row->bytes_in, 0);
  audit->verdicts_blocked += blocked;
  audit->verdicts_masked += masked;
  audit->verdicts_asked += asked;
  *(blocked  ? &day->blocked
    : masked ? &day->masked
    : asked  ? &day->asked
             : &day->allowed) += 1;
  for (unsigned i = 0; i < G_N_ELEMENTS(lines); i++) {
    lines[i]->count++;
    lines[i]->blocked += blocked;
    lines[i]->masked += masked;
  }
  if (blocked)
    add_event(audit->refusals,
              &audit->n_refusals,
              (AuditEvent){.wall_us = row->wall_us,
                           .what = g_strdup(row->rule ? row->rule
                                                      : "the policy's default"),
                           .who = g_strdup(row->user),
                           .how = g_strdup(row->client),
                           .why = g_strdup(json_member_text(
                               json_member(detail, "verdict"), "message"))});
}

static void
see_answer(Audit *audit, const JournalRow *row)
{
  audit->answers++;
  audit->bytes_out += MAX(row->bytes_out, 0);
  audit->tokens_in += MAX(row->tokens_in, 0);
  audit->tokens_out += MAX(row->tokens_out, 0);
  line_of(audit->users, row->user)->tokens +=
      MAX(row->tokens_in, 0) + MAX(row->tokens_out, 0);
}

/* "ann (reviewer, hub), ben (developer, click)", and their reasons. */
static void
say_answers(struct json_object *detail, GString *who, GString *why)
{
  struct json_object *list = json_member(detail, "answers");

  for (size_t i = 0; i < json_items(list); i++) {
    struct json_object *one = json_object_array_get_idx(list, i);

    g_string_append_printf(who,
                           "%s%s: %s (%s, %s)",
                           who->len ? "; " : "",
                           json_member_text(one, "answer") ?: "?",
                           json_member_text(one, "who") ?: "?",
                           json_member_text(one, "approver") ?: "?",
                           json_member_text(one, "how") ?: "?");
    if (json_member_text(one, "reason"))
      g_string_append_printf(
          why, "%s%s", why->len ? "; " : "", json_member_text(one, "reason"));
  }
  if (!why->len && json_member_text(detail, "reason"))
    g_string_append(why, json_member_text(detail, "reason"));
}

static void
see_approval(Audit *audit, const JournalRow *row, struct json_object *detail)
{
  GString *how = g_string_new(NULL);
  GString *why = g_string_new(NULL);
  g_autofree char *held = row->held_us >= 0 ? span_text(row->held_us) : NULL;

  if (row->verdict && g_str_has_prefix(row->verdict, "approve"))
    audit->approved++;
  else
    audit->denied++;
  say_answers(detail, how, why);
  if (!how->len)
    g_string_append(how, "nobody answered");
  if (held)
    g_string_append_printf(how, ", after %s", held);
  add_event(audit->approvals,
            &audit->n_approvals,
            (AuditEvent){.wall_us = row->wall_us,
                         .what = g_strdup(row->verdict),
                         .who = g_strdup(row->user ? row->user : row->client),
                         .how = g_string_free(how, FALSE),
                         .why = g_string_free(why, FALSE)});
}

static void
see_start(Audit *audit, const JournalRow *row, struct json_object *detail)
{
  const AuditEvent *last =
      audit->gaps->len ? audit->gaps->pdata[audit->gaps->len - 1] : NULL;
  bool clean = last && last->wall_us == audit->last_us &&
               g_str_equal(last->what, "stopped");
  g_autofree char *span =
      audit->last_us ? span_text(row->wall_us - audit->last_us) : NULL;

  add_event(audit->gaps,
            &audit->n_gaps,
            (AuditEvent){
                .wall_us = row->wall_us,
                .what = g_strdup("started"),
                .who = g_strdup(json_member_text(detail, "version")),
                .how = !span   ? g_strdup("the first row")
                       : clean ? g_strdup_printf("after %s", span)
                               : g_strdup_printf("%s after the row before, "
                                                 "without a stop: it was "
                                                 "killed, or the machine was",
                                                 span)});
}

static void
see_refused(Audit *audit, const JournalRow *row, struct json_object *detail)
{
  const char *why = json_member_text(detail, "why");

  audit->refused++;
  line_of(audit->why_refused, why)->count++;
  add_event(audit->refusals,
            &audit->n_refusals,
            (AuditEvent){.wall_us = row->wall_us,
                         .what = g_strdup("turned away"),
                         .who = g_strdup(row->process),
                         .how = g_strdup(row->host),
                         .why = g_strdup(why)});
}

/* Those that say what happened by their verdict and detail alone. */
static void
see_plain(GPtrArray *events,
          unsigned *n,
          const JournalRow *row,
          struct json_object *detail)
{
  const char *why = json_member_text(detail, "message");

  why = why ? why : json_member_text(detail, "reason");
  why = why ? why : json_member_text(detail, "error");
  add_event(
      events,
      n,
      (AuditEvent){.wall_us = row->wall_us,
                   .what = g_strdup_printf("%s: %s",
                                           row_kind_name(row->kind),
                                           row->verdict ? row->verdict : "-"),
                   .who = g_strdup(row->user),
                   .how = g_strdup(row->issuer),
                   .why = g_strdup(why)});
}

static void
see_kind(Audit *audit, const JournalRow *row, struct json_object *detail)
{
  switch (row->kind) {
  case ROW_REQUEST:
    see_request(audit, row, detail);
    break;
  case ROW_RESPONSE:
    see_answer(audit, row);
    break;
  case ROW_TOOL:
    audit->tools++;
    break;
  case ROW_APPROVAL:
    see_approval(audit, row, detail);
    break;
  case ROW_TUNNEL:
    audit->tunnels++;
    break;
  case ROW_REFUSED:
    see_refused(audit, row, detail);
    break;
  case ROW_START:
    see_start(audit, row, detail);
    break;
  case ROW_STOP:
    add_event(audit->gaps,
              &audit->n_gaps,
              (AuditEvent){.wall_us = row->wall_us,
                           .what = g_strdup("stopped"),
                           .how = g_strdup("as it was told to")});
    break;
  case ROW_SIGNIN:
    see_plain(audit->signins, &audit->n_signins, row, detail);
    break;
  case ROW_ERROR:
    audit->errors++;
    see_plain(audit->gaps, &audit->n_gaps, row, detail);
    break;
  case ROW_PAUSE:
  case ROW_POLICY:
  case ROW_PRUNE:
  case ROW_SHIP:
    see_plain(audit->pauses, &audit->n_pauses, row, detail);
    break;
  case N_ROW_KINDS:
    break;
  }
}

bool
audit_row(const JournalEntry *entry, void *data)
{
  Audit *audit = data;
  const JournalRow *row = entry->row;
  struct json_object *detail =
      row->detail ? json_tokener_parse(row->detail) : NULL;

  see_kind(audit, row, detail);
  waits_row(entry, audit->waits);
  if (row->kind == ROW_REQUEST || row->kind == ROW_RESPONSE ||
      row->kind == ROW_TOOL)
    count_matched(audit, detail);
  if (!audit->first_seq) {
    audit->first_us = row->wall_us;
    audit->first_seq = entry->seq;
  }
  audit->last_us = row->wall_us;
  audit->last_seq = entry->seq;
  json_object_put(detail);
  return true;
}

/* ---- The whole -----------------------------------------------------------
 */

Audit *
audit_new(void)
{
  Audit *audit = g_new0(Audit, 1);
  GPtrArray **const events[] = {&audit->approvals,
                                &audit->refusals,
                                &audit->signins,
                                &audit->pauses,
                                &audit->gaps};

  audit->waits = waits_new();
  audit->rules = lines_new();
  audit->users = lines_new();
  audit->models = lines_new();
  audit->clients = lines_new();
  audit->why_refused = lines_new();
  audit->days = g_hash_table_new_full(NULL, NULL, NULL, g_free);
  for (unsigned i = 0; i < G_N_ELEMENTS(events); i++)
    *events[i] = g_ptr_array_new_with_free_func(event_free);
  return audit;
}

void
audit_free(Audit *audit)
{
  if (!audit)
    return;
  waits_free(audit->waits);
  g_hash_table_unref(audit->rules);
  g_hash_table_unref(audit->users);
  g_hash_table_unref(audit->models);
  g_hash_table_unref(audit->clients);
  g_hash_table_unref(audit->why_refused);
  g_hash_table_unref(audit->days);
  g_ptr_array_unref(audit->approvals);
  g_ptr_array_unref(audit->refusals);
  g_ptr_array_unref(audit->signins);
  g_ptr_array_unref(audit->pauses);
  g_ptr_array_unref(audit->gaps);
  journal_verification_clear(&audit->verified);
  g_free(audit->verify_error);
  g_free(audit->path);
  g_free(audit);
}
