/* SPDX-License-Identifier: Apache-2.0 */
/* journal show: one exchange as the conversation that it was, with what was
 * found and decided. */
#include "cli/show.h"
#include "cli/member.h"
#include "kit/clock.h"
#include <stdio.h>
#include <string.h>

/* ---- Conversations -------------------------------------------------------
 */

GPtrArray *
show_parts(JournalReader *reader, const JournalEntry *entry, const char **why)
{
  const JournalRow *row = entry->row;
  g_autoptr(GError) error = NULL;
  g_autoptr(GBytes) body = NULL;
  Api api = API_OTHER;

  *why = NULL;
  if (entry->body_len <= 0) {
    *why = "there was no text";
    return NULL;
  }
  if (!entry->has_body) {
    *why = entry->kept_len < 0 ? "only its digest was recorded"
                               : "retention took it away";
    return NULL;
  }
  body = journal_body(reader, entry->body_digest, &error);
  if (!body) {
    *why = "it is not what was recorded: run `hoop-agent journal verify`";
    return NULL;
  }
  if (row->api)
    api_from_name(row->api, &api);
  return talk_read(api,
                   row->kind == ROW_RESPONSE,
                   g_bytes_get_data(body, NULL),
                   g_bytes_get_size(body));
}

static Ink
role_ink(TalkRole role)
{
  switch (role) {
  case TALK_USER:
    return INK_GREEN;
  case TALK_ASSISTANT:
    return INK_BOLD;
  case TALK_TOOL:
    return INK_YELLOW;
  case TALK_SYSTEM:
  case TALK_OTHER:
    break;
  }
  return INK_DIM;
}

/* "assistant calls read_file (call_1)" …; g_free. */
static char *
heading(const TalkPart *part)
{
  g_autofree char *name = part->name ? visible(part->name, -1, false) : NULL;
  g_autofree char *id = part->id ? visible(part->id, -1, false) : NULL;
  GString *out = g_string_new(talk_role_name(part->role));

  if (part->choice)
    g_string_append_printf(out, ", choice %u", part->choice + 1);
  switch (part->kind) {
  case TALK_CALL:
    g_string_append_printf(out, " calls %s", name ? name : "a tool");
    break;
  case TALK_RESULT:
    g_string_append(out, " answers");
    break;
  case TALK_THINKING:
    g_string_append(out, " thinks");
    break;
  case TALK_ATTACHED:
    g_string_append(out, " attaches");
    break;
  case TALK_STRINGS:
    g_string_append(out, ", strings");
    break;
  case TALK_TEXT:
    if (name)
      g_string_append_printf(out, " (%s)", name);
    break;
  }
  if (id)
    g_string_append_printf(out, " [%s]", id);
  return g_string_free(out, FALSE);
}

char *
show_part(const TalkPart *part, bool ink_on)
{
  g_autofree char *head = heading(part);
  g_autofree char *shown =
      visible(part->text->str, (gssize)part->text->len, true);
  g_auto(GStrv) lines = NULL;
  GString *out = g_string_new(NULL);

  g_string_append_printf(out,
                         "%s%s%s\n",
                         ink_on ? ink(role_ink(part->role)) : "",
                         head,
                         ink_on ? ink(INK_PLAIN) : "");
  g_strchomp(shown);
  lines = g_strsplit(shown, "\n", -1);
  for (char **line = lines; *line; line++)
    g_string_append_printf(out, "%s%s\n", **line ? "    " : "", *line);
  return g_string_free(out, FALSE);
}

static void
add_member(struct json_object *json, const char *key, const char *text)
{
  if (text)
    json_object_object_add(json, key, json_object_new_string(text));
}

struct json_object *
show_parts_json(JournalReader *reader, const JournalEntry *entry)
{
  const char *why;
  g_autoptr(GPtrArray) parts = NULL;
  struct json_object *list;

  if (entry->row->kind != ROW_REQUEST && entry->row->kind != ROW_RESPONSE)
    return NULL;
  parts = show_parts(reader, entry, &why);
  if (!parts)
    return NULL;
  list = json_object_new_array();
  for (unsigned i = 0; i < parts->len; i++) {
    const TalkPart *part = parts->pdata[i];
    struct json_object *json = json_object_new_object();

    add_member(json, "role", talk_role_name(part->role));
    add_member(json, "kind", talk_kind_name(part->kind));
    add_member(json, "name", part->name);
    add_member(json, "id", part->id);
    json_object_object_add(
        json, "choice", json_object_new_int64((int64_t)part->choice));
    add_member(json, "text", part->text->str);
    json_object_array_add(list, json);
  }
  return list;
}

