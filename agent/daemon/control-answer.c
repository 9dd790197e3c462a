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

/* Questions for a person's presence at one time; each is a program's that waits
 * for its answer. */
#define MAX_PROOFS 8

/* An answer as it came, until it is given. */
typedef struct {
  struct agent *agent;
  GDBusMethodInvocation *call;
  char *id, *how, *answer, *digest, *nonce, *reason;
  bool remembers;
  GrantTerm term;
  /* While the person is asked to prove that they are there. */
  PresenceCheck *check;
  gulong closed;
} Given;

static void
given_free(void *data)
{
  Given *given = data;

  presence_cancel(given->check);
  if (given->closed)
    g_signal_handler_disconnect(
        g_dbus_method_invocation_get_connection(given->call), given->closed);
  g_free(given->id);
  g_free(given->how);
  g_free(given->answer);
  g_free(given->digest);
  g_free(given->nonce);
  g_free(given->reason);
  g_free(given);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Given, given_free)

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

/* One answer of this kind. */
static bool
answer(const Given *given,
       const Person *person,
       ApproverKind kind,
       char **grant,
       GError **error)
{
  const Answerer by = answerer(person, kind, given->how);
  const char *reason = *given->reason ? given->reason : NULL;
  uint8_t digest[SHA256_LEN];
  Answer meant;

  if (!answer_from(given->answer, &meant) ||
      !hex_decode(given->digest, digest, sizeof digest)) {
    g_set_error_literal(
        error, BUS_ERROR, BUS_ERROR_INVALID, "not an answer, or not a digest");
    return false;
  }
  if (!given->remembers)
    return approve_answer(given->agent->approve,
                          given->id,
                          &by,
                          meant,
                          digest,
                          given->nonce,
                          reason,
                          error);
  return approve_grant(given->agent->approve,
                       given->id,
                       &by,
                       meant,
                       digest,
                       given->nonce,
                       reason,
                       &given->term,
                       grant,
                       error);
}

/* Gives it: with a proof of presence, that answers what asks for one, and a
 * click what asks for that. */
