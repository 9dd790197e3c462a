/* SPDX-License-Identifier: Apache-2.0 */
/* One bounded exchange of a form, or of nothing, for a JSON object. */
#ifndef HOOP_IDENTITY_WEB_H
#define HOOP_IDENTITY_WEB_H

#include "identity/fields.h"
#include "kit/buf.h"
#include "kit/loop.h"
#include "upstream/upstream.h"

/* Bytes of a form that is sent: the largest holds an ID token or two. */
#define WEB_MAX_FORM ((size_t)128 * 1024)

/* Adds name=value to a form (application/x-www-form-urlencoded) or a query;
 * nothing when value is NULL. What does not fit sets form->refused. */
void form_add(Buf *form, const char *name, const char *value);
/* Adds the value alone, in the same encoding. */
void form_encode(Buf *form, const char *value);

/* True for an https URL of printable ASCII with a host, without user, quotes,
 * backslash or fragment, of at most 2 KiB. */
bool web_url_is_safe(const char *url);
/* Its host and port, for people. */
char *web_host(const char *url);

typedef struct web_call WebCall;

typedef struct {
  const char *url;      /* https */
  Buf *form;            /* POSTed and emptied, or NULL: GET */
  Secret *bearer;       /* Authorization: Bearer (RFC 6750), or NULL */
  const char *basic;    /* Authorization: Basic, encoded, or NULL */
  bool body_is_nothing; /* the status tells all (RFC 7009 section 2.2) */
} WebAsk;

typedef struct {
  int status;    /* 200 to 299, or 400 to 499 when the body is an object */
  Fields fields; /* of the body, during the call; none when it is nothing */
} WebAnswer;

/* Exactly one of both. Errors: IDENTITY_ERROR_UNREACHABLE for network, TLS,
 * 5xx, 429 and time; _PROTOCOL for redirects (none is followed, whatever it
 * says), bodies that are no JSON object, in a content coding or larger than
 * 256 KiB; _PROVIDER for other errors of HTTP. Their texts are printable and
 * hold nothing of a body or of a header. */
typedef void (*WebDone)(const WebAnswer *answer,
                        const GError *error,
                        void *data);

/* Starts it; done is the last call, within 30 s, never from inside this one.
 * NULL with error and no call for a URL that cannot be asked. */
WebCall *web_ask(Loop *loop,
                 Upstream *upstream,
                 const WebAsk *ask,
                 WebDone done,
                 void *data,
                 GError **error);
/* Ends it without done. Accepts NULL; safe inside callbacks. */
void web_cancel(WebCall *call);

#endif