/* ---- Facts ---------------------------------------------------------------
 */

static void fact(const char *name, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void
fact(const char *name, const char *format, ...)
{
  g_autofree char *shown = NULL;
  va_list args;

  va_start(args, format);
  shown = visible_format(false, format, args);
  va_end(args);
  printf("%s%-10s%s %s\n", ink(INK_DIM), name, ink(INK_PLAIN), shown);
}

static void
say_head(const JournalRow *row)
{
  g_autofree char *when = time_text(row->wall_us);

  if (row->exchange)
    fact("exchange", "%s", row->exchange);
  fact("when", "%s", when);
  fact("user",
       "%s%s%s",
       row->user ?: "unknown",
       row->groups ? ", groups " : "",
       row->groups ?: "");
  if (row->client)
    fact("client", "%s", row->client);
  if (row->process)
    fact("process", "%s", row->process);
  if (row->connection || row->host)
    fact("request",
         "%s %s at %s (%s, connection %s)",
         row->method ?: "?",
         row->path ?: "?",
         row->host ?: "?",
         row->api ?: "?",
         row->connection ?: "-");
  if (row->model)
    fact("model", "%s", row->model);
  if (row->conversation)
    fact("session", "%s", row->conversation);
}

/* "aws-access-key in messages[2].content" …, each once. */
static void
say_findings(struct json_object *detail)
{
  struct json_object *list = json_member(detail, "findings");
  size_t n = json_object_is_type(list, json_type_array)
                 ? json_object_array_length(list)
                 : 0;

  for (size_t i = 0; i < n; i++) {
    struct json_object *one = json_object_array_get_idx(list, i);

    fact("found",
         "%s in %s%s",
         json_member_text(one, "rule") ?: "?",
         json_member_text(one, "field") ?: "?",
         json_member(one, "allowed") ? " (allowed)" : "");
  }
}

static void
say_answers(struct json_object *detail)
{
  struct json_object *list = json_member(detail, "answers");
  size_t n = json_object_is_type(list, json_type_array)
                 ? json_object_array_length(list)
                 : 0;

  for (size_t i = 0; i < n; i++) {
    struct json_object *one = json_object_array_get_idx(list, i);
    const char *reason = json_member_text(one, "reason");

    fact("answer",
         "%s by %s (%s, %s)%s%s",
         json_member_text(one, "answer") ?: "?",
         json_member_text(one, "who") ?: "?",
         json_member_text(one, "approver") ?: "?",
         json_member_text(one, "how") ?: "?",
         reason ? ": " : "",
         reason ?: "");
  }
}

static void
say_end(const JournalRow *row)
{
  g_autoptr(GString) out = g_string_new(NULL);

  if (row->status >= 0)
    g_string_append_printf(out, "status %d", (int)row->status);
  if (row->duration_us >= 0)
    g_string_append_printf(out,
                           "%s%.3f s",
                           out->len ? ", " : "",
                           (double)row->duration_us / G_USEC_PER_SEC);
  if (row->first_byte_us >= 0)
    g_string_append_printf(out,
                           "%sfirst byte after %.3f s",
                           out->len ? ", " : "",
                           (double)row->first_byte_us / G_USEC_PER_SEC);
  if (row->held_us > 0)
    g_string_append_printf(out,
                           "%sheld for %.3f s",
                           out->len ? ", " : "",
                           (double)row->held_us / G_USEC_PER_SEC);
  if (row->tokens_in >= 0 || row->tokens_out >= 0)
    g_string_append_printf(out,
                           "%s%" G_GINT64_FORMAT " tokens in, %" G_GINT64_FORMAT
                           " out",
                           out->len ? ", " : "",
                           MAX(row->tokens_in, 0),
                           MAX(row->tokens_out, 0));
  if (out->len)
    fact("end", "%s", out->str);
}

static void
say_decision(const JournalEntry *entry)
{
  const JournalRow *row = entry->row;
  struct json_object *detail =
      row->detail ? json_tokener_parse(row->detail) : NULL;
  const char *tool = json_member_text(detail, "tool");
  const char *message = json_member_text(detail, "message");
  g_autofree char *when = time_text(row->wall_us);
  g_autofree char *verdict = visible(row->verdict ?: "", -1, false);

  printf("\n%s── %s: %s%s  %s, row %" G_GINT64_FORMAT "%s\n",
         ink(INK_BOLD),
         row_kind_name(row->kind),
         verdict,
         ink(INK_DIM),
         when,
         entry->seq,
         ink(INK_PLAIN));
  if (row->rule)
    fact("rule", "%s", row->rule);
  if (tool)
    fact("tool", "%s", tool);
  say_findings(detail);
  say_answers(detail);
  if (message)
    fact("told", "%s", message);
  say_end(row);
  json_object_put(detail);
}

/* ---- The exchange --------------------------------------------------------
 */

static void
say_conversation(JournalReader *reader, const JournalEntry *entry)
{
  const char *why;
  g_autoptr(GPtrArray) parts = show_parts(reader, entry, &why);

  if (entry->row->kind != ROW_REQUEST && entry->row->kind != ROW_RESPONSE)
    return;
  if (!parts) {
    printf("\n%s(%s)%s\n", ink(INK_DIM), why, ink(INK_PLAIN));
    return;
  }
  if (entry->kept_len >= 0 && entry->kept_len < entry->body_len)
    printf(
        "\n%s(only the beginning was kept)%s\n", ink(INK_DIM), ink(INK_PLAIN));
  for (unsigned i = 0; i < parts->len; i++) {
    g_autofree char *part = show_part(parts->pdata[i], true);

    printf("\n%s", part);
  }
}

static void
print_member(const char *key, struct json_object *value)
{
  g_autofree char *shown = NULL;
  const char *text =
      json_object_is_type(value, json_type_string)
          ? json_object_get_string(value)
          : json_object_to_json_string_ext(value,
                                           JSON_C_TO_STRING_SPACED |
                                               JSON_C_TO_STRING_NOSLASHESCAPE);

  if (g_str_equal(key, "body"))
    return;
  shown = visible(text, -1, false);
  printf("  %-16s %s\n", key, shown);
}

static void
print_whole_row(JournalReader *reader, const JournalEntry *entry)
{
  struct json_object *json = row_json(reader, entry);
  struct json_object *body = NULL;

  printf("%srow %" G_GINT64_FORMAT ": %s%s\n",
         ink(INK_BOLD),
         entry->seq,
         row_kind_name(entry->row->kind),
         ink(INK_PLAIN));
  json_object_object_foreach(json, key, value) print_member(key, value);
  if (json_object_object_get_ex(json, "body", &body)) {
    g_autofree char *shown = visible(
        json_object_get_string(body), json_object_get_string_len(body), true);

    printf("  body, as it was masked:\n%s\n", shown);
  }
  puts("");
  json_object_put(json);
}

static void
print_json_rows(JournalReader *reader, GPtrArray *rows)
{
  struct json_object *list = json_object_new_array();

  for (unsigned i = 0; i < rows->len; i++) {
    const KeptRow *kept = rows->pdata[i];

    struct json_object *json = row_json(reader, &kept->entry);
    struct json_object *parts = show_parts_json(reader, &kept->entry);

    if (parts)
      json_object_object_add(json, "conversation_parts", parts);
    json_object_array_add(list, json);
  }
  print_json(list);
}

int
journal_show(const Call *call, JournalReader *reader)
{
  int code = CLI_DONE;
  g_autoptr(GPtrArray) rows =
      rows_of_exchange(call, reader, call->args[1], &code);
  const KeptRow *first;

  if (!rows)
    return code;
  if (call_has(call, "json")) {
    print_json_rows(reader, rows);
    return CLI_DONE;
  }
  first = rows->pdata[0];
  if (!call_has(call, "rows"))
    say_head(first->entry.row);
  for (unsigned i = 0; i < rows->len; i++) {
    const KeptRow *kept = rows->pdata[i];

    if (call_has(call, "rows")) {
      print_whole_row(reader, &kept->entry);
      continue;
    }
    say_decision(&kept->entry);
    say_conversation(reader, &kept->entry);
  }
  return CLI_DONE;
}
