/* SPDX-License-Identifier: Apache-2.0 */
/* Walks a JSON text and makes a field of every string leaf and longer name,
 * with its path and what surrounds it. */
#include "inspect/facts.h"
#include "inspect/roles.h"

#include <string.h>

/* Names that are longer, or hold more than names do, stand as "?" in paths. */
#define PATH_KEY_MAX 64
/* Objects with more members are checked for doubles by sorting. */
#define FEW_KEYS 24

typedef struct {
  bool object;
  unsigned context;
  unsigned node;
  unsigned index; /* of an array's next item */
  size_t path_len;
  size_t key_text, key_len; /* the name that leads here; 0 for none */
  guint first_hash;
} Frame;

typedef struct {
  Inspection *inspection;
  const char *text;
  size_t from; /* where it stands in its parent */
  unsigned parent;
  unsigned depth; /* decodings around it */
  bool strict;    /* doubles are refused */
  JsonReader reader;
  GString *path;
  GArray *hashes; /* guint64 of the names of the open objects */
  Frame frames[JSON_MAX_DEPTH + 1];
  unsigned n;
  /* The member whose value comes next. */
  unsigned context;
  size_t key_text; /* in the arena */
  size_t key_len;
  bool has_key;
} Walk;

static bool
fail_unreadable(GError **error, const char *what)
{
  g_set_error_literal(error, INSPECT_ERROR, INSPECT_ERROR_UNREADABLE, what);
  return false;
}

static uint64_t
hash_name(const char *name, size_t len)
{
  uint64_t hash = UINT64_C(0xcbf29ce484222325);

  for (size_t i = 0; i < len; i++)
    hash = (hash ^ (uint8_t)name[i]) * UINT64_C(0x100000001b3);
  return hash;
}

static int
compare_hashes(const void *a, const void *b)
{
  const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

  return x < y ? -1 : x > y;
}

static bool
has_double(uint64_t *hashes, guint n)
{
  if (n > FEW_KEYS)
    qsort(hashes, n, sizeof(*hashes), compare_hashes);
  for (guint i = 1; i < n; i++)
    for (guint k = n > FEW_KEYS ? i - 1 : 0; k < i; k++)
      if (hashes[i] == hashes[k])
        return true;
  return false;
}

static bool
is_path_name(const char *key, size_t len)
{
  if (len == 0 || len > PATH_KEY_MAX)
    return false;
  for (size_t i = 0; i < len; i++)
    if (!g_ascii_isalnum(key[i]) && strchr("_-$@ /:", key[i]) == NULL)
      return false;
  return true;
}

/* Puts a token's decoded text into the arena; returns its offset. */
static size_t
decode_token(Walk *walk, const JsonToken *token, size_t *len)
{
  Arena *arena = &walk->inspection->arena;
  const size_t raw = token->end - token->start - 2;
  char *out = arena_open(arena, raw);

  if (!token->escaped) {
    memcpy(out, walk->text + token->start + 1, raw);
    *len = raw;
  } else {
    GString *scratch = walk->inspection->scratch;

    g_string_truncate(scratch, 0);
    json_unescape(walk->text, token, scratch);
    memcpy(out, scratch->str, scratch->len);
    *len = scratch->len;
  }
  return arena_close(arena, *len);
}

static FieldPlace
place_of(const Walk *walk,
         const JsonToken *token,
         size_t text,
         unsigned context)
{
  return (FieldPlace){.parent = walk->parent,
                      .start = walk->from + token->start + 1,
                      .end = walk->from + token->end - 1,
                      .encoding = ENCODED_JSON,
                      .verbatim = !token->escaped,
                      .text = text,
                      .key = walk->has_key ? walk->key_text : 0,
                      .key_len = walk->has_key ? walk->key_len : 0,
                      .context = context,
                      .node = walk->n > 0 ? walk->frames[walk->n - 1].node : 0,
                      .depth = walk->depth};
}

/* What a name adds to what stands around it. */
static unsigned
enter_key(const Walk *walk, const Frame *frame, const char *key, size_t len)
{
  unsigned bits;

  if ((frame->context & IN_ARGUMENTS) != 0)
    return frame->context;
  bits = context_of_key(key, len);
  if (bits == IN_INPUT && walk->n > 1)
    bits = IN_INPUT | IN_ARGUMENTS; /* a tool's input */
  return frame->context | bits;
}

