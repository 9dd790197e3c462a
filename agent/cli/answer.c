/* SPDX-License-Identifier: Apache-2.0 */
/* An answer to a request that waits: names the digest and the nonce of what is
 * answered, so that it can be no other. */
#include "cli/verb.h"
#include <stdio.h>

/* What passes or is denied from now on, in words. */
static void
say_grant(GVariant *review,
          const char *grant,
          const Term *term,
          const char *answer)
{
  g_autofree char *span = span_text((int64_t)term->seconds * G_USEC_PER_SEC);
  g_autofree char *rules = NULL;
  g_autofree char *line = NULL;
  g_autofree char *shown = NULL;
  g_autofree const char **list = NULL;
  const char *client = "?", *connection = "?";

  g_variant_lookup(review, "client", "&s", &client);
  g_variant_lookup(review, "connection", "&s", &connection);
  if (g_variant_lookup(review, "rules", "^a&s", &list))
    rules = g_strjoinv(", ", (char **)list);
  line = g_strdup_printf(
      "%s: %s%s what %s holds of %s on %s %s. `hoop-agent grants revoke "
      "%s` ends that.",
      grant,
      term->session ? "in this conversation" : "for ",
      term->session ? "" : span,
      rules ? rules : "?",
      client,
      connection,
      g_str_equal(answer, "deny")             ? "is denied"
      : g_str_equal(answer, "approve-masked") ? "passes masked"
                                              : "passes",
      grant);
  shown = visible(line, -1, false);
  puts(shown);
}

typedef struct {
  const char *id, *answer, *digest, *nonce, *reason;
} Given;

static bool
send(HoopAgent1 *agent,
     const Given *given,
     const Term *term,
     char **outcome,
     char **grant,
     GError **error)
{
  if (!term)
    return hoop_agent1_call_answer_sync(agent,
                                        given->id,
                                        "cli",
                                        given->answer,
                                        given->digest,
                                        given->nonce,
                                        given->reason,
                                        outcome,
                                        NULL,
                                        error);
  return hoop_agent1_call_answer_for_sync(agent,
                                          given->id,
                                          "cli",
                                          given->answer,
                                          given->digest,
                                          given->nonce,
                                          given->reason,
                                          term->seconds,
                                          term->session,
                                          outcome,
                                          grant,
                                          NULL,
                                          error);
}

/* A person who types a password takes their time; the daemon answers when it
 * does not wait any more. */
static GPid
prepare(HoopAgent1 *agent, GVariant *review, const char *answer)
{
  gboolean presence = FALSE;

  g_variant_lookup(review, "presence", "b", &presence);
  if (!presence || g_str_equal(answer, "deny"))
    return 0;
  g_dbus_proxy_set_default_timeout(G_DBUS_PROXY(agent), G_MAXINT);
  puts("You are asked for your password or fingerprint.");
  fflush(stdout);
  return presence_agent_start();
}

int
answer_shown(const Call *call,
             HoopAgent1 *agent,
             GVariant *review,
             const char *answer,
             const char *reason,
             const Term *term)
{
  bool masked = g_str_equal(answer, "approve-masked");
  bool sent;
  GPid asker;
  g_autofree char *outcome = NULL;
  g_autofree char *grant = NULL;
  g_autoptr(GError) error = NULL;
  Given given = {.id = "?",
                 .answer = answer,
                 .digest = "",
                 .nonce = "",
                 .reason = reason ?: ""};

  g_variant_lookup(review, "id", "&s", &given.id);
  g_variant_lookup(review, "digest", "&s", &given.digest);
  g_variant_lookup(review, "nonce", "&s", &given.nonce);
  asker = prepare(agent, review, answer);
  sent = send(agent, &given, term, &outcome, &grant, &error);
  presence_agent_stop(asker);
  if (!sent)
    return complain_error(call, error);
  if (g_str_equal(outcome, "pending"))
    printf("%s: your answer is recorded; others are still asked.\n", given.id);
  else
    printf("%s: %s.\n",
           given.id,
           g_str_equal(answer, "deny") ? "denied"
           : masked                    ? "approved, masked"
                                       : "approved");
  if (grant)
    say_grant(review, grant, term, answer);
  return CLI_DONE;
}

/* What --for says; false after having complained. */
static bool
term_of(const Call *call, Term *term)
{
  const char *text = call_value(call, "for");

  *term = (Term){0};
  if (text && g_str_equal(text, "session"))
    term->session = true;
  else if (text && !duration_parse(text, &term->seconds)) {
    complain(call,
             CLI_USAGE,
             "--for takes a time such as 90s, 10m or 2h, or session, not %s",
             text);
    return false;
  }
  return true;
}

int
answer_held(const Call *call, const char *answer)
{
  int code = CLI_DONE;
  g_autoptr(HoopAgent1) agent = NULL;
  g_autoptr(GVariant) review = NULL;
  g_autoptr(GError) error = NULL;
  g_autofree char *id = NULL;
  Term term;

  if (!term_of(call, &term))
    return CLI_USAGE;
  agent = daemon_connect(call, &code);
  id = agent ? pending_id(call, agent, call->args[0], &code) : NULL;
  if (!id)
    return code;
  if (!hoop_agent1_call_review_sync(agent, id, &review, NULL, &error))
    return complain_error(call, error);
  return answer_shown(call,
                      agent,
                      review,
                      answer,
                      call_value(call, "reason"),
                      call_value(call, "for") ? &term : NULL);
}
