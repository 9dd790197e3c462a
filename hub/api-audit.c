/* SPDX-License-Identifier: Apache-2.0 */
/* The record of all agents over HTTP: logs come in, auditors ask. */
#include "hub/audit/audit.h"
#include "hub/private.h"
#include "kit/json-put.h"
#include <string.h>

/* Rows of one step of an export. */
#define EXPORT_STEP 500

/* ---- logs -----------------------------------------------------------------
 */

typedef struct {
  Client *client;
  AuditPost *post;
} Logs;

static void
logs_gone(void *data)
{
  Logs *logs = data;

  audit_post_cancel(logs->post);
  g_free(logs);
}

static const ClientWork logs_work = {.gone = logs_gone};

/* An ExportLogsServiceResponse. */
static char *
logs_answer(const AuditAnswer *answer)
{
  GString *out = g_string_new("{");

  if (answer->rejected) {
    GString *partial = g_string_new("{");
    g_autofree char *count =
        g_strdup_printf("%" G_GINT64_FORMAT, answer->rejected);

    json_put_text(partial, "rejectedLogRecords", count);
    json_put_text(partial, "errorMessage", answer->why);
    g_string_append_c(partial, '}');
    json_put_raw(out, "partialSuccess", partial->str);
    g_string_free(partial, TRUE);
  }
  if (answer->receipt)
    json_put_raw(out, "hoop.receipt", answer->receipt);
  g_string_append_c(out, '}');
  return g_string_free(out, FALSE);
}

static void
on_posted(const AuditAnswer *answer, const GError *error, void *data)
{
  g_autofree Logs *logs = data;
  Client *client = logs->client;
  g_autofree char *json = NULL;

  client_work(client, NULL, NULL);
  if (!error) {
    json = logs_answer(answer);
    client_json(client, 200, json);
  } else if (g_error_matches(error, AUDIT_ERROR, AUDIT_ERROR_FORM)) {
    client_refuse(client, 400, "form", error->message);
  } else if (g_error_matches(error, AUDIT_ERROR, AUDIT_ERROR_TOO_LARGE)) {
    client_refuse(client, 413, "too_large", error->message);
  } else {
    client_refuse(client, 503, "store", "the hub cannot store this now");
  }
}

/* Which machine sends, where one does. False: answered. */
static bool
find_sender(Client *client, AuditSender *sender, Machine **machine)
{
  const Hub *hub = client_hub(client);
  const Person *person = client_person(client);
  const HttpHeaders *headers = client_request(client)->headers;

  *sender = (AuditSender){.issuer = person->issuer,
                          .subject = person->subject,
                          .user = person->user};
  if (!http_headers_get(headers, REVIEW_HEADER)) {
    if (hub_has_role(hub->config, person, ROLE_SENDER))
      return true;
    client_refuse(client,
                  403,
                  "role",
                  "logs are taken of machines that are enrolled, and of who "
                  "has the role sender");
    return false;
  }
  if (!hub_has_role(hub->config, person, ROLE_REQUESTER)) {
    client_refuse(
        client, 403, "role", "your groups do not let you use this hub");
    return false;
  }
  *machine = api_signer(client);
  if (!*machine)
    return false;
  sender->machine = (*machine)->id;
  return true;
}

void
api_post_logs(Client *client, const char *id)
{
  const HttpHeaders *headers = client_request(client)->headers;
  const char *coding = http_headers_get(headers, "Content-Encoding");
  const bool gzip = coding && g_ascii_strcasecmp(coding, "gzip") == 0;
  g_autoptr(Machine) machine = NULL;
  g_autoptr(GBytes) bytes = NULL;
  AuditSender sender;
  Logs *logs;
  size_t len;
  const char *body = client_body(client, &len);

  (void)id;
  if (http_headers_occurrences(headers, "Content-Encoding") > 1 ||
      (coding && !gzip && g_ascii_strcasecmp(coding, "identity") != 0)) {
    client_refuse(
        client, 415, "content_coding", "Content-Encoding is gzip or none");
    return;
  }
  if (!find_sender(client, &sender, &machine))
    return;
  bytes = g_bytes_new(body, len);
  logs = g_new0(Logs, 1);
  logs->client = client;
  logs->post = audit_post(
      client_hub(client)->audit, bytes, gzip, &sender, on_posted, logs);
  if (logs->post) {
    client_work(client, &logs_work, logs);
    return;
  }
  g_free(logs);
  client_refuse(client, 429, "too_many", "too much waits to be stored");
}

/* ---- questions ------------------------------------------------------------
 */

typedef enum { ASK_ROWS, ASK_ALERTS, ASK_JOURNALS, ASK_JSONL, ASK_CSV } Ask;

