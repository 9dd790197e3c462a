/* SPDX-License-Identifier: Apache-2.0 */
/* Writes members into the JSON object that ends a text: each behind a comma
 * unless it follows the object's brace. */
#ifndef HOOP_KIT_JSON_PUT_H
#define HOOP_KIT_JSON_PUT_H

#include <glib.h>
#include <stdint.h>

/* A string, escaped; nothing when value is NULL. */
void json_put_text(GString *out, const char *name, const char *value);
/* What is JSON already. */
void json_put_raw(GString *out, const char *name, const char *json);
void json_put_number(GString *out, const char *name, int64_t value);
/* An array of strings; NULL is an empty one. */
void json_put_texts(GString *out, const char *name, char *const *values);

#endif
