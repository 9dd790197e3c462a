/* SPDX-License-Identifier: Apache-2.0 */
/* The byte classes as one table, tokens, authorities and comma-separated
 * values. */
#include "http/syntax.h"
#include <arpa/inet.h>
#include <string.h>

/* Sixteen bytes a row, from 0x00; the sums of the classes in syntax.h. */
/* clang-format off */
const uint8_t syntax_classes[256] = {
     0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,
     0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,
     0, 13,  0,  1, 13,  1, 13, 13, 12, 12, 13, 13, 12, 15, 15, 12,
    15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 12, 12,  0, 12,  0,  8,
    12, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15,
    15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15,  8,  0,  8,  1, 15,
     1, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15,
    15, 15, 15, 15, 15, 15, 15, 15, 15, 15, 15,  0,  1,  0, 13,  0,
};
/* clang-format on */

/* DNS allows 253 characters and one dot at the end. */
#define MAX_HOST 254

bool
syntax_is_token(const char *text, size_t len)
{
  for (size_t i = 0; i < len; i++)
    if (!syntax_is((uint8_t)text[i], SYNTAX_TOKEN))
      return false;
  return len > 0;
}

static bool
is_port(const char *text, size_t len)
{
  unsigned port = 0;
  if (len < 1 || len > 5)
    return false;
  for (size_t i = 0; i < len; i++) {
    if (!g_ascii_isdigit(text[i]))
      return false;
    port = port * 10 + (unsigned)(text[i] - '0');
  }
  return port >= 1 && port <= 65535;
}

static bool
is_ipv6(const char *text, size_t len)
{
  char name[INET6_ADDRSTRLEN];
  struct in6_addr address;
  if (len >= sizeof name)
    return false;
  memcpy(name, text, len);
  name[len] = '\0';
  return strlen(name) == len && inet_pton(AF_INET6, name, &address) == 1;
}

bool
syntax_is_authority(const char *text, size_t len, bool port_needed)
{
  size_t host = 0;
  if (len > 0 && text[0] == '[') {
    const char *end = memchr(text, ']', len);
    if (!end || !is_ipv6(text + 1, (size_t)(end - text) - 1))
      return false;
    host = (size_t)(end - text) + 1;
  } else {
    while (host < len && syntax_is((uint8_t)text[host], SYNTAX_HOST))
      host++;
    if (host == 0 || host > MAX_HOST)
      return false;
  }
  if (host == len)
    return !port_needed;
  return text[host] == ':' && is_port(text + host + 1, len - host - 1);
}

static bool
is_blank(char byte)
{
  return byte == ' ' || byte == '\t';
}

bool
syntax_list_next(SyntaxList *list, const char **item, size_t *len)
{
  const char *at = list->rest;
  while (is_blank(*at) || *at == ',')
    at++;
  if (!*at)
    return false;
  size_t n = strcspn(at, ",");
  list->rest = at + n;
  while (n > 0 && is_blank(at[n - 1]))
    n--;
  *item = at;
  *len = n;
  return true;
}
