/* SPDX-License-Identifier: Apache-2.0 */
/* The store's tables. Private to the store. */
#ifndef HOOP_HUB_SCHEMA_H
#define HOOP_HUB_SCHEMA_H

#include "hub/store/db.h"

extern const DbPart store_part;

#endif
