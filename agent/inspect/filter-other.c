/* SPDX-License-Identifier: Apache-2.0 */
/* Streams of no known shape: members that commonly carry pieces of text are
 * held like text, by event type and path; all other leaves are masked as they
 * are. There is no terminal event. */
#include "inspect/filter.h"

#include <string.h>

static const char *const text_members[] = {
    "delta",
    "text",
    "content",
    "token",
    "arguments",
    "thinking",
    "reasoning",
    "chunk",
    "part",
    "partial_json",
    "completion",
    "generated_text",
    "reasoning_content",
    "transcript",
};

static bool
is_text_member(const Dom *dom, uint32_t node)
{
  for (unsigned i = 0; i < G_N_ELEMENTS(text_members); i++)
    if (dom_key_is(dom, node, text_members[i]))
      return true;
  return false;
}

/* Names from the root down; items of lists by their position. */
static void
append_path(const Dom *dom, uint32_t node, GString *out)
{
  const DomNode *at = dom_node(dom, node);
  unsigned position = 0;

  if (node == 0)
    return;
  append_path(dom, at->parent, out);
  if (at->key_end != 0) {
    g_string_append_c(out, '.');
    g_string_append_len(
        out, dom->text + at->key_start, (gssize)(at->key_end - at->key_start));
    return;
  }
  for (uint32_t i = dom_child(dom, at->parent); i != node; i = dom_next(dom, i))
    position++;
  g_string_append_printf(out, "[%u]", position);
}

static bool
other_read(ResponseFilter *filter, FilterEvent *event, GError **error)
{
  const Dom *dom = &filter->dom;
  g_autoptr(GString) name = NULL;
  size_t prefix;

  /* An RPC message is complete in itself, and others may not follow. */
  if (filter->api == API_MCP || dom_member(dom, 0, "jsonrpc") != 0)
    return true;
  name = g_string_new(NULL);
  dom_append_text(dom, dom_member(dom, 0, "type"), name);
  prefix = name->len;
  for (guint i = 1; i < dom->nodes->len; i++) {
    TextEntry *entry;

    if (!dom_is_string(dom, i) || !is_text_member(dom, i))
      continue;
    g_string_truncate(name, prefix);
    append_path(dom, i, name);
    entry = filter_text(filter, 0, 0, name->str, false, error);
    if (entry == NULL || !filter_add_delta(filter, event, i, entry, error))
      return false;
  }
  if (event->slots->len == 1)
    event->flags |= EVENT_PLAIN;
  return true;
}

static bool
other_is_complete(const ResponseFilter *filter)
{
  return filter->ended && !filter->cut;
}

const Shape shape_other = {.read = other_read,
                           .is_complete = other_is_complete};
