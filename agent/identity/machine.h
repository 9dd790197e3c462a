/* SPDX-License-Identifier: Apache-2.0 */
/* How a machine signed in, so that it can do so again after a restart: in a
 * file that holds no secret. Private to the room. */
#ifndef HOOP_IDENTITY_MACHINE_H
#define HOOP_IDENTITY_MACHINE_H

#include "identity/identity.h"

typedef struct {
  LoginMethod method; /* LOGIN_CLIENT_CREDENTIALS or LOGIN_TOKEN_FILE */
  char *token_file;   /* LOGIN_TOKEN_FILE: absolute; else NULL */
  char *subject;      /* the Person's who it was, and must be again */
} MachineRecord;

void machine_record_clear(MachineRecord *record);

/* Writes the file, 0600. IDENTITY_ERROR_STORE. */
bool machine_remember(const char *path,
                      const MachineRecord *record,
                      GError **error);
/* False when there is none, or, with IDENTITY_ERROR_STORE, when it is not one
 * that this user alone could have written. */
bool machine_recall(const char *path, MachineRecord *record, GError **error);
/* Nothing to remember is fine. */
bool machine_forget(const char *path, GError **error);

#endif
