/* SPDX-License-Identifier: Apache-2.0 */
/* What stands outside bodies: targets and header fields, which cannot be
 * masked, and the few bodies of signing in, which must not be. */
#include "exchange/state.h"
#include <string.h>

/* The detectors' class for what opens something. Numbers in fields are ids and
 * times, of which one in ten looks like a card's. */
#define SECRET_CLASS "secret"

/* ---- Texts ------------------------------------------------------------------
 */

/* Appends as the server will read it: escapes decoded. What is no text, NUL
 * too, becomes a blank. */
static void
append_decoded(GString *out, const char *text)
{
  for (const char *at = text; *at; at++) {
    char c = *at;

    if (c == '%' && g_ascii_isxdigit(at[1]) && g_ascii_isxdigit(at[2])) {
      c = (char)(g_ascii_xdigit_value(at[1]) << 4 |
                 g_ascii_xdigit_value(at[2]));
      at += 2;
    }
    g_string_append_c(out, c && c != '\n' ? c : ' ');
  }
}

/* The body of a pretended text request that holds these bytes; NULL with an
 * error when they cannot be looked at. */
static Inspection *
inspect_text(ExchangeEnv *env,
             Direction direction,
             const GString *text,
             GError **error)
{
  char *valid = g_utf8_make_valid(text->str, (gssize)text->len);
  g_autoptr(GBytes) bytes = g_bytes_new_take(valid, strlen(valid));
  Inspection *inspection = inspection_new(env->scratch,
                                          API_OTHER,
                                          direction,
                                          "text/plain",
                                          bytes,
                                          &inspect_default_limits,
                                          error);

  if (inspection)
    inspection_allow(inspection, env->masker);
  return inspection;
}

static bool
has_secret(const Inspection *inspection)
{
  const Finding *findings;
  unsigned n;

  findings = inspection_findings(inspection, &n);
  for (unsigned i = 0; i < n; i++)
    if (strcmp(findings[i].rule->class_name, SECRET_CLASS) == 0)
      return true;
  return false;
}

char *
head_shown(ExchangeEnv *env, const char *text)
{
  g_autoptr(GArray) findings = g_array_new(FALSE, FALSE, sizeof(Finding));
  g_autoptr(GString) decoded = NULL;

  if (!text || !env->detector)
    return g_strdup(text);
  decoded = g_string_new(NULL);
  append_decoded(decoded, text);
  if (detector_scan(env->scratch, decoded->str, decoded->len, findings, NULL) &&
      !findings->len)
    return g_strdup(text);
  return g_strdup("(withheld: it holds a secret)");
}

/* ---- Requests ---------------------------------------------------------------
 */

/* The client's own credential for this service is not inspected, nor what goes
 * no further than this hop (RFC 9110 section 11.7.2). */
static bool
is_exempt(const Exchange *exchange, const char *name)
{
  return connection_is_credential(exchange->connection, name) ||
         g_ascii_strcasecmp(name, "proxy-authorization") == 0;
}

static GString *
head_text(const Exchange *exchange)
{
  const HttpRequest *request = exchange->request;
  GString *text = g_string_new(NULL);

  append_decoded(text, request->path);
  g_string_append_c(text, '\n');
  if (request->query)
    append_decoded(text, request->query);
  g_string_append_c(text, '\n');
  for (unsigned i = 0; i < http_headers_count(request->headers); i++) {
    const char *name = http_headers_name(request->headers, i);

    append_decoded(text, name);
    g_string_append_c(text, '\n');
    if (is_exempt(exchange, name))
      continue;
    g_string_append(text, http_headers_value(request->headers, i));
    g_string_append_c(text, '\n');
  }
  return text;
}

static Verdict *
judge_text(Exchange *exchange, Direction direction, const Inspection *text)
{
  Subject subject;

  exchange_subject(exchange, direction, &subject);
  return judge_body(exchange->policy, &subject, text, false, NULL, NULL);
}

bool
head_allowed(Exchange *exchange)
{
  g_autoptr(GString) text = NULL;
  g_autoptr(Inspection) inspection = NULL;
  g_autoptr(Verdict) verdict = NULL;
  g_autoptr(GError) error = NULL;

  if (!exchange->env->detector)
    return true;
  text = head_text(exchange);
  inspection = inspect_text(exchange->env, DIRECTION_REQUEST, text, &error);
  if (!inspection) {
    exchange_refuse(exchange, "head_not_readable", error->message);
    return false;
  }
  if (!has_secret(inspection))
    return true;
  verdict = judge_text(exchange, DIRECTION_REQUEST, inspection);
  if (verdict_action(verdict) == ACTION_ALLOW && !held_inspected(inspection))
    return true;
  exchange->env->stats.blocked++;
  exchange_refuse(exchange,
                  "policy_denied",
                  "The request's address or a header field holds a secret. "
                  "There it cannot be masked: take it out.");
  return false;
}

