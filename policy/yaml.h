/* SPDX-License-Identifier: Apache-2.0 */
/* The little YAML that policy and rule files are written in: one document of
 * mappings, lists and texts, every part with its place in the file. */
#ifndef HOOP_POLICY_YAML_H
#define HOOP_POLICY_YAML_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A policy of a thousand rules is a quarter of this. */
#define YAML_MAX_SIZE (1024 * 1024)
/* Ours need 6; libfyaml promises 64. */
#define YAML_MAX_DEPTH 32

typedef enum { YAML_SCALAR, YAML_LIST, YAML_MAP } YamlKind;

typedef struct yaml_node YamlNode;
struct yaml_node {
  YamlKind kind;
  unsigned line, column; /* from 1 */
  bool plain;            /* SCALAR: written without quotes, not a block */
  char *text;            /* SCALAR: UTF-8, no control bytes but \t and \n */
  GPtrArray *keys;       /* MAP: YamlNode scalars, each text once */
  GPtrArray *items;      /* LIST: YamlNode; MAP: the value beside each key */
};

typedef struct {
  char *name;     /* the file, as messages name it */
  YamlNode *root; /* always a MAP */
} YamlDoc;

/* Parses one document. Refused with POLICY_ERROR_SYNTAX and its place: invalid
 * UTF-8, control characters, lines that begin with %, whatever libfyaml
 * complains of, no or a second document, aliases, anchors, tags, merge keys,
 * keys that are no plain or quoted text, keys given twice, depth and size over
 * the limits. `text` is not referred to afterwards. */
YamlDoc *yaml_parse(const char *name,
                    const char *text,
                    size_t len,
                    GError **error);
/* Reads the file (at most YAML_MAX_SIZE) and parses it; *contents (may be
 * NULL) gets the bytes that were parsed. */
YamlDoc *yaml_load(const char *path, GBytes **contents, GError **error);
/* Accepts NULL. */
void yaml_doc_free(YamlDoc *doc);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(YamlDoc, yaml_doc_free)

/* ---- Reading values; each error is POLICY_ERROR_VALUE with the place ---- */

/* Sets "NAME:LINE:COLUMN: message". Returns false, to be returned on. */
bool yaml_error(const YamlDoc *doc,
                const YamlNode *at,
                GError **error,
                const char *format,
                ...) G_GNUC_PRINTF(4, 5);
/* "NAME:LINE"; free with g_free. */
char *yaml_place(const YamlDoc *doc, const YamlNode *at);

/* The value of a key of a MAP, or NULL. */
const YamlNode *yaml_get(const YamlNode *map, const char *key);
/* True when `node` is a mapping with no keys but these (NULL ends them); the
 * message says which key is unknown in `where` ("a rule") and which valid one
 * is nearest. */
bool yaml_map_check(const YamlDoc *doc,
                    const YamlNode *node,
                    const char *where,
                    const char *const *keys,
                    GError **error);
/* `what` is the key's name in messages. Outputs are untouched on failure. */
bool yaml_text(const YamlDoc *doc,
               const YamlNode *node,
               const char *what,
               char **out,
               GError **error);
/* One text or a list of at least one; NULL terminated. */
bool yaml_texts(const YamlDoc *doc,
                const YamlNode *node,
                const char *what,
                char ***out,
                GError **error);
/* true or false, without quotes. */
bool yaml_bool(const YamlDoc *doc,
               const YamlNode *node,
               const char *what,
               bool *out,
               GError **error);
/* A decimal number from min to max, without quotes. */
bool yaml_number(const YamlDoc *doc,
                 const YamlNode *node,
                 const char *what,
                 int64_t min,
                 int64_t max,
                 int64_t *out,
                 GError **error);
/* One of `names` (NULL ends them); its index. */
bool yaml_choice(const YamlDoc *doc,
                 const YamlNode *node,
                 const char *what,
                 const char *const *names,
                 unsigned *out,
                 GError **error);

#endif
