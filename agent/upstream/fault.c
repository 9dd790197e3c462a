/* SPDX-License-Identifier: Apache-2.0 */
/* What went wrong, in words that name the host and what to do about it; curl
 * and OpenSSL speak to programmers. */
#include "upstream/private.h"

#include "upstream/tls.h"

#include <openssl/err.h>
#include <string.h>

#define HTTP_PROXY_AUTH 407

typedef struct {
  const Upstream *upstream;
  CURL *easy;
  CURLcode code;
  const char *where;  /* host:port */
  const char *detail; /* curl's words, may be empty */
  bool via_proxy;
} Fault;

static long
info_long(const Fault *fault, CURLINFO info)
{
  long value = 0;

  curl_easy_getinfo(fault->easy, info, &value);
  return value;
}

static GError *cannot(UpstreamErrorCode code, const char *format, ...)
    G_GNUC_PRINTF(2, 3);

static GError *
cannot(UpstreamErrorCode code, const char *format, ...)
{
  GError *error;
  va_list args;

  va_start(args, format);
  error = g_error_new_valist(UPSTREAM_ERROR, (gint)code, format, args);
  va_end(args);
  return error;
}

static const char *
os_text(const Fault *fault)
{
  long number = info_long(fault, CURLINFO_OS_ERRNO);

  if (fault->code == CURLE_OPERATION_TIMEDOUT)
    return "no answer in time";
  return number != 0 ? g_strerror((gint)number) : "it closed the connection";
}

/* OpenSSL's last words without "OpenSSL/3: error:0A000410:SSL routines::" or
 * curl's "SSL_connect: " in front. */
static char *
plain_detail(const char *detail)
{
  const char *text = g_strrstr(detail, "::");

  if (text != NULL)
    text += 2;
  else if ((text = strstr(detail, "SSL_connect: ")) != NULL)
    text += strlen("SSL_connect: ");
  else
    text = detail;
  return g_strstrip(g_strdup(*text != '\0' ? text : "no reason was given"));
}

/* The connection ended under the handshake, and neither side found fault with
 * the other: curl has a system call's error then and no OpenSSL's, or OpenSSL
 * missed the close_notify. */
static bool
broke_off(const Fault *fault)
{
  static const char *const SIGNS[] = {"Recv failure: ",
                                      "Send failure: ",
                                      "SSL_connect: ",
                                      "unexpected eof while reading"};

  if (fault->code != CURLE_SSL_CONNECT_ERROR)
    return false;
  for (gsize i = 0; i < G_N_ELEMENTS(SIGNS); i++)
    if (strstr(fault->detail, SIGNS[i]) != NULL)
      return true;
  return false;
}

static char *
ca_hint(const char *group)
{
  return g_strdup_printf("; a private authority's certificate belongs into the "
                         "file that [%s] ca-file names",
                         group);
}

static GError *
tls_fault(const Fault *fault)
{
  long verify = info_long(fault, CURLINFO_SSL_VERIFYRESULT);
  g_autofree char *detail = NULL;
  g_autofree char *hint = NULL;
  const char *why;
  bool hint_ca;

  if (broke_off(fault))
    return cannot(UPSTREAM_ERROR_CONNECT,
                  "cannot connect to %s: the connection ended inside the TLS "
                  "handshake, before anything was sent; the server, or a "
                  "firewall or proxy on the way, closed it",
                  fault->where);

  if (fault->code == CURLE_PEER_FAILED_VERIFICATION && verify != X509_V_OK) {
    why = tls_verify_text(verify, &hint_ca);
    hint = hint_ca ? ca_hint(fault->upstream->group) : NULL;
    return cannot(UPSTREAM_ERROR_TLS,
                  "%s cannot be trusted: %s%s",
                  fault->where,
                  why,
                  hint ? hint : "");
  }
  if (strstr(fault->detail, "invalid status response") != NULL)
    return cannot(UPSTREAM_ERROR_TLS,
                  "%s cannot be trusted: its certificate was revoked, or "
                  "demands a proof of validity (OCSP staple) that it did "
                  "not send",
                  fault->where);
  detail = plain_detail(fault->detail);
  return cannot(UPSTREAM_ERROR_TLS,
                "no secure connection with %s: %s (TLS 1.2 or newer with "
                "forward secrecy and SHA-2 is needed)",
                fault->where,
                detail);
}

static GError *
proxy_fault(const Fault *fault)
{
  const char *proxy = fault->upstream->proxy_name;
  long status = info_long(fault, CURLINFO_HTTP_CONNECTCODE);

  if (status == HTTP_PROXY_AUTH)
    return cannot(UPSTREAM_ERROR_PROXY,
                  "the proxy %s answered 407: the file that [upstream] "
                  "proxy-credentials-file names must hold its user:password",
                  proxy);
  if (status >= 300)
    return cannot(UPSTREAM_ERROR_PROXY,
                  "the proxy %s answered %ld and does not connect to %s",
                  proxy,
                  status,
                  fault->where);
  return cannot(UPSTREAM_ERROR_PROXY,
                "the proxy %s did not connect to %s: %s; check [upstream] "
                "proxy",
                proxy,
                fault->where,
                fault->code == CURLE_COULDNT_RESOLVE_PROXY
                    ? "its name is unknown"
                    : os_text(fault));
}

