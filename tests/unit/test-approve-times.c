/* SPDX-License-Identifier: Apache-2.0 */
/* The times of what waits: who is asked next and when, more time, sleep; and
 * that none of it lets anything through. */
#include "approve/approve.h"
#include "kit/clock.h"
#include <string.h>

/* Rounds of 100 ms after which a test that waits gives up. */
#define PATIENCE 200

typedef struct {
  Loop *loop;
  ApproveQueue *queue;
  ApproveTicket *ticket;
  unsigned decided;
  Decision decision; /* its plain values */
  unsigned told;
  bool escalated, presence;
  unsigned extensions;
  int64_t deadline_us, escalate_us, extend_us;
  char nonce[64];
} Fixture;

/* That the machine slept, beyond what it did. */
static int64_t slept_us;

static int64_t
boot(void)
{
  return clock_boot_us() + slept_us;
}

static void
on_pending(const PendingView *pending, void *data)
{
  Fixture *f = data;

  f->told++;
  f->escalated =
      ((const ApproveNeed *)pending->request->needs->pdata[0])->escalated;
  f->presence = pending->presence;
  f->extensions = pending->extensions;
  f->extend_us = pending->extend_us;
  f->deadline_us = pending->deadline_us;
  f->escalate_us = pending->escalate_us;
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

static void
set_up(Fixture *f, const void *data)
{
  static const ApproveListener listener = {on_pending, on_gone};
  const ApproveLimits limits = {.max_pending = 3,
                                .max_per_client = 3,
                                .kinds = 1 << APPROVER_DEVELOPER |
                                         1 << APPROVER_PRESENCE |
                                         1 << APPROVER_REVIEWER,
                                .boot_us = boot};

  (void)data;
  slept_us = 0;
  *f = (Fixture){0};
  f->loop = loop_new(NULL);
  f->queue = approve_queue_new(f->loop, &limits);
  approve_listen(f->queue, &listener, f);
}

static void
tear_down(Fixture *f, const void *data)
{
  (void)data;
  approve_withdraw(f->ticket);
  loop_iterate(f->loop, 0);
  approve_queue_free(f->queue);
  loop_iterate(f->loop, 0);
  loop_free(f->loop);
}

static void
decided(const Decision *decision, void *data)
{
  Fixture *f = data;

  f->decided++;
  f->decision = (Decision){.outcome = decision->outcome,
                           .escalated = decision->escalated,
                           .extended = decision->extended};
}

/* Held by one rule, as the policy writes it. */
static void
hold(Fixture *f, const char *rule, unsigned timeout)
{
  g_autofree char *text =
      g_strdup_printf("version: 1\nrules:\n  - {id: r, match: {user: a}, "
                      "action: approve, %s}\n",
                      rule);
  g_autoptr(GError) error = NULL;
  g_autoptr(Policy) policy = policy_parse("p", text, strlen(text), &error);
  HeldRequest *held = held_request_new();
  unsigned n;

  g_assert_no_error(error);
  held->exchange = g_strdup("x");
  held->user = g_strdup("ada");
  held->client = g_strdup("cli");
  held->policy_revision = g_strdup("rev");
  held->timeout = timeout;
  g_ptr_array_add(held->needs, approve_need_new(policy_rules(policy, &n)[0]));
  f->ticket = approve_hold(f->queue, held, f->loop, decided, f);
  loop_iterate(f->loop, 0);
}

static Answerer
person(ApproverKind kind)
{
  static const char *const leads[] = {"leads", NULL};

  return (Answerer){.kind = kind,
                    .user = kind == APPROVER_REVIEWER ? "lea" : "ada",
                    .groups = leads,
                    .how = "test"};
}

static bool
answer(Fixture *f,
       ApproverKind kind,
       Answer what,
       const char *reason,
       GError **error)
{
  const Answerer by = person(kind);
  const uint8_t digest[SHA256_LEN] = {0};
  const bool fine =
      approve_answer(f->queue, "x", &by, what, digest, f->nonce, reason, error);

  loop_iterate(f->loop, 0);
  return fine;
}

static bool
extend(Fixture *f, ApproverKind kind, const char *nonce, GError **error)
{
  const Answerer by = person(kind);
  int64_t until = 0;
  const bool fine = approve_extend(f->queue, "x", &by, nonce, &until, error);

  g_assert_true(!fine || until == f->deadline_us);
  return fine;
}

static void
wait_for(Fixture *f, const bool *what)
{
  for (unsigned i = 0; i < PATIENCE && !*what && !f->decided; i++)
    loop_iterate(f->loop, 100);
  g_assert_true(*what);
}

/* ---- Who is asked next ---------------------------------------------------
 */

/* Who is asked next counts for nothing before, and is enough then. */
static void
test_next(Fixture *f, const void *data)
{
  g_autoptr(GError) early = NULL;
  int64_t due;

  (void)data;
  hold(f, "escalate: {after: 1, to: ['reviewer:leads']}", 60);
  g_assert_false(f->escalated);
  due = f->escalate_us;
  g_assert_cmpint(
      ABS(due - clock_wall_us() - G_USEC_PER_SEC), <, G_USEC_PER_SEC);
  g_assert_false(answer(f, APPROVER_REVIEWER, ANSWER_APPROVE, NULL, &early));
  g_assert_error(early, APPROVE_ERROR, APPROVE_ERROR_NOT_ASKED);
  g_assert_cmpuint(f->decided, ==, 0);
  wait_for(f, &f->escalated);
  g_assert_cmpint(clock_wall_us(), >=, due - G_USEC_PER_SEC / 2);
  g_assert_cmpint(f->escalate_us, ==, 0);
  g_assert_cmpuint(f->decided, ==, 0);
  g_assert_true(answer(f, APPROVER_REVIEWER, ANSWER_APPROVE, NULL, NULL));
  g_assert_cmpuint(f->decided, ==, 1);
  g_assert_cmpint(f->decision.outcome, ==, OUTCOME_APPROVED);
  g_assert_true(f->decision.escalated);
}

/* Whoever was asked first may still answer. */
static void
test_first_still(Fixture *f, const void *data)
{
  (void)data;
  hold(f, "escalate: {after: 1, to: [presence]}", 60);
  g_assert_false(f->presence);
  wait_for(f, &f->escalated);
  g_assert_false(f->presence); /* a click is enough */
  g_assert_true(answer(f, APPROVER_DEVELOPER, ANSWER_APPROVE, NULL, NULL));
  g_assert_cmpint(f->decision.outcome, ==, OUTCOME_APPROVED);
}

/* All of those who are asked next, not one of them; and no one of each. */
static void
test_next_are_all(Fixture *f, const void *data)
{
  (void)data;
  hold(f,
       "by: [presence], escalate: {after: 1, to: {all: [presence, "
       "'reviewer:leads']}}",
       60);
  g_assert_true(f->presence);
  wait_for(f, &f->escalated);
  g_assert_true(answer(f, APPROVER_REVIEWER, ANSWER_APPROVE, NULL, NULL));
  g_assert_cmpuint(f->decided, ==, 0);
  g_assert_true(answer(f, APPROVER_PRESENCE, ANSWER_APPROVE, NULL, NULL));
  g_assert_cmpint(f->decision.outcome, ==, OUTCOME_APPROVED);
}

/* Nobody answers: others were asked, and it is still no. */
static void
test_next_is_silent(Fixture *f, const void *data)
{
  (void)data;
  hold(f, "timeout: 2, escalate: {after: 1, to: ['reviewer:leads']}", 2);
  for (unsigned i = 0; i < PATIENCE && !f->decided; i++)
    loop_iterate(f->loop, 100);
  g_assert_cmpint(f->decision.outcome, ==, OUTCOME_TIMEOUT);
  g_assert_true(f->decision.escalated);
}

/* ---- More time -----------------------------------------------------------
 */

static void
test_extend(Fixture *f, const void *data)
{
  g_autoptr(GError) nonce = NULL;
  g_autoptr(GError) stranger = NULL;
  g_autoptr(GError) over = NULL;
  int64_t before;

  (void)data;
  hold(f, "extend: 2", 60);
  before = f->deadline_us;
  g_assert_cmpuint(f->extensions, ==, 2);
  g_assert_cmpint(f->extend_us, ==, 60 * (int64_t)G_USEC_PER_SEC);
  g_assert_false(extend(f, APPROVER_DEVELOPER, "0", &nonce));
  g_assert_error(nonce, APPROVE_ERROR, APPROVE_ERROR_DIGEST);
  g_assert_false(extend(f, APPROVER_REVIEWER, f->nonce, &stranger));
  g_assert_error(stranger, APPROVE_ERROR, APPROVE_ERROR_NOT_ASKED);
  g_assert_true(extend(f, APPROVER_DEVELOPER, f->nonce, NULL));
  g_assert_cmpint(
      ABS(f->deadline_us - before - 60 * G_USEC_PER_SEC), <, G_USEC_PER_SEC);
  g_assert_true(extend(f, APPROVER_DEVELOPER, f->nonce, NULL));
  g_assert_cmpuint(f->extensions, ==, 0);
  g_assert_false(extend(f, APPROVER_DEVELOPER, f->nonce, &over));
  g_assert_error(over, APPROVE_ERROR, APPROVE_ERROR_EXTEND);
  g_assert_true(answer(f, APPROVER_DEVELOPER, ANSWER_DENY, NULL, NULL));
  g_assert_cmpuint(f->decision.extended, ==, 2);
}

/* More time is no more than that: it ends by itself. */
static void
test_extended_ends(Fixture *f, const void *data)
{
  const int64_t began = clock_mono_us();

  (void)data;
  hold(f, "extend: 1", 1);
  g_assert_true(extend(f, APPROVER_DEVELOPER, f->nonce, NULL));
  for (unsigned i = 0; i < PATIENCE && !f->decided; i++)
    loop_iterate(f->loop, 100);
  g_assert_cmpint(f->decision.outcome, ==, OUTCOME_TIMEOUT);
  g_assert_cmpint(clock_mono_us() - began, >=, 2 * G_USEC_PER_SEC);
}

static void
test_extend_bound(Fixture *f, const void *data)
{
  unsigned times = 0;

  (void)data;
  hold(f, "extend: 10", 1000);
  while (extend(f, APPROVER_DEVELOPER, f->nonce, NULL) && times < 20)
    times++;
  g_assert_cmpuint(times, ==, 3);
  g_assert_cmpint(f->deadline_us - clock_wall_us(),
                  <=,
                  APPROVE_HELD_AT_MOST_S * (int64_t)G_USEC_PER_SEC);
  g_assert_cmpuint(f->extensions, ==, 0);
}

static void
test_no_extension(Fixture *f, const void *data)
{
  g_autoptr(GError) error = NULL;

  (void)data;
  hold(f, "extend: 0", 60);
  g_assert_false(extend(f, APPROVER_DEVELOPER, f->nonce, &error));
  g_assert_error(error, APPROVE_ERROR, APPROVE_ERROR_EXTEND);
}

/* ---- Sleep ---------------------------------------------------------------
 */

/* Before it sleeps, when it wakes, when the screen is unlocked. */
static void
test_grace(Fixture *f, const void *data)
{
  const unsigned told = 1;

  (void)data;
  hold(f, "extend: 0", 1);
  g_assert_cmpuint(f->told, ==, told);
  approve_grace(f->queue, APPROVE_WAKE_S);
  g_assert_cmpuint(f->told, ==, told + 1);
  g_assert_cmpint(f->deadline_us - clock_wall_us(),
                  >,
                  (APPROVE_WAKE_S - 5) * (int64_t)G_USEC_PER_SEC);
  for (int64_t until = clock_mono_us() + 1500000; clock_mono_us() < until;)
    loop_iterate(f->loop, 100);
  g_assert_cmpuint(f->decided, ==, 0);
  /* What has longer keeps it. */
  approve_grace(f->queue, 1);
  g_assert_cmpint(f->deadline_us - clock_wall_us(),
                  >,
                  (APPROVE_WAKE_S - 10) * (int64_t)G_USEC_PER_SEC);
  g_assert_true(answer(f, APPROVER_DEVELOPER, ANSWER_APPROVE, NULL, NULL));
  g_assert_cmpint(f->decision.outcome, ==, OUTCOME_APPROVED);
}

/* Nobody told that the machine slept: its deadline is put off, once for each
 * sleep. */
static void
test_slept(Fixture *f, const void *data)
{
  bool woke = false;

  (void)data;
  hold(f, "extend: 0", 1);
  slept_us = 3600 * (int64_t)G_USEC_PER_SEC;
  for (unsigned i = 0; i < PATIENCE && !f->decided && !woke; i++) {
    loop_iterate(f->loop, 100);
    woke = f->told > 1;
  }
  g_assert_true(woke);
  g_assert_cmpuint(f->decided, ==, 0);
  g_assert_cmpint(f->deadline_us - clock_wall_us(),
                  >,
                  (APPROVE_WAKE_S - 5) * (int64_t)G_USEC_PER_SEC);
}

/* ---- Reasons, and who may stop it ------------------------------------------
 */

static void
test_reason(Fixture *f, const void *data)
{
  g_autoptr(GError) none = NULL;
  g_autoptr(GError) blank = NULL;

  (void)data;
  hold(f, "reason: true", 60);
  g_assert_false(answer(f, APPROVER_DEVELOPER, ANSWER_APPROVE, NULL, &none));
  g_assert_error(none, APPROVE_ERROR, APPROVE_ERROR_REASON);
  g_assert_false(answer(f, APPROVER_DEVELOPER, ANSWER_APPROVE, " \t", &blank));
  g_assert_error(blank, APPROVE_ERROR, APPROVE_ERROR_REASON);
  g_assert_cmpuint(f->decided, ==, 0);
  g_assert_true(
      answer(f, APPROVER_DEVELOPER, ANSWER_APPROVE, "the release", NULL));
  g_assert_cmpint(f->decision.outcome, ==, OUTCOME_APPROVED);
}

/* Whoever wanted it needs nobody's leave to stop it, and cannot approve it. */
static void
test_stop(Fixture *f, const void *data)
{
  g_autoptr(GError) error = NULL;

  (void)data;
  hold(f, "by: ['reviewer:leads'], reason: true", 60);
  g_assert_false(answer(f, APPROVER_DEVELOPER, ANSWER_APPROVE, "so", &error));
  g_assert_error(error, APPROVE_ERROR, APPROVE_ERROR_NOT_ASKED);
  g_assert_true(answer(f, APPROVER_DEVELOPER, ANSWER_DENY, NULL, NULL));
  g_assert_cmpint(f->decision.outcome, ==, OUTCOME_DENIED);
}

#define TEST(name, func)                                                       \
  g_test_add("/approve/times/" name, Fixture, NULL, set_up, func, tear_down)

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  TEST("next", test_next);
  TEST("first-still", test_first_still);
  TEST("next-are-all", test_next_are_all);
  TEST("next-is-silent", test_next_is_silent);
  TEST("extend", test_extend);
  TEST("extended-ends", test_extended_ends);
  TEST("extend-bound", test_extend_bound);
  TEST("no-extension", test_no_extension);
  TEST("grace", test_grace);
  TEST("slept", test_slept);
  TEST("reason", test_reason);
  TEST("stop", test_stop);
  return g_test_run();
}
