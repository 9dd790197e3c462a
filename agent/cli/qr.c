/* SPDX-License-Identifier: Apache-2.0 */
/* A QR code in half blocks: two modules of a column to one character, so that
 * a code of 33 modules takes 37 by 19 characters with its margin. */
#include "config.h"

#include "cli/qr.h"
#ifdef HAVE_QRENCODE
#include <qrencode.h>
#include <stdbool.h>

/* Light modules around it; scanners do with two. */
#define MARGIN 2
/* A terminal of 80 columns has room for no more. */
#define MAX_MODULES 73

static bool
is_dark(const QRcode *code, int x, int y)
{
  return x >= 0 && y >= 0 && x < code->width && y < code->width &&
         (code->data[y * code->width + x] & 1);
}

char *
qr_text(const char *text)
{
  QRcode *code = QRcode_encodeString(text, 0, QR_ECLEVEL_L, QR_MODE_8, 1);
  GString *out;

  if (!code || code->width > MAX_MODULES) {
    QRcode_free(code);
    return NULL;
  }
  out = g_string_new(NULL);
  for (int y = -MARGIN; y < code->width + MARGIN; y += 2) {
    g_string_append(out, "\033[38;5;16;48;5;231m");
    for (int x = -MARGIN; x < code->width + MARGIN; x++) {
      bool upper = is_dark(code, x, y), lower = is_dark(code, x, y + 1);

      g_string_append(out,
                      upper   ? lower ? "\u2588" : "\u2580"
                      : lower ? "\u2584"
                              : " ");
    }
    g_string_append(out, "\033[0m\n");
  }
  QRcode_free(code);
  return g_string_free(out, FALSE);
}
#else
char *
qr_text(const char *text)
{
  (void)text;
  return NULL;
}
#endif
