/* SPDX-License-Identifier: Apache-2.0 */
/* What is said when a request fails: reason phrases, each API's error body,
 * request ids. */
#include "http/status.h"
#include "kit/clock.h"
#include "kit/digest.h"
#include "kit/json.h"

/* JSON-RPC 2.0 section 5.1. */
#define RPC_INVALID_REQUEST (-32600)
#define RPC_INTERNAL_ERROR (-32603)

const char *
status_reason(int status)
{
  static const struct {
    int status;
    const char *reason;
  } reasons[] = {
      {100, "Continue"},
      {101, "Switching Protocols"},
      {103, "Early Hints"},
      {200, "OK"},
      {201, "Created"},
      {202, "Accepted"},
      {204, "No Content"},
      {206, "Partial Content"},
      {301, "Moved Permanently"},
      {302, "Found"},
      {303, "See Other"},
      {304, "Not Modified"},
      {307, "Temporary Redirect"},
      {308, "Permanent Redirect"},
      {400, "Bad Request"},
      {401, "Unauthorized"},
      {402, "Payment Required"},
      {403, "Forbidden"},
      {404, "Not Found"},
      {405, "Method Not Allowed"},
      {406, "Not Acceptable"},
      {407, "Proxy Authentication Required"},
      {408, "Request Timeout"},
      {409, "Conflict"},
      {410, "Gone"},
      {411, "Length Required"},
      {412, "Precondition Failed"},
      {413, "Content Too Large"},
      {414, "URI Too Long"},
      {415, "Unsupported Media Type"},
      {416, "Range Not Satisfiable"},
      {417, "Expectation Failed"},
      {421, "Misdirected Request"},
      {422, "Unprocessable Content"},
      {423, "Locked"},
      {424, "Failed Dependency"},
      {425, "Too Early"},
      {426, "Upgrade Required"},
      {428, "Precondition Required"},
      {429, "Too Many Requests"},
      {431, "Request Header Fields Too Large"},
      {451, "Unavailable For Legal Reasons"},
      {500, "Internal Server Error"},
      {501, "Not Implemented"},
      {502, "Bad Gateway"},
      {503, "Service Unavailable"},
      {504, "Gateway Timeout"},
      {505, "HTTP Version Not Supported"},
      {507, "Insufficient Storage"},
      {529, "Overloaded"},
  };
  for (unsigned i = 0; i < G_N_ELEMENTS(reasons); i++)
    if (reasons[i].status == status)
      return reasons[i].reason;
  return ""; /* the phrase may be empty (RFC 9112 section 4) */
}

/* Anthropic's names: https://docs.anthropic.com/en/api/errors */
static const char *
messages_type(int status)
{
  switch (status) {
  case 401:
    return "authentication_error";
  case 403:
    return "permission_error";
  case 404:
    return "not_found_error";
  case 413:
    return "request_too_large";
  case 429:
    return "rate_limit_error";
  case 529:
    return "overloaded_error";
  default:
    return status >= 500 ? "api_error" : "invalid_request_error";
  }
}

/* Appends "name":"text" or "name":null. */
static void
append_member(GString *out, const char *name, const char *text)
{
  g_string_append_printf(out, "\"%s\":", name);
  if (!text) {
    g_string_append(out, "null");
    return;
  }
  g_autofree char *valid = g_utf8_make_valid(text, -1);
  g_string_append_c(out, '"');
  json_escape(out, valid, -1);
  g_string_append_c(out, '"');
}

static void
append_rpc_error(GString *out,
                 int status,
                 const char *code,
                 const char *message)
{
  g_string_append_printf(
      out,
      "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":%d,",
      status >= 500 ? RPC_INTERNAL_ERROR : RPC_INVALID_REQUEST);
  append_member(out, "message", message);
  g_string_append_printf(out, ",\"data\":{\"status\":%d,", status);
  append_member(out, "code", code);
  g_string_append(out, "}}}");
}

char *
http_error_body(Api api, int status, const char *code, const char *message)
{
  GString *out = g_string_new(NULL);
  const char *type = status >= 500 ? "server_error" : "invalid_request_error";
  if (api == API_MCP) {
    append_rpc_error(out, status, code, message);
    return g_string_free(out, FALSE);
  }
  if (api == API_MESSAGES) {
    g_string_append(out, "{\"type\":\"error\",\"error\":{");
    type = messages_type(status);
  } else {
    g_string_append(out, "{\"error\":{");
  }
  append_member(out, "message", message);
  g_string_append_printf(out, ",\"type\":\"%s\",", type);
  append_member(out, "code", code);
  g_string_append(out, "}}");
  return g_string_free(out, FALSE);
}

char *
http_request_id_new(void)
{
  /* As GitHub's front ends write it: five groups of upper-case hex, the last
   * one the time in seconds. */
  struct {
    uint16_t connection;
    uint32_t a, b, c;
  } random;
  random_bytes(&random, sizeof random);
  return g_strdup_printf("%04X:%06X:%07X:%07X:%08X",
                         random.connection,
                         random.a & 0xffffff,
                         random.b & 0xfffffff,
                         random.c & 0xfffffff,
                         (unsigned)(clock_wall_us() / G_USEC_PER_SEC));
}
