/* SPDX-License-Identifier: Apache-2.0 */
/* Whole bodies: read by content type and API, every text scanned in one pass,
 * texts that are JSON themselves decoded again. */
#define _GNU_SOURCE
#include "inspect/calls.h"
#include "inspect/roles.h"
#include "inspect/spans.h"

#include <string.h>

const InspectLimits inspect_default_limits = {
    .max_fields = 500000,   /* a 32 MiB body of short strings has more */
    .max_findings = 100000, /* nobody reads more than these */
    .max_depth = 3,         /* JSON in JSON in JSON, as tool results have */
};

typedef enum { TYPE_JSON, TYPE_LINES, TYPE_FORM, TYPE_TEXT, TYPE_OTHER } Type;

static bool
type_is(const char *type, size_t len, const char *name)
{
  return strlen(name) == len && g_ascii_strncasecmp(type, name, len) == 0;
}

static bool
type_ends(const char *type, size_t len, const char *end)
{
  const size_t n = strlen(end);

  return len >= n && g_ascii_strncasecmp(type + len - n, end, n) == 0;
}

static Type
read_type(const char *type, size_t len)
{
  static const char *const lines[] = {"application/x-ndjson",
                                      "application/x-json-stream",
                                      "application/jsonl",
                                      "application/json-seq"};
  static const char *const texts[] = {"application/xml",
                                      "application/javascript",
                                      "application/graphql",
                                      "application/yaml",
                                      "application/x-yaml"};

  if (type_is(type, len, "application/json") ||
      type_is(type, len, "text/json") || type_ends(type, len, "+json"))
    return TYPE_JSON;
  for (unsigned i = 0; i < G_N_ELEMENTS(lines); i++)
    if (type_is(type, len, lines[i]))
      return TYPE_LINES;
  if (type_is(type, len, "application/x-www-form-urlencoded"))
    return TYPE_FORM;
  if (type_is(type, len, "text/event-stream"))
    return TYPE_OTHER;
  if (len > 5 && g_ascii_strncasecmp(type, "text/", 5) == 0)
    return TYPE_TEXT;
  for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++)
    if (type_is(type, len, texts[i]))
      return TYPE_TEXT;
  return TYPE_OTHER;
}

/* The charset parameter, if any, is UTF-8 or a subset. RFC 9110, 8.3.2. */
static bool
charset_is_utf8(const char *parameters)
{
  g_autofree char *lower = g_ascii_strdown(parameters, -1);
  const char *at = strstr(lower, "charset=");
  size_t len;

  if (at == NULL)
    return true;
  at += strlen("charset=");
  if (*at == '"')
    at++;
  len = strcspn(at, "\"; \t");
  return type_is(at, len, "utf-8") || type_is(at, len, "utf8") ||
         type_is(at, len, "us-ascii");
}

/* Without a type: known APIs speak JSON, others are looked at. */
static Type
guess_type(const Inspection *inspection, const char *text, size_t len)
{
  size_t i = 0;

  if (inspection->api != API_OTHER && inspection->api != API_TELEMETRY)
    return TYPE_JSON;
  while (i < len && g_ascii_isspace(text[i]))
    i++;
  return i < len && (text[i] == '{' || text[i] == '[') ? TYPE_JSON : TYPE_TEXT;
}

static bool
fail(GError **error, InspectErrorCode code, const char *what)
{
  g_set_error_literal(error, INSPECT_ERROR, (gint)code, what);
  return false;
}

bool
body_is_interpreted(const Inspection *inspection)
{
  return api_is_generation(inspection->api) ||
         inspection->api == API_EMBEDDINGS || inspection->api == API_MCP;
}

bool
inspection_add(Inspection *inspection,
               const FieldPlace *place,
               size_t len,
               const char *path,
               size_t path_len,
               bool is_key,
               GError **error)
{
  InspectField field = {.len = len, .is_key = is_key};

  if (inspection->fields->len >= inspection->limits.max_fields)
    return fail(
        error, INSPECT_ERROR_LIMIT, "the body has more texts than max-fields");
  field.path =
      g_string_chunk_insert_len(inspection->paths, path, (gssize)path_len);
  g_array_append_val(inspection->fields, field);
  g_array_append_val(inspection->places, *place);
  return true;
}

/* One JSON text a line (a record separator may lead, RFC 7464). */
static bool
read_lines(Inspection *inspection, const char *text, size_t len, GError **error)
{
  size_t start = 0;

  while (start < len) {
    const char *newline = memchr(text + start, '\n', len - start);
    const size_t end = newline != NULL ? (size_t)(newline - text) : len;
    size_t from = start;

    while (from < end && (g_ascii_isspace(text[from]) || text[from] == '\x1e'))
      from++;
    if (from < end &&
        !json_fields_read(inspection, NO_FIELD, text, from, end - from, error))
      return false;
    start = end + 1;
  }
  return true;
}

