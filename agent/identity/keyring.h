/* SPDX-License-Identifier: Apache-2.0 */
/* The desktop's keyring (Secret Service) through libsecret, which is loaded
 * when it is first asked: solo mode and machines never pay for it. */
#ifndef HOOP_IDENTITY_KEYRING_H
#define HOOP_IDENTITY_KEYRING_H

#include "identity/token-store.h"

typedef struct keyring Keyring;
typedef struct keyring_call KeyringCall;

/* No I/O. */
Keyring *keyring_new(void);
/* Calls that run must have been cancelled. Accepts NULL. */
void keyring_free(Keyring *keyring);

/* All of these answer from the default GMainContext, never from inside; what
 * they are given is copied. Nothing ever asks the person but keyring_open()
 * with `prompt`. Errors: IDENTITY_ERROR_LOCKED, or _STORE for a desktop
 * without keyring and all else. */
KeyringCall *keyring_open(Keyring *keyring,
                          bool prompt,
                          StoreDone done,
                          void *data);
/* secret: NULL without error when there is none. */
KeyringCall *keyring_load(Keyring *keyring,
                          const StoreKey *key,
                          void (*done)(Secret *secret,
                                       const GError *error,
                                       void *data),
                          void *data);
/* Replaces what is there. */
KeyringCall *keyring_save(Keyring *keyring,
                          const StoreKey *key,
                          Secret *secret,
                          StoreDone done,
                          void *data);
KeyringCall *keyring_clear(Keyring *keyring,
                           const StoreKey *key,
                           StoreDone done,
                           void *data);
/* Ends it without done; what was sent may still be done. */
void keyring_cancel(KeyringCall *call);

#endif