typedef struct {
  Client *client;
  Ask ask;
  AuditQuery query; /* texts are of `given` */
  GHashTable *given;
  GString *text; /* the answer, or the next piece of it */
  bool begun;
  AuditRead *read;
} Question;

static void
question_free(void *data)
{
  Question *question = data;

  g_hash_table_unref(question->given);
  g_string_free(question->text, TRUE);
  g_free(question);
}

static void
put_comma(GString *out)
{
  if (out->str[out->len - 1] != '[')
    g_string_append_c(out, ',');
}

static bool
read_rows(Db *db, Question *question, GError **error)
{
  g_autoptr(AuditPage) page = audit_find(db, &question->query, error);
  GString *out = question->text;

  if (!page)
    return false;
  if (question->ask == ASK_ROWS)
    g_string_append(out, "{\"rows\":[");
  for (guint i = 0; i < page->rows->len; i++) {
    if (question->ask == ASK_CSV) {
      audit_put_csv(out, page->rows->pdata[i]);
      continue;
    }
    if (question->ask == ASK_ROWS)
      put_comma(out);
    audit_put_row(out, page->rows->pdata[i]);
    if (question->ask == ASK_JSONL)
      g_string_append_c(out, '\n');
  }
  question->query.before = page->next;
  if (question->ask == ASK_ROWS) {
    g_string_append_c(out, ']');
    json_put_number(out, "next", page->next);
    g_string_append_c(out, '}');
  }
  return true;
}

/* On the reading thread. */
static bool
question_read(Db *db, void *data, GError **error)
{
  Question *question = data;
  GString *out = question->text;
  g_autoptr(GPtrArray) list = NULL;

  if (question->ask != ASK_ALERTS && question->ask != ASK_JOURNALS)
    return read_rows(db, question, error);
  list = question->ask == ASK_ALERTS
             ? audit_alerts(
                   db, question->query.before, question->query.limit, error)
             : audit_journals(db, question->query.limit, error);
  if (!list)
    return false;
  g_string_append(
      out, question->ask == ASK_ALERTS ? "{\"alerts\":[" : "{\"journals\":[");
  for (guint i = 0; i < list->len; i++) {
    put_comma(out);
    if (question->ask == ASK_ALERTS)
      audit_put_alert(out, list->pdata[i]);
    else
      audit_put_journal(out, list->pdata[i]);
  }
  g_string_append(out, "]}");
  return true;
}

static void
question_gone(void *data)
{
  Question *question = data;

  if (question->read)
    audit_read_cancel(question->read);
  else
    question_free(question);
}

static void question_on(Question *question);

static void
question_writable(void *data)
{
  Question *question = data;

  if (!question->read)
    question_on(question);
}

static const ClientWork question_work = {.gone = question_gone,
                                         .writable = question_writable};

static void
end_question(Question *question)
{

  client_work(question->client, NULL, NULL);
  question_free(question);
}

/* What was sent before is no whole export. */
static void
fail_question(Question *question, int status, const char *code, const char *why)
{
  Client *client = question->client;
  const bool begun = question->begun;

  end_question(question);
  if (begun)
    client_abort(client);
  else
    client_refuse(client, status, code, why);
}

static void
export_piece(Question *question)
{
  Client *client = question->client;
  bool more;

  if (!question->begun)
    client_start(client,
                 question->ask == ASK_CSV ? "text/csv; charset=utf-8"
                                          : "application/x-ndjson",
                 question->ask == ASK_CSV ? "audit.csv" : "audit.jsonl");
  question->begun = true;
  more = client_more(client, question->text->str, question->text->len);
  g_string_truncate(question->text, 0);
  if (question->query.before == 0) {
    end_question(question);
    client_finish(client);
  } else if (more) {
    question_on(question);
  }
}

static void
on_read(const GError *error, void *data)
{
  Question *question = data;

  question->read = NULL;
  if (error)
    fail_question(question, 503, "store", "the record cannot be read now");
  else if (question->ask == ASK_JSONL || question->ask == ASK_CSV)
    export_piece(question);
  else {
    client_json(question->client, 200, question->text->str);
    end_question(question);
  }
}

static void
question_on(Question *question)
{
  Client *client = question->client;

  question->read = audit_read(client_hub(client)->audit,
                              question_read,
                              on_read,
                              question_free,
                              question);
  if (!question->read)
    fail_question(question, 429, "too_many", "too many search at this time");
}

/* ---- what is asked --------------------------------------------------------
 */

typedef enum { GIVEN_TEXT, GIVEN_NUMBER, GIVEN_FLAG } GivenType;