static bool
read_text(Inspection *inspection, const char *text, size_t len, GError **error)
{
  FieldPlace place = {.parent = NO_FIELD,
                      .end = len,
                      .encoding = ENCODED_NOT,
                      .verbatim = true};
  char *out;

  /* Refuses NUL too: UTF-16 is valid UTF-8 with NULs between its letters, and
   * no rule would see a secret in it. */
  if (!g_utf8_validate_len(text, len, NULL))
    return fail(error, INSPECT_ERROR_UNREADABLE, "the text is not UTF-8");
  out = arena_open(&inspection->arena, len);
  memcpy(out, text, len);
  place.text = arena_close(&inspection->arena, len);
  return inspection_add(inspection, &place, len, "", 0, false, error);
}

static bool
looks_like_json(const char *text, size_t len)
{
  while (len > 0 && g_ascii_isspace(text[0])) {
    text++;
    len--;
  }
  while (len > 0 && g_ascii_isspace(text[len - 1]))
    len--;
  return len >= 2 && ((text[0] == '{' && text[len - 1] == '}') ||
                      (text[0] == '[' && text[len - 1] == ']'));
}

static bool
read_body(Inspection *inspection, const char *content_type, GError **error)
{
  gsize len;
  const char *text = g_bytes_get_data(inspection->body, &len);
  Type type;

  if (len == 0)
    return true;
  if (content_type == NULL || *content_type == '\0') {
    type = guess_type(inspection, text, len);
  } else {
    type = read_type(content_type, strcspn(content_type, "; \t"));
    if (!charset_is_utf8(content_type))
      type = TYPE_OTHER;
    /* An API that expects JSON may read it whatever the type says, and no form
     * looks like it. */
    if ((type == TYPE_TEXT || type == TYPE_FORM) &&
        inspection->direction == DIRECTION_REQUEST &&
        body_is_interpreted(inspection))
      type = TYPE_JSON;
    if (type == TYPE_FORM && looks_like_json(text, len))
      type = TYPE_JSON;
  }
  switch (type) {
  case TYPE_JSON:
    return json_fields_read(inspection, NO_FIELD, text, 0, len, error);
  case TYPE_LINES:
    return read_lines(inspection, text, len, error);
  case TYPE_FORM:
    return form_fields_read(inspection, text, len, error);
  case TYPE_TEXT:
    return read_text(inspection, text, len, error);
  case TYPE_OTHER:
    break;
  }
  return fail(error,
              INSPECT_ERROR_TYPE,
              "a content type or character set that is not inspected");
}

/* Reads a part of a field's text as JSON. What only looks like it stays text,
 * but meeting a limit is an error. */
static bool
try_json(Inspection *inspection,
         unsigned field,
         size_t from,
         size_t len,
         bool *read,
         GError **error)
{
  g_autoptr(GError) cause = NULL;

  if (json_fields_read(inspection, field, NULL, from, len, &cause)) {
    *read = true;
    return true;
  }
  if (!g_error_matches(cause, INSPECT_ERROR, INSPECT_ERROR_LIMIT))
    return true;
  g_propagate_error(error, g_steal_pointer(&cause));
  return false;
}

/* The text of a field; more fields may move it. */
static const char *
text_at(const Inspection *inspection, unsigned field)
{
  return inspection->arena.bytes +
         g_array_index(inspection->places, FieldPlace, field).text;
}

/* Logs and data sets: each line that is JSON is read by itself. */
static bool
try_json_lines(Inspection *inspection,
               unsigned field,
               size_t len,
               bool *read,
               GError **error)
{
  for (size_t start = 0; start < len;) {
    const char *line = text_at(inspection, field) + start;
    const char *newline = memchr(line, '\n', len - start);
    const size_t size =
        newline != NULL ? (size_t)(newline - line) : len - start;

    if (size < len && looks_like_json(line, size) &&
        !try_json(inspection, field, start, size, read, error))
      return false;
    start += size + 1;
  }
  return true;
}

/* Texts that are JSON, or whose lines are, give fields of their own; fields
 * that this adds are looked at in turn. Where that ends, what looks like JSON
 * is at least read without its escapes, so that a token in it begins where it
 * does. */
