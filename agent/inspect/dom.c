/* SPDX-License-Identifier: Apache-2.0 */
/* The tree of spans and the edits that are made by it. */
#include "inspect/dom.h"

#include "inspect/facts.h"

#include <stdarg.h>
#include <string.h>

void
dom_init(Dom *dom)
{
  *dom = (Dom){.nodes = g_array_sized_new(FALSE, FALSE, sizeof(DomNode), 64)};
}

void
dom_clear(Dom *dom)
{
  g_clear_pointer(&dom->nodes, g_array_unref);
}

typedef struct {
  Dom *dom;
  uint32_t open; /* the container that is read, or UINT32_MAX */
  uint32_t tail[JSON_MAX_DEPTH + 1]; /* last child at each depth, 0: none */
  uint64_t seen[JSON_MAX_DEPTH + 1]; /* names of the open objects, hashed */
  JsonToken key;
  bool has_key;
} DomReader;

static unsigned
name_bit(const char *name, size_t len)
{
  unsigned sum = (unsigned)len;

  for (size_t i = 0; i < len; i++)
    sum = sum * 31 + (uint8_t)name[i];
  return sum % 64;
}

static bool
same_name(const Dom *dom, const DomNode *a, const JsonToken *b)
{
  const JsonToken first = {.type = JSON_KEY,
                           .start = a->key_start,
                           .end = a->key_end,
                           .escaped = a->key_escaped};
  g_autoptr(GString) x = NULL;
  g_autoptr(GString) y = NULL;

  if (!first.escaped && !b->escaped)
    return first.end - first.start == b->end - b->start &&
           memcmp(dom->text + first.start,
                  dom->text + b->start,
                  b->end - b->start) == 0;
  x = g_string_new(NULL);
  y = g_string_new(NULL);
  json_unescape(dom->text, &first, x);
  json_unescape(dom->text, b, y);
  return g_string_equal(x, y);
}

/* Has the open object this name already? Names are only compared where their
 * hashes meet, or where escapes could hide one. */
static bool
is_double(DomReader *reader, const JsonToken *key)
{
  const Dom *dom = reader->dom;
  const uint64_t bit =
      UINT64_C(1) << name_bit(dom->text + key->start, key->end - key->start);
  uint64_t *seen = &reader->seen[key->depth];
  const bool maybe = (*seen & bit) != 0 || key->escaped || (*seen & 1) != 0;

  *seen |= key->escaped ? 1 : bit;
  if (!maybe)
    return false;
  for (uint32_t i = dom_child(dom, reader->open); i != 0; i = dom_next(dom, i))
    if (same_name(dom, dom_node(dom, i), key))
      return true;
  return false;
}

static bool
add_node(DomReader *reader, const JsonToken *token, GError **error)
{
  Dom *dom = reader->dom;
  const uint32_t index = dom->nodes->len;
  DomNode node = {.start = (uint32_t)token->start,
                  .end = (uint32_t)token->end,
                  .parent = reader->open == UINT32_MAX ? 0 : reader->open,
                  .type = (uint8_t)token->type,
                  .escaped = token->escaped};

  if (index >= DOM_MAX_NODES) {
    g_set_error_literal(error,
                        INSPECT_ERROR,
                        INSPECT_ERROR_LIMIT,
                        "an answer has too many values");
    return false;
  }
  if (reader->has_key) {
    node.key_start = (uint32_t)reader->key.start;
    node.key_end = (uint32_t)reader->key.end;
    node.key_escaped = reader->key.escaped;
    reader->has_key = false;
  }
  g_array_append_val(dom->nodes, node);
  if (reader->open != UINT32_MAX) {
    const uint32_t last = reader->tail[token->depth];

    if (last == 0)
      g_array_index(dom->nodes, DomNode, reader->open).child = index;
    else
      g_array_index(dom->nodes, DomNode, last).next = index;
    reader->tail[token->depth] = index;
  }
  if (token->type == JSON_OBJECT_BEGIN || token->type == JSON_ARRAY_BEGIN) {
    reader->tail[token->depth + 1] = 0;
    reader->seen[token->depth + 1] = 0;
    reader->open = index;
  }
  return true;
}

static void
close_node(DomReader *reader, const JsonToken *token)
{
  DomNode *node = &g_array_index(reader->dom->nodes, DomNode, reader->open);

  node->end = (uint32_t)token->end;
  reader->open = token->depth == 0 ? UINT32_MAX : node->parent;
}

bool
dom_parse(Dom *dom, const char *text, size_t len, GError **error)
{
  DomReader reader;
  JsonReader json;
  JsonToken token = {0};

  reader.dom = dom;
  reader.open = UINT32_MAX;
  reader.key = (JsonToken){0};
  reader.has_key = false;
  dom->text = text;
  dom->len = len;
  g_array_set_size(dom->nodes, 0);
  if (len >= UINT32_MAX) {
    g_set_error_literal(
        error, INSPECT_ERROR, INSPECT_ERROR_LIMIT, "a text is too long");
    return false;
  }
  json_reader_init(&json, text, len);
  for (;;) {
    GError *cause = NULL;

    if (!json_next(&json, &token, &cause)) {
      g_set_error(error,
                  INSPECT_ERROR,
                  INSPECT_ERROR_UNREADABLE,
                  "broken JSON: %s",
                  cause->message);
      g_error_free(cause);
      return false;
    }
    if (token.type == JSON_END)
      return true;
    if (token.type == JSON_KEY) {
      if (is_double(&reader, &token)) {
        g_set_error_literal(error,
                            INSPECT_ERROR,
                            INSPECT_ERROR_UNREADABLE,
                            "an object has a member twice");
        return false;
      }
      reader.key = token;
      reader.has_key = true;
    } else if (token.type == JSON_OBJECT_END || token.type == JSON_ARRAY_END) {
      close_node(&reader, &token);
    } else if (!add_node(&reader, &token, error)) {
      return false;
    }
  }
}

