/* SPDX-License-Identifier: Apache-2.0 */
/* Grants: given with an answer, looked up for what is held, ended by time, by
 * hand, by their session's end or by a policy that says something else; the
 * timed ones outlive the agent in a file, not the machine's boot. */
#include "approve/approve.h"
#include "approve/private.h"
#include "kit/clock.h"
#include "kit/file.h"
#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>

#define ID_BYTES 6
/* Who is not known could be anybody. */
#define UNKNOWN_CLIENT "unknown"

struct grants {
  GrantOptions options;
  char *path;
  uint8_t key[SHA256_LEN];
  char *boot;      /* of the machine, or NULL: nothing is stored */
  GPtrArray *list; /* Grant, oldest first */
  bool dirty;      /* the file does not say what the list does */
  Policy *policy;  /* that was followed last, or NULL: not yet any */
};

Grants *
grants_new(const GrantOptions *options)
{
  Grants *grants = g_new0(Grants, 1);

  grants->options = *options;
  grants->options.most = MIN(options->most, GRANTS_MAX);
  if (!grants->options.wall_us)
    grants->options.wall_us = clock_wall_us;
  if (!grants->options.boot_us)
    grants->options.boot_us = clock_boot_us;
  grants->path = g_strdup(options->path);
  if (options->key)
    memcpy(grants->key, options->key, SHA256_LEN);
  grants->boot = grants->path ? clock_boot_id() : NULL;
  grants->list = g_ptr_array_new_with_free_func(grant_free);
  return grants;
}

static void
tell(Grants *grants, const Grant *grant, GrantEvent event, const char *why)
{
  if (grants->options.changed)
    grants->options.changed(grant, event, why, grants->options.data);
}

/* ---- The file ------------------------------------------------------------
 */

/* The timed ones of whose request it is: reviewers answer again. */
static bool
is_stored(const Grant *grant)
{
  return !grant->session && grant->kind != APPROVER_REVIEWER;
}

static bool
store(Grants *grants, GError **error)
{
  g_autoptr(GPtrArray) timed = g_ptr_array_new();
  g_autoptr(GError) failed = NULL;
  g_autofree char *text = NULL;

  if (!grants->boot)
    return true;
  for (unsigned i = 0; i < grants->list->len; i++)
    if (is_stored(grants->list->pdata[i]))
      g_ptr_array_add(timed, grants->list->pdata[i]);
  text = grants_format(timed, grants->boot, grants->key);
  grants->dirty =
      !file_replace(grants->path, text, strlen(text), 0600, &failed);
  if (failed)
    g_set_error(error,
                APPROVE_ERROR,
                APPROVE_ERROR_STORE,
                "%s cannot be written (%s)",
                grants->path,
                failed->message);
  return !grants->dirty;
}

/* After one ended: what cannot be written must not bring it back. */
static bool
store_fewer(Grants *grants, GError **error)
{
  if (store(grants, error))
    return true;
  g_unlink(grants->path);
  return false;
}

void
grants_free(Grants *grants)
{
  if (!grants)
    return;
  if (grants->list->len || grants->dirty)
    store(grants, NULL);
  g_ptr_array_unref(grants->list);
  policy_unref(grants->policy);
  g_free(grants->path);
  g_free(grants->boot);
  g_free(grants);
}

/* ---- Ends ----------------------------------------------------------------
 */

static bool
expired(const Grants *grants, const Grant *grant)
{
  return grants->options.wall_us() >= grant->until_us ||
         grants->options.boot_us() >= grant->until_boot_us;
}

/* Drops it; true when the file has to say so. */
static bool
end(Grants *grants, unsigned index, GrantEvent event, const char *why)
{
  Grant *grant = g_ptr_array_steal_index(grants->list, index);
  const bool timed = is_stored(grant);

  tell(grants, grant, event, why);
  grant_free(grant);
  return timed;
}

static void
drop_expired(Grants *grants)
{
  for (unsigned i = grants->list->len; i-- > 0;)
    if (expired(grants, grants->list->pdata[i]))
      grants->dirty = end(grants, i, GRANT_EXPIRED, NULL) || grants->dirty;
}

bool
grants_tidy(Grants *grants)
{
  drop_expired(grants);
  if (grants->dirty)
    store(grants, NULL);
  return grants->list->len > 0 || grants->dirty;
}

