/* SPDX-License-Identifier: Apache-2.0 */
/* How the other side proves who it is: strength, certificate chain, name and
 * stapled revocation, beyond what curl asks OpenSSL for. */
#ifndef HOOP_UPSTREAM_TLS_H
#define HOOP_UPSTREAM_TLS_H

#include <openssl/ssl.h>
#include <stdbool.h>

/* TLS 1.2 suites (OpenSSL cipher list): forward secrecy and AEAD, at least
 * 112 bits everywhere (RSA 2048, no SHA-1 or MD5 signatures in the chain).
 * TLS 1.3 keeps OpenSSL's three. */
#define TLS_CIPHERS                                                            \
  "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:!aNULL:@SECLEVEL=2"
/* Groups for the key exchange and for EC certificates. */
#define TLS_GROUPS "X25519:P-256:P-384:P-521"

/* Prepares the context of one new connection to `host`: verification against
 * `store` with the name, no renegotiation, no key log. False when OpenSSL
 * refuses. */
bool tls_prepare(SSL_CTX *ctx, X509_STORE *store, const char *host, bool ip);

/* True once the peer ended this connection properly (close_notify), so that
 * the end of a close-delimited body can be believed. */
bool tls_saw_close_notify(const SSL_CTX *ctx);

/* What an X509_V_ERR code means to a person; *hint_ca is set when more trust
 * anchors could help. Static text. */
const char *tls_verify_text(long code, bool *hint_ca);

#endif