static const struct {
  const char *name;
  GivenType type;
  size_t offset;
} parameters[] = {
    {"user", GIVEN_TEXT, offsetof(AuditQuery, user)},
    {"machine", GIVEN_TEXT, offsetof(AuditQuery, machine)},
    {"journal", GIVEN_TEXT, offsetof(AuditQuery, journal)},
    {"kind", GIVEN_TEXT, offsetof(AuditQuery, kind)},
    {"rule", GIVEN_TEXT, offsetof(AuditQuery, rule)},
    {"verdict", GIVEN_TEXT, offsetof(AuditQuery, verdict)},
    {"model", GIVEN_TEXT, offsetof(AuditQuery, model)},
    {"text", GIVEN_TEXT, offsetof(AuditQuery, text)},
    {"since", GIVEN_NUMBER, offsetof(AuditQuery, since_us)},
    {"until", GIVEN_NUMBER, offsetof(AuditQuery, until_us)},
    {"before", GIVEN_NUMBER, offsetof(AuditQuery, before)},
    {"marked", GIVEN_FLAG, offsetof(AuditQuery, marked)},
};

static bool
take_parameter(Question *question, const char *name, const char *value)
{
  guint64 number = 0;

  if (g_str_equal(name, "limit")) {
    if (!g_ascii_string_to_unsigned(
            value, 10, 1, AUDIT_MAX_PAGE, &number, NULL))
      return false;
    question->query.limit = (unsigned)number;
    return true;
  }
  for (size_t i = 0; i < G_N_ELEMENTS(parameters); i++) {
    void *field = (char *)&question->query + parameters[i].offset;

    if (!g_str_equal(parameters[i].name, name))
      continue;
    if (parameters[i].type == GIVEN_TEXT) {
      *(const char **)field = *value ? value : NULL;
      return g_utf8_validate(value, -1, NULL);
    }
    if (parameters[i].type == GIVEN_FLAG) {
      *(bool *)field = g_str_equal(value, "true");
      return *(bool *)field || g_str_equal(value, "false");
    }
    if (!g_ascii_string_to_unsigned(value, 10, 0, INT64_MAX, &number, NULL))
      return false;
    *(int64_t *)field = (int64_t)number;
    return true;
  }
  return false;
}

static bool
take_format(Question *question, const char *value)
{
  if (g_str_equal(value, "csv"))
    question->ask = ASK_CSV;
  return g_str_equal(value, "csv") || g_str_equal(value, "jsonl");
}

/* Every parameter is known, and there once. */
static bool
take_query(Question *question, const char *query)
{
  GUriParamsIter each;
  char *name, *value;

  if (!query)
    return true;
  g_uri_params_iter_init(&each, query, -1, "&", G_URI_PARAMS_WWW_FORM);
  for (;;) {
    g_autoptr(GError) error = NULL;
    bool good;

    if (!g_uri_params_iter_next(&each, &name, &value, &error))
      return !error;
    if (g_hash_table_contains(question->given, name)) {
      g_free(name);
      g_free(value);
      return false;
    }
    g_hash_table_insert(question->given, name, value);
    good = question->ask >= ASK_JSONL && g_str_equal(name, "format")
               ? take_format(question, value)
               : take_parameter(question, name, value);
    if (!good)
      return false;
  }
}

static void
ask(Client *client, Ask what)
{
  const Hub *hub = client_hub(client);
  Question *question;

  if (!hub_has_role(hub->config, client_person(client), ROLE_ADMIN) &&
      !hub_has_role(hub->config, client_person(client), ROLE_AUDITOR)) {
    client_refuse(client, 403, "role", "the record is for auditors");
    return;
  }
  question = g_new0(Question, 1);
  *question = (Question){
      .client = client,
      .ask = what,
      .given = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free),
      .text = g_string_new(NULL)};
  if (!take_query(question, client_request(client)->query)) {
    question_free(question);
    client_refuse(client,
                  400,
                  "form",
                  "a parameter is not known, or not as it should be");
    return;
  }
  if (question->ask >= ASK_JSONL)
    question->query.limit = EXPORT_STEP;
  if (question->ask == ASK_CSV)
    audit_put_csv_names(question->text);
  client_work(client, &question_work, question);
  question_on(question);
}

void
api_get_audit(Client *client, const char *id)
{
  (void)id;
  ask(client, ASK_ROWS);
}

void
api_get_export(Client *client, const char *id)
{
  (void)id;
  ask(client, ASK_JSONL);
}

void
api_get_alerts(Client *client, const char *id)
{
  (void)id;
  ask(client, ASK_ALERTS);
}

void
api_get_journals(Client *client, const char *id)
{
  (void)id;
  ask(client, ASK_JOURNALS);
}