/* ---- Signing in -------------------------------------------------------------
 */

/* RFC 8628, 3.1 and 3.4; RFC 6749, 4.1.3 and 6. */
static const char *const sign_in_fields[] = {"client_id",
                                             "scope",
                                             "grant_type",
                                             "redirect_uri",
                                             "state",
                                             "repository_id",
                                             NULL};
/* These are credentials, and go where they are from. */
static const char *const sign_in_secrets[] = {"device_code",
                                              "code",
                                              "code_verifier",
                                              "client_secret",
                                              "refresh_token",
                                              NULL};

static bool
is_sign_in_field(const InspectField *field)
{
  const char *name = field->is_key ? field->text : field->path;

  return g_strv_contains(sign_in_fields, name) ||
         g_strv_contains(sign_in_secrets, name);
}

static bool
holds_sign_in_only(const Inspection *inspection)
{
  const InspectField *fields;
  const Finding *findings;
  unsigned n_fields, n;

  fields = inspection_fields(inspection, &n_fields);
  for (unsigned i = 0; i < n_fields; i++)
    if (!is_sign_in_field(&fields[i]))
      return false;
  findings = inspection_findings(inspection, &n);
  for (unsigned i = 0; i < n; i++)
    if (!g_strv_contains(sign_in_secrets, fields[findings[i].field].path))
      return false;
  return true;
}

bool
head_is_sign_in(Exchange *exchange, const char *type)
{
  g_autoptr(Inspection) inspection = NULL;

  if (!g_bytes_get_size(exchange->body))
    return true;
  if (strcmp(exchange->request->method, "POST") != 0)
    return false;
  inspection = inspection_new(exchange->env->scratch,
                              API_OTHER,
                              DIRECTION_REQUEST,
                              type,
                              exchange->body,
                              &inspect_default_limits,
                              NULL);
  return inspection && holds_sign_in_only(inspection);
}

/* ---- Answers ----------------------------------------------------------------
 */

/* A redirect of a base-URL client leads past the agent to the server itself,
 * and so does another service; half an answer cannot be inspected. */
static void
stay_here(const Exchange *exchange, HttpHeaders *headers)
{
  const char *location = http_headers_get(headers, "location");

  http_headers_remove(headers, "alt-svc");
  if (!exchange->connect_host && location &&
      (strstr(location, "//") || strchr(location, '\\')))
    http_headers_remove(headers, "location");
}

/* What the server hands this client as its own. */
static bool
is_handed_out(const char *name)
{
  g_autofree char *lower = g_ascii_strdown(name, -1);

  return g_str_equal(lower, "set-cookie") || g_str_has_suffix(lower, "-token");
}

static bool
is_masked(Exchange *exchange, const char *name, const char *value)
{
  g_autoptr(GString) text = g_string_new(value);
  g_autoptr(Inspection) inspection = NULL;
  g_autoptr(Verdict) verdict = NULL;

  inspection = inspect_text(exchange->env, DIRECTION_RESPONSE, text, NULL);
  if (!inspection || held_inspected(inspection))
    return true;
  if (!has_secret(inspection) || is_handed_out(name))
    return false;
  verdict = judge_text(exchange, DIRECTION_RESPONSE, inspection);
  return verdict_action(verdict) != ACTION_ALLOW;
}

/* All values in one look; which one it is matters only when there is any. */
static bool
any_secret(Exchange *exchange, const HttpHeaders *headers)
{
  g_autoptr(GString) text = g_string_new(NULL);
  g_autoptr(Inspection) inspection = NULL;

  for (unsigned i = 0; i < http_headers_count(headers); i++) {
    g_string_append(text, http_headers_value(headers, i));
    g_string_append_c(text, '\n');
  }
  inspection = inspect_text(exchange->env, DIRECTION_RESPONSE, text, NULL);
  return !inspection || has_secret(inspection);
}

void
head_clean_answer(Exchange *exchange, HttpHeaders *headers)
{
  stay_here(exchange, headers);
  if (!exchange->env->detector || !any_secret(exchange, headers))
    return;
  for (unsigned i = http_headers_count(headers); i-- > 0;) {
    g_autofree char *name = g_strdup(http_headers_name(headers, i));

    if (is_masked(exchange, name, http_headers_value(headers, i))) {
      http_headers_remove(headers, name);
      i = MIN(i, http_headers_count(headers));
    }
  }
}
