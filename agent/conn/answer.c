/* SPDX-License-Identifier: Apache-2.0 */
/* A token's or user's answer, read strictly and edited by byte span: what the
 * client sees differs in the token and in the endpoints, and in nothing else.
 */
#include "conn/private.h"
#include <string.h>

/* Members of one object: GitHub sends about 30. */
#define MAX_MEMBERS 256
/* Endpoints are four or five. */
#define MAX_ENDPOINTS 16

typedef enum { SPAN_TOKEN, SPAN_ENDPOINT } SpanKind;

typedef struct {
  SpanKind kind;
  size_t start, end; /* with the quotes */
} Span;

struct answer {
  GBytes *body;
  const char *text;
  Secret *token; /* decoded, or NULL */
  int64_t expires_s;
  bool has_expiry;
  GPtrArray *names; /* of the endpoints that are strings */
  GPtrArray *urls;
  GArray *spans; /* in the order of the text */
};

static bool
fail(GError **error, const char *why)
{
  g_set_error(error,
              CONN_ERROR,
              CONN_ERROR_CREDENTIAL,
              "the server's answer is not one that can be passed on: %s",
              why);
  return false;
}

void
answer_free(Answer *answer)
{
  if (!answer)
    return;
  secret_unref(answer->token);
  g_ptr_array_unref(answer->names);
  g_ptr_array_unref(answer->urls);
  g_array_unref(answer->spans);
  g_bytes_unref(answer->body);
  g_free(answer);
}

/* Decoded text in memory that is wiped by text_clear(). */
static GString *
decode(const Answer *answer, const JsonToken *token)
{
  GString *text = g_string_sized_new(token->end - token->start + 1);

  json_unescape(answer->text, token, text); /* never longer than it stands */
  return text;
}

static void
text_clear(GString *text)
{
  secret_wipe(text->str, text->len);
  g_string_free(text, TRUE);
}

static bool
is_one_word(const GString *text)
{
  for (size_t i = 0; i < text->len; i++)
    if (text->str[i] <= ' ' || text->str[i] > '~')
      return false;
  return text->len > 0;
}

static void
add_span(Answer *answer, SpanKind kind, const JsonToken *value)
{
  Span span = {kind, value->start, value->end};

  g_array_append_val(answer->spans, span);
}

static bool
take_token(Answer *answer, const JsonToken *value, GError **error)
{
  GString *text;
  bool fine;

  if (value->type != JSON_STRING)
    return fail(error, "its token is no text");
  text = decode(answer, value);
  fine = is_one_word(text);
  if (fine)
    answer->token = secret_new(text->str, text->len);
  text_clear(text);
  add_span(answer, SPAN_TOKEN, value);
  return fine || fail(error, "its token is not one word");
}

static bool
take_expiry(Answer *answer, const JsonToken *value, GError **error)
{
  size_t len = value->end - value->start;
  char digits[24];

  if (value->type != JSON_NUMBER || len >= sizeof digits)
    return fail(error, "its time of expiry is no number");
  memcpy(digits, answer->text + value->start, len);
  digits[len] = '\0';
  answer->has_expiry = g_ascii_string_to_signed(
      digits, 10, 0, G_MAXINT64, &answer->expires_s, NULL);
  return answer->has_expiry || fail(error, "its time of expiry is no number");
}

/* What a parser may take for another than we do is taken by neither. */
static bool
next_key(JsonReader *reader,
         const char *text,
         GHashTable *seen,
         JsonToken *key,
         GError **error)
{
  GString *name;
  bool whole;

  if (!json_next(reader, key, error))
    return false;
  if (key->type == JSON_OBJECT_END)
    return true;
  name = g_string_new(NULL);
  json_unescape(text, key, name);
  whole = strlen(name->str) == name->len;
  if (g_hash_table_size(seen) < MAX_MEMBERS && whole &&
      g_hash_table_add(seen, g_string_free(name, FALSE)))
    return true;
  if (g_hash_table_size(seen) >= MAX_MEMBERS || !whole)
    g_string_free(name, TRUE);
  return fail(error, "a member's name is odd or stands twice");
}

