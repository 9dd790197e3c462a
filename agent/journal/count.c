/* SPDX-License-Identifier: Apache-2.0 */
/* One row as counts: itself, and the rules that its verdict names. */
#include "journal/count.h"

#include <json-c/json.h>

int64_t
count_begin(int64_t us, int64_t span_us)
{
  return us - (us % span_us + span_us) % span_us;
}

static void
count_rules(const JournalCount *base,
            struct json_object *verdict,
            bool shadow,
            void (*each)(const JournalCount *count, void *data),
            void *data)
{
  struct json_object *list = NULL;
  size_t n = 0;

  if (json_object_object_get_ex(
          verdict, shadow ? "shadow" : "matched", &list) &&
      json_object_is_type(list, json_type_array))
    n = json_object_array_length(list);
  for (size_t i = 0; i < n; i++) {
    struct json_object *one = json_object_array_get_idx(list, i);
    struct json_object *rule = NULL, *action = NULL;
    JournalCount count = *base;

    if (!json_object_is_type(one, json_type_object) ||
        !json_object_object_get_ex(one, "rule", &rule) ||
        !json_object_is_type(rule, json_type_string))
      continue;
    json_object_object_get_ex(one, "action", &action);
    count.rule = json_object_get_string(rule);
    count.action = action ? json_object_get_string(action) : NULL;
    count.shadow = shadow;
    count.bytes_in = count.bytes_out = 0;
    count.tokens_in = count.tokens_out = 0;
    count.duration_us = 0;
    each(&count, data);
  }
}

void
count_row(const JournalRow *row,
          void (*each)(const JournalCount *count, void *data),
          void *data)
{
  const JournalCount count = {
      .begin_us = count_begin(row->wall_us, HOUR_US),
      .span_us = HOUR_US,
      .kind = row->kind,
      .user = row->user,
      .client = row->client,
      .connection = row->connection,
      .model = row->model,
      .api = row->api,
      .verdict = row->verdict,
      .n = 1,
      .bytes_in = MAX(row->bytes_in, 0),
      .bytes_out = MAX(row->bytes_out, 0),
      .tokens_in = MAX(row->tokens_in, 0),
      .tokens_out = MAX(row->tokens_out, 0),
      .duration_us = MAX(row->duration_us, 0),
      .first_us = row->wall_us,
      .last_us = row->wall_us,
  };
  struct json_object *detail, *verdict = NULL;

  each(&count, data);
  if (row->kind != ROW_REQUEST && row->kind != ROW_RESPONSE &&
      row->kind != ROW_TOOL)
    return;
  detail = row->detail ? json_tokener_parse(row->detail) : NULL;
  if (json_object_is_type(detail, json_type_object) &&
      json_object_object_get_ex(detail, "verdict", &verdict) &&
      json_object_is_type(verdict, json_type_object)) {
    count_rules(&count, verdict, false, each, data);
    count_rules(&count, verdict, true, each, data);
  }
  json_object_put(detail);
}
