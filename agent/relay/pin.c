/* SPDX-License-Identifier: Apache-2.0 */
/* The pinned key and the machine's own, in files of the state folder. */
#include "kit/file.h"
#include "relay/private.h"
#include <string.h>

#define PIN "hub.pin"
#define MACHINE "machine.key"
#define MAX_PIN 4096

bool
pin_load(const char *state_dir,
         char **url,
         uint8_t key[SIGNING_KEY_LEN],
         GError **error)
{
  g_autofree char *path = g_build_filename(state_dir, PIN, NULL);
  g_autoptr(GBytes) bytes = NULL;
  g_autofree char *text = NULL;
  g_auto(GStrv) lines = NULL;
  gsize len;

  *url = NULL;
  if (!g_file_test(path, G_FILE_TEST_EXISTS))
    return true;
  bytes = file_read_trusted(path, MAX_PIN, FILE_OWN, error);
  if (!bytes)
    return false;
  text = g_strndup(g_bytes_get_data(bytes, &len), g_bytes_get_size(bytes));
  lines = g_strsplit(text, "\n", 4);
  if (g_strv_length(lines) != 3 || *lines[2] ||
      !g_str_has_prefix(lines[0], "https://") ||
      !hex_decode(lines[1], key, SIGNING_KEY_LEN)) {
    g_set_error(error,
                RELAY_ERROR,
                RELAY_ERROR_CONFIG,
                "%s is not as it was written: remove it and run `hoop-agent "
                "enrol` again",
                path);
    return false;
  }
  *url = g_strdup(lines[0]);
  return true;
}

bool
pin_store(const char *state_dir,
          const char *url,
          const uint8_t key[SIGNING_KEY_LEN],
          GError **error)
{
  g_autofree char *path = g_build_filename(state_dir, PIN, NULL);
  g_autofree char *text = NULL;
  char hex[2 * SIGNING_KEY_LEN + 1];

  hex_encode(key, SIGNING_KEY_LEN, hex);
  text = g_strdup_printf("%s\n%s\n", url, hex);
  return file_replace(path, text, strlen(text), 0600, error);
}

SigningKey *
pin_machine(const char *state_dir, GError **error)
{
  g_autofree char *path = g_build_filename(state_dir, MACHINE, NULL);

  return signing_key_load(path, true, error);
}
