/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures that say what they are about, so that none serves for another use.
 */
#include "review/review.h"
#include <string.h>

G_DEFINE_QUARK(hoop_review_error, review_error)

/* The context, its end, the bytes. */
static GByteArray *
message_of(const char *context, const void *bytes, size_t len)
{
  GByteArray *message = g_byte_array_sized_new((guint)(strlen(context) + len));

  g_byte_array_append(
      message, (const uint8_t *)context, (guint)strlen(context) + 1);
  g_byte_array_append(message, bytes, (guint)len);
  return message;
}

bool
review_sign(const SigningKey *key,
            const char *context,
            const void *bytes,
            size_t len,
            uint8_t out[SIGNATURE_LEN])
{
  g_autoptr(GByteArray) message = message_of(context, bytes, len);

  return signing_key_sign(key, message->data, message->len, out);
}

bool
review_verify(const uint8_t public_key[SIGNING_KEY_LEN],
              const char *context,
              const void *bytes,
              size_t len,
              const uint8_t signature[SIGNATURE_LEN])
{
  g_autoptr(GByteArray) message = message_of(context, bytes, len);

  return signature_verify(public_key, message->data, message->len, signature);
}
