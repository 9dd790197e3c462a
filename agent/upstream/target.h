/* SPDX-License-Identifier: Apache-2.0 */
/* Where a request goes: URLs and host names checked before curl sees them,
 * and which hosts a parent proxy does not serve. */
#ifndef HOOP_UPSTREAM_TARGET_H
#define HOOP_UPSTREAM_TARGET_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct {
  char *host; /* lower case, no brackets, no trailing dot */
  uint16_t port;
  bool ip;      /* an address, not a name */
  bool plain;   /* http */
  char *origin; /* "https://host:port/", what curl connects to */
  char *path;   /* origin-form target as given; "/" when there is none */
} Target;

/* Splits an https URL (RFC 3986), or with plain_loopback an http one to this
 * machine. UPSTREAM_ERROR_PROTOCOL for any other scheme, user info, a fragment,
 * or bytes that do not belong into a URL. */
bool target_parse(Target *target,
                  const char *url,
                  bool plain_loopback,
                  GError **error);
void target_clear(Target *target);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Target, target_clear)

/* The host as curl and messages use it: a name (letters, digits, '-', '_',
 * '.'), a strict dotted quad or an IPv6 address without zone. A last label
 * that is a number in any other form is refused, because inet_aton(3) would
 * read it as an address that nobody judged. Free with g_free; NULL and
 * *is_ip untouched when it is none of them. */
char *host_normalize(const char *host, gssize len, bool *is_ip);

/* True for "host" or "host:port" as a Host field has it. */
bool authority_is_valid(const char *authority);

/* "host:port", IPv6 addresses in brackets; free with g_free. */
char *host_port(const char *host, uint16_t port);

/* True when `list` (curl's CURLOPT_NOPROXY syntax: names with or without a
 * leading dot, addresses, CIDR blocks, or a lone asterisk) names the host. */
bool no_proxy_matches(const char *list, const char *host, bool is_ip);

#endif
