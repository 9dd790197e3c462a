/* SPDX-License-Identifier: Apache-2.0 */
/* What anybody may post as logs: whatever is taken has a key, and says of its
 * place what its stored attributes say of it again. */
#include "hub/audit/logs.h"
#include "tests/fuzz/fail.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_row(const AuditLogs *logs, const AuditRow *row)
{
  g_autoptr(Document) attributes =
      document_parse(row->attributes, strlen(row->attributes), NULL);
  AuditPlace place;
  bool placed;
  const char *why = NULL;

  if (!row->key || !*row->key || row->resource >= logs->resources->len)
    fail("a row without key or resource");
  if (!attributes)
    fail("attributes that cannot be read again");
  if (!audit_place_read(attributes, row->at_us, &placed, &place, &why) ||
      placed != row->placed)
    fail("a place that is lost");
  if (placed &&
      (place.content != row->place.content || place.seq != row->place.seq ||
       memcmp(place.hash, row->place.hash, SHA256_LEN) != 0))
    fail("another place");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(AuditLogs) logs =
      audit_logs_parse((const char *)data, size, "fuzz", &error);

  if (!logs != !!error)
    fail("no reason");
  if (!logs)
    return 0;
  if (!logs->rejected != !logs->why)
    fail("records that went without a reason");
  for (unsigned i = 0; i < logs->rows->len; i++)
    check_row(logs, &g_array_index(logs->rows, AuditRow, i));
  return 0;
}
