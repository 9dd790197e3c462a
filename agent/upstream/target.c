/* SPDX-License-Identifier: Apache-2.0 */
/* Strict splitting of URLs and host names: what was judged by name must be
 * what is connected to. */
#include "upstream/target.h"

#include "upstream/upstream.h"

#include <arpa/inet.h>
#include <string.h>

/* RFC 1035 section 2.3.4. */
#define MAX_NAME 253
#define MAX_LABEL 63
/* Longer URLs are refused by every server; the front's head limit is lower. */
#define MAX_URL (64 * 1024)

#define SCHEME "https://"
#define DEFAULT_PORT 443
#define PLAIN_SCHEME "http://"
#define PLAIN_PORT 80

static bool
is_number_label(const char *label, size_t len)
{
  if (len >= 2 && label[0] == '0' && (label[1] == 'x' || label[1] == 'X'))
    return true;
  for (size_t i = 0; i < len; i++)
    if (!g_ascii_isdigit(label[i]))
      return false;
  return true;
}

static bool
is_name(const char *name)
{
  size_t len = strlen(name);
  const char *label = name;

  if (len == 0 || len > MAX_NAME)
    return false;
  for (;;) {
    size_t n = strcspn(label, ".");

    if (n == 0 || n > MAX_LABEL || label[0] == '-')
      return false;
    for (size_t i = 0; i < n; i++)
      if (!g_ascii_isalnum(label[i]) && label[i] != '-' && label[i] != '_')
        return false;
    if (label[n] == '\0')
      return !is_number_label(label, n);
    label += n + 1;
  }
}

char *
host_normalize(const char *host, gssize len, bool *is_ip)
{
  g_autofree char *text = NULL;
  uint8_t address[sizeof(struct in6_addr)];
  size_t n = len < 0 ? strlen(host) : (size_t)len;
  bool ip;

  if (n > 0 && host[0] == '[') {
    if (n < 3 || host[n - 1] != ']' || memchr(host, '\0', n) != NULL)
      return NULL;
    text = g_ascii_strdown(host + 1, (gssize)(n - 2));
    if (inet_pton(AF_INET6, text, address) != 1)
      return NULL;
    ip = true;
  } else {
    if (n > 1 && host[n - 1] == '.')
      n--;
    if (n == 0 || memchr(host, '\0', n) != NULL)
      return NULL;
    text = g_ascii_strdown(host, (gssize)n);
    ip = inet_pton(AF_INET, text, address) == 1 ||
         inet_pton(AF_INET6, text, address) == 1;
    if (!ip && !is_name(text))
      return NULL;
  }
  *is_ip = ip;
  return g_steal_pointer(&text);
}

char *
host_port(const char *host, uint16_t port)
{
  return g_strdup_printf(
      strchr(host, ':') != NULL ? "[%s]:%u" : "%s:%u", host, port);
}

/* Reads the port after the host; false unless 1 to 65535 in digits. */
static bool
parse_port(const char *text, size_t len, uint16_t *port)
{
  unsigned value = 0;

  if (len == 0 || len > 5)
    return false;
  for (size_t i = 0; i < len; i++) {
    if (!g_ascii_isdigit(text[i]))
      return false;
    value = value * 10 + (unsigned)(text[i] - '0');
  }
  if (value == 0 || value > G_MAXUINT16)
    return false;
  *port = (uint16_t)value;
  return true;
}

/* Length of the host in an authority: up to the port's colon or the end. */
static size_t
host_length(const char *authority, size_t len)
{
  const char *end;

  if (len > 0 && authority[0] == '[') {
    end = memchr(authority, ']', len);
    return end == NULL ? 0 : (size_t)(end - authority) + 1;
  }
  end = memchr(authority, ':', len);
  return end == NULL ? len : (size_t)(end - authority);
}

bool
authority_is_valid(const char *authority)
{
  size_t len = strlen(authority);
  size_t host_len = host_length(authority, len);
  g_autofree char *host = NULL;
  uint16_t port;
  bool ip;

  host = host_normalize(authority, (gssize)host_len, &ip);
  return host != NULL &&
         (host_len == len ||
          (authority[host_len] == ':' &&
           parse_port(authority + host_len + 1, len - host_len - 1, &port)));
}

