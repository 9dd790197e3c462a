/* SPDX-License-Identifier: Apache-2.0 */
/* The record between its files. Private to the folder. */
#ifndef HOOP_HUB_AUDIT_PRIVATE_H
#define HOOP_HUB_AUDIT_PRIVATE_H

#include "hub/audit/audit.h"

/* Marks that come with an alert. */
#define AUDIT_MARKS_ALERT                                                      \
  (AUDIT_MARK_EDIT | AUDIT_MARK_FORK | AUDIT_MARK_GAP | AUDIT_MARK_FOREIGN |   \
   AUDIT_MARK_SIGNATURE | AUDIT_MARK_KEY | AUDIT_MARK_HEAD)

#endif
