/* SPDX-License-Identifier: Apache-2.0 */
/* Whole answers edited by span: refused tool calls become a message. */
#include "inspect/filter.h"

#include <string.h>

typedef struct {
  const Dom *dom;
  const GArray *sites; /* CallSite */
  const bool *refused;
  const char *message;
  Edits *edits;
} Refusal;

static void
replace(const Refusal *refusal, uint32_t node, const char *text)
{
  const DomNode *at = dom_node(refusal->dom, node);

  edits_add(refusal->edits, at->start, at->end, text, strlen(text));
}

static const CallSite *
site_at(const Refusal *refusal, guint index)
{
  return &g_array_index(refusal->sites, CallSite, index);
}

/* The calls of one list that stay, as JSON; NULL when none does. */
static char *
kept_calls(const Refusal *refusal, uint32_t list)
{
  GString *kept = g_string_new("[");

  for (guint i = 0; i < refusal->sites->len; i++) {
    const CallSite *site = site_at(refusal, i);
    const DomNode *at = dom_node(refusal->dom, site->node);

    if (at->parent != list || refusal->refused[i])
      continue;
    if (kept->len > 1)
      g_string_append_c(kept, ',');
    g_string_append_len(
        kept, refusal->dom->text + at->start, (gssize)(at->end - at->start));
  }
  g_string_append_c(kept, ']');
  if (kept->len == 2) {
    g_string_free(kept, TRUE);
    return NULL;
  }
  return g_string_free(kept, FALSE);
}

/* The message stands behind what the choice says already. */
static void
add_content(const Refusal *refusal, uint32_t message)
{
  const Dom *dom = refusal->dom;
  const uint32_t content = dom_member(dom, message, "content");
  const DomNode *at = dom_node(dom, message);
  g_autofree char *before = content != 0 ? dom_text(dom, content) : NULL;
  g_autofree char *all = g_strconcat(before != NULL ? before : "",
                                     before != NULL && *before ? "\n\n" : "",
                                     refusal->message,
                                     NULL);
  g_autoptr(GString) json = g_string_new(NULL);

  append_string(json, all);
  if (content != 0) {
    replace(refusal, content, json->str);
    return;
  }
  g_string_prepend(json, "\"content\":");
  g_string_append_c(json, ',');
  edits_add(refusal->edits, at->start + 1, at->start + 1, json->str, json->len);
}

static bool
any_kept(const Refusal *refusal, uint32_t owner)
{
  for (guint i = 0; i < refusal->sites->len; i++)
    if (site_at(refusal, i)->owner == owner && !refusal->refused[i])
      return true;
  return false;
}

/* All of one choice, at its first refused call. */
static void
refuse_in_choice(const Refusal *refusal, uint32_t choice)
{
  const Dom *dom = refusal->dom;
  const uint32_t message = dom_member(dom, choice, "message");
  const uint32_t reason = dom_member(dom, choice, "finish_reason");
  const uint32_t list = dom_member(dom, message, "tool_calls");
  const uint32_t single = dom_member(dom, message, "function_call");
  g_autofree char *kept = list != 0 ? kept_calls(refusal, list) : NULL;

  add_content(refusal, message);
  if (list != 0 && dom_child(dom, list) != 0)
    replace(refusal, list, kept != NULL ? kept : "null");
  for (guint i = 0; i < refusal->sites->len; i++)
    if (site_at(refusal, i)->node == single && single != 0 &&
        refusal->refused[i])
      replace(refusal, single, "null");
  if (!any_kept(refusal, choice) && dom_is_string(dom, reason))
    replace(refusal, reason, "\"stop\"");
}

static void
refuse_chat(const Refusal *refusal)
{
  uint32_t done = 0;

  for (guint i = 0; i < refusal->sites->len; i++) {
    const uint32_t owner = site_at(refusal, i)->owner;

    if (!refusal->refused[i] || owner == done)
      continue;
    refuse_in_choice(refusal, owner);
    done = owner;
  }
}

static void
refuse_items(const Refusal *refusal, Api api)
{
  const Dom *dom = refusal->dom;
  const uint32_t reason = dom_member(dom, 0, "stop_reason");

  for (guint i = 0; i < refusal->sites->len; i++) {
    g_autoptr(GString) json = NULL;
    g_autofree char *id = NULL;

    if (!refusal->refused[i])
      continue;
    json = g_string_new(NULL);
    if (api == API_RESPONSES) {
      id = answer_id("msg_");
      append_message_item(json, id, "completed", refusal->message);
    } else {
      g_string_append(json, "{\"type\":\"text\",\"text\":");
      append_string(json, refusal->message);
      g_string_append_c(json, '}');
    }
    replace(refusal, site_at(refusal, i)->node, json->str);
  }
  if (api == API_MESSAGES && !any_kept(refusal, 0) &&
      dom_equals(dom, reason, "tool_use"))
    replace(refusal, reason, "\"end_turn\"");
}

static GBytes *
apply(Edits *edits, const char *text, size_t len)
{
  GString *out = g_string_sized_new(len + 64);

  edits_apply(edits, text, len, out);
  return g_string_free_to_bytes(out);
}

GBytes *
inspection_refuse_tools(const Inspection *inspection,
                        GBytes *body,
                        const bool *refused,
                        const char *message,
                        GError **error)
{
  const Api api = inspection_api(inspection);
  GArray *sites = g_array_new(FALSE, TRUE, sizeof(CallSite));
  gsize len;
  const char *text = g_bytes_get_data(body, &len);
  GBytes *out = NULL;
  unsigned n;
  Edits edits;
  Dom dom;

  inspection_tool_calls(inspection, &n);
  dom_init(&dom);
  edits_init(&edits);
  if (dom_parse(&dom, text, len, error)) {
    calls_find(&dom, api, sites);
    if (sites->len != n) {
      g_set_error_literal(error,
                          INSPECT_ERROR,
                          INSPECT_ERROR_ENGINE,
                          "the answer is not the one that was inspected");
    } else {
      const Refusal refusal = {&dom, sites, refused, message, &edits};

      if (api == API_CHAT)
        refuse_chat(&refusal);
      else
        refuse_items(&refusal, api);
      out = apply(&edits, text, len);
    }
  }
  call_sites_free(sites);
  edits_clear(&edits);
  dom_clear(&dom);
  return out;
}
