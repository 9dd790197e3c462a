/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the table of request heads. */
#include "http-vectors.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void
vector_free(void *data)
{
  Vector *vector = data;
  g_free(vector->expected);
  g_byte_array_unref(vector->bytes);
  g_free(vector);
}

/* \r \n \t \\ \xHH; everything else stands for itself. */
static GByteArray *
unescape(const char *text)
{
  GByteArray *bytes = g_byte_array_new();
  for (const char *at = text; *at; at++) {
    uint8_t byte = (uint8_t)*at;
    if (byte == '\\') {
      at++;
      if (*at == 'x') {
        byte = (uint8_t)(g_ascii_xdigit_value(at[1]) * 16 +
                         g_ascii_xdigit_value(at[2]));
        at += 2;
      } else {
        g_assert_nonnull(strchr("rnt\\", *at));
        byte = (uint8_t)(*at == 'r'   ? '\r'
                         : *at == 'n' ? '\n'
                         : *at == 't' ? '\t'
                                      : '\\');
      }
    }
    g_byte_array_append(bytes, &byte, 1);
  }
  return bytes;
}

GPtrArray *
vectors_load(void)
{
  g_autofree char *path =
      g_test_build_filename(G_TEST_DIST, "unit", "http-requests.txt", NULL);
  g_autofree char *text = NULL;
  g_autoptr(GError) error = NULL;
  g_file_get_contents(path, &text, NULL, &error);
  g_assert_no_error(error);
  GPtrArray *vectors = g_ptr_array_new_with_free_func(vector_free);
  g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
  for (int i = 0; lines[i]; i++) {
    if (lines[i][0] == '#' || lines[i][0] == '\0')
      continue;
    g_auto(GStrv) fields = g_strsplit(lines[i], "\t", 3);
    g_assert_cmpuint(g_strv_length(fields), ==, 3);
    Vector *vector = g_new0(Vector, 1);
    vector->line = i + 1;
    vector->status = atoi(fields[0]);
    vector->expected = g_strdup(fields[1]);
    vector->bytes = unescape(fields[2]);
    g_ptr_array_add(vectors, vector);
  }
  return vectors;
}
