/* SPDX-License-Identifier: Apache-2.0 */
/* Reads OTLP logs (opentelemetry-proto, logs/v1/logs.proto; protocol
 * specification, "JSON Protobuf Encoding"): 64-bit integers as text or number,
 * ids in hexadecimal. */
#include "hub/audit/logs.h"
#include "kit/json-put.h"
#include "kit/json.h"

#include <math.h>
#include <string.h>

/* Attributes of a record; OpenTelemetry's SDKs send 128 at most. */
#define MAX_ATTRIBUTES 256
#define MAX_NAME 256
/* Of a record's attributes as text: a row's detail has 64 KiB at most. */
#define MAX_RECORD ((size_t)512 << 10)
#define MAX_RESOURCE ((size_t)64 << 10)
#define MAX_SAID ((size_t)64 << 10)
/* Of what is searched by; what is longer is still among the attributes. */
#define MAX_COLUMN 1024
#define MAX_RESOURCES 1000
/* 2^53: integers up to here are the same as doubles. */
#define MAX_EXACT 9007199254740992.0

G_DEFINE_QUARK(hoop_audit_error, audit_error)

typedef struct {
  AuditLogs *logs;
  const char *sender;
  GHashTable *seen; /* keys that were made up → how often */
  const char *why;  /* why the record at hand is not taken */
} Reading;

static void
row_clear(void *data)
{
  AuditRow *row = data;

  g_free(row->key);
  g_free(row->event);
  g_free(row->trace);
  g_free(row->said);
  g_free(row->attributes);
  g_free(row->kind);
  g_free(row->user);
  g_free(row->rule);
  g_free(row->verdict);
  g_free(row->model);
}

void
audit_logs_free(AuditLogs *logs)
{
  if (!logs)
    return;
  g_array_unref(logs->rows);
  g_ptr_array_unref(logs->resources);
  g_free(logs->why);
  g_free(logs);
}

static bool
form(GError **error, const char *why)
{
  g_set_error_literal(error, AUDIT_ERROR, AUDIT_ERROR_FORM, why);
  return false;
}

/* ---- values ---------------------------------------------------------------
 */

static bool
read_integer(const Document *value, int64_t *out)
{
  double real;

  switch (json_object_get_type(value)) {
  case json_type_int:
    *out = json_object_get_int64(value);
    return *out != INT64_MAX && *out != INT64_MIN;
  case json_type_double:
    real = json_object_get_double(value);
    *out = fabs(real) <= MAX_EXACT ? (int64_t)real : 0;
    return fabs(real) <= MAX_EXACT && (double)*out == real;
  case json_type_string:
    return g_ascii_string_to_signed(json_object_get_string((Document *)value),
                                    10,
                                    INT64_MIN,
                                    INT64_MAX,
                                    out,
                                    NULL);
  case json_type_null:
  case json_type_boolean:
  case json_type_object:
  case json_type_array:
    break;
  }
  return false;
}

static bool value_read(const Document *any, Document **out);

static bool
read_integer_value(Document *value, Document **out)
{
  int64_t number;

  if (!read_integer(value, &number))
    return false;
  *out = json_object_new_int64(number);
  return true;
}

/* Also the texts that stand for what JSON has no number for. */
static bool
read_double_value(Document *value, Document **out)
{
  static const char *const names[] = {"NaN", "Infinity", "-Infinity"};

  if (json_object_is_type(value, json_type_double) ||
      json_object_is_type(value, json_type_int)) {
    *out = json_object_get(value);
    return true;
  }
  for (size_t i = 0;
       json_object_is_type(value, json_type_string) && i < G_N_ELEMENTS(names);
       i++)
    if (g_str_equal(json_object_get_string(value), names[i])) {
      *out = json_object_get(value);
      return true;
    }
  return false;
}

