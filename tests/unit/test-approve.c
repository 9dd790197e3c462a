/* SPDX-License-Identifier: Apache-2.0 */
/* The approval queue: who may answer what, with which digest, and that nobody
 * is let through by a deadline, a full queue, a stranger or a late answer. */
#include "approve/approve.h"
#include <string.h>

/* Rounds after which a test that waits gives up. */
#define PATIENCE 2000

#define EVERYBODY                                                              \
  (1 << APPROVER_DEVELOPER | 1 << APPROVER_PRESENCE | 1 << APPROVER_REVIEWER)

typedef struct {
  Loop *loop; /* the queue's and the holder's: order is then visible */
  ApproveQueue *queue;
  char nonce[64];
  unsigned pending, gone;
  Outcome gone_as;
} Fixture;

typedef struct {
  ApproveTicket *ticket;
  unsigned decided;
  Outcome outcome;
  char *reason;
  unsigned answers;
} Held;

static void
on_pending(const PendingView *pending, void *data)
{
  Fixture *f = data;

  f->pending++;
  g_strlcpy(f->nonce, pending->nonce, sizeof f->nonce);
}

static void
on_gone(const char *exchange, Outcome outcome, const char *who, void *data)
{
  Fixture *f = data;

  (void)exchange;
  (void)who;
  f->gone++;
  f->gone_as = outcome;
}

static const ApproveListener listener = {on_pending, on_gone};

static void
set_up(Fixture *f, const void *data)
{
  ApproveLimits limits = {
      .max_pending = 3, .max_per_client = 2, .kinds = EVERYBODY};

  (void)data;
  *f = (Fixture){0};
  f->loop = loop_new(NULL);
  f->queue = approve_queue_new(f->loop, &limits);
  approve_listen(f->queue, &listener, f);
}

static void
tear_down(Fixture *f, const void *data)
{
  (void)data;
  approve_queue_free(f->queue);
  loop_iterate(f->loop, 0);
  loop_free(f->loop);
}

static void
decided(const Decision *decision, void *data)
{
  Held *held = data;

  held->decided++;
  held->outcome = decision->outcome;
  held->reason = g_strdup(decision->reason);
  held->answers = decision->answers->len;
}

/* Of the reviewers that a rule names, by their place; answer_as() is in all. */
static const char *const group_names[] = {"g0", "g1", "g2", "g3", NULL};

static ApproveNeed *
need(ApproveBy by, unsigned needed, const ApproverKind *kinds, unsigned n)
{
  Approver approvers[4] = {0};
  PolicyRule rule = {.id = (char *)"rule",
                     .message = (char *)"Why?",
                     .approvers = approvers,
                     .n_approvers = n,
                     .approvals_needed = needed,
                     .by = by};

  for (unsigned i = 0; i < n; i++)
    approvers[i] = (Approver){
        kinds[i],
        kinds[i] == APPROVER_REVIEWER ? (char *)group_names[i] : NULL};
  return approve_need_new(&rule);
}

static HeldRequest *
request(const char *id, const char *client, uint8_t digest, unsigned timeout)
{
  static const ApproverKind developer[] = {APPROVER_DEVELOPER};
  HeldRequest *held = held_request_new();

  held->exchange = g_strdup(id);
  held->user = g_strdup("ada");
  held->client = g_strdup(client);
  held->policy_revision = g_strdup("rev");
  memset(held->digest, digest, SHA256_LEN);
  memset(held->masked_digest, digest + 100, SHA256_LEN);
  held->can_mask = true;
  held->timeout = timeout;
  g_ptr_array_add(held->needs, need(BY_ALL, 1, developer, 1));
  return held;
}

static void
hold(Fixture *f, Held *held, HeldRequest *what)
{
  *held = (Held){0};
  held->ticket = approve_hold(f->queue, what, f->loop, decided, held);
  loop_iterate(f->loop, 0);
}

static void
let_go(Held *held)
{
  approve_ticket_free(held->ticket);
  g_free(held->reason);
}