static bool
take_key(Walk *walk, const JsonToken *token, GError **error)
{
  Frame *frame = &walk->frames[walk->n - 1];
  Arena *arena = &walk->inspection->arena;
  const char *key;
  size_t len;
  uint64_t hash;

  walk->key_text = decode_token(walk, token, &len);
  walk->key_len = len;
  walk->has_key = true;
  key = arena->bytes + walk->key_text;
  if (walk->strict) {
    if (memchr(key, '\0', len) != NULL)
      return fail_unreadable(error, "a member's name holds U+0000");
    hash = hash_name(key, len);
    g_array_append_val(walk->hashes, hash);
  }
  g_string_truncate(walk->path, frame->path_len);
  if (walk->path->len > 0 && walk->path->str[walk->path->len - 1] != '>')
    g_string_append_c(walk->path, '.');
  if (is_path_name(key, len))
    g_string_append_len(walk->path, key, (gssize)len);
  else
    g_string_append_c(walk->path, '?');
  walk->context = walk->parent == NO_FIELD ? enter_key(walk, frame, key, len)
                                           : walk->context;
  /* Names that are the API's own are no secret that could be masked. */
  if (len >= walk->inspection->shortest && context_of_key(key, len) == 0) {
    FieldPlace place = place_of(walk, token, walk->key_text, 0);

    return inspection_add(walk->inspection,
                          &place,
                          len,
                          walk->path->str,
                          walk->path->len,
                          true,
                          error);
  }
  return true;
}

/* Path and context of a value that is an array's item. */
static void
enter_item(Walk *walk)
{
  Frame *frame;

  if (walk->n == 0)
    return;
  frame = &walk->frames[walk->n - 1];
  if (frame->object)
    return;
  g_string_truncate(walk->path, frame->path_len);
  g_string_append_printf(walk->path, "[%u]", frame->index++);
  walk->context = frame->context;
  walk->key_text = frame->key_text;
  walk->key_len = frame->key_len;
  walk->has_key = frame->key_text != 0;
}

static void
open_container(Walk *walk, bool object)
{
  const unsigned above = walk->n > 0 ? walk->frames[walk->n - 1].node : 0;
  Frame *frame;

  enter_item(walk);
  frame = &walk->frames[walk->n++];
  *frame = (Frame){.object = object,
                   .context = walk->context,
                   .node = above,
                   .path_len = walk->path->len,
                   .key_text = walk->has_key ? walk->key_text : 0,
                   .key_len = walk->key_len,
                   .first_hash = walk->hashes->len};
  if (object && walk->strict && walk->n <= NODE_DEPTH) {
    const BodyNode node = {.parent = above};

    frame->node = walk->inspection->nodes->len;
    g_array_append_val(walk->inspection->nodes, node);
  }
}

static bool
close_container(Walk *walk, GError **error)
{
  const Frame *frame = &walk->frames[--walk->n];

  if (frame->object && walk->strict) {
    const guint n = walk->hashes->len - frame->first_hash;

    if (has_double(&g_array_index(walk->hashes, uint64_t, frame->first_hash),
                   n))
      return fail_unreadable(error, "an object has a member twice");
    g_array_set_size(walk->hashes, frame->first_hash);
  }
  walk->has_key = false;
  return true;
}

/* Role and type name what the whole object is. */
static void
note_label(Walk *walk, const char *text, size_t len)
{
  const Frame *frame = walk->n > 0 ? &walk->frames[walk->n - 1] : NULL;
  const char *key = walk->inspection->arena.bytes + walk->key_text;
  BodyNode *node;

  if (frame == NULL || !frame->object || frame->node == 0 || !walk->has_key)
    return;
  node = &g_array_index(walk->inspection->nodes, BodyNode, frame->node);
  if (walk->key_len == 4 && memcmp(key, "role", 4) == 0)
    node->speaker = (uint8_t)speaker_of(text, len);
  else if (walk->key_len == 4 && memcmp(key, "type", 4) == 0)
    node->part = (uint8_t)part_of(text, len);
}

static bool
take_string(Walk *walk, const JsonToken *token, GError **error)
{
  FieldPlace place;
  size_t len, text;

  enter_item(walk);
  text = decode_token(walk, token, &len);
  if (walk->strict)
    note_label(walk, walk->inspection->arena.bytes + text, len);
  place = place_of(walk, token, text, walk->context);
  return inspection_add(walk->inspection,
                        &place,
                        len,
                        walk->path->str,
                        walk->path->len,
                        false,
                        error);
}

/* Digits before point or exponent. */
static size_t
number_digits(const char *text, size_t len)
{
  size_t digits = 0;

  for (size_t i = 0; i < len && strchr(".eE", text[i]) == NULL; i++)
    digits += text[i] != '-';
  return digits;
}

