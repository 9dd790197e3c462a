/* SPDX-License-Identifier: Apache-2.0 */
/* Answers, machines and signed requests: what is sent to the hub beside the
 * request for a review. */
#include "review/private.h"
#include <string.h>

#define MAX_MACHINE_NAME 256
#define MACHINE_ID_BYTES 16

static Document *
parse(const char *text, size_t len, GError **error)
{
  g_autoptr(GError) why = NULL;
  Document *object = document_parse(text, len, &why);

  if (!object)
    g_set_error_literal(error, REVIEW_ERROR, REVIEW_ERROR_FORM, why->message);
  return object;
}

/* ---- answers --------------------------------------------------------------
 */

void
review_reply_clear(ReviewReply *reply)
{
  g_clear_pointer(&reply->reason, g_free);
}

char *
review_reply_format(const ReviewReply *reply)
{
  GString *out = g_string_new("{");
  char digest[SHA256_HEX_SIZE];

  hex_encode(reply->digest, SHA256_LEN, digest);
  json_put_text(out, "answer", review_outcome_name(reply->answer));
  json_put_text(out, "digest", digest);
  json_put_text(out, "reason", reply->reason);
  g_string_append_c(out, '}');
  return g_string_free(out, FALSE);
}

bool
review_reply_parse(const char *text,
                   size_t len,
                   ReviewReply *out,
                   GError **error)
{
  static const char *const names[] = {"answer", "digest", "reason", NULL};
  g_autoptr(Document) object = parse(text, len, error);
  ReviewReply found = {0};

  if (!object || !member_only(object, names, error))
    return false;
  if (!review_outcome_from_name(document_text(object, "answer"), &found.answer))
    return member_refuse(error, "answer", "is no outcome");
  if (!member_hex(object, "digest", found.digest, SHA256_LEN, error) ||
      !member_text(
          object, "reason", REVIEW_MAX_REASON, false, &found.reason, error))
    return false;
  *out = found;
  return true;
}

/* ---- machines -------------------------------------------------------------
 */

void
review_machine_clear(ReviewMachine *machine)
{
  g_clear_pointer(&machine->name, g_free);
}

char *
review_machine_format(const SigningKey *key,
                      const char *name,
                      const char *issuer,
                      const char *subject)
{
  g_autofree char *whose = g_strdup_printf("%s\n%s", issuer, subject);
  uint8_t signature[SIGNATURE_LEN];
  char hex[2 * SIGNATURE_LEN + 1];
  GString *out;

  if (!review_sign(
          key, REVIEW_CONTEXT_MACHINE, whose, strlen(whose), signature))
    return NULL;
  out = g_string_new("{");
  hex_encode(signing_key_public(key), SIGNING_KEY_LEN, hex);
  json_put_text(out, "public_key", hex);
  hex_encode(signature, sizeof signature, hex);
  json_put_text(out, "signature", hex);
  json_put_text(out, "name", name);
  g_string_append_c(out, '}');
  return g_string_free(out, FALSE);
}

bool
review_machine_parse(const char *text,
                     size_t len,
                     ReviewMachine *out,
                     GError **error)
{
  static const char *const names[] = {"public_key", "signature", "name", NULL};
  g_autoptr(Document) object = parse(text, len, error);
  ReviewMachine found = {.name = NULL};

  if (!object || !member_only(object, names, error) ||
      !member_hex(
          object, "public_key", found.public_key, SIGNING_KEY_LEN, error) ||
      !member_hex(object, "signature", found.signature, SIGNATURE_LEN, error) ||
      !member_text(object, "name", MAX_MACHINE_NAME, true, &found.name, error))
    return false;
  *out = found;
  return true;
}

bool
review_machine_is_of(const ReviewMachine *machine,
                     const char *issuer,
                     const char *subject)
{
  g_autofree char *whose = g_strdup_printf("%s\n%s", issuer, subject);

  return review_verify(machine->public_key,
                       REVIEW_CONTEXT_MACHINE,
                       whose,
                       strlen(whose),
                       machine->signature);
}

char *
review_machine_id(const uint8_t public_key[SIGNING_KEY_LEN])
{
  uint8_t digest[SHA256_LEN];
  char *id = g_malloc(2 * MACHINE_ID_BYTES + 1);

  sha256(public_key, SIGNING_KEY_LEN, digest);
  hex_encode(digest, MACHINE_ID_BYTES, id);
  return id;
}

/* ---- signed requests ------------------------------------------------------
 */

char *
review_request_sign(const SigningKey *key, const void *body, size_t len)
{
  g_autofree char *id = review_machine_id(signing_key_public(key));
  uint8_t signature[SIGNATURE_LEN];
  char hex[2 * SIGNATURE_LEN + 1];

  if (!review_sign(key, REVIEW_CONTEXT_REQUEST, body, len, signature))
    return NULL;
  hex_encode(signature, sizeof signature, hex);
  return g_strdup_printf("%s:%s", id, hex);
}

bool
review_request_parse(const char *header,
                     char **id,
                     uint8_t signature[SIGNATURE_LEN])
{
  const size_t id_len = 2 * MACHINE_ID_BYTES;

  if (strspn(header, "0123456789abcdef") != id_len || header[id_len] != ':' ||
      !hex_decode(header + id_len + 1, signature, SIGNATURE_LEN))
    return false;
  *id = g_strndup(header, id_len);
  return true;
}
