/* SPDX-License-Identifier: Apache-2.0 */
/* An index as git writes it, or as somebody else did: read or refused, and
 * what was read is found again. */
#include "cli/tracked.h"
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  g_autoptr(Tracked) tracked = size ? tracked_parse(data, size) : NULL;

  if (!tracked)
    return 0;
  if (tracked_count(tracked) > size)
    abort();
  tracked_has(tracked, "a");
  if (tracked_below(tracked, "d") && tracked_count(tracked) == 0)
    abort();
  return 0;
}