static bool
give(const Given *given, bool proven, char **grant, GError **error)
{
  ApproveQueue *queue = given->agent->approve;
  g_autoptr(PersonRef) person =
      developer(given->agent, given->id, given->remembers, error);
  g_autofree char *click = NULL;
  Answerer by;

  if (!person)
    return false;
  by = answerer(person, APPROVER_DEVELOPER, given->how);
  if (!proven)
    return answer(given, person, APPROVER_DEVELOPER, grant, error);
  if (approve_wants(queue, given->id, &by) &&
      !answer(given, person, APPROVER_DEVELOPER, &click, error))
    return false;
  return answer(given, person, APPROVER_PRESENCE, grant, error);
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

/* Gives it and tells the caller; takes it. */
static void
conclude(Given *owned, bool proven)
{
  /* The caller's connection is looked at until the answer is freed. */
  g_autoptr(GDBusMethodInvocation) call = g_object_ref(owned->call);
  g_autoptr(Given) given = owned;
  HoopAgent1 *skeleton = given->agent->skeleton;
  g_autoptr(GError) error = NULL;
  g_autofree char *grant = NULL;

  if (!give(given, proven, &grant, &error))
    control_fail(given->call, error);
  else if (given->remembers)
    hoop_agent1_complete_answer_for(
        skeleton, given->call, outcome_of(given->agent, given), grant);
  else
    hoop_agent1_complete_answer(
        skeleton, given->call, outcome_of(given->agent, given));
}

/* ---- Presence ------------------------------------------------------------
 */

/* What a proof is under way for; its caller is told why not. */
static void
drop_proof(Given *given, const GError *error)
{
  g_autoptr(GDBusMethodInvocation) call = g_object_ref(given->call);

  g_ptr_array_remove(given->agent->proofs, given); /* frees it */
  control_fail(call, error);
}

static void
proven(const GError *error, void *data)
{
  Given *given = data;
  GPtrArray *proofs = given->agent->proofs;
  guint at;

  given->check = NULL;
  if (error)
    drop_proof(given, error);
  else if (g_ptr_array_find(proofs, given, &at))
    conclude(g_ptr_array_steal_index(proofs, at), true);
}

/* Who wants to answer has gone: nobody is asked on its behalf. */
static void
caller_gone(GDBusConnection *connection,
            gboolean remote,
            GError *reason,
            gpointer data)
{
  g_autoptr(GError) error = g_error_new_literal(
      BUS_ERROR, BUS_ERROR_REFUSED, "the program that answered has ended");

  (void)connection;
  (void)remote;
  (void)reason;
  drop_proof(data, error);
}

static void
note_presence(const PendingView *pending, void *data)
{
  Find *find = data;

  find->waits =
      find->waits ||
      (g_str_equal(pending->request->exchange, find->id) && pending->presence);
}

/* A click is not enough for it. */
static bool
wants_proof(const Given *given)
{
  Find find = {.id = given->id};

  if (g_str_equal(given->answer, "deny"))
    return false;
  approve_pending(given->agent->approve, note_presence, &find);
  return find.waits;
}

/* Nobody is asked for a password in vain. */
static bool
may_prove(const Given *given, GError **error)
{
  struct agent *agent = given->agent;
  g_autoptr(PersonRef) person =
      developer(agent, given->id, given->remembers, error);
  uint8_t digest[SHA256_LEN];
  Answerer by;
  Answer meant;

  if (!person)
    return false;
  for (unsigned i = 0; i < agent->proofs->len; i++)
    if (g_str_equal(((const Given *)agent->proofs->pdata[i])->id, given->id)) {
      g_set_error_literal(error,
                          BUS_ERROR,
                          BUS_ERROR_REFUSED,
                          "you are being asked to prove that you are there: "
                          "answer that");
      return false;
    }
  if (agent->proofs->len >= MAX_PROOFS) {
    g_set_error_literal(error,
                        BUS_ERROR,
                        BUS_ERROR_REFUSED,
                        "too many answers wait for a proof of presence");
    return false;
  }
  if (!answer_from(given->answer, &meant) ||
      !hex_decode(given->digest, digest, sizeof digest)) {
    g_set_error_literal(
        error, BUS_ERROR, BUS_ERROR_INVALID, "not an answer, or not a digest");
    return false;
  }
  by = answerer(person, APPROVER_PRESENCE, given->how);
  return approve_check(agent->approve,
                       given->id,
                       &by,
                       meant,
                       digest,
                       given->nonce,
                       *given->reason ? given->reason : NULL,
                       error);
}

/* The process that wants to answer, by the kernel's word. */
static PresenceCheck *
ask_presence(Given *given, GError **error)
{
  GDBusConnection *caller =
      g_dbus_method_invocation_get_connection(given->call);
  GCredentials *who = g_dbus_connection_get_peer_credentials(caller);
  const pid_t pid = who ? g_credentials_get_unix_pid(who, error) : -1;

  if (!who)
    g_set_error_literal(error,
                        BUS_ERROR,
                        BUS_ERROR_REFUSED,
                        "it is not known which program answers");
  return pid > 0 ? presence_ask(pid, getuid(), proven, given, error) : NULL;
}

/* Gives it, once the person proved to be there where that is wanted. */
static void
begin(Given *owned)
{
  g_autoptr(Given) given = owned;
  g_autoptr(GError) error = NULL;

  if (!wants_proof(given)) {
    conclude(g_steal_pointer(&given), false);
    return;
  }
  if (may_prove(given, &error))
    given->check = ask_presence(given, &error);
  if (!given->check) {
    control_fail(given->call, error);
    return;
  }
  given->closed =
      g_signal_connect(g_dbus_method_invocation_get_connection(given->call),
                       "closed",
                       G_CALLBACK(caller_gone),
                       given);
  g_ptr_array_add(given->agent->proofs, given);
  g_steal_pointer(&given);
}

/* What was decided otherwise, or left: nobody is asked about it any more. */
static void
settled(const char *exchange, Outcome outcome, const char *who, void *data)
{
  struct agent *agent = data;
  g_autoptr(GError) error = g_error_new(BUS_ERROR,
                                        BUS_ERROR_NOT_FOUND,
                                        "%s does not wait any more: %s%s%s",
                                        exchange,
                                        outcome_name(outcome),
                                        who && *who ? " by " : "",
                                        who ?: "");

  for (unsigned i = 0; agent->proofs && i < agent->proofs->len;) {
    Given *given = agent->proofs->pdata[i];

    if (g_str_equal(given->id, exchange))
      drop_proof(given, error);
    else
      i++;
  }
}

static void
still(const PendingView *pending, void *data)
{
  (void)pending;
  (void)data;
}

/* ---- Calls ---------------------------------------------------------------
 */

static Given *
given_new(struct agent *agent,
          GDBusMethodInvocation *call,
          const char *id,
          const char *how,
          const char *answer_text,
          const char *digest,
          const char *nonce,
          const char *reason)
{
  Given *given = g_new0(Given, 1);

  *given = (Given){.agent = agent,
                   .call = call,
                   .id = g_strdup(id),
                   .how = g_strdup(how),
                   .answer = g_strdup(answer_text),
                   .digest = g_strdup(digest),
                   .nonce = g_strdup(nonce),
                   .reason = g_strdup(reason)};
  return given;
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
  (void)skeleton;
  begin(given_new(data, call, id, how, answer_text, digest, nonce, reason));
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

static void
remember(void *data)
{
  begin(data);
}

/* A grant needs room, which those of sessions that are over must not take. */
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
  Given *given =
      given_new(data, call, id, how, answer_text, digest, nonce, reason);

  (void)skeleton;
  given->remembers = true;
  given->term = (GrantTerm){.seconds = seconds, .session = session};
  grants_refresh(data, remember, given);
  return TRUE;
}

void
control_answer_connect(struct agent *agent)
{
  static const ApproveListener settles = {.pending = still, .gone = settled};
  HoopAgent1 *skeleton = agent->skeleton;

  agent->proofs = g_ptr_array_new_with_free_func(given_free);
  approve_listen(agent->approve, &settles, agent);

  g_signal_connect(skeleton, "handle-answer", G_CALLBACK(on_answer), agent);
  g_signal_connect(skeleton, "handle-extend", G_CALLBACK(on_extend), agent);
  g_signal_connect(
      skeleton, "handle-answer-for", G_CALLBACK(on_answer_for), agent);
}

void
control_answer_stop(struct agent *agent)
{
  g_autoptr(GError) error =
      g_error_new_literal(BUS_ERROR, BUS_ERROR_REFUSED, "the agent stops");

  while (agent->proofs && agent->proofs->len)
    drop_proof(agent->proofs->pdata[0], error);
  g_clear_pointer(&agent->proofs, g_ptr_array_unref);
}