static bool
answer_as(Fixture *f,
          const char *id,
          ApproverKind kind,
          const char *who,
          Answer answer,
          uint8_t digest,
          const char *nonce,
          GError **error)
{
  const Answerer by = {
      .kind = kind, .user = who, .groups = group_names, .how = "test"};
  uint8_t shown[SHA256_LEN];

  memset(shown, digest, sizeof shown);
  return approve_answer(
      f->queue, id, &by, answer, shown, nonce, "because", error);
}

static bool
answer(Fixture *f,
       const char *id,
       Answer answer_,
       uint8_t digest,
       GError **error)
{
  bool fine = answer_as(
      f, id, APPROVER_DEVELOPER, "ada", answer_, digest, f->nonce, error);

  loop_iterate(f->loop, 0);
  return fine;
}

static void
test_approve(Fixture *f, const void *data)
{
  Held held;

  (void)data;
  hold(f, &held, request("a", "cli", 1, 60));
  g_assert_cmpuint(held.decided, ==, 0);
  g_assert_true(answer(f, "a", ANSWER_APPROVE, 1, NULL));
  g_assert_cmpuint(held.decided, ==, 1);
  g_assert_cmpint(held.outcome, ==, OUTCOME_APPROVED);
  g_assert_cmpuint(held.answers, ==, 1);
  g_assert_cmpint(f->gone_as, ==, OUTCOME_APPROVED);
  let_go(&held);
}

static void
test_deny_tells_why(Fixture *f, const void *data)
{
  Held held;

  (void)data;
  hold(f, &held, request("a", "cli", 1, 60));
  g_assert_true(answer(f, "a", ANSWER_DENY, 1, NULL));
  g_assert_cmpint(held.outcome, ==, OUTCOME_DENIED);
  g_assert_cmpstr(held.reason, ==, "because");
  let_go(&held);
}

static void
test_second_answer_finds_it_decided(Fixture *f, const void *data)
{
  g_autoptr(GError) error = NULL;
  Held held;

  (void)data;
  hold(f, &held, request("a", "cli", 1, 60));
  g_assert_true(answer(f, "a", ANSWER_DENY, 1, NULL));
  g_assert_false(answer(f, "a", ANSWER_APPROVE, 1, &error));
  g_assert_error(error, APPROVE_ERROR, APPROVE_ERROR_NOT_FOUND);
  g_assert_cmpuint(held.decided, ==, 1);
  g_assert_cmpint(held.outcome, ==, OUTCOME_DENIED);
  let_go(&held);
}

static void
test_wrong_digest_or_nonce(Fixture *f, const void *data)
{
  g_autoptr(GError) digest = NULL;
  g_autoptr(GError) nonce = NULL;
  g_autoptr(GError) empty = NULL;
  Held held;

  (void)data;
  hold(f, &held, request("a", "cli", 1, 60));
  g_assert_false(answer(f, "a", ANSWER_APPROVE, 2, &digest));
  g_assert_error(digest, APPROVE_ERROR, APPROVE_ERROR_DIGEST);
  g_assert_false(answer_as(f,
                           "a",
                           APPROVER_DEVELOPER,
                           "ada",
                           ANSWER_APPROVE,
                           1,
                           "000000000000000000000000",
                           &nonce));
  g_assert_error(nonce, APPROVE_ERROR, APPROVE_ERROR_DIGEST);
  g_assert_false(answer_as(
      f, "a", APPROVER_DEVELOPER, "ada", ANSWER_APPROVE, 1, "", &empty));
  g_assert_error(empty, APPROVE_ERROR, APPROVE_ERROR_DIGEST);
  g_assert_cmpuint(held.decided, ==, 0);
  approve_withdraw(held.ticket);
  loop_iterate(f->loop, 0);
}

/* Who was shown only masked text can approve only masked. */
static void
test_masked_view_approves_only_masked(Fixture *f, const void *data)
{
  g_autoptr(GError) error = NULL;
  Held held;

  (void)data;
  hold(f, &held, request("a", "cli", 1, 60));
  g_assert_false(answer(f, "a", ANSWER_APPROVE, 101, &error));
  g_assert_error(error, APPROVE_ERROR, APPROVE_ERROR_DIGEST);
  g_assert_cmpuint(held.decided, ==, 0);
  g_assert_true(answer(f, "a", ANSWER_APPROVE_MASKED, 101, NULL));
  g_assert_cmpint(held.outcome, ==, OUTCOME_APPROVED_MASKED);
  let_go(&held);
}

