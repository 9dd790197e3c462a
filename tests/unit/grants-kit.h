/* SPDX-License-Identifier: Apache-2.0 */
/* Grants under test: a queue, clocks that the test sets, requests that ask.
 * Included by one test each. */
#ifndef HOOP_TEST_GRANTS_KIT_H
#define HOOP_TEST_GRANTS_KIT_H

#include "approve/approve.h"
#include "approve/private.h"
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

#define S INT64_C(1000000)
#define BOTH (1 << APPROVER_DEVELOPER | 1 << APPROVER_REVIEWER)

static int64_t wall_us, boot_us; /* the clocks, as the tests set them */

static int64_t
wall(void)
{
  return wall_us;
}

static int64_t
boot(void)
{
  return boot_us;
}

typedef struct {
  Loop *loop;
  ApproveQueue *queue;
  Grants *grants;
  char *dir, *path;
  uint8_t key[SHA256_LEN];
  char nonce[64];
  unsigned events[GRANT_ENDED + 1];
  char *why;
} Fixture;

typedef struct {
  ApproveTicket *ticket;
  unsigned decided;
  Outcome outcome;
  char *grant; /* of the first answer */
  char *how;
} Held;

static void
on_pending(const PendingView *pending, void *data)
{
  Fixture *f = data;

  g_strlcpy(f->nonce, pending->nonce, sizeof f->nonce);
}

static void
on_gone(const char *exchange, Outcome outcome, const char *who, void *data)
{
  (void)exchange;
  (void)outcome;
  (void)who;
  (void)data;
}

static const ApproveListener listener = {on_pending, on_gone};

static void
on_changed(const Grant *grant, GrantEvent event, const char *why, void *data)
{
  Fixture *f = data;

  g_assert_nonnull(grant->id);
  f->events[event]++;
  g_free(f->why);
  f->why = g_strdup(why);
}

static Grants *
make_grants(Fixture *f)
{
  GrantOptions options = {.path = f->path,
                          .key = f->key,
                          .most_seconds = 3600,
                          .most = 4,
                          .wall_us = wall,
                          .boot_us = boot,
                          .changed = on_changed,
                          .data = f};

  return grants_new(&options);
}

static void
set_up(Fixture *f, const void *data)
{
  ApproveLimits limits = {.max_pending = 9, .max_per_client = 9, .kinds = BOTH};

  (void)data;
  *f = (Fixture){0};
  wall_us = 1000000 * S;
  boot_us = 500 * S;
  memset(f->key, 7, sizeof f->key);
  f->dir = g_dir_make_tmp("hoop-grants-XXXXXX", NULL);
  f->path = g_build_filename(f->dir, "grants", NULL);
  f->loop = loop_new(NULL);
  f->queue = approve_queue_new(f->loop, &limits);
  f->grants = make_grants(f);
  approve_use_grants(f->queue, f->grants);
  approve_listen(f->queue, &listener, f);
}

static void
tear_down(Fixture *f, const void *data)
{
  (void)data;
  approve_queue_free(f->queue);
  loop_iterate(f->loop, 0);
  grants_free(f->grants);
  loop_free(f->loop);
  g_unlink(f->path);
  g_rmdir(f->path);
  g_rmdir(f->dir);
  g_free(f->path);
  g_free(f->dir);
  g_free(f->why);
}

static void
decided(const Decision *decision, void *data)
{
  Held *held = data;

  held->decided++;
  held->outcome = decision->outcome;
  if (decision->answers->len) {
    const GivenAnswer *given = decision->answers->pdata[0];

    held->grant = g_strdup(given->grant);
    held->how = g_strdup(given->how);
  }
}

/* A rule that asks for all of these; its text is its name and `text`. */
static void
add_need(HeldRequest *held,
         const char *rule_id,
         char text,
         const ApproverKind *kinds,
         unsigned n,
         bool no_grants)
{
  Approver approvers[4] = {0};
  PolicyRule rule = {.id = (char *)rule_id,
                     .approvers = approvers,
                     .n_approvers = n,
                     .approvals_needed = n,
                     .no_grants = no_grants,
                     .by = BY_ALL};

  for (unsigned i = 0; i < n; i++)
    approvers[i] = (Approver){
        kinds[i],
        kinds[i] == APPROVER_REVIEWER ? (char *)(uintptr_t) "leads" : NULL};
  memset(rule.digest, text, sizeof rule.digest);
  g_ptr_array_add(held->needs, approve_need_new(&rule));
}