static bool
take_endpoints(Answer *answer, JsonReader *reader, GError **error)
{
  g_autoptr(GHashTable) seen =
      g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  JsonToken key, value;

  for (;;) {
    if (!next_key(reader, answer->text, seen, &key, error))
      return false;
    if (key.type == JSON_OBJECT_END)
      return true;
    if (!json_next(reader, &value, error))
      return false;
    if (value.type != JSON_STRING) {
      if (!json_skip(reader, &value, error))
        return false;
      continue;
    }
    if (answer->names->len >= MAX_ENDPOINTS)
      return fail(error, "it names too many endpoints");
    g_ptr_array_add(answer->names, g_string_free(decode(answer, &key), FALSE));
    g_ptr_array_add(answer->urls, g_string_free(decode(answer, &value), FALSE));
    add_span(answer, SPAN_ENDPOINT, &value);
  }
}

static bool
take_member(Answer *answer,
            JsonReader *reader,
            const JsonToken *key,
            GError **error)
{
  JsonToken value;

  if (!json_next(reader, &value, error))
    return false;
  if (json_token_is(answer->text, key, "token"))
    return take_token(answer, &value, error) &&
           json_skip(reader, &value, error);
  if (json_token_is(answer->text, key, "expires_at"))
    return take_expiry(answer, &value, error) &&
           json_skip(reader, &value, error);
  if (json_token_is(answer->text, key, "endpoints") &&
      value.type == JSON_OBJECT_BEGIN)
    return take_endpoints(answer, reader, error);
  return json_skip(reader, &value, error);
}

static bool
read_whole(Answer *answer, size_t len, GError **error)
{
  g_autoptr(GHashTable) seen =
      g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  JsonReader reader;
  JsonToken key;

  json_reader_init(&reader, answer->text, len);
  if (!json_next(&reader, &key, error))
    return false;
  if (key.type != JSON_OBJECT_BEGIN)
    return fail(error, "it is no JSON object");
  for (;;) {
    if (!next_key(&reader, answer->text, seen, &key, error))
      return false;
    if (key.type == JSON_OBJECT_END)
      return json_next(&reader, &key, error); /* nothing follows */
    if (!take_member(answer, &reader, &key, error))
      return false;
  }
}

Answer *
answer_new(GBytes *body, GError **error)
{
  g_autoptr(Answer) answer = g_new0(Answer, 1);
  g_autoptr(GError) why = NULL;
  size_t len;

  answer->body = g_bytes_ref(body);
  answer->text = g_bytes_get_data(body, &len);
  answer->names = g_ptr_array_new_with_free_func(g_free);
  answer->urls = g_ptr_array_new_with_free_func(g_free);
  answer->spans = g_array_new(FALSE, FALSE, sizeof(Span));
  if (read_whole(answer, len, &why))
    return g_steal_pointer(&answer);
  if (why->domain == CONN_ERROR)
    g_propagate_error(error, g_steal_pointer(&why));
  else
    fail(error, why->message);
  return NULL;
}

const Secret *
answer_token(const Answer *answer)
{
  return answer->token;
}

bool
answer_expires(const Answer *answer, int64_t *out)
{
  if (answer->has_expiry)
    *out = answer->expires_s;
  return answer->has_expiry;
}

const char *
answer_endpoint(const Answer *answer, const char *name)
{
  for (unsigned i = 0; i < answer->names->len; i++)
    if (g_str_equal(answer->names->pdata[i], name))
      return answer->urls->pdata[i];
  return NULL;
}

GBytes *
answer_edit(const Answer *answer, const char *token, const char *endpoint)
{
  GString *out = g_string_sized_new(2 * g_bytes_get_size(answer->body));
  GBytes *result;
  size_t at = 0;

  for (unsigned i = 0; i < answer->spans->len; i++) {
    const Span *span = &g_array_index(answer->spans, Span, i);
    const char *text = span->kind == SPAN_TOKEN ? token : endpoint;

    if (!text)
      continue;
    g_string_append_len(out, answer->text + at, (gssize)(span->start - at));
    g_string_append_c(out, '"');
    json_escape(out, text, -1);
    g_string_append_c(out, '"');
    at = span->end;
  }
  g_string_append_len(
      out, answer->text + at, (gssize)(g_bytes_get_size(answer->body) - at));
  result = bytes_new_wiped(out->str, out->len);
  text_clear(out);
  return result;
}
