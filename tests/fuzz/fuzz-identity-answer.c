/* SPDX-License-Identifier: Apache-2.0 */
/* What a provider answers and what a browser brings: documents, tokens and
 * queries; nothing unsafe is ever taken out of them. */
#include "identity/callback.h"
#include "identity/identity.h"
#include "identity/metadata.h"
#include "identity/web.h"
#include "kit/json.h"
#include "tests/fuzz/fail.h"
#include <string.h>

#define ISSUER "https://idp.example"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_error(const GError *error)
{
  if (!error || error->domain != IDENTITY_ERROR ||
      error->code != IDENTITY_ERROR_PROTOCOL)
    fail("no error, or another's");
  if (!g_utf8_validate(error->message, -1, NULL))
    fail("an error that is not UTF-8");
  for (const char *c = error->message; *c; c++)
    if ((unsigned char)*c < 0x20 || *c == 0x7f)
      fail("a control character in an error");
}

static void
check_url(const char *url)
{
  if (url && !web_url_is_safe(url))
    fail("an unsafe endpoint was taken");
}

static void
check_metadata(const Fields *fields)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(Metadata) metadata = metadata_read(ISSUER, fields, &error);
  g_autofree char *issuer = fields_text(fields, "issuer");

  if (!metadata) {
    check_error(error);
    return;
  }
  if (g_strcmp0(issuer, ISSUER) != 0)
    fail("another issuer's document was taken");
  check_url(metadata->authorization);
  check_url(metadata->token);
  check_url(metadata->device);
  check_url(metadata->userinfo);
  check_url(metadata->revocation);
  check_url(metadata->jwks);
  if (!metadata->jwks)
    fail("a document without keys was taken");
}

static void
check_fields(const Fields *fields)
{
  static const char *const names[] = {"access_token",
                                      "refresh_token",
                                      "id_token",
                                      "device_code",
                                      "user_code",
                                      "error",
                                      "expires_in",
                                      "grant_types_supported"};

  for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
    g_autoptr(Secret) secret = fields_secret(fields, names[i]);
    g_autofree char *text = fields_text(fields, names[i]);
    int64_t number = INT64_MIN;

    if (secret && g_strcmp0(text, secret_text(secret)) != 0)
      fail("a secret that is not the text");
    for (const char *c = secret ? secret_text(secret) : ""; *c; c++)
      if (*c < 0x20 || *c > 0x7e)
        fail("a secret that is not printable");
    if (text && (!*text || !g_utf8_validate(text, -1, NULL)))
      fail("a text that is none");
    if ((text || fields_lists(fields, names[i], "x")) &&
        !fields_has(fields, names[i]))
      fail("a member that is not there");
    if (!fields_number(fields, names[i], &number) && number != INT64_MIN)
      fail("a number that is none");
  }
}

static void
check_query(const char *query)
{
  g_auto(CallbackAnswer) answer = {NULL};

  if (!callback_read(query, "s", &answer)) {
    if (answer.code || answer.error || answer.issuer)
      fail("something of a refused query");
    return;
  }
  if ((answer.code != NULL) == (answer.error != NULL))
    fail("neither code nor error, or both");
  if (!strstr(query, "s"))
    fail("without the state");
}

static void
check_form(const char *value)
{
  Buf form;

  buf_init(&form, WEB_MAX_FORM);
  form_add(&form, "code", value);
  form_add(&form, "state", "s");
  if (!form.refused && *value) {
    g_auto(CallbackAnswer) answer = {NULL};
    g_autofree char *query =
        g_strndup((const char *)buf_bytes(&form), form.len);

    if (callback_read(query, "s", &answer) &&
        !g_str_equal(secret_text(answer.code), value))
      fail("a form does not read as it was written");
  }
  buf_clear(&form);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  g_autofree char *text = g_strndup((const char *)data, size);
  g_autoptr(GError) error = NULL;
  Fields fields;

  check_query(text);
  check_form(text);
  if (!fields_read(&fields, (const char *)data, size, &error)) {
    check_error(error);
    return 0;
  }
  check_fields(&fields);
  check_metadata(&fields);
  return 0;
}
