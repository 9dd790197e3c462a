/* SPDX-License-Identifier: Apache-2.0 */
/* A YAML tree as text again. */
#ifndef HOOP_POLICY_EMIT_H
#define HOOP_POLICY_EMIT_H

#include "policy/yaml.h"

/* Appends `text` as a YAML scalar that reads back as the same text; `plain`:
 * without quotes where that is possible. */
void emit_scalar(GString *out, const char *text, bool plain);
/* Appends the node in flow style, on one line. */
void emit_flow(GString *out, const YamlNode *node);
/* Appends a mapping as an item of a list, a key a line: "  - id: …\n". */
void emit_item(GString *out, const YamlNode *map);

#endif