int64_t
grants_left_us(const Grants *grants, const Grant *grant)
{
  return MIN(grant->until_us - grants->options.wall_us(),
             grant->until_boot_us - grants->options.boot_us());
}

const GPtrArray *
grants_list(Grants *grants)
{
  drop_expired(grants);
  return grants->list;
}

bool
grants_revoke(Grants *grants, const char *id, GError **error)
{
  unsigned found = 0, at = 0;

  drop_expired(grants);
  for (unsigned i = 0; i < grants->list->len; i++) {
    const Grant *grant = grants->list->pdata[i];

    if (!g_str_has_prefix(grant->id, id))
      continue;
    found++;
    at = i;
  }
  if (found != 1 || !*id) {
    g_set_error(error,
                APPROVE_ERROR,
                APPROVE_ERROR_NOT_FOUND,
                found > 1 ? "%s begins the id of several grants; "
                            "`hoop-agent grants` lists them"
                          : "there is no grant %s (any more); "
                            "`hoop-agent grants` lists those in force",
                id);
    return false;
  }
  if (!end(grants, at, GRANT_REVOKED, NULL) || store_fewer(grants, error))
    return true;
  g_prefix_error(error, "the grant is revoked, but ");
  return false;
}

static const PolicyRule *
find_rule(const Policy *policy, const char *id)
{
  unsigned n;
  const PolicyRule *const *rules = policy_rules(policy, &n);

  for (unsigned i = 0; i < n; i++)
    if (g_str_equal(rules[i]->id, id))
      return rules[i];
  return NULL;
}

/* What the policy says against it, or NULL. g_free. */
static char *
contradiction(const Grant *grant, const Policy *policy)
{
  for (unsigned i = 0; i < grant->rules->len; i++) {
    const GrantRule *given = grant->rules->pdata[i];
    const PolicyRule *rule = find_rule(policy, given->id);

    if (!rule)
      return g_strdup_printf("the policy has no rule \"%s\" any more",
                             given->id);
    if (memcmp(rule->digest, given->digest, SHA256_LEN) != 0)
      return g_strdup_printf("rule \"%s\" of the policy was changed",
                             given->id);
  }
  return NULL;
}

void
grants_follow(Grants *grants, Policy *policy)
{
  bool fewer = false;

  policy_ref(policy);
  policy_unref(grants->policy);
  grants->policy = policy;
  for (unsigned i = grants->list->len; i-- > 0;) {
    g_autofree char *why = contradiction(grants->list->pdata[i], policy);

    if (why)
      fewer = end(grants, i, GRANT_ENDED, why) || fewer;
  }
  if (fewer)
    store_fewer(grants, NULL);
}

void
grants_keep_sessions(Grants *grants,
                     bool (*lives)(uint64_t serial, void *data),
                     void *data)
{
  for (unsigned i = grants->list->len; i-- > 0;) {
    const Grant *grant = grants->list->pdata[i];

    if (grant->session && !lives(grant->session_serial, data))
      end(grants, i, GRANT_ENDED, "its session ended");
  }
}

/* ---- Loading -------------------------------------------------------------
 */

/* Still good, by what this agent would give itself. */
static bool
is_good(const Grants *grants, const Grant *grant)
{
  const int64_t most = (int64_t)grants->options.most_seconds * G_USEC_PER_SEC;

  return is_stored(grant) && !expired(grants, grant) &&
         grant->until_us - grant->since_us <= most &&
         grant->until_boot_us - grants->options.boot_us() <= most;
}

static void
take(Grants *grants,
     GPtrArray *stored,
     bool (*ended)(const char *id, void *data),
     void *data)
{
  for (unsigned i = 0; i < stored->len; i++) {
    const Grant *grant = stored->pdata[i];

    if (grants->list->len >= grants->options.most || !is_good(grants, grant) ||
        (ended && ended(grant->id, data))) {
      grants->dirty = true;
      continue;
    }
    g_ptr_array_add(grants->list, stored->pdata[i]);
    stored->pdata[i] = NULL;
  }
}

static void
free_untaken(void *data)
{
  if (data)
    grant_free(data);
}

