/* SPDX-License-Identifier: Apache-2.0 */
/* The file of grants: what is taken says the same when it is written again, to
 * the byte; and nothing is taken whose MAC is not ours. */
#include "approve/private.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t key[SHA256_LEN] = {1};

/* With a MAC made here, else no input would come any further. */
static void
check_closed(const GPtrArray *grants, const char *boot)
{
  g_autofree char *text = grants_format(grants, boot, key);
  g_autofree char *name = NULL;
  g_autoptr(GError) error = NULL;
  g_autoptr(GPtrArray) again =
      grants_parse(text, strlen(text), key, &name, &error);

  g_assert_no_error(error);
  g_assert_cmpuint(again->len, ==, grants->len);
  g_assert_cmpstr(name, ==, boot);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  g_autofree char *text = g_strndup((const char *)data, size);
  g_autofree char *boot = NULL;
  g_autofree char *other = NULL;
  g_autofree char *written = NULL;
  g_autoptr(GError) error = NULL;
  g_autoptr(GPtrArray) grants = NULL;

  g_assert_null(grants_parse(text, size, key, &other, NULL));
  g_assert_null(other);
  grants = grants_parse_body(text, size, &boot, &error);
  if (!grants) {
    g_assert_error(error, APPROVE_ERROR, APPROVE_ERROR_STORE);
    g_assert_null(boot);
    return 0;
  }
  written = grants_format_body(grants, boot);
  g_assert_cmpmem(written, strlen(written), text, size);
  for (unsigned i = 0; i < grants->len; i++) {
    const Grant *grant = grants->pdata[i];

    g_assert_null(grant->session);
    g_assert_cmpuint(grant->rules->len, >, 0);
    g_assert_true(grant->user && grant->client && grant->connection);
  }
  check_closed(grants, boot);
  return 0;
}
