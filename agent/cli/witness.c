/* SPDX-License-Identifier: Apache-2.0 */
/* What is held elsewhere of a journal, as the options and agent.conf say it: a
 * head, the receiver's key, its receipts. */
#include "cli/evidence.h"
#include "kit/digest.h"
#include "kit/file.h"
#include <string.h>

/* "SEQ:" and 64 digits, perhaps with a line end. */
#define MAX_HEAD 256
/* Some 500 bytes each. */
#define MAX_RECEIPTS (16 * 1024 * 1024)

void
witness_clear(Witness *witness)
{
  g_clear_pointer(&witness->head, g_free);
  g_clear_pointer(&witness->receipts, g_strfreev);
}

/* --head names a file that holds SEQ:HASH, or is that itself. */
static char *
show_head(const Call *call, int *code)
{
  const char *text = call_value(call, "head");
  g_autoptr(GError) error = NULL;
  g_autoptr(GBytes) bytes = NULL;

  if (g_ascii_isdigit(text[0]) && strchr(text, ':') &&
      !g_file_test(text, G_FILE_TEST_EXISTS))
    return g_strdup(text);
  bytes = file_read(text, MAX_HEAD, &error);
  if (!bytes) {
    *code = complain(call, CLI_USAGE, "--head: %s", error->message);
    return NULL;
  }
  return g_strstrip(
      g_strndup(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes)));
}

/* The receiver's: --receiver-key, else agent.conf's. */
static bool
take_key(const Call *call, const Config *config, Witness *out, int *code)
{
  const char *text = call_value(call, "receiver-key");
  const char *from = text ? "--receiver-key" : "[ship] receiver-key";

  if (!text)
    text = config->ship_receiver_key;
  if (!text)
    return true;
  out->has_key = hex_decode(text, out->key, sizeof out->key);
  if (!out->has_key)
    *code = complain(call,
                     CLI_USAGE,
                     "%s takes the 64 hex digits of a key, not %s",
                     from,
                     text);
  return out->has_key;
}

/* A list, or one a line; also what the hub answers, {"receipts": [...]}. */
static char **
split_receipts(const char *text, size_t len)
{
  g_autoptr(GStrvBuilder) list = g_strv_builder_new();
  struct json_tokener *tokener = json_tokener_new();
  struct json_object *root = json_tokener_parse_ex(tokener, text, (int)len);
  struct json_object *all = root;
  g_auto(GStrv) lines = NULL;

  if (json_tokener_get_parse_end(tokener) < len &&
      strspn(text + json_tokener_get_parse_end(tokener), " \r\n\t") !=
          len - json_tokener_get_parse_end(tokener))
    g_clear_pointer(&root, json_object_put);
  json_tokener_free(tokener);
  if (root && json_object_is_type(root, json_type_object))
    json_object_object_get_ex(root, "receipts", &all);
  if (root && json_object_is_type(all, json_type_array)) {
    for (size_t i = 0; i < json_object_array_length(all); i++)
      g_strv_builder_add(
          list, json_object_to_json_string(json_object_array_get_idx(all, i)));
  } else {
    lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++)
      if (*g_strstrip(*line))
        g_strv_builder_add(list, *line);
  }
  json_object_put(root);
  return g_strv_builder_end(list);
}

static bool
take_receipts(const Call *call, Witness *out, int *code)
{
  const char *path = call_value(call, "receipts");
  g_autoptr(GError) error = NULL;
  g_autoptr(GBytes) bytes = NULL;
  g_autofree char *text = NULL;

  if (!path)
    return true;
  if (!out->has_key) {
    *code = complain(call,
                     CLI_USAGE,
                     "--receipts needs the key that signs them: [ship] "
                     "receiver-key in agent.conf, or --receiver-key");
    return false;
  }
  bytes = file_read(path, MAX_RECEIPTS, &error);
  if (!bytes) {
    *code = complain(call, CLI_USAGE, "--receipts: %s", error->message);
    return false;
  }
  text = g_strndup(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
  out->receipts = split_receipts(text, strlen(text));
  if (*out->receipts)
    return true;
  *code = complain(call, CLI_USAGE, "--receipts: %s holds none", path);
  return false;
}

bool
witness_take(const Call *call, Witness *out, int *code)
{
  g_autoptr(Config) config = cli_config(call, code);

  if (!config)
    return false;
  if (call_has(call, "head")) {
    out->head = show_head(call, code);
    if (!out->head)
      return false;
  }
  return take_key(call, config, out, code) && take_receipts(call, out, code);
}

JournalWitness
witness_view(const Witness *witness)
{
  return (JournalWitness){.head = witness->head,
                          .receiver_key =
                              witness->has_key ? witness->key : NULL,
                          .receipts = (const char *const *)witness->receipts};
}