static bool
span_is(const Dom *dom,
        size_t start,
        size_t end,
        bool escaped,
        const char *text)
{
  const size_t len = strlen(text);
  JsonToken token = {.start = start, .end = end, .escaped = true};

  if (!escaped)
    return end - start == len + 2 &&
           memcmp(dom->text + start + 1, text, len) == 0;
  return json_token_is(dom->text, &token, text);
}

bool
dom_equals(const Dom *dom, uint32_t node, const char *text)
{
  const DomNode *at = dom_node(dom, node);

  return at->type == JSON_STRING &&
         span_is(dom, at->start, at->end, at->escaped, text);
}

bool
dom_key_is(const Dom *dom, uint32_t node, const char *name)
{
  const DomNode *at = dom_node(dom, node);

  return at->key_end != 0 &&
         span_is(dom, at->key_start, at->key_end, at->key_escaped, name);
}

uint32_t
dom_member(const Dom *dom, uint32_t node, const char *name)
{
  uint32_t child;

  if (dom->nodes->len == 0 || dom_node(dom, node)->type != JSON_OBJECT_BEGIN)
    return 0;
  for (child = dom_child(dom, node); child != 0; child = dom_next(dom, child))
    if (dom_key_is(dom, child, name))
      return child;
  return 0;
}

uint32_t
dom_find(const Dom *dom, uint32_t node, ...)
{
  const char *name;
  va_list names;

  va_start(names, node);
  while ((name = va_arg(names, const char *)) != NULL) {
    node = dom_member(dom, node, name);
    if (node == 0)
      break;
  }
  va_end(names);
  return node;
}

void
dom_append_text(const Dom *dom, uint32_t node, GString *out)
{
  const DomNode *at = dom_node(dom, node);
  const JsonToken token = {.type = JSON_STRING,
                           .start = at->start,
                           .end = at->end,
                           .escaped = at->escaped};

  if (!dom_is_string(dom, node))
    return;
  if (at->escaped)
    json_unescape(dom->text, &token, out);
  else
    g_string_append_len(
        out, dom->text + at->start + 1, (gssize)(at->end - at->start - 2));
}

char *
dom_text(const Dom *dom, uint32_t node)
{
  GString *out;

  if (!dom_is_string(dom, node))
    return NULL;
  out = g_string_new(NULL);
  dom_append_text(dom, node, out);
  return g_string_free(out, FALSE);
}

char *
dom_raw(const Dom *dom, uint32_t node)
{
  const DomNode *at = dom_node(dom, node);

  return g_strndup(dom->text + at->start, at->end - at->start);
}

int64_t
dom_integer(const Dom *dom, uint32_t node)
{
  const DomNode *at = dom_node(dom, node);

  if (node == 0 || at->type != JSON_NUMBER)
    return -1;
  return fact_number(dom->text + at->start, at->end - at->start);
}

/* ---- Edits ------------------------------------------------------------- */

void
edits_init(Edits *edits)
{
  edits->edits = g_array_new(FALSE, FALSE, sizeof(Edit));
  edits->texts = g_string_new(NULL);
}

void
edits_clear(Edits *edits)
{
  g_clear_pointer(&edits->edits, g_array_unref);
  if (edits->texts != NULL)
    g_string_free(edits->texts, TRUE);
  edits->texts = NULL;
}

void
edits_reset(Edits *edits)
{
  g_array_set_size(edits->edits, 0);
  g_string_truncate(edits->texts, 0);
}

void
edits_add(Edits *edits, size_t start, size_t end, const char *text, size_t len)
{
  const Edit edit = {start, end, edits->texts->len, len};

  g_string_append_len(edits->texts, text, (gssize)len);
  g_array_append_val(edits->edits, edit);
}

void
edits_remove(Edits *edits, const Dom *dom, uint32_t node)
{
  const DomNode *at = dom_node(dom, node);
  const size_t start = at->key_end != 0 ? at->key_start : at->start;
  uint32_t before = 0;

  for (uint32_t i = dom_child(dom, at->parent); i != node; i = dom_next(dom, i))
    before = i;
  if (before != 0) {
    edits_add(edits, dom_node(dom, before)->end, at->end, "", 0);
  } else if (at->next != 0) {
    const DomNode *next = dom_node(dom, at->next);

    edits_add(edits,
              start,
              next->key_end != 0 ? next->key_start : next->start,
              "",
              0);
  } else {
    edits_add(edits, start, at->end, "", 0);
  }
}

static int
compare_edits(const void *a, const void *b)
{
  const Edit *x = a, *y = b;

  if (x->start != y->start)
    return x->start < y->start ? -1 : 1;
  if (x->end != y->end)
    return x->end > y->end ? -1 : 1;
  return x->text < y->text ? -1 : x->text > y->text;
}

void
edits_apply(Edits *edits, const char *text, size_t len, GString *out)
{
  size_t done = 0;

  if (edits->edits->len > 1)
    qsort(edits->edits->data, edits->edits->len, sizeof(Edit), compare_edits);
  for (guint i = 0; i < edits->edits->len; i++) {
    const Edit *edit = &g_array_index(edits->edits, Edit, i);

    if (edit->start < done)
      continue;
    g_string_append_len(out, text + done, (gssize)(edit->start - done));
    g_string_append_len(out, edits->texts->str + edit->text, (gssize)edit->len);
    done = edit->end;
  }
  g_string_append_len(out, text + done, (gssize)(len - done));
}