static bool
read_nested(Inspection *inspection, GError **error)
{
  if (inspection->limits.max_depth == 0)
    return true; /* texts are read as they stand, as those of streams are */
  for (guint i = 0; i < inspection->fields->len; i++) {
    const InspectField field =
        g_array_index(inspection->fields, InspectField, i);
    const FieldPlace place = g_array_index(inspection->places, FieldPlace, i);
    const char *text = text_at(inspection, i);
    const bool deep = place.depth >= inspection->limits.max_depth;
    bool read = false;

    if (field.is_key || place.number || place.encoding == ENCODED_LOOSE ||
        field.len < 2)
      continue;
    if (!deep && looks_like_json(text, field.len) &&
        !try_json(inspection, i, 0, field.len, &read, error))
      return false;
    if (!deep && !read &&
        !try_json_lines(inspection, i, field.len, &read, error))
      return false;
    if (!read && !loose_field_read(inspection, i, error))
      return false;
  }
  return true;
}

/* Texts do not move any more: pointers and roles. */
static void
settle_fields(Inspection *inspection)
{
  for (guint i = 0; i < inspection->fields->len; i++) {
    InspectField *field = &g_array_index(inspection->fields, InspectField, i);
    const FieldPlace *place = &g_array_index(inspection->places, FieldPlace, i);

    field->text = inspection->arena.bytes + place->text;
    field->key = place->key != 0 ? inspection->arena.bytes + place->key : "";
    field->role = field->is_key ? FIELD_OTHER : role_of(inspection, place);
  }
}

/* While libhs reads, newlines stand between texts; then each gets its NUL. */
static void
terminate_texts(Inspection *inspection)
{
  for (guint i = 0; i < inspection->fields->len; i++) {
    const InspectField *field =
        &g_array_index(inspection->fields, InspectField, i);
    const FieldPlace *place = &g_array_index(inspection->places, FieldPlace, i);

    field->text[field->len] = '\0';
    if (place->key != 0)
      inspection->arena.bytes[place->key + place->key_len] = '\0';
  }
}

static bool
holds(const char *text, const char *value, size_t len)
{
  return text != NULL && memmem(text, strlen(text), value, len) != NULL;
}

/* Paths, model and conversation are recorded and shown beside the body: what
 * was found does not stand in them either. */
static void
scrub_facts(Inspection *inspection)
{
  bool in_name = false;

  for (guint i = 0; i < inspection->findings->len; i++) {
    const Finding *finding = &g_array_index(inspection->findings, Finding, i);
    const InspectField *field =
        &g_array_index(inspection->fields, InspectField, finding->field);
    const char *value = field->text + finding->start;
    const size_t len = finding->end - finding->start;

    in_name = in_name || field->is_key;
    if (holds(inspection->model, value, len))
      inspection->model[0] = '\0';
    if (holds(inspection->conversation, value, len))
      inspection->conversation[0] = '\0';
  }
  for (guint i = 0; in_name && i < inspection->fields->len; i++)
    g_array_index(inspection->fields, InspectField, i).path =
        g_string_chunk_insert_const(inspection->paths, "?");
}

static bool
scan_body(DetectorScratch *scratch, Inspection *inspection, GError **error)
{
  const guint n = inspection->fields->len;
  g_autofree size_t *starts = g_new(size_t, MAX(n, 1));
  g_autofree size_t *lens = g_new(size_t, MAX(n, 1));

  for (guint i = 0; i < n; i++) {
    starts[i] = g_array_index(inspection->places, FieldPlace, i).text;
    lens[i] = g_array_index(inspection->fields, InspectField, i).len;
  }
  if (!scan_fields(scratch,
                   inspection->arena.bytes,
                   inspection->arena.len,
                   starts,
                   lens,
                   n,
                   inspection->limits.max_findings,
                   inspection->findings,
                   error))
    return false;
  findings_sort(inspection->findings);
  scrub_facts(inspection);
  findings_drop_outer(inspection);
  return true;
}

Inspection *
inspection_new(DetectorScratch *scratch,
               Api api,
               Direction direction,
               const char *content_type,
               GBytes *body,
               const InspectLimits *limits,
               GError **error)
{
  g_autoptr(Inspection) inspection = g_new0(Inspection, 1);
  const BodyNode none = {0};

  inspection->api = api;
  inspection->direction = direction;
  inspection->body = g_bytes_ref(body);
  inspection->shortest =
      scratch != NULL ? scratch->detector->shortest : VALUE_MIN;
  inspection->type = g_strdup(content_type);
  inspection->limits = limits != NULL ? *limits : inspect_default_limits;
  inspection->fields = g_array_new(FALSE, FALSE, sizeof(InspectField));
  inspection->places = g_array_new(FALSE, FALSE, sizeof(FieldPlace));
  inspection->nodes = g_array_new(FALSE, FALSE, sizeof(BodyNode));
  inspection->findings = g_array_new(FALSE, FALSE, sizeof(Finding));
  inspection->calls = g_array_new(FALSE, TRUE, sizeof(ToolCall));
  inspection->paths = g_string_chunk_new(4096);
  inspection->scratch = g_string_new(NULL);
  inspection->input_tokens = -1;
  inspection->output_tokens = -1;
  g_array_append_val(inspection->nodes, none);
  arena_reserve(&inspection->arena, 0);
  if (!read_body(inspection, content_type, error) ||
      !read_nested(inspection, error))
    return NULL;
  settle_fields(inspection);
  if (scratch != NULL && !scan_body(scratch, inspection, error))
    return NULL;
  terminate_texts(inspection);
  if (direction == DIRECTION_RESPONSE && !calls_read(inspection, error))
    return NULL;
  return g_steal_pointer(&inspection);
}

