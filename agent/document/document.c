/* SPDX-License-Identifier: Apache-2.0 */
/* JSON of somebody else: the kit's tokenizer judges the text, names are
 * compared, then json-c makes the tree. */
#include "document/document.h"
#include "kit/json.h"
#include <string.h>

/* Deeper than any claim of any provider or any message of the hub; small for
 * who reads it. */
#define MAX_DEPTH 32
/* Callers bound their documents far lower; json-c counts in int. */
#define MAX_TEXT (16 << 20)

/* Names of the objects that are open, and where each object's begin. */
typedef struct {
  const char *text;
  GPtrArray *names;
  guint begin[MAX_DEPTH + 1];
  unsigned depth;
} Names;

static int
compare(const void *a, const void *b)
{
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted rather than hashed: nobody can choose names that collide. */
static bool
object_ends(Names *names)
{
  const guint begin = names->begin[names->depth];
  const guint n = names->names->len - begin;
  char **first = (char **)names->names->pdata + begin;
  bool once = true;

  if (n > 1)
    qsort(first, n, sizeof *first, compare);
  for (guint i = 1; i < n && once; i++)
    once = strcmp(first[i - 1], first[i]) != 0;
  g_ptr_array_set_size(names->names, (int)begin);
  return once;
}

static const char *
look(Names *names, const JsonToken *token)
{
  g_autoptr(GString) decoded = NULL;

  switch (token->type) {
  case JSON_OBJECT_BEGIN:
    if (token->depth >= MAX_DEPTH)
      return "it nests too deep";
    names->depth = token->depth;
    names->begin[names->depth] = names->names->len;
    return NULL;
  case JSON_ARRAY_BEGIN:
    return token->depth >= MAX_DEPTH ? "it nests too deep" : NULL;
  case JSON_OBJECT_END:
    names->depth = token->depth;
    return object_ends(names) ? NULL : "a name stands twice in one object";
  case JSON_KEY:
  case JSON_STRING:
    if (!token->escaped) { /* it is what it stands for, between its quotes */
      if (token->type == JSON_KEY)
        g_ptr_array_add(names->names,
                        g_strndup(names->text + token->start + 1,
                                  token->end - token->start - 2));
      return NULL;
    }
    decoded = g_string_new(NULL);
    json_unescape(names->text, token, decoded);
    if (strlen(decoded->str) != decoded->len)
      return "it holds U+0000";
    if (token->type == JSON_KEY)
      g_ptr_array_add(names->names,
                      g_string_free(g_steal_pointer(&decoded), FALSE));
    return NULL;
  case JSON_ARRAY_END:
  case JSON_NUMBER:
  case JSON_TRUE:
  case JSON_FALSE:
  case JSON_NULL:
  case JSON_END:
    return NULL;
  }
  return NULL;
}

static bool
check(const char *text, size_t len, GError **error)
{
  g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(g_free);
  Names names = {.text = text, .names = list};
  JsonReader reader;
  JsonToken token;

  json_reader_init(&reader, text, len);
  do {
    const char *fault;

    if (!json_next(&reader, &token, error))
      return false;
    fault = token.depth == 0 && token.type != JSON_OBJECT_BEGIN &&
                    token.type != JSON_OBJECT_END && token.type != JSON_END
                ? "it is no object"
                : look(&names, &token);
    if (fault) {
      g_set_error(error,
                  JSON_ERROR,
                  JSON_ERROR_SYNTAX,
                  "byte %zu: %s",
                  token.start + 1,
                  fault);
      return false;
    }
  } while (token.type != JSON_END);
  return true;
}

Document *
document_parse(const char *text, size_t len, GError **error)
{
  struct json_tokener *tokener;
  Document *document = NULL;

  if (len > MAX_TEXT) {
    g_set_error(error, JSON_ERROR, JSON_ERROR_SYNTAX, "it is over 16 MiB");
    return NULL;
  }
  if (!check(text, len, error))
    return NULL;
  tokener = json_tokener_new_ex(MAX_DEPTH + 2);
  json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
  document = json_tokener_parse_ex(tokener, text, (int)len);
  if (json_tokener_get_error(tokener) != json_tokener_success ||
      !json_object_is_type(document, json_type_object)) {
    document_free(g_steal_pointer(&document));
    g_set_error(error, JSON_ERROR, JSON_ERROR_SYNTAX, "it cannot be read");
  }
  json_tokener_free(tokener);
  return document;
}

void
document_free(Document *document)
{
  json_object_put(document);
}

Document *
document_member(const Document *in, const char *name)
{
  Document *value = NULL;

  if (json_object_is_type(in, json_type_object))
    json_object_object_get_ex(in, name, &value);
  return value;
}

bool
document_has(const Document *in, const char *name)
{
  return json_object_is_type(in, json_type_object) &&
         json_object_object_get_ex(in, name, NULL);
}

const char *
document_text(const Document *in, const char *name)
{
  Document *value = document_member(in, name);

  return json_object_is_type(value, json_type_string)
             ? json_object_get_string(value)
             : NULL;
}
