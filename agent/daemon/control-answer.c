/* SPDX-License-Identifier: Apache-2.0 */
/* The control interface: answers to what waits, for once and with a grant. */
#include "daemon/private.h"
#include <string.h>

static bool
answer_from(const char *name, Answer *out)
{
  if (g_str_equal(name, "approve"))
    *out = ANSWER_APPROVE;
  else if (g_str_equal(name, "approve-masked"))
    *out = ANSWER_APPROVE_MASKED;
  else if (g_str_equal(name, "deny"))
    *out = ANSWER_DENY;
  else
    return false;
  return true;
}

/* What both calls take. */
typedef struct {
  const char *id, *how, *answer, *digest, *nonce, *reason;
} Given;

typedef struct {
  struct agent *agent;
  const char *id;
  const Person *person; /* whose it is, while they are signed in */
  bool waits;
} Asker;

static void
note_asker(const PendingView *pending, void *data)
{
  const HeldRequest *request = pending->request;
  Asker *asker = data;
  g_autoptr(PersonRef) now = NULL;

  if (!g_str_equal(request->exchange, asker->id))
    return;
  asker->waits = true;
  now = identity_current(asker->agent->identity, request->issuer, NULL);
  if (now && g_strcmp0(now->subject, request->subject) == 0)
    asker->person = person_ref(now);
}

/* Who answers: the developer who asked, of several who may be signed in. What
 * is remembered is given by nobody else; for once, the exchange itself looks
 * whether its session lives. NULL with error. */
static const Person *
developer(struct agent *agent, const char *id, bool remembers, GError **error)
{
  Asker asker = {.agent = agent, .id = id};
  const Person *person;

  approve_pending(agent->approve, note_asker, &asker);
  if (asker.person)
    return asker.person;
  if (asker.waits && remembers) {
    g_set_error_literal(error,
                        BUS_ERROR,
                        BUS_ERROR_REFUSED,
                        "whose request this is signed out meanwhile: no grant "
                        "is given for them");
    return NULL;
  }
  person = agent_person(agent);
  if (!person)
    g_set_error_literal(error,
                        BUS_ERROR,
                        BUS_ERROR_INVALID,
                        "Nobody is signed in. Run `hoop-agent login`.");
  return person;
}

static Answerer
answerer(const Person *person, ApproverKind kind, const char *how)
{
  return (Answerer){.kind = kind,
                    .user = person->user,
                    .issuer = person->issuer,
                    .subject = person->subject,
                    .groups = (const char *const *)person->groups,
                    .how = how};
}

/* `term` NULL: for this one request. */
static bool
answer(struct agent *agent,
       const Given *given,
       const GrantTerm *term,
       char **grant,
       GError **error)
{
  g_autoptr(PersonRef) person =
      developer(agent, given->id, term != NULL, error);
  const char *reason = *given->reason ? given->reason : NULL;
  uint8_t digest[SHA256_LEN];
  Answerer by;
  Answer meant;

  if (!person)
    return false;
  if (!answer_from(given->answer, &meant) ||
      !hex_decode(given->digest, digest, sizeof digest)) {
    g_set_error_literal(
        error, BUS_ERROR, BUS_ERROR_INVALID, "not an answer, or not a digest");
    return false;
  }
  by = answerer(person, APPROVER_DEVELOPER, given->how);
  if (!term)
    return approve_answer(agent->approve,
                          given->id,
                          &by,
                          meant,
                          digest,
                          given->nonce,
                          reason,
                          error);
  return approve_grant(agent->approve,
                       given->id,
                       &by,
                       meant,
                       digest,
                       given->nonce,
                       reason,
                       term,
                       grant,
                       error);
}

typedef struct {
  const char *id;
  bool waits;
} Find;

static void
note_waits(const PendingView *pending, void *data)
{
  Find *find = data;

  find->waits =
      find->waits || g_str_equal(pending->request->exchange, find->id);
}

