/* SPDX-License-Identifier: Apache-2.0 */
/* The table of configuration keys. Private to the room. */
#ifndef HOOP_CONFIG_KEYS_H
#define HOOP_CONFIG_KEYS_H

#include "config/config.h"

typedef enum {
  KEY_TEXT,
  KEY_PATH,       /* absolute, or ~/… */
  KEY_LIST,       /* comma separated */
  KEY_GLOBS,      /* absolute paths with wildcards, ; between them */
  KEY_BOOL,       /* true, false */
  KEY_COUNT,      /* unsigned, 1 and up */
  KEY_PORT,       /* 0 to 65535 */
  KEY_SIZE,       /* bytes with K, M, G, into size_t */
  KEY_BIG_SIZE,   /* the same into uint64_t */
  KEY_LOOPBACK,   /* an address of this machine's loopback */
  KEY_DURABILITY, /* full or grouped */
  KEY_BODIES,     /* masked or digest */
  KEY_DAYS,       /* unsigned, 0 too */
  KEY_SHIP        /* otlp, jsonl or syslog */
} KeyKind;

typedef struct {
  ConfigKey key;
  KeyKind kind;
  size_t offset; /* in Config, ConfigConnection or ConfigIdentity */
} KeyRow;

const KeyRow *key_rows(unsigned *n);
/* NULL when there is none. */
const KeyRow *key_find(const char *group, const char *key);
/* The nearest key of that group, or NULL. */
const char *key_nearest(const char *group, const char *key);
/* Parses text into the field of `object`; *why becomes a phrase on failure. */
bool key_set(const KeyRow *row, const char *text, void *object, char **why);

#endif
