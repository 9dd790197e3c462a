/* SPDX-License-Identifier: Apache-2.0 */
/* Tool calls of whole answers: what the client would execute. */
#include "inspect/calls.h"

#include "inspect/body.h"

#include <string.h>

void
tool_call_clear(ToolCall *call)
{
  g_free(call->id);
  g_free(call->name);
  if (call->arguments != NULL)
    secret_wipe(call->arguments, strlen(call->arguments));
  g_free(call->arguments);
  g_free(call->masked);
  *call = (ToolCall){0};
}

void
call_sites_free(GArray *sites)
{
  for (guint i = 0; i < sites->len; i++)
    tool_call_clear(&g_array_index(sites, CallSite, i).call);
  g_array_unref(sites);
}

/* A text as it is, anything else as its JSON; "" when it is missing. */
static char *
text_or_raw(const Dom *dom, uint32_t node)
{
  char *text;

  if (node == 0)
    return g_strdup("");
  text = dom_text(dom, node);
  return text != NULL ? text : dom_raw(dom, node);
}

static char *
name_or(const Dom *dom, uint32_t node, const char *fallback)
{
  char *text = dom_text(dom, node);

  return text != NULL ? text : g_strdup(fallback);
}

static void
chat_call_read(const Dom *dom, uint32_t node, ToolCall *call)
{
  uint32_t body = dom_member(dom, node, "function");
  const char *arguments = "arguments";

  if (body == 0) {
    body = dom_member(dom, node, "custom");
    arguments = "input";
  }
  if (body == 0) { /* the older function_call is the function itself */
    body = node;
    arguments = "arguments";
  }
  call->id = dom_text(dom, dom_member(dom, node, "id"));
  call->name = name_or(dom, dom_member(dom, body, "name"), "");
  call->arguments = text_or_raw(dom, dom_member(dom, body, arguments));
}

static void
add_site(GArray *sites,
         uint32_t node,
         uint32_t owner,
         int64_t choice,
         ToolCall call)
{
  CallSite site = {.node = node, .owner = owner, .call = call};

  site.call.choice = choice < 0 ? 0 : (unsigned)choice;
  g_array_append_val(sites, site);
}

static void
chat_calls_find(const Dom *dom, GArray *sites)
{
  const uint32_t choices = dom_member(dom, 0, "choices");
  unsigned position = 0;

  if (choices == 0)
    return;
  for (uint32_t choice = dom_child(dom, choices); choice != 0;
       choice = dom_next(dom, choice), position++) {
    const int64_t index = dom_integer(dom, dom_member(dom, choice, "index"));
    const uint32_t message = dom_member(dom, choice, "message");
    const uint32_t calls =
        message != 0 ? dom_member(dom, message, "tool_calls") : 0;
    const uint32_t single =
        message != 0 ? dom_member(dom, message, "function_call") : 0;

    for (uint32_t item = calls != 0 ? dom_child(dom, calls) : 0; item != 0;
         item = dom_next(dom, item)) {
      ToolCall call = {0};

      chat_call_read(dom, item, &call);
      add_site(sites, item, choice, index < 0 ? position : index, call);
    }
    if (single != 0 && dom_node(dom, single)->type == JSON_OBJECT_BEGIN) {
      ToolCall call = {0};

      chat_call_read(dom, single, &call);
      add_site(sites, single, choice, index < 0 ? position : index, call);
    }
  }
}

bool
responses_item_is_call(const Dom *dom, uint32_t item)
{
  static const char *const provider[] = {"web_search_call",
                                         "file_search_call",
                                         "code_interpreter_call",
                                         "image_generation_call",
                                         "mcp_call"};
  const uint32_t type = dom_member(dom, item, "type");
  g_autofree char *text = type != 0 ? dom_text(dom, type) : NULL;

  if (text == NULL || !g_str_has_suffix(text, "_call"))
    return false;
  for (unsigned i = 0; i < G_N_ELEMENTS(provider); i++)
    if (strcmp(text, provider[i]) == 0)
      return false;
  return true;
}

void
responses_call_read(const Dom *dom, uint32_t item, ToolCall *call)
{
  static const char *const members[] = {
      "arguments", "input", "action", "operation"};
  uint32_t value = 0;

  for (unsigned i = 0; value == 0 && i < G_N_ELEMENTS(members); i++)
    value = dom_member(dom, item, members[i]);
  call->id = dom_text(dom, dom_member(dom, item, "call_id"));
  call->name = dom_text(dom, dom_member(dom, item, "name"));
  if (call->name == NULL)
    call->name = name_or(dom, dom_member(dom, item, "type"), "");
  call->arguments = text_or_raw(dom, value);
}

void
messages_call_read(const Dom *dom, uint32_t block, ToolCall *call)
{
  const uint32_t input = dom_member(dom, block, "input");

  call->id = dom_text(dom, dom_member(dom, block, "id"));
  call->name = name_or(dom, dom_member(dom, block, "name"), "");
  call->arguments = text_or_raw(dom, input);
}

static void
item_calls_find(const Dom *dom, Api api, GArray *sites)
{
  const uint32_t list =
      dom_member(dom, 0, api == API_RESPONSES ? "output" : "content");

  if (list == 0)
    return;
  for (uint32_t item = dom_child(dom, list); item != 0;
       item = dom_next(dom, item)) {
    ToolCall call = {0};

    if (api == API_RESPONSES && responses_item_is_call(dom, item))
      responses_call_read(dom, item, &call);
    else if (api == API_MESSAGES &&
             dom_equals(dom, dom_member(dom, item, "type"), "tool_use"))
      messages_call_read(dom, item, &call);
    else
      continue;
    add_site(sites, item, 0, 0, call);
  }
}

void
calls_find(const Dom *dom, Api api, GArray *sites)
{
  if (api == API_CHAT)
    chat_calls_find(dom, sites);
  else if (api == API_RESPONSES || api == API_MESSAGES)
    item_calls_find(dom, api, sites);
}

bool
calls_read(Inspection *inspection, GError **error)
{
  g_autoptr(GArray) sites = NULL;
  gsize len;
  const char *text = g_bytes_get_data(inspection->body, &len);
  Dom dom;

  /* An answer that was read as text has no calls. */
  if (!api_is_generation(inspection->api) ||
      inspection->api == API_COMPLETIONS || len == 0 ||
      inspection->places->len == 0 ||
      g_array_index(inspection->places, FieldPlace, 0).encoding != ENCODED_JSON)
    return true;
  dom_init(&dom);
  if (!dom_parse(&dom, text, len, error)) {
    dom_clear(&dom);
    return false;
  }
  sites = g_array_new(FALSE, TRUE, sizeof(CallSite));
  calls_find(&dom, inspection->api, sites);
  for (guint i = 0; i < sites->len; i++)
    g_array_append_val(inspection->calls,
                       g_array_index(sites, CallSite, i).call);
  dom_clear(&dom);
  return true;
}