static void
test_nothing_to_mask(Fixture *f, const void *data)
{
  g_autoptr(GError) error = NULL;
  HeldRequest *what = request("a", "cli", 1, 60);
  Held held;

  (void)data;
  what->can_mask = false;
  hold(f, &held, what);
  g_assert_false(answer(f, "a", ANSWER_APPROVE_MASKED, 1, &error));
  g_assert_error(error, APPROVE_ERROR, APPROVE_ERROR_UNMASKABLE);
  approve_withdraw(held.ticket);
  loop_iterate(f->loop, 0);
}

/* Two needs with different approvers: both must say yes, and one of them
 * masked makes it masked. */
static void
test_all_needs_must_be_met(Fixture *f, const void *data)
{
  static const ApproverKind presence[] = {APPROVER_PRESENCE};
  HeldRequest *what = request("a", "cli", 1, 60);
  Held held;

  (void)data;
  g_ptr_array_add(what->needs, need(BY_ALL, 1, presence, 1));
  hold(f, &held, what);
  g_assert_true(answer(f, "a", ANSWER_APPROVE_MASKED, 101, NULL));
  g_assert_cmpuint(held.decided, ==, 0);
  g_assert_true(answer_as(
      f, "a", APPROVER_PRESENCE, "ada", ANSWER_APPROVE, 1, f->nonce, NULL));
  loop_iterate(f->loop, 0);
  g_assert_cmpint(held.outcome, ==, OUTCOME_APPROVED_MASKED);
  g_assert_cmpuint(held.answers, ==, 2);
  let_go(&held);
}

static void
test_reviewers_are_others_and_distinct(Fixture *f, const void *data)
{
  static const ApproverKind reviewers[] = {
      APPROVER_REVIEWER, APPROVER_REVIEWER, APPROVER_REVIEWER};
  HeldRequest *what = request("a", "cli", 1, 60);
  g_autoptr(GError) own = NULL;
  g_autoptr(GError) twice = NULL;
  Held held;

  (void)data;
  g_ptr_array_set_size(what->needs, 0);
  g_ptr_array_add(what->needs, need(BY_COUNT, 2, reviewers, 3));
  hold(f, &held, what);
  g_assert_false(answer_as(
      f, "a", APPROVER_REVIEWER, "ada", ANSWER_APPROVE, 1, f->nonce, &own));
  g_assert_error(own, APPROVE_ERROR, APPROVE_ERROR_NOT_ASKED);
  g_assert_true(answer_as(
      f, "a", APPROVER_REVIEWER, "bob", ANSWER_APPROVE, 1, f->nonce, NULL));
  g_assert_false(answer_as(
      f, "a", APPROVER_REVIEWER, "bob", ANSWER_APPROVE, 1, f->nonce, &twice));
  g_assert_error(twice, APPROVE_ERROR, APPROVE_ERROR_DECIDED);
  loop_iterate(f->loop, 0);
  g_assert_cmpuint(held.decided, ==, 0);
  g_assert_true(answer_as(
      f, "a", APPROVER_REVIEWER, "cyd", ANSWER_APPROVE, 1, f->nonce, NULL));
  loop_iterate(f->loop, 0);
  g_assert_cmpint(held.outcome, ==, OUTCOME_APPROVED);
  let_go(&held);
}

