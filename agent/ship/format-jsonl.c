/* SPDX-License-Identifier: Apache-2.0 */
/* Records as JSON lines: flat objects, one a line. */
#include "ship/format.h"

#include "kit/clock.h"
#include "kit/json.h"

static void
member(GString *out, const char *name, const char *text)
{
  g_string_append_printf(out, ",\"%s\":\"", name);
  json_escape(out, text, -1);
  g_string_append_c(out, '"');
}

static void
list_member(GString *out, const char *name, char **list)
{
  g_string_append_printf(out, ",\"%s\":[", name);
  for (char **item = list; *item; item++) {
    g_string_append(out, item == list ? "\"" : ",\"");
    json_escape(out, *item, -1);
    g_string_append_c(out, '"');
  }
  g_string_append_c(out, ']');
}

void
jsonl_write(GString *out, const Record *record, const ShipSource *source)
{
  g_autofree char *time = clock_rfc3339(record->wall_us);

  g_string_append_printf(out, "{\"time\":\"%s\"", time);
  member(out, "event", record->event);
  member(out, "severity", severity_name(record->severity));
  member(out, "message", record->said);
  member(out, "service.name", "hoop-agent");
  member(out, "service.version", source->version);
  member(out, "host.name", source->host);
  member(out, "process.owner", source->user);
  if (record->trace[0])
    member(out, "trace_id", record->trace);
  for (unsigned i = 0; i < record->attributes->len; i++) {
    const Attribute *one = &g_array_index(record->attributes, Attribute, i);

    switch (one->type) {
    case ATTRIBUTE_TEXT:
      member(out, one->name, one->text);
      break;
    case ATTRIBUTE_NUMBER:
      g_string_append_printf(
          out, ",\"%s\":%lld", one->name, (long long)one->number);
      break;
    case ATTRIBUTE_LIST:
      list_member(out, one->name, one->list);
      break;
    }
  }
  g_string_append(out, "}\n");
}
