/* SPDX-License-Identifier: Apache-2.0 */
/* What events of our own are made of, and what is known of the answer that they
 * stand in. */
#include "inspect/filter.h"
#include "kit/clock.h"
#include "kit/digest.h"

#include <string.h>

#define RANDOM_ID 12

void
append_string(GString *out, const char *text)
{
  g_string_append_c(out, '"');
  json_escape(out, text, -1);
  g_string_append_c(out, '"');
}

char *
answer_id(const char *prefix)
{
  uint8_t bytes[RANDOM_ID];
  char hex[2 * RANDOM_ID + 1];

  random_bytes(bytes, sizeof(bytes));
  hex_encode(bytes, sizeof(bytes), hex);
  return g_strconcat(prefix, hex, NULL);
}

void
append_message_item(GString *out,
                    const char *id,
                    const char *status,
                    const char *text)
{
  g_string_append(out, "{\"id\":");
  append_string(out, id);
  g_string_append_printf(out,
                         ",\"type\":\"message\",\"status\":\"%s\","
                         "\"role\":\"assistant\",\"content\":[",
                         status);
  if (text != NULL) {
    g_string_append(out,
                    "{\"type\":\"output_text\",\"annotations\":[],\"text\":");
    append_string(out, text);
    g_string_append_c(out, '}');
  }
  g_string_append(out, "]}");
}

/* ---- Streams ----------------------------------------------------------- */

const char *
head_id(ResponseFilter *filter, const char *prefix)
{
  if (filter->head.id == NULL)
    filter->head.id = answer_id(prefix);
  return filter->head.id;
}

const char *
head_model(ResponseFilter *filter)
{
  return filter->head.model != NULL ? filter->head.model : "unknown";
}

int64_t
head_created(ResponseFilter *filter)
{
  if (filter->head.created <= 0)
    filter->head.created = clock_wall_us() / G_USEC_PER_SEC;
  return filter->head.created;
}

void
head_note(ResponseFilter *filter, uint32_t object, const char *created)
{
  const Dom *dom = &filter->dom;
  int64_t time;

  if (filter->head.id == NULL) {
    filter->head.id = dom_text(dom, dom_member(dom, object, "id"));
    if (filter->head.id != NULL && filter->head.id[0] == '\0')
      g_clear_pointer(&filter->head.id, g_free);
  }
  if (filter->head.model == NULL) {
    filter->head.model = dom_text(dom, dom_member(dom, object, "model"));
    if (filter->head.model != NULL && filter->head.model[0] == '\0')
      g_clear_pointer(&filter->head.model, g_free);
  }
  if (filter->head.created > 0 || created == NULL)
    return;
  time = dom_integer(dom, dom_member(dom, object, created));
  filter->head.created = time > 0 ? time : 0;
}

const char *
call_message(const Call *call)
{
  return call->message != NULL ? call->message : "";
}