/* How it stands now. */
static const char *
outcome_of(struct agent *agent, const Given *given)
{
  Find find = {.id = given->id};

  approve_pending(agent->approve, note_waits, &find);
  return find.waits ? "pending" : given->answer;
}

static gboolean
on_answer(HoopAgent1 *skeleton,
          GDBusMethodInvocation *call,
          const char *id,
          const char *how,
          const char *answer_text,
          const char *digest,
          const char *nonce,
          const char *reason,
          gpointer data)
{
  const Given given = {id, how, answer_text, digest, nonce, reason};
  g_autoptr(GError) error = NULL;

  if (!answer(data, &given, NULL, NULL, &error))
    control_fail(call, error);
  else
    hoop_agent1_complete_answer(skeleton, call, outcome_of(data, &given));
  return TRUE;
}

/* ---- More time -----------------------------------------------------------
 */

static gboolean
on_extend(HoopAgent1 *skeleton,
          GDBusMethodInvocation *call,
          const char *id,
          const char *how,
          const char *nonce,
          gpointer data)
{
  struct agent *agent = data;
  g_autoptr(GError) error = NULL;
  g_autoptr(PersonRef) person = developer(agent, id, false, &error);
  int64_t deadline = 0;
  Answerer by;

  if (person)
    by = answerer(person, APPROVER_DEVELOPER, how);
  if (!person ||
      !approve_extend(agent->approve, id, &by, nonce, &deadline, &error))
    control_fail(call, error);
  else
    hoop_agent1_complete_extend(skeleton, call, deadline);
  return TRUE;
}

/* ---- Remembered ----------------------------------------------------------
 */

/* A grant needs room, which those of sessions that are over must not take. */
typedef struct {
  struct agent *agent;
  GDBusMethodInvocation *call;
  char *id, *how, *answer, *digest, *nonce, *reason;
  GrantTerm term;
} Remember;

static void
remember(void *data)
{
  Remember *wanted = data;
  const Given given = {wanted->id,
                       wanted->how,
                       wanted->answer,
                       wanted->digest,
                       wanted->nonce,
                       wanted->reason};
  g_autoptr(GError) error = NULL;
  g_autofree char *grant = NULL;

  if (!answer(wanted->agent, &given, &wanted->term, &grant, &error))
    control_fail(wanted->call, error);
  else
    hoop_agent1_complete_answer_for(wanted->agent->skeleton,
                                    wanted->call,
                                    outcome_of(wanted->agent, &given),
                                    grant);
  g_free(wanted->id);
  g_free(wanted->how);
  g_free(wanted->answer);
  g_free(wanted->digest);
  g_free(wanted->nonce);
  g_free(wanted->reason);
  g_free(wanted);
}

static gboolean
on_answer_for(HoopAgent1 *skeleton,
              GDBusMethodInvocation *call,
              const char *id,
              const char *how,
              const char *answer_text,
              const char *digest,
              const char *nonce,
              const char *reason,
              guint seconds,
              gboolean session,
              gpointer data)
{
  Remember *wanted = g_new0(Remember, 1);

  (void)skeleton;
  *wanted = (Remember){.agent = data,
                       .call = call,
                       .id = g_strdup(id),
                       .how = g_strdup(how),
                       .answer = g_strdup(answer_text),
                       .digest = g_strdup(digest),
                       .nonce = g_strdup(nonce),
                       .reason = g_strdup(reason),
                       .term = {.seconds = seconds, .session = session}};
  grants_refresh(data, remember, wanted);
  return TRUE;
}

void
control_answer_connect(struct agent *agent)
{
  HoopAgent1 *skeleton = agent->skeleton;

  g_signal_connect(skeleton, "handle-answer", G_CALLBACK(on_answer), agent);
  g_signal_connect(skeleton, "handle-extend", G_CALLBACK(on_extend), agent);
  g_signal_connect(
      skeleton, "handle-answer-for", G_CALLBACK(on_answer_for), agent);
}