static bool
read_array_value(Document *value, Document **out)
{
  Document *values = document_member(value, "values");
  Document *list;

  if (!json_object_is_type(value, json_type_object) ||
      (values && !json_object_is_type(values, json_type_array)))
    return false;
  list = json_object_new_array();
  for (size_t i = 0; values && i < json_object_array_length(values); i++) {
    Document *one = NULL;

    if (!value_read(json_object_array_get_idx(values, i), &one)) {
      json_object_put(list);
      return false;
    }
    json_object_array_add(list, one);
  }
  *out = list;
  return true;
}

/* A list of KeyValue as one object; names once each. NULL: it is none. */
static Document *
read_pairs(const Document *list, unsigned most)
{
  Document *flat = json_object_new_object();
  const size_t n = list ? json_object_array_length(list) : 0;
  bool good = n <= most;

  for (size_t i = 0; good && i < n; i++) {
    const Document *pair = json_object_array_get_idx(list, i);
    const char *name = document_text(pair, "key");
    Document *value = NULL;

    good = name && *name && strlen(name) <= MAX_NAME &&
           !document_has(flat, name) &&
           value_read(document_member(pair, "value"), &value);
    if (good)
      json_object_object_add(flat, name, value);
  }
  if (good)
    return flat;
  json_object_put(flat);
  return NULL;
}

static bool
read_list_value(Document *value, Document **out)
{
  Document *values = document_member(value, "values");

  if (!json_object_is_type(value, json_type_object) ||
      (values && !json_object_is_type(values, json_type_array)))
    return false;
  *out = read_pairs(values, MAX_ATTRIBUTES);
  return *out != NULL;
}

static bool
read_plain_value(Document *value, json_type type, Document **out)
{
  if (!json_object_is_type(value, type))
    return false;
  *out = json_object_get(value);
  return true;
}

/* An AnyValue: one of its members, or none, which is null. The depth is the
 * document's. */
static bool
value_read(const Document *any, Document **out)
{
  static const char *const names[] = {"stringValue",
                                      "boolValue",
                                      "intValue",
                                      "doubleValue",
                                      "arrayValue",
                                      "kvlistValue",
                                      "bytesValue"};
  Document *value = NULL;
  unsigned which = 0, n = 0;

  *out = NULL;
  if (any && !json_object_is_type(any, json_type_object))
    return false;
  for (unsigned i = 0; any && i < G_N_ELEMENTS(names); i++) {
    Document *found = document_member(any, names[i]);

    if (found) {
      value = found;
      which = i;
      n++;
    }
  }
  if (n != 1)
    return n == 0;
  switch (which) {
  case 1:
    return read_plain_value(value, json_type_boolean, out);
  case 2:
    return read_integer_value(value, out);
  case 3:
    return read_double_value(value, out);
  case 4:
    return read_array_value(value, out);
  case 5:
    return read_list_value(value, out);
  default:
    return read_plain_value(value, json_type_string, out);
  }
}

