/* SPDX-License-Identifier: Apache-2.0 */
/* OTLP's JSON encoding of log records (opentelemetry-proto,
 * logs/v1/logs.proto; protocol specification, "JSON Protobuf Encoding"). */
#include "ship/format.h"

#include "kit/json.h"

static void
string_value(GString *out, const char *text)
{
  g_string_append(out, "{\"stringValue\":\"");
  json_escape(out, text, -1);
  g_string_append(out, "\"}");
}

static void
list_value(GString *out, char **list)
{
  g_string_append(out, "{\"arrayValue\":{\"values\":[");
  for (char **item = list; *item; item++) {
    if (item != list)
      g_string_append_c(out, ',');
    string_value(out, *item);
  }
  g_string_append(out, "]}}");
}

static void
write_attribute(GString *out, const Attribute *attribute)
{
  g_string_append_printf(out, "{\"key\":\"%s\",\"value\":", attribute->name);
  switch (attribute->type) {
  case ATTRIBUTE_TEXT:
    string_value(out, attribute->text);
    break;
  case ATTRIBUTE_NUMBER:
    g_string_append_printf(
        out, "{\"intValue\":\"%lld\"}", (long long)attribute->number);
    break;
  case ATTRIBUTE_LIST:
    list_value(out, attribute->list);
    break;
  }
  g_string_append_c(out, '}');
}

void
otlp_write(GString *out, const Record *record)
{
  g_string_append_printf(out,
                         "{\"timeUnixNano\":\"%lld000\","
                         "\"observedTimeUnixNano\":\"%lld000\","
                         "\"severityNumber\":%d,\"severityText\":\"%s\","
                         "\"eventName\":\"%s\",\"body\":",
                         (long long)MAX(record->wall_us, 0),
                         (long long)MAX(record->wall_us, 0),
                         (int)record->severity,
                         severity_name(record->severity),
                         record->event);
  string_value(out, record->said);
  if (record->trace[0])
    g_string_append_printf(out, ",\"traceId\":\"%s\"", record->trace);
  g_string_append(out, ",\"attributes\":[");
  for (unsigned i = 0; i < record->attributes->len; i++) {
    if (i)
      g_string_append_c(out, ',');
    write_attribute(out, &g_array_index(record->attributes, Attribute, i));
  }
  g_string_append(out, "]}");
}

void
otlp_open(GString *out, const ShipSource *source)
{
  const Attribute attributes[] = {
      {"service.name", ATTRIBUTE_TEXT, .text = "hoop-agent"},
      {"service.version", ATTRIBUTE_TEXT, .text = source->version},
      {"service.instance.id", ATTRIBUTE_TEXT, .text = source->instance},
      {"host.name", ATTRIBUTE_TEXT, .text = source->host},
      {"os.type", ATTRIBUTE_TEXT, .text = "linux"},
      {"process.owner", ATTRIBUTE_TEXT, .text = source->user},
  };

  g_string_append(out, "{\"resourceLogs\":[{\"resource\":{\"attributes\":[");
  for (size_t i = 0; i < G_N_ELEMENTS(attributes); i++) {
    if (i)
      g_string_append_c(out, ',');
    write_attribute(out, &attributes[i]);
  }
  g_string_append_printf(out,
                         "]},\"scopeLogs\":[{\"scope\":{\"name\":"
                         "\"hoop-agent.journal\",\"version\":\"%s\"},"
                         "\"logRecords\":[",
                         source->version);
}

void
otlp_close(GString *out)
{
  g_string_append(out, "]}]}]}");
}
