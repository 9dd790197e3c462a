/* SPDX-License-Identifier: Apache-2.0 */
/* Members of JSON objects by name. */
#include "cli/member.h"

struct json_object *
json_member(struct json_object *json, const char *key)
{
  struct json_object *value = NULL;

  if (json_object_is_type(json, json_type_object))
    json_object_object_get_ex(json, key, &value);
  return value;
}

const char *
json_member_text(struct json_object *json, const char *key)
{
  struct json_object *value = json_member(json, key);

  return json_object_is_type(value, json_type_string)
             ? json_object_get_string(value)
             : NULL;
}

size_t
json_items(struct json_object *list)
{
  return json_object_is_type(list, json_type_array)
             ? json_object_array_length(list)
             : 0;
}
