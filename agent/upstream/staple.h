/* SPDX-License-Identifier: Apache-2.0 */
/* Stapled OCSP answers (RFC 6066 section 8, RFC 7633): a revoked certificate
 * is refused, and so is one that must be stapled and is not. */
#ifndef HOOP_UPSTREAM_STAPLE_H
#define HOOP_UPSTREAM_STAPLE_H

#include <openssl/ssl.h>
#include <stdbool.h>

/* Asks servers for a staple and judges it in the handshake. */
bool staple_prepare(SSL_CTX *ctx);

#endif
