/* SPDX-License-Identifier: Apache-2.0 */
/* Where what keeps sessions alive outlasts the agent: the keyring, or, where a
 * person said so, a file that only the user can read. */
#ifndef HOOP_IDENTITY_TOKEN_STORE_H
#define HOOP_IDENTITY_TOKEN_STORE_H

#include "identity/identity.h"
#include "kit/secret.h"

/* Whose secret it is; also the names of the keyring item's attributes. */
typedef struct {
  const char *issuer, *client_id;
} StoreKey;

typedef enum { STORE_KEYRING, STORE_FILE } StorePlace;

typedef struct token_store TokenStore;
typedef struct token_store_call TokenStoreCall;

typedef void (*StoreDone)(const GError *error, void *data);
/* secret: NULL without error when nothing is stored. */
typedef void (*StoreLoaded)(Secret *secret,
                            StorePlace place,
                            const GError *error,
                            void *data);

/* No I/O. Files lie in state_dir, which exists. */
TokenStore *token_store_new(Loop *loop, const char *state_dir);
/* Waits up to 3 s for the keyring to take what is to be saved or cleared, and
 * cancels the rest. Accepts NULL. */
void token_store_free(TokenStore *store);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TokenStore, token_store_free)

/* The file of this session with this end of its name (".token"), in the
 * state_dir; g_free. */
char *token_store_path(const TokenStore *store,
                       const StoreKey *key,
                       const char *suffix);

/* Whether the keyring can be used; `prompt`: the person asked for this and may
 * be asked to unlock it. IDENTITY_ERROR_LOCKED, or _STORE where there is none;
 * not queued behind the others. */
TokenStoreCall *token_store_open(TokenStore *store,
                                 bool prompt,
                                 StoreDone done,
                                 void *data);

/* One after another, in the order of the calls; done never comes from inside.
 * Keys need not outlive the call. Errors as above; no call asks the person.
 * A file is looked for first: it is there only where somebody said so. */
TokenStoreCall *token_store_load(TokenStore *store,
                                 const StoreKey *key,
                                 StoreLoaded done,
                                 void *data);
/* Replaces what is stored there; a file goes when the keyring has it. */
TokenStoreCall *token_store_save(TokenStore *store,
                                 const StoreKey *key,
                                 Secret *secret,
                                 StorePlace place,
                                 StoreDone done,
                                 void *data);
/* Both places; where there was a file, the keyring need not be there. */
TokenStoreCall *token_store_clear(TokenStore *store,
                                  const StoreKey *key,
                                  StoreDone done,
                                  void *data);
/* It will not call done; what saves or clears goes on. */
void token_store_cancel(TokenStoreCall *call);

#endif