/* Two reviewers' groups are two people, though one is in both. */
static void
test_all_reviewers_are_distinct(Fixture *f, const void *data)
{
  static const ApproverKind reviewers[] = {APPROVER_REVIEWER,
                                           APPROVER_REVIEWER};
  HeldRequest *what = request("a", "cli", 1, 60);
  Held held;

  (void)data;
  g_ptr_array_set_size(what->needs, 0);
  g_ptr_array_add(what->needs, need(BY_ALL, 2, reviewers, 2));
  hold(f, &held, what);
  g_assert_true(answer_as(
      f, "a", APPROVER_REVIEWER, "bob", ANSWER_APPROVE, 1, f->nonce, NULL));
  loop_iterate(f->loop, 0);
  g_assert_cmpuint(held.decided, ==, 0);
  g_assert_true(answer_as(
      f, "a", APPROVER_REVIEWER, "cyd", ANSWER_APPROVE, 1, f->nonce, NULL));
  loop_iterate(f->loop, 0);
  g_assert_cmpint(held.outcome, ==, OUTCOME_APPROVED);
  let_go(&held);
}

static void
test_approver_who_was_not_named(Fixture *f, const void *data)
{
  g_autoptr(GError) error = NULL;
  Held held;

  (void)data;
  hold(f, &held, request("a", "cli", 1, 60));
  g_assert_false(answer_as(
      f, "a", APPROVER_PRESENCE, "ada", ANSWER_APPROVE, 1, f->nonce, &error));
  g_assert_error(error, APPROVE_ERROR, APPROVE_ERROR_NOT_ASKED);
  approve_withdraw(held.ticket);
  loop_iterate(f->loop, 0);
}

/* Without a hub there are no reviewers: nothing waits for one. */
static void
test_nobody_could_answer(void)
{
  static const ApproverKind developer[] = {APPROVER_DEVELOPER};
  static const ApproverKind both[] = {APPROVER_DEVELOPER, APPROVER_REVIEWER};
  static const ApproverKind presence[] = {APPROVER_PRESENCE};
  static const struct {
    ApproveBy by;
    unsigned needed;
    const ApproverKind *kinds;
    unsigned n;
    const char *why; /* NULL: it waits */
  } cases[] = {
      {BY_ALL, 1, developer, 1, NULL},
      {BY_ANY, 1, both, 2, NULL},
      {BY_COUNT, 1, both, 2, NULL},
      {BY_ALL, 2, both, 2, "a reviewer of"},
      {BY_COUNT, 2, both, 2, "a reviewer of"},
      {BY_ALL, 1, both + 1, 1, "a reviewer of"},
      {BY_ALL, 1, presence, 1, "presence"},
      {BY_COUNT, 2, developer, 1, "more people"},
  };
  ApproveLimits limits = {.max_pending = 20,
                          .max_per_client = 20,
                          .kinds = 1 << APPROVER_DEVELOPER};

  for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
    Fixture f = {.loop = loop_new(NULL)};
    HeldRequest *what = request("a", "cli", 1, 60);
    Held held;

    f.queue = approve_queue_new(f.loop, &limits);
    g_ptr_array_set_size(what->needs, 0);
    g_ptr_array_add(
        what->needs,
        need(cases[i].by, cases[i].needed, cases[i].kinds, cases[i].n));
    hold(&f, &held, what);
    loop_iterate(f.loop, 0);
    g_assert_cmpuint(held.decided, ==, cases[i].why != NULL);
    if (cases[i].why) {
      g_assert_cmpint(held.outcome, ==, OUTCOME_REFUSED);
      g_assert_nonnull(strstr(held.reason, cases[i].why));
      let_go(&held);
    } else {
      approve_withdraw(held.ticket);
      loop_iterate(f.loop, 0);
    }
    approve_queue_free(f.queue);
    loop_free(f.loop);
  }
}

/* Whose request it is may say yes as developer, and counts as that alone. */
static void
test_developer_is_no_reviewer(Fixture *f, const void *data)
{
  static const ApproverKind both[] = {APPROVER_DEVELOPER, APPROVER_REVIEWER};
  HeldRequest *what = request("a", "cli", 1, 60);
  g_autoptr(GError) error = NULL;
  Held held;

  (void)data;
  g_ptr_array_set_size(what->needs, 0);
  g_ptr_array_add(what->needs, need(BY_ALL, 2, both, 2));
  hold(f, &held, what);
  g_assert_true(answer(f, "a", ANSWER_APPROVE, 1, NULL));
  g_assert_false(answer_as(
      f, "a", APPROVER_REVIEWER, "ada", ANSWER_APPROVE, 1, f->nonce, &error));
  g_assert_error(error, APPROVE_ERROR, APPROVE_ERROR_NOT_ASKED);
  loop_iterate(f->loop, 0);
  g_assert_cmpuint(held.decided, ==, 0);
  approve_withdraw(held.ticket);
  loop_iterate(f->loop, 0);
}

