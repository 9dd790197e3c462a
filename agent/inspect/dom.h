/* SPDX-License-Identifier: Apache-2.0 */
/* A JSON text as a tree of byte spans, for answers whose shape we know: read
 * here, edited by span. Private to the room. */
#ifndef HOOP_INSPECT_DOM_H
#define HOOP_INSPECT_DOM_H

#include "inspect/inspect.h"
#include "kit/json.h"

/* An answer with more values is refused: 40 MB of tree. */
#define DOM_MAX_NODES 1000000

typedef struct {
  uint32_t start, end;         /* bytes; strings with their quotes */
  uint32_t key_start, key_end; /* of the member's name, 0 when there is none */
  uint32_t parent;
  uint32_t next;  /* sibling, 0 for none */
  uint32_t child; /* first member or item, 0 for none */
  uint8_t type;   /* JsonType: OBJECT_BEGIN, ARRAY_BEGIN or a scalar */
  bool escaped;
  bool key_escaped;
} DomNode;

/* Node 0 is the document's value, so 0 also says "there is none". */
typedef struct {
  const char *text;
  size_t len;
  GArray *nodes; /* DomNode; kept for the next text */
} Dom;

void dom_init(Dom *dom);
void dom_clear(Dom *dom);
/* Reads a text, which must outlive the use of the tree. An object that has a
 * member twice is refused: who reads it after us may take the other one. */
bool dom_parse(Dom *dom, const char *text, size_t len, GError **error);

static inline const DomNode *
dom_node(const Dom *dom, uint32_t node)
{
  return &g_array_index(dom->nodes, DomNode, node);
}

/* The member of an object; 0 when it is no object or has none. */
uint32_t dom_member(const Dom *dom, uint32_t node, const char *name);
/* The member of a member …: names end with NULL. */
uint32_t dom_find(const Dom *dom, uint32_t node, ...) G_GNUC_NULL_TERMINATED;
static inline uint32_t
dom_child(const Dom *dom, uint32_t node)
{
  return dom_node(dom, node)->child;
}
static inline uint32_t
dom_next(const Dom *dom, uint32_t node)
{
  return dom_node(dom, node)->next;
}
static inline bool
dom_is_string(const Dom *dom, uint32_t node)
{
  return node != 0 && dom_node(dom, node)->type == JSON_STRING;
}
/* The value is a string and equals `text`. */
bool dom_equals(const Dom *dom, uint32_t node, const char *text);
/* The member's name equals `name`. */
bool dom_key_is(const Dom *dom, uint32_t node, const char *name);
/* A string's decoded text, or NULL when it is none. g_free. */
char *dom_text(const Dom *dom, uint32_t node);
/* Appends a string's decoded text; nothing when it is none. */
void dom_append_text(const Dom *dom, uint32_t node, GString *out);
/* The value's own bytes. g_free. */
char *dom_raw(const Dom *dom, uint32_t node);
/* An integer from 0 to 2^53, else -1. */
int64_t dom_integer(const Dom *dom, uint32_t node);

/* ---- Edits ------------------------------------------------------------- */

/* Replacements of byte spans, collected in any order and applied once. */
typedef struct {
  size_t start, end;
  size_t text, len; /* in the texts */
} Edit;
typedef struct {
  GArray *edits;
  GString *texts;
} Edits;

void edits_init(Edits *edits);
void edits_clear(Edits *edits);
void edits_reset(Edits *edits);
void edits_add(Edits *edits,
               size_t start,
               size_t end,
               const char *text,
               size_t len);
/* Removes a member or item with the comma that belongs to it. */
void edits_remove(Edits *edits, const Dom *dom, uint32_t node);
/* Appends text with all edits done; later ones inside others are dropped. */
void edits_apply(Edits *edits, const char *text, size_t len, GString *out);

#endif