static const ApproverKind developer[] = {APPROVER_DEVELOPER};
static const ApproverKind presence[] = {APPROVER_PRESENCE};
static const ApproverKind reviewer[] = {APPROVER_REVIEWER};
static const ApproverKind both[] = {APPROVER_DEVELOPER, APPROVER_REVIEWER};

static HeldRequest *
bare(const char *id)
{
  HeldRequest *held = held_request_new();

  held->exchange = g_strdup(id);
  held->user = g_strdup("ada");
  held->issuer = g_strdup("local");
  held->subject = g_strdup("1000");
  held->client = g_strdup("/usr/bin/editor");
  held->connection = g_strdup("copilot");
  held->session = g_strdup("/usr/bin/editor\nabc");
  held->session_serial = 5;
  held->policy_revision = g_strdup("rev");
  sha256(id, strlen(id), held->digest);
  held->masked_digest[0] = (uint8_t)~held->digest[0];
  held->can_mask = true;
  held->timeout = 60;
  return held;
}

static HeldRequest *
request(const char *id)
{
  HeldRequest *held = bare(id);

  add_need(held, "careful", 'c', developer, 1, false);
  return held;
}

static void
hold(Fixture *f, Held *held, HeldRequest *what)
{
  *held = (Held){0};
  held->ticket = approve_hold(f->queue, what, f->loop, decided, held);
  loop_iterate(f->loop, 0);
  loop_iterate(f->loop, 0);
}

static void
let_go(Fixture *f, Held *held)
{
  if (held->decided)
    approve_ticket_free(held->ticket);
  else
    approve_withdraw(held->ticket);
  loop_iterate(f->loop, 0);
  g_free(held->grant);
  g_free(held->how);
}

static bool
grant_as(Fixture *f,
         const char *id,
         ApproverKind kind,
         const char *who,
         Answer answer,
         const GrantTerm *term,
         GError **error)
{
  static const char *const groups[] = {"leads", NULL};
  const Answerer by = {
      .kind = kind, .user = who, .groups = groups, .how = "test"};
  uint8_t digest[SHA256_LEN];
  g_autofree char *grant = NULL;
  bool fine;

  sha256(id, strlen(id), digest);
  fine = approve_grant(
      f->queue, id, &by, answer, digest, f->nonce, NULL, term, &grant, error);
  g_assert_cmpint(fine, ==, grant != NULL);
  loop_iterate(f->loop, 0);
  return fine;
}

static const GrantTerm ten_minutes = {.seconds = 600};
static const GrantTerm for_session = {.session = true};

/* Holds `what` and approves it with a grant. */
static void
give(Fixture *f, HeldRequest *what, Answer answer, const GrantTerm *term)
{
  g_autofree char *id = g_strdup(what->exchange);
  g_autoptr(GError) error = NULL;
  Held held;

  hold(f, &held, what);
  g_assert_cmpuint(held.decided, ==, 0);
  grant_as(f, id, APPROVER_DEVELOPER, "ada", answer, term, &error);
  g_assert_no_error(error);
  g_assert_cmpuint(held.decided, ==, 1);
  let_go(f, &held);
}

/* True when it was let pass by a grant. */
static bool
passes(Fixture *f, HeldRequest *what)
{
  Held held;
  bool passed;

  hold(f, &held, what);
  passed = held.decided == 1;
  if (passed) {
    g_assert_cmpstr(held.how, ==, "grant");
    g_assert_nonnull(held.grant);
    g_assert_true(held.outcome == OUTCOME_APPROVED ||
                  held.outcome == OUTCOME_APPROVED_MASKED);
  }
  let_go(f, &held);
  return passed;
}

static const Grant *
only(Fixture *f)
{
  const GPtrArray *list = grants_list(f->grants);

  g_assert_cmpuint(list->len, ==, 1);
  return list->pdata[0];
}

#define HEAD "version: 1\ndefault: allow\ntunnels: allow\nrules:\n"
#define CAREFUL                                                                \
  "  - {id: careful, match: {prompt: x}, action: approve, by: [developer]}\n"
#define CARDS "  - {id: cards, match: {prompt: y}, action: approve}\n"

static Policy *
policy_of(const char *text)
{
  g_autoptr(GError) error = NULL;
  Policy *policy = policy_parse("p.yaml", text, strlen(text), &error);

  g_assert_no_error(error);
  return policy;
}

/* A request that the policy's first rule holds. */
static HeldRequest *
request_by(const char *id, const Policy *policy)
{
  HeldRequest *held = bare(id);
  unsigned n;

  g_ptr_array_add(held->needs, approve_need_new(policy_rules(policy, &n)[0]));
  return held;
}

#endif