void
inspection_free(Inspection *inspection)
{
  if (inspection == NULL)
    return;
  for (guint i = 0; i < inspection->calls->len; i++)
    tool_call_clear(&g_array_index(inspection->calls, ToolCall, i));
  g_array_unref(inspection->calls);
  g_array_unref(inspection->fields);
  g_array_unref(inspection->places);
  g_array_unref(inspection->nodes);
  g_array_unref(inspection->findings);
  g_string_chunk_free(inspection->paths);
  secret_wipe(inspection->scratch->str, inspection->scratch->allocated_len);
  g_string_free(inspection->scratch, TRUE);
  arena_clear(&inspection->arena);
  g_bytes_unref(inspection->body);
  g_free(inspection->type);
  g_free(inspection->model);
  g_free(inspection->conversation);
  g_free(inspection);
}

Inspection *
inspection_again(DetectorScratch *scratch,
                 const Inspection *like,
                 GBytes *body,
                 GError **error)
{
  return inspection_new(scratch,
                        like->api,
                        like->direction,
                        like->type,
                        body,
                        &like->limits,
                        error);
}

size_t
inspection_held(const Inspection *inspection)
{
  if (inspection == NULL)
    return 0;
  return inspection->arena.capacity +
         inspection->fields->len * (sizeof(InspectField) + sizeof(FieldPlace)) +
         inspection->nodes->len * sizeof(BodyNode) +
         inspection->findings->len * sizeof(Finding);
}

Api
inspection_api(const Inspection *inspection)
{
  return inspection->api;
}

Direction
inspection_direction(const Inspection *inspection)
{
  return inspection->direction;
}

size_t
inspection_size(const Inspection *inspection)
{
  return g_bytes_get_size(inspection->body);
}

const InspectField *
inspection_fields(const Inspection *inspection, unsigned *n)
{
  *n = inspection->fields->len;
  return (const InspectField *)(void *)inspection->fields->data;
}

unsigned
inspection_outer_field(const Inspection *inspection, unsigned field)
{
  unsigned above;

  while (
      (above = g_array_index(inspection->places, FieldPlace, field).parent) !=
      NO_FIELD)
    field = above;
  return field;
}

const Finding *
inspection_findings(const Inspection *inspection, unsigned *n)
{
  *n = inspection->findings->len;
  return (const Finding *)(void *)inspection->findings->data;
}

/* The field stands in the arguments of a tool call that the client may run. */
static bool
is_in_call(const Inspection *inspection, unsigned field)
{
  field = inspection_outer_field(inspection, field);
  return inspection->direction == DIRECTION_RESPONSE &&
         g_array_index(inspection->fields, InspectField, field).role ==
             FIELD_TOOL_ARGUMENTS;
}

void
inspection_allow(Inspection *inspection, Masker *masker)
{
  for (guint i = 0; i < inspection->findings->len; i++) {
    Finding *at = &g_array_index(inspection->findings, Finding, i);
    const char *text =
        g_array_index(inspection->fields, InspectField, at->field).text;

    at->allowed =
        !is_in_call(inspection, at->field) &&
        masker_allows_value(masker, text + at->start, at->end - at->start);
  }
}

const ToolCall *
inspection_tool_calls(const Inspection *inspection, unsigned *n)
{
  *n = inspection->calls->len;
  return (const ToolCall *)(void *)inspection->calls->data;
}

const char *
inspection_model(const Inspection *inspection)
{
  return inspection->model;
}

bool
inspection_wants_stream(const Inspection *inspection)
{
  return inspection->stream;
}

const char *
inspection_conversation(const Inspection *inspection)
{
  return inspection->conversation;
}

void
inspection_usage(const Inspection *inspection, int64_t *input, int64_t *output)
{
  *input = inspection->input_tokens;
  *output = inspection->output_tokens;
}