static void
test_timeout_means_no(Fixture *f, const void *data)
{
  Held held;

  (void)data;
  hold(f, &held, request("a", "cli", 1, 1));
  for (unsigned i = 0; i < PATIENCE && !held.decided; i++)
    loop_iterate(f->loop, 100);
  g_assert_cmpuint(held.decided, ==, 1);
  g_assert_cmpint(held.outcome, ==, OUTCOME_TIMEOUT);
  let_go(&held);
}

/* Equal requests of one client share a prompt; another client's do not. */
static void
test_equal_requests_share_a_prompt(Fixture *f, const void *data)
{
  Held first, second, other;

  (void)data;
  hold(f, &first, request("a", "cli", 1, 60));
  hold(f, &second, request("b", "cli", 1, 60));
  hold(f, &other, request("c", "ide", 1, 60));
  g_assert_true(answer_as(
      f, "c", APPROVER_DEVELOPER, "ada", ANSWER_DENY, 1, f->nonce, NULL));
  loop_iterate(f->loop, 0);
  g_assert_cmpint(other.outcome, ==, OUTCOME_DENIED);
  g_assert_cmpuint(first.decided + second.decided, ==, 0);
  approve_withdraw(first.ticket);
  loop_iterate(f->loop, 0); /* the prompt stays for the second */
  g_assert_true(answer(f, "a", ANSWER_APPROVE, 1, NULL));
  g_assert_cmpuint(first.decided, ==, 0);
  g_assert_cmpint(second.outcome, ==, OUTCOME_APPROVED);
  let_go(&second);
  let_go(&other);
}

static void
count_prompt(const PendingView *pending, void *data)
{
  unsigned *n = data;

  *n += pending->waiting == 1;
}

/* Nor do those of two people whom their providers call the same. */
static void
test_other_people_are_another_prompt(Fixture *f, const void *data)
{
  static const char *const issuers[] = {"https://a", "https://b", "https://a"};
  static const char *const subjects[] = {"1", "1", "2"};

  (void)data;
  for (unsigned i = 1; i < G_N_ELEMENTS(issuers); i++) {
    HeldRequest *one = request("one", "cli", 1, 60);
    HeldRequest *other = request("other", "cli", 1, 60);
    unsigned prompts = 0;
    Held held[2];

    one->issuer = g_strdup(issuers[0]);
    one->subject = g_strdup(subjects[0]);
    other->issuer = g_strdup(issuers[i]);
    other->subject = g_strdup(subjects[i]);
    hold(f, &held[0], one);
    hold(f, &held[1], other);
    approve_pending(f->queue, count_prompt, &prompts);
    g_assert_cmpuint(prompts, ==, 2);
    approve_withdraw(held[0].ticket);
    approve_withdraw(held[1].ticket);
    loop_iterate(f->loop, 0);
  }
}

/* The same bytes may ask more people: a header or the session differs. */
static void
test_other_needs_are_another_prompt(Fixture *f, const void *data)
{
  static const ApproverKind presence[] = {APPROVER_PRESENCE};
  HeldRequest *more = request("b", "cli", 1, 60);
  Held first, second;

  (void)data;
  g_ptr_array_add(more->needs, need(BY_ALL, 1, presence, 1));
  hold(f, &second, more);
  hold(f, &first, request("a", "cli", 1, 60));
  g_assert_true(answer(f, "a", ANSWER_APPROVE, 1, NULL));
  g_assert_cmpint(first.outcome, ==, OUTCOME_APPROVED);
  g_assert_cmpuint(second.decided, ==, 0);
  approve_withdraw(second.ticket);
  loop_iterate(f->loop, 0);
  let_go(&first);
}

