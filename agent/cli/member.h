/* SPDX-License-Identifier: Apache-2.0 */
/* Looking into JSON that may be anything: what is absent, or of another type,
 * is NULL or nothing. Private. */
#ifndef HOOP_CLI_MEMBER_H
#define HOOP_CLI_MEMBER_H

#include <json-c/json.h>
#include <stddef.h>

/* The value of an object's key; owned by the object. Accepts NULL. */
struct json_object *json_member(struct json_object *json, const char *key);
/* The same where it is a string. */
const char *json_member_text(struct json_object *json, const char *key);
/* How many items a list has; 0 for what is none. Accepts NULL. */
size_t json_items(struct json_object *list);

#endif
