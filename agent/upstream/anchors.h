/* SPDX-License-Identifier: Apache-2.0 */
/* Trust anchors: the system's bundle and the configured file, decoded only
 * when a chain asks for one of them. */
#ifndef HOOP_UPSTREAM_ANCHORS_H
#define HOOP_UPSTREAM_ANCHORS_H

#include <glib.h>
#include <openssl/x509.h>
#include <stdbool.h>

typedef struct anchors Anchors;

/* Reads the system's bundle and `ca_file` (PEM; NULL: none). UPSTREAM_ERROR_TLS
 * when ca_file is unreadable or holds no certificate, or when there is no
 * anchor at all. */
Anchors *anchors_new(const char *ca_file, GError **error);
/* Accepts NULL. After every store handed out was given back. */
void anchors_free(Anchors *anchors);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Anchors, anchors_free)

/* The store to verify with; borrowed. When a file changed since it was read
 * it is read again, and a changed file that cannot be read leaves the former
 * anchors in force. */
X509_STORE *anchors_store(Anchors *anchors);

#endif