static bool
refuse(GError **error, const char *why)
{
  g_set_error(error,
              UPSTREAM_ERROR,
              UPSTREAM_ERROR_PROTOCOL,
              "cannot forward the request: %s",
              why);
  return false;
}

static bool
is_loopback(const char *host)
{
  return strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0 ||
         g_str_has_prefix(host, "127.");
}

bool
target_parse(Target *target,
             const char *url,
             bool plain_loopback,
             GError **error)
{
  const bool plain = plain_loopback && g_str_has_prefix(url, PLAIN_SCHEME);
  const char *scheme = plain ? PLAIN_SCHEME : SCHEME;
  const char *authority = url + strlen(scheme);
  g_autofree char *host = NULL;
  g_autofree char *where = NULL;
  const char *path;
  uint16_t port = plain ? PLAIN_PORT : DEFAULT_PORT;
  bool ip = false;
  size_t len, host_len;

  if (!g_str_has_prefix(url, scheme))
    return refuse(error, "its URL is not https");
  if (strlen(url) > MAX_URL)
    return refuse(error, "its URL is too long");
  len = strcspn(authority, "/?#");
  path = authority + len;
  for (const char *p = path; *p != '\0'; p++)
    if (*p <= ' ' || *p > '~' || *p == '#')
      return refuse(error, "its URL has a fragment or stray bytes");
  host_len = host_length(authority, len);
  host = host_normalize(authority, (gssize)host_len, &ip);
  if (host == NULL)
    return refuse(error, "its URL has no valid host");
  if (host_len < len &&
      (authority[host_len] != ':' ||
       !parse_port(authority + host_len + 1, len - host_len - 1, &port)))
    return refuse(error, "its URL has no valid port");
  if (plain && !(is_loopback(host) && (ip || strcmp(host, "localhost") == 0)))
    return refuse(error, "its URL is http, which only this machine may have");
  where = host_port(host, port);
  *target = (Target){.host = g_steal_pointer(&host),
                     .port = port,
                     .ip = ip,
                     .plain = plain,
                     .origin = g_strconcat(scheme, where, "/", NULL),
                     .path = path[0] == '/' ? g_strdup(path)
                                            : g_strconcat("/", path, NULL)};
  return true;
}

void
target_clear(Target *target)
{
  g_clear_pointer(&target->host, g_free);
  g_clear_pointer(&target->origin, g_free);
  g_clear_pointer(&target->path, g_free);
}

/* True when `address` lies in `block`, an address with an optional /bits. */
static bool
block_holds(const char *block, const char *address)
{
  g_auto(GStrv) parts = g_strsplit(block, "/", 2);
  uint8_t net[sizeof(struct in6_addr)];
  uint8_t ip[sizeof(struct in6_addr)];
  int family = strchr(address, ':') != NULL ? AF_INET6 : AF_INET;
  guint64 bits = family == AF_INET ? 32 : 128;
  size_t bytes;

  if (inet_pton(family, parts[0], net) != 1 ||
      inet_pton(family, address, ip) != 1)
    return false;
  if (parts[1] != NULL &&
      !g_ascii_string_to_unsigned(parts[1], 10, 0, bits, &bits, NULL))
    return false;
  bytes = bits / 8;
  if (memcmp(net, ip, bytes) != 0)
    return false;
  return bits % 8 == 0 || (net[bytes] ^ ip[bytes]) >> (8 - bits % 8) == 0;
}

static bool
domain_holds(const char *domain, const char *host)
{
  g_autofree char *name = NULL;
  size_t len, host_len = strlen(host);

  if (domain[0] == '.')
    domain++;
  name = g_ascii_strdown(domain, -1);
  len = strlen(name);
  if (len > 0 && name[len - 1] == '.')
    name[--len] = '\0';
  if (len == 0 || len > host_len)
    return false;
  return strcmp(host + host_len - len, name) == 0 &&
         (len == host_len || host[host_len - len - 1] == '.');
}

bool
no_proxy_matches(const char *list, const char *host, bool is_ip)
{
  g_auto(GStrv) entries = NULL;

  if (list == NULL)
    return false;
  entries = g_strsplit_set(list, ", \t", -1);
  for (char **entry = entries; *entry != NULL; entry++) {
    if (strcmp(*entry, "*") == 0)
      return true;
    if (**entry == '\0')
      continue;
    if (is_ip ? block_holds(*entry, host) : domain_holds(*entry, host))
      return true;
  }
  return false;
}