bool
grants_load(Grants *grants,
            Policy *policy,
            bool (*ended)(const char *id, void *data),
            void *data,
            GError **error)
{
  g_autoptr(GError) failed = NULL;
  g_autoptr(Secret) text = NULL;
  g_autoptr(GPtrArray) stored = NULL;
  g_autofree char *whole = NULL;
  g_autofree char *boot = NULL;

  grants_follow(grants, policy);
  if (!grants->boot || !g_file_test(grants->path, G_FILE_TEST_EXISTS))
    return true;
  /* Another user's file, or one that others write, grants nothing. */
  text = file_read_secret(grants->path, &failed);
  if (text) {
    /* Its last newline was taken for a secret's. */
    whole = g_strconcat(secret_text(text), "\n", NULL);
    stored = grants_parse(whole, strlen(whole), grants->key, &boot, &failed);
  }
  if (!stored) {
    grants->dirty = true;
    g_set_error(error,
                APPROVE_ERROR,
                APPROVE_ERROR_STORE,
                "%s: %s",
                grants->path,
                failed->message);
    return false;
  }
  g_ptr_array_set_free_func(stored, free_untaken);
  if (g_str_equal(boot, grants->boot))
    take(grants, stored, ended, data);
  else
    grants->dirty = true;
  grants_follow(grants, policy);
  return true;
}

/* ---- Giving --------------------------------------------------------------
 */

/* What was asked by a policy that is not in force any more is no promise under
 * this one. */
static bool
still_asked(const Grants *grants, const ApproveNeed *need)
{
  const PolicyRule *rule =
      grants->policy ? find_rule(grants->policy, need->rule_id) : NULL;

  return !grants->policy ||
         (rule && memcmp(rule->digest, need->digest, SHA256_LEN) == 0);
}

bool
approve_can_remember(const HeldRequest *request)
{
  return request->client && !g_str_equal(request->client, UNKNOWN_CLIENT);
}

char *
grants_refusal(Grants *grants,
               const HeldRequest *request,
               ApproverKind kind,
               Answer answer,
               const GrantTerm *term)
{
  const bool denies = answer == ANSWER_DENY;

  if (!approve_can_remember(request))
    return g_strdup(denies ? "it is not known which program asks, so a denial "
                             "would be for all of them: deny it once"
                           : "it is not known which program asks, so a grant "
                             "would be anybody's: approve it once");
  if (term->session && !request->session)
    return g_strdup("this belongs to no session: give a time, or approve it "
                    "once");
  if (!term->session && !term->seconds)
    return g_strdup("a grant needs a time or a session");
  if (term->seconds > grants->options.most_seconds)
    return g_strdup_printf("a grant lasts %u seconds at most ([approval] "
                           "grant-time, hoop-agent.conf(5))",
                           grants->options.most_seconds);
  drop_expired(grants);
  if (grants->list->len >= grants->options.most)
    return g_strdup_printf("%u grants are in force, as many as [approval] "
                           "max-grants allows: revoke some",
                           grants->list->len);
  for (unsigned i = 0; i < request->needs->len; i++) {
    const ApproveNeed *need = request->needs->pdata[i];

    if (!still_asked(grants, need))
      return g_strdup_printf("the policy was changed since rule \"%s\" asked: "
                             "answer it once",
                             need->rule_id);
    if (!denies && need->no_grants && need_asks(need, kind))
      return g_strdup_printf("rule \"%s\" wants to be asked each time "
                             "(grants: false, hoop-policy(5)): approve it "
                             "once",
                             need->rule_id);
  }
  return NULL;
}

static char *
new_id(void)
{
  uint8_t bytes[ID_BYTES];
  char hex[2 * ID_BYTES + 1];

  random_bytes(bytes, sizeof bytes);
  hex_encode(bytes, sizeof bytes, hex);
  return g_strconcat("g-", hex, NULL);
}

