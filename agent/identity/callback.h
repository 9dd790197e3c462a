/* SPDX-License-Identifier: Apache-2.0 */
/* Where the browser brings the provider's answer (RFC 8252 section 7.3): a
 * listener on 127.0.0.1 that takes one, from whoever knows the state. */
#ifndef HOOP_IDENTITY_CALLBACK_H
#define HOOP_IDENTITY_CALLBACK_H

#include "kit/loop.h"
#include "kit/secret.h"

/* What the query of the answer held (RFC 6749 section 4.1.2, RFC 9207). */
typedef struct {
  Secret *code;      /* NULL: the provider refused */
  char *error;       /* its word for why, or NULL */
  char *description; /* as sent: not printable yet; or NULL */
  char *issuer;      /* who answered, or NULL */
} CallbackAnswer;

void callback_answer_clear(CallbackAnswer *answer);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CallbackAnswer, callback_answer_clear)

/* Reads a query without its `?`. False when it is not for this state, has a
 * parameter twice, is no valid encoding, or has neither code nor error. */
bool callback_read(const char *query,
                   const char *state,
                   CallbackAnswer *answer);

typedef struct callback Callback;

/* Listens on 127.0.0.1 at `port` (0: any that is free); connections for which
 * is_ours says no are closed (NULL: everybody's are taken): the state stands in
 * the browser's command line, which other users can read. done is called once,
 * for the first answer with this state: anything but that GET of /callback
 * with the right Host is answered 404 or 400 and changes nothing.
 * IDENTITY_ERROR_CONFIG when the port is taken. */
Callback *callback_new(Loop *loop,
                       uint16_t port,
                       const char *state,
                       bool (*is_ours)(int fd),
                       void (*done)(const CallbackAnswer *answer, void *data),
                       void *data,
                       GError **error);
/* http://127.0.0.1:PORT/callback */
const char *callback_uri(const Callback *callback);
/* No longer listens and will not call done; a page that was begun is still
 * sent. Safe inside done. */
void callback_stop(Callback *callback);
/* Accepts NULL. Not from inside done; the loop must run once more before it
 * is freed. */
void callback_free(Callback *callback);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Callback, callback_free)

#endif