static char *
as_text(Document *value)
{
  return g_strdup(json_object_to_json_string_ext(
      value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
}

/* ---- members of a record --------------------------------------------------
 */

/* Nanoseconds; absent is 0. */
static bool
read_time(const Document *record, const char *name, int64_t *us)
{
  const Document *value = document_member(record, name);
  int64_t ns = 0;

  if (value && (!read_integer(value, &ns) || ns < 0))
    return false;
  *us = ns / 1000;
  return true;
}

/* Hexadecimal of that many digits, not all zero; "" and absent are none. */
static bool
read_id(const Document *record, const char *name, size_t digits, char **out)
{
  const Document *value = document_member(record, name);
  const char *text;

  *out = NULL;
  if (!value)
    return true;
  text = document_text(record, name);
  if (!text || (*text && (strlen(text) != digits ||
                          strspn(text, "0123456789abcdefABCDEF") != digits)))
    return false;
  if (*text && strspn(text, "0") != digits)
    *out = g_ascii_strdown(text, -1);
  return true;
}

static char *
column(const Document *attributes, const char *name)
{
  const char *text = document_text(attributes, name);

  return text && strlen(text) <= MAX_COLUMN ? g_strdup(text) : NULL;
}

static void
read_columns(const Document *attributes, AuditRow *row)
{
  row->kind = column(attributes, "hoop.kind");
  row->user = column(attributes, "user.name");
  row->rule = column(attributes, "hoop.rule");
  row->verdict = column(attributes, "hoop.verdict");
  row->model = column(attributes, "gen_ai.request.model");
  if (!row->model)
    row->model = column(attributes, "gen_ai.response.model");
}

static bool
read_said(const Document *record, AuditRow *row)
{
  Document *value = NULL;

  if (!value_read(document_member(record, "body"), &value))
    return false;
  if (json_object_is_type(value, json_type_string))
    row->said = g_strdup(json_object_get_string(value));
  else if (value)
    row->said = as_text(value);
  json_object_put(value);
  return !row->said || strlen(row->said) <= MAX_SAID;
}

/* ---- keys -----------------------------------------------------------------
 */

/* A record without a key is named by what it holds; where one request holds
 * the same twice, these are two. */
static char *
made_key(Reading *reading, const AuditRow *row)
{
  const char *const parts[] = {reading->sender,
                               reading->logs->resources->pdata[row->resource],
                               row->event,
                               row->trace,
                               row->said,
                               row->attributes};
  g_autofree char *numbers = g_strdup_printf(
      "%" G_GINT64_FORMAT " %" G_GINT64_FORMAT, row->at_us, row->severity);
  g_autoptr(Sha256) digest = sha256_new();
  uint8_t hash[SHA256_LEN];
  char hex[SHA256_HEX_SIZE];
  unsigned n;

  sha256_update(digest, numbers, strlen(numbers) + 1);
  for (size_t i = 0; i < G_N_ELEMENTS(parts); i++)
    sha256_update(
        digest, parts[i] ? parts[i] : "", parts[i] ? strlen(parts[i]) + 1 : 0);
  sha256_peek(digest, hash);
  hex_encode(hash, sizeof hash, hex);
  n = GPOINTER_TO_UINT(g_hash_table_lookup(reading->seen, hex)) + 1;
  g_hash_table_insert(reading->seen, g_strdup(hex), GUINT_TO_POINTER(n));
  return n == 1 ? g_strdup(hex) : g_strdup_printf("%s-%u", hex, n);
}

static void
set_key(Reading *reading, AuditRow *row)
{
  if (row->placed)
    row->key = g_strdup_printf("%s-%" G_GINT64_FORMAT "%s",
                               row->place.journal,
                               row->place.seq,
                               row->place.checkpoint ? "c" : "");
  else
    row->key = made_key(reading, row);
}

/* ---- records --------------------------------------------------------------
 */

static const char *
read_record(const Document *record, AuditRow *row)
{
  const Document *list = document_member(record, "attributes");
  const Document *severity = document_member(record, "severityNumber");
  int64_t observed_us = 0;
  g_autofree char *span = NULL;
  g_autoptr(Document) flat = NULL;
  const char *why = NULL;

  if (!json_object_is_type(record, json_type_object))
    return "it is no object";
  if (!read_time(record, "timeUnixNano", &row->at_us) ||
      !read_time(record, "observedTimeUnixNano", &observed_us))
    return "its time is none";
  if (row->at_us == 0)
    row->at_us = observed_us;
  if ((severity && !read_integer(severity, &row->severity)) ||
      row->severity < 0 || row->severity > 24)
    return "its severityNumber is none";
  if (!read_id(record, "traceId", 32, &row->trace) ||
      !read_id(record, "spanId", 16, &span))
    return "its traceId or spanId is not hexadecimal of its length";
  if (!read_said(record, row))
    return "its body is none, or too long";
  row->event = column(record, "eventName");
  if (list && !json_object_is_type(list, json_type_array))
    return "its attributes are no list";
  flat = read_pairs(list, MAX_ATTRIBUTES);
  if (!flat)
    return "an attribute is wrong or there twice, or there are too many";
  row->attributes = as_text(flat);
  if (strlen(row->attributes) > MAX_RECORD)
    return "it is too large";
  read_columns(flat, row);
  return audit_place_read(flat, row->at_us, &row->placed, &row->place, &why)
             ? NULL
             : why;
}

static void
add_record(Reading *reading, const Document *record)
{
  AuditLogs *logs = reading->logs;
  AuditRow row = {.resource = logs->resources->len - 1};
  const char *why = read_record(record, &row);

  if (!why) {
    set_key(reading, &row);
    g_array_append_val(logs->rows, row);
    return;
  }
  row_clear(&row);
  if (!logs->why)
    logs->why = g_strdup_printf(
        "record %u: %s", logs->rows->len + (unsigned)logs->rejected + 1, why);
  logs->rejected++;
}

/* ---- the request ----------------------------------------------------------
 */

/* The member as a list; absent is an empty one. */
static bool
list_of(const Document *in, const char *name, Document **list, size_t *n)
{
  *list = document_member(in, name);
  *n = 0;
  if (!json_object_is_type(in, json_type_object) ||
      (*list && !json_object_is_type(*list, json_type_array)))
    return false;
  if (*list)
    *n = json_object_array_length(*list);
  return true;
}

static bool
read_scope(Reading *reading, const Document *scope, GError **error)
{
  Document *records;
  size_t n;

  if (!list_of(scope, "logRecords", &records, &n))
    return form(error, "a member of scopeLogs is no ScopeLogs");
  if (reading->logs->rows->len + (size_t)reading->logs->rejected + n >
      AUDIT_MAX_ROWS) {
    g_set_error(error,
                AUDIT_ERROR,
                AUDIT_ERROR_TOO_LARGE,
                "more than %d records at one time",
                AUDIT_MAX_ROWS);
    return false;
  }
  for (size_t i = 0; i < n; i++)
    add_record(reading, json_object_array_get_idx(records, i));
  return true;
}

static bool
read_resource(Reading *reading, const Document *in, GError **error)
{
  Document *scopes, *attributes;
  const Document *resource = document_member(in, "resource");
  g_autoptr(Document) flat = NULL;
  g_autofree char *text = NULL;
  size_t n, n_attributes;

  if (!list_of(in, "scopeLogs", &scopes, &n) ||
      (resource &&
       !list_of(resource, "attributes", &attributes, &n_attributes)))
    return form(error, "a member of resourceLogs is no ResourceLogs");
  flat = read_pairs(resource ? attributes : NULL, MAX_ATTRIBUTES);
  if (!flat)
    return form(error, "an attribute of a resource is wrong or there twice");
  text = as_text(flat);
  if (strlen(text) > MAX_RESOURCE ||
      reading->logs->resources->len >= MAX_RESOURCES)
    return form(error, "a resource is too large, or there are too many");
  g_ptr_array_add(reading->logs->resources, g_steal_pointer(&text));
  for (size_t i = 0; i < n; i++)
    if (!read_scope(reading, json_object_array_get_idx(scopes, i), error))
      return false;
  return true;
}

AuditLogs *
audit_logs_parse(const char *text,
                 size_t len,
                 const char *sender,
                 GError **error)
{
  g_autoptr(AuditLogs) logs = g_new0(AuditLogs, 1);
  g_autoptr(GHashTable) seen =
      g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  Reading reading = {.logs = logs, .sender = sender, .seen = seen};
  g_autoptr(GError) why = NULL;
  g_autoptr(Document) request = NULL;
  Document *resources;
  size_t n;

  logs->rows = g_array_new(FALSE, TRUE, sizeof(AuditRow));
  g_array_set_clear_func(logs->rows, row_clear);
  logs->resources = g_ptr_array_new_with_free_func(g_free);
  request = document_parse(text, len, &why);
  if (!request) {
    form(error, why->message);
    return NULL;
  }
  if (!list_of(request, "resourceLogs", &resources, &n)) {
    form(error, "resourceLogs is no list");
    return NULL;
  }
  for (size_t i = 0; i < n; i++)
    if (!read_resource(
            &reading, json_object_array_get_idx(resources, i), error))
      return NULL;
  return g_steal_pointer(&logs);
}
