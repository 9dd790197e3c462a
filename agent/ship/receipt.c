/* SPDX-License-Identifier: Apache-2.0 */
/* Receipts: hoop-ship(5). */
#include "ship/receipt.h"

#include <json-c/json.h>
#include <openssl/evp.h>
#include <string.h>

#define KEY_LEN 32
#define SIGNATURE_LEN 64
/* RFC 3339 with anything behind the second. */
#define MAX_TIME 40

char *
receipt_message(const char *journal,
                int64_t seq,
                const char *hash,
                const char *time)
{
  return g_strdup_printf("hoop-receipt-v1\n%s\n%lld\n%s\n%s\n",
                         journal,
                         (long long)seq,
                         hash,
                         time);
}

static const char *
text(struct json_object *json, const char *name)
{
  struct json_object *value = NULL;

  if (!json_object_object_get_ex(json, name, &value) ||
      !json_object_is_type(value, json_type_string))
    return NULL;
  return json_object_get_string(value);
}

/* As everywhere in OTLP's JSON a number may be a string. */
static int64_t
number(struct json_object *json, const char *name)
{
  struct json_object *value = NULL;
  const char *digits = text(json, name);
  guint64 parsed = 0;

  if (digits)
    return g_ascii_string_to_unsigned(digits, 10, 1, INT64_MAX, &parsed, NULL)
               ? (int64_t)parsed
               : 0;
  if (!json_object_object_get_ex(json, name, &value) ||
      !json_object_is_type(value, json_type_int))
    return 0;
  return json_object_get_int64(value);
}

static bool
is_signed(const char *message,
          const uint8_t public_key[KEY_LEN],
          const uint8_t signature[SIGNATURE_LEN])
{
  EVP_PKEY *key =
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, KEY_LEN);
  EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  const bool good = key && ctx &&
                    EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) == 1 &&
                    EVP_DigestVerify(ctx,
                                     signature,
                                     SIGNATURE_LEN,
                                     (const uint8_t *)message,
                                     strlen(message)) == 1;

  EVP_MD_CTX_free(ctx);
  EVP_PKEY_free(key);
  return good;
}

void
receipt_read(ReceiptJson *json, Receipt *out, char **problem)
{
  uint8_t key[KEY_LEN], signature[SIGNATURE_LEN], id[16];
  const char *journal, *hash, *time, *key_hex, *signature_hex;
  g_autofree char *message = NULL;
  Receipt found = {0};

  if (!json_object_is_type(json, json_type_object)) {
    *problem = g_strdup("it is no object");
    return;
  }
  journal = text(json, "journal");
  hash = text(json, "hash");
  time = text(json, "time");
  key_hex = text(json, "public_key");
  signature_hex = text(json, "signature");
  found.seq = number(json, "seq");
  if (!journal || !hash || !time || !key_hex || !signature_hex ||
      found.seq < 1 || strlen(time) > MAX_TIME ||
      strspn(time, "0123456789TZ:.+-") != strlen(time) ||
      !hex_decode(journal, id, sizeof id) ||
      !hex_decode(hash, found.hash, SHA256_LEN) ||
      !hex_decode(key_hex, key, sizeof key) ||
      !hex_decode(signature_hex, signature, sizeof signature)) {
    *problem = g_strdup("it is not whole");
    return;
  }
  message = receipt_message(journal, found.seq, hash, time);
  if (!is_signed(message, key, signature)) {
    *problem = g_strdup("its signature is not that of its key");
    return;
  }
  hex_encode(id, sizeof id, found.journal);
  found.text = g_strdup_printf("{\"journal\":\"%s\",\"seq\":\"%lld\","
                               "\"hash\":\"%s\",\"time\":\"%s\","
                               "\"public_key\":\"%s\",\"signature\":\"%s\"}",
                               journal,
                               (long long)found.seq,
                               hash,
                               time,
                               key_hex,
                               signature_hex);
  *out = found;
}