static bool
is_tls(CURLcode code)
{
  return code == CURLE_SSL_CONNECT_ERROR ||
         code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CIPHER ||
         code == CURLE_SSL_CERTPROBLEM || code == CURLE_SSL_CLIENTCERT ||
         code == CURLE_SSL_ISSUER_ERROR || code == CURLE_SSL_ENGINE_INITFAILED;
}

/* Nothing was sent yet. */
static GError *
fault_before_request(const Fault *fault)
{
  long tunnel = info_long(fault, CURLINFO_HTTP_CONNECTCODE);

  if (is_tls(fault->code))
    return tls_fault(fault);
  if (fault->code == CURLE_OUT_OF_MEMORY)
    return cannot(UPSTREAM_ERROR_CONNECT,
                  "cannot connect to %s: this machine is out of memory or "
                  "descriptors",
                  fault->where);
  /* Behind an open tunnel only the handshake is left, and its time. */
  if (fault->via_proxy &&
      (tunnel < 200 || tunnel > 299 || fault->code != CURLE_OPERATION_TIMEDOUT))
    return proxy_fault(fault);
  if (fault->code == CURLE_COULDNT_RESOLVE_HOST)
    return cannot(UPSTREAM_ERROR_RESOLVE,
                  "cannot resolve %.*s: is the name right, and does DNS work "
                  "here?",
                  (int)(strrchr(fault->where, ':') - fault->where),
                  fault->where);
  return cannot(UPSTREAM_ERROR_CONNECT,
                "cannot connect to %s: %s",
                fault->where,
                os_text(fault));
}

static GError *
fault_after_request(const UpstreamRequest *request, const Fault *fault)
{
  const char *where = fault->where;

  if (request->fault != NULL)
    return cannot(UPSTREAM_ERROR_PROTOCOL,
                  "the answer of %s was refused: %s",
                  where,
                  request->fault);
  if (request->not_resent && request->idempotent)
    return cannot(UPSTREAM_ERROR_CUT,
                  "%s closed the connection before it answered, twice",
                  where);
  if (request->not_resent)
    return cannot(UPSTREAM_ERROR_CUT,
                  "%s closed the connection before it answered; the request "
                  "was not sent again because it may have been acted on",
                  where);
  if (fault->code == CURLE_OPERATION_TIMEDOUT)
    return cannot(UPSTREAM_ERROR_TIMEOUT,
                  "%s sent nothing for %u s",
                  where,
                  request->upstream->idle_timeout);
  if (fault->code == CURLE_UNSUPPORTED_PROTOCOL ||
      fault->code == CURLE_WEIRD_SERVER_REPLY ||
      fault->code == CURLE_BAD_CONTENT_ENCODING)
    return cannot(UPSTREAM_ERROR_PROTOCOL,
                  "the answer of %s was refused: it is not HTTP",
                  where);
  /* One line beyond curl's own bound. */
  if (fault->code == CURLE_OUT_OF_MEMORY && !request->head.complete)
    return cannot(UPSTREAM_ERROR_PROTOCOL,
                  "the answer of %s was refused: its header exceeds 64 KiB",
                  where);
  if (is_tls(fault->code))
    return tls_fault(fault);
  return cannot(UPSTREAM_ERROR_CUT,
                request->head.complete
                    ? "%s ended its answer before it was complete"
                    : "%s closed the connection before it answered",
                where);
}

GError *
fault_of_request(const UpstreamRequest *request, CURLcode code)
{
  g_autofree char *where =
      host_port(request->target.host, request->target.port);
  Fault fault = {.upstream = request->upstream,
                 .easy = request->handle->easy,
                 .code = code,
                 .where = where,
                 .detail = request->handle->error,
                 .via_proxy = request->via_proxy};

  if (request->requested)
    return fault_after_request(request, &fault);
  return fault_before_request(&fault);
}

GError *
fault_of_connect(const Upstream *upstream,
                 CURL *easy,
                 const char *where,
                 bool via_proxy,
                 CURLcode code)
{
  Fault fault = {.upstream = upstream,
                 .easy = easy,
                 .code = code,
                 .where = where,
                 .detail = "",
                 .via_proxy = via_proxy};

  return fault_before_request(&fault);
}

GError *
upstream_tls_fault(const SSL *ssl, const char *host, const char *group)
{
  const long verify = SSL_get_verify_result(ssl);
  g_autofree char *hint = NULL;
  const char *why, *reason;
  bool hint_ca;

  if (verify != X509_V_OK) {
    why = tls_verify_text(verify, &hint_ca);
    hint = hint_ca ? ca_hint(group) : NULL;
    return cannot(UPSTREAM_ERROR_TLS,
                  "%s cannot be trusted: %s%s",
                  host,
                  why,
                  hint ? hint : "");
  }
  reason = ERR_reason_error_string(ERR_peek_last_error());
  return cannot(UPSTREAM_ERROR_TLS,
                "no secure connection with %s: %s (TLS 1.2 or newer with "
                "forward secrecy and SHA-2 is needed)",
                host,
                reason ? reason : "it ended the handshake");
}
