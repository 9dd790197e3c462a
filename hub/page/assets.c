/* SPDX-License-Identifier: Apache-2.0 */
/* What pages load, embedded when the hub was built. */
#include "hub/page/parts.h"
#include <string.h>

/* By embed.sh: bytes, and the table `embedded`. */
#include "hub/page/assets.inc"

const Asset *
asset_find(const char *name)
{
  for (size_t i = 0; i < G_N_ELEMENTS(embedded); i++)
    if (g_str_equal(embedded[i].asset.name, name))
      return &embedded[i].asset;
  return NULL;
}

const char *
asset_path(const char *name)
{
  for (size_t i = 0; i < G_N_ELEMENTS(embedded); i++)
    if (g_str_equal(embedded[i].plain, name))
      return embedded[i].path;
  g_assert_not_reached();
}