static void
test_withdrawal_ends_the_prompt(Fixture *f, const void *data)
{
  Held held;

  (void)data;
  hold(f, &held, request("a", "cli", 1, 60));
  approve_withdraw(held.ticket);
  loop_iterate(f->loop, 0);
  g_assert_cmpuint(held.decided, ==, 0);
  g_assert_cmpuint(f->gone, ==, 1);
  g_assert_cmpint(f->gone_as, ==, OUTCOME_WITHDRAWN);
}

/* The clients' connections close when the agent ends: that is no client that
 * went away. */
static void
test_left_as_the_agent_stops(Fixture *f, const void *data)
{
  Held held, late;

  (void)data;
  hold(f, &held, request("a", "cli", 1, 60));
  approve_stop(f->queue);
  hold(f, &late, request("b", "cli", 2, 60));
  loop_iterate(f->loop, 0);
  g_assert_cmpuint(late.decided, ==, 1);
  g_assert_cmpint(late.outcome, ==, OUTCOME_REFUSED);
  approve_withdraw(held.ticket);
  loop_iterate(f->loop, 0);
  g_assert_cmpuint(f->gone, ==, 1);
  g_assert_cmpint(f->gone_as, ==, OUTCOME_REFUSED);
  let_go(&late);
}

static void
test_queue_is_bounded(Fixture *f, const void *data)
{
  Held held[5];

  (void)data;
  hold(f, &held[0], request("a", "cli", 1, 60));
  hold(f, &held[1], request("b", "cli", 2, 60));
  hold(f, &held[2], request("c", "cli", 3, 60)); /* a third of one client */
  hold(f, &held[3], request("d", "ide", 4, 60));
  hold(f, &held[4], request("e", "tool", 5, 60)); /* a fourth in all */
  loop_iterate(f->loop, 0);
  g_assert_cmpint(held[2].outcome, ==, OUTCOME_REFUSED);
  g_assert_nonnull(strstr(held[2].reason, "program"));
  g_assert_cmpint(held[4].outcome, ==, OUTCOME_REFUSED);
  g_assert_nonnull(strstr(held[4].reason, "max-pending"));
  g_assert_cmpuint(held[0].decided + held[1].decided + held[3].decided, ==, 0);
  approve_withdraw(held[0].ticket);
  approve_withdraw(held[1].ticket);
  approve_withdraw(held[3].ticket);
  loop_iterate(f->loop, 0);
  let_go(&held[2]);
  let_go(&held[4]);
}

static void
test_stopping_means_no(void)
{
  ApproveLimits limits = {
      .max_pending = 3, .max_per_client = 3, .kinds = EVERYBODY};
  Fixture f = {.loop = loop_new(NULL)};
  Held held;

  f.queue = approve_queue_new(f.loop, &limits);
  hold(&f, &held, request("a", "cli", 1, 60));
  approve_queue_free(f.queue);
  loop_iterate(f.loop, 0);
  g_assert_cmpint(held.outcome, ==, OUTCOME_REFUSED);
  let_go(&held);
  loop_free(f.loop);
}

#define TEST(name)                                                             \
  g_test_add("/approve/" #name, Fixture, NULL, set_up, test_##name, tear_down)

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  TEST(approve);
  TEST(deny_tells_why);
  TEST(second_answer_finds_it_decided);
  TEST(wrong_digest_or_nonce);
  TEST(masked_view_approves_only_masked);
  TEST(nothing_to_mask);
  TEST(all_needs_must_be_met);
  TEST(reviewers_are_others_and_distinct);
  TEST(all_reviewers_are_distinct);
  TEST(approver_who_was_not_named);
  TEST(developer_is_no_reviewer);
  TEST(timeout_means_no);
  TEST(equal_requests_share_a_prompt);
  TEST(other_people_are_another_prompt);
  TEST(other_needs_are_another_prompt);
  TEST(withdrawal_ends_the_prompt);
  TEST(left_as_the_agent_stops);
  TEST(queue_is_bounded);
  g_test_add_func("/approve/stopping_means_no", test_stopping_means_no);
  g_test_add_func("/approve/nobody_could_answer", test_nobody_could_answer);
  return g_test_run();
}
