/* SPDX-License-Identifier: Apache-2.0 */
/* The list of models, without what this agent does not carry. */
#include "inspect/dom.h"
#include <string.h>

/* "ws:/responses" beside "/responses": the client would open a WebSocket. */
static bool
is_websocket(const Dom *dom, uint32_t node)
{
  g_autofree char *text = dom_is_string(dom, node) ? dom_text(dom, node) : NULL;

  return text &&
         (g_str_has_prefix(text, "ws:") || g_str_has_prefix(text, "wss:"));
}

/* Writes the list anew where one of its items goes. */
static bool
strike_endpoints(const Dom *dom, uint32_t model, Edits *edits)
{
  uint32_t list = dom_member(dom, model, "supported_endpoints");
  g_autoptr(GString) kept = g_string_new("[");
  bool any = false;

  if (!list || dom_node(dom, list)->type != JSON_ARRAY_BEGIN)
    return false;
  for (uint32_t node = dom_child(dom, list); node; node = dom_next(dom, node)) {
    g_autofree char *raw = dom_raw(dom, node);

    if (is_websocket(dom, node))
      any = true;
    else
      g_string_append_printf(kept, "%s%s", kept->len > 1 ? "," : "", raw);
  }
  g_string_append_c(kept, ']');
  if (any)
    edits_add(edits,
              dom_node(dom, list)->start,
              dom_node(dom, list)->end,
              kept->str,
              kept->len);
  return any;
}

GBytes *
models_without_websocket(GBytes *body, GError **error)
{
  size_t len;
  const char *text = g_bytes_get_data(body, &len);
  g_autoptr(GString) out = NULL;
  GBytes *result = NULL;
  bool any = false;
  uint32_t list;
  Edits edits;
  Dom dom;

  dom_init(&dom);
  edits_init(&edits);
  if (dom_parse(&dom, text, len, error)) {
    list = dom_member(&dom, 0, "data");
    for (uint32_t node = list ? dom_child(&dom, list) : 0; node;
         node = dom_next(&dom, node))
      any |= strike_endpoints(&dom, node, &edits);
    if (any) {
      out = g_string_sized_new(len);
      edits_apply(&edits, text, len, out);
      result = g_bytes_new(out->str, out->len);
    } else {
      result = g_bytes_ref(body);
    }
  }
  edits_clear(&edits);
  dom_clear(&dom);
  return result;
}