const Grant *
grants_give(Grants *grants,
            const HeldRequest *request,
            const Answerer *by,
            Answer answer,
            const char *reason,
            const GrantTerm *term,
            GError **error)
{
  const int64_t lasts =
      (int64_t)(term->seconds ? term->seconds : grants->options.most_seconds) *
      G_USEC_PER_SEC;
  Grant *grant = grant_new();

  grant->id = new_id();
  grant->kind = by->kind;
  grant->masked = answer == ANSWER_APPROVE_MASKED;
  grant->denies = answer == ANSWER_DENY;
  grant->who = g_strdup(by->user);
  if (by->kind == APPROVER_REVIEWER) {
    grant->who_issuer = g_strdup(by->issuer);
    grant->who_subject = g_strdup(by->subject);
    grant->reviews = reviews_of(request, by);
  }
  grant->reason = g_strdup(reason);
  grant->exchange = g_strdup(request->exchange);
  grant->user = g_strdup(request->user ?: "");
  grant->issuer = g_strdup(request->issuer ?: "");
  grant->subject = g_strdup(request->subject ?: "");
  grant->client = g_strdup(request->client);
  grant->connection = g_strdup(request->connection ?: "");
  if (term->session) {
    grant->session = g_strdup(request->session);
    grant->session_serial = request->session_serial;
  }
  for (unsigned i = 0; i < request->needs->len; i++) {
    const ApproveNeed *need = request->needs->pdata[i];

    if (grant->denies || need_asks(need, by->kind))
      grant_add_rule(grant, need->rule_id, need->digest);
  }
  grant->since_us = grants->options.wall_us();
  grant->until_us = grant->since_us + lasts;
  grant->until_boot_us = grants->options.boot_us() + lasts;
  g_ptr_array_add(grants->list, grant);
  if (is_stored(grant) && !store(grants, error)) {
    g_ptr_array_remove_index(grants->list, grants->list->len - 1);
    return NULL;
  }
  tell(grants, grant, GRANT_GIVEN, NULL);
  return grant;
}

/* ---- Using ---------------------------------------------------------------
 */

static bool
is_bound_to(const Grant *grant, const HeldRequest *request)
{
  if (g_strcmp0(grant->user, request->user ?: "") != 0 ||
      g_strcmp0(grant->issuer, request->issuer ?: "") != 0 ||
      g_strcmp0(grant->subject, request->subject ?: "") != 0 ||
      g_strcmp0(grant->client, request->client) != 0 ||
      g_strcmp0(grant->connection, request->connection ?: "") != 0)
    return false;
  return !grant->session || (g_strcmp0(grant->session, request->session) == 0 &&
                             grant->session_serial == request->session_serial);
}

static bool
names(const Grant *grant, const ApproveNeed *need)
{
  for (unsigned i = 0; i < grant->rules->len; i++) {
    const GrantRule *rule = grant->rules->pdata[i];

    if (g_str_equal(rule->id, need->rule_id) &&
        memcmp(rule->digest, need->digest, SHA256_LEN) == 0)
      return true;
  }
  return false;
}

static bool
is_for(const Grant *grant, const ApproveNeed *need)
{
  return !grant->denies && !need->no_grants && need_asks(need, grant->kind) &&
         names(grant, need);
}

GivenAnswer *
grant_answer(const Grant *grant)
{
  GivenAnswer *given = g_new0(GivenAnswer, 1);

  *given = (GivenAnswer){.who = g_strdup(grant->who),
                         .issuer = g_strdup(grant->who_issuer),
                         .subject = g_strdup(grant->who_subject),
                         .reviews = g_strdupv(grant->reviews),
                         .kind = grant->kind,
                         .how = g_strdup("grant"),
                         .grant = g_strdup(grant->id),
                         .answer = grant->denies   ? ANSWER_DENY
                                   : grant->masked ? ANSWER_APPROVE_MASKED
                                                   : ANSWER_APPROVE,
                         .reason = g_strdup(grant->reason),
                         .wall_us = grant->since_us};
  return given;
}

void
grants_answer(Grants *grants,
              const HeldRequest *request,
              const ApproveNeed *need,
              bool masked,
              GPtrArray *answers)
{
  drop_expired(grants);
  for (unsigned i = 0; i < grants->list->len; i++) {
    const Grant *grant = grants->list->pdata[i];

    if (grant->masked == masked && (!masked || request->can_mask) &&
        is_bound_to(grant, request) && is_for(grant, need))
      g_ptr_array_add(answers, grant_answer(grant));
  }
}

const Grant *
grants_denial(Grants *grants, const HeldRequest *request)
{
  drop_expired(grants);
  for (unsigned i = 0; i < grants->list->len; i++) {
    const Grant *grant = grants->list->pdata[i];

    if (!grant->denies || !is_bound_to(grant, request))
      continue;
    for (unsigned j = 0; j < request->needs->len; j++)
      if (names(grant, request->needs->pdata[j]))
        return grant;
  }
  return NULL;
}

void
grants_used(Grants *grants, const char *id)
{
  for (unsigned i = 0; i < grants->list->len; i++) {
    Grant *grant = grants->list->pdata[i];

    if (!g_str_equal(grant->id, id))
      continue;
    grant->uses++;
    grant->last_us = grants->options.wall_us();
  }
}