/* Numbers that may be a secret: long ones, and all that a member is named by.
 * Items of lists (embeddings, tokens) are too many for the latter. */
static bool
take_number(Walk *walk, const JsonToken *token, GError **error)
{
  const size_t len = token->end - token->start;
  const bool member = walk->n > 0 && walk->frames[walk->n - 1].object;
  FieldPlace place;
  char *out;

  enter_item(walk);
  if (number_digits(walk->text + token->start, len) < NUMBER_FIELD_MIN &&
      !(member && walk->has_key))
    return true;
  out = arena_open(&walk->inspection->arena, len);
  memcpy(out, walk->text + token->start, len);
  place = place_of(walk,
                   token,
                   arena_close(&walk->inspection->arena, len),
                   walk->context | IN_LABEL);
  place.start = walk->from + token->start;
  place.end = walk->from + token->end;
  place.verbatim = true;
  place.number = true;
  return inspection_add(walk->inspection,
                        &place,
                        len,
                        walk->path->str,
                        walk->path->len,
                        false,
                        error);
}

static bool
take_token(Walk *walk, const JsonToken *token, GError **error)
{
  switch (token->type) {
  case JSON_KEY:
    return take_key(walk, token, error);
  case JSON_OBJECT_BEGIN:
  case JSON_ARRAY_BEGIN:
    open_container(walk, token->type == JSON_OBJECT_BEGIN);
    return true;
  case JSON_OBJECT_END:
  case JSON_ARRAY_END:
    return close_container(walk, error);
  case JSON_STRING:
    if (!take_string(walk, token, error))
      return false;
    break;
  case JSON_NUMBER:
    if (!take_number(walk, token, error))
      return false;
    break;
  case JSON_TRUE:
  case JSON_FALSE:
  case JSON_NULL:
    enter_item(walk);
    break;
  case JSON_END:
    return true;
  }
  if (walk->parent == NO_FIELD && walk->has_key && walk->n > 0 &&
      walk->n <= FACT_DEPTH && walk->frames[walk->n - 1].object)
    fact_note(walk->inspection, walk->path->str, walk->text, token);
  return true;
}

/* A failed reading leaves nothing behind. */
static void
roll_back(Inspection *inspection, guint fields, guint nodes, size_t arena)
{
  g_array_set_size(inspection->fields, fields);
  g_array_set_size(inspection->places, fields);
  g_array_set_size(inspection->nodes, nodes);
  inspection->arena.len = arena;
}

static bool
walk_document(Walk *walk, GError **error)
{
  JsonToken token = {0};

  do {
    g_autoptr(GError) cause = NULL;

    if (!json_next(&walk->reader, &token, &cause)) {
      g_set_error(error,
                  INSPECT_ERROR,
                  INSPECT_ERROR_UNREADABLE,
                  "broken JSON: %s",
                  cause->message);
      return false;
    }
    if (!take_token(walk, &token, error))
      return false;
  } while (token.type != JSON_END);
  return true;
}

bool
json_fields_read(Inspection *inspection,
                 unsigned parent,
                 const char *text,
                 size_t from,
                 size_t len,
                 GError **error)
{
  g_autoptr(GString) path = g_string_new(NULL);
  g_autoptr(GArray) hashes = g_array_new(FALSE, FALSE, sizeof(uint64_t));
  const guint fields = inspection->fields->len;
  const guint nodes = inspection->nodes->len;
  g_autofree Walk *walk = g_new(Walk, 1);
  size_t arena;
  bool good;

  /* Texts and what separates them take no more than their quotes did; numbers
   * have none, one byte behind them, and are at least six long. */
  arena_reserve(&inspection->arena, len + len / NUMBER_FIELD_MIN + 8);
  arena = inspection->arena.len;
  if (parent != NO_FIELD) {
    const FieldPlace *place =
        &g_array_index(inspection->places, FieldPlace, parent);

    text = inspection->arena.bytes + place->text;
    walk->context = place->context;
    walk->depth = place->depth + 1;
    g_string_append(
        path, g_array_index(inspection->fields, InspectField, parent).path);
    g_string_append_c(path, '>');
  } else {
    walk->context = 0;
    walk->depth = 0;
  }
  walk->inspection = inspection;
  walk->text = text + from;
  walk->from = from;
  walk->parent = parent;
  walk->strict = parent == NO_FIELD && body_is_interpreted(inspection);
  walk->path = path;
  walk->hashes = hashes;
  walk->n = 0;
  walk->has_key = false;
  json_reader_init(&walk->reader, walk->text, len);
  good = walk_document(walk, error);
  if (!good)
    roll_back(inspection, fields, nodes, arena);
  return good;
}
