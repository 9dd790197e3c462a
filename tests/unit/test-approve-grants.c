/* SPDX-License-Identifier: Apache-2.0 */
/* Grants: what each is bound to, whose yes it is, and how it ends. */
#include "grants-kit.h"

static void
test_lets_pass(Fixture *f, const void *data)
{
  (void)data;
  g_assert_false(passes(f, request("a")));
  give(f, request("b"), ANSWER_APPROVE, &ten_minutes);
  g_assert_true(passes(f, request("c")));
  g_assert_true(passes(f, request("d")));
  g_assert_cmpuint(only(f)->uses, ==, 2);
  g_assert_cmpuint(f->events[GRANT_GIVEN], ==, 1);
}

static void
change(char **field, const char *value)
{
  g_free(*field);
  *field = g_strdup(value);
}

static void
test_bound(Fixture *f, const void *data)
{
  HeldRequest *other;

  (void)data;
  give(f, request("a"), ANSWER_APPROVE, &ten_minutes);
  other = request("b");
  change(&other->user, "bob");
  g_assert_false(passes(f, other));
  other = request("c");
  change(&other->issuer, "https://idp.example.com");
  g_assert_false(passes(f, other));
  other = request("j");
  change(&other->subject, "1001");
  g_assert_false(passes(f, other));
  other = request("d");
  change(&other->client, "/usr/bin/other");
  g_assert_false(passes(f, other));
  other = request("e");
  change(&other->connection, "anthropic");
  g_assert_false(passes(f, other));
  /* Another rule, another text of the rule, another rule beside it. */
  other = bare("f");
  add_need(other, "cards", 'c', developer, 1, false);
  g_assert_false(passes(f, other));
  other = bare("g");
  add_need(other, "careful", 'x', developer, 1, false);
  g_assert_false(passes(f, other));
  other = request("h");
  add_need(other, "cards", 'k', developer, 1, false);
  g_assert_false(passes(f, other));
  /* Another conversation does not matter to a time. */
  other = request("i");
  change(&other->session, NULL);
  g_assert_true(passes(f, other));
}

static void
test_session(Fixture *f, const void *data)
{
  HeldRequest *other;

  (void)data;
  give(f, request("a"), ANSWER_APPROVE, &for_session);
  g_assert_true(passes(f, request("b")));
  other = request("c");
  change(&other->session, "/usr/bin/editor\ndef");
  g_assert_false(passes(f, other));
  other = request("d");
  change(&other->session, NULL);
  g_assert_false(passes(f, other));
  other = request("e");
  other->session_serial = 6; /* it idled out meanwhile */
  g_assert_false(passes(f, other));
  /* It ends like any other, too. */
  boot_us += 3600 * S;
  wall_us += 3600 * S;
  g_assert_false(passes(f, request("f")));
}

/* Sessions of which none lets another pass. */
static HeldRequest *
request_of_session(const char *id, unsigned n)
{
  HeldRequest *held = request(id);

  g_free(held->session);
  held->session = g_strdup_printf("/usr/bin/editor\n%u", n);
  return held;
}

static bool
lives_not(uint64_t serial, void *data)
{
  (void)data;
  return serial != 5;
}

static void
test_dead_session(Fixture *f, const void *data)
{
  (void)data;
  give(f, request("a"), ANSWER_APPROVE, &for_session);
  grants_keep_sessions(f->grants, lives_not, NULL);
  g_assert_cmpuint(grants_list(f->grants)->len, ==, 0);
  g_assert_cmpuint(f->events[GRANT_ENDED], ==, 1);
  g_assert_cmpstr(f->why, ==, "its session ended");
  /* Nor do they take the room of others: four may be in force. */
  for (unsigned i = 0; i < 8; i++) {
    g_autofree char *id = g_strdup_printf("s%u", i);

    if (i % 4 == 0)
      grants_keep_sessions(f->grants, lives_not, NULL);
    give(f, request_of_session(id, i), ANSWER_APPROVE, &for_session);
  }
  g_assert_cmpuint(grants_list(f->grants)->len, ==, 4);
}

static void
test_expires(Fixture *f, const void *data)
{
  (void)data;
  give(f, request("a"), ANSWER_APPROVE, &ten_minutes);
  wall_us += 599 * S;
  boot_us += 599 * S;
  g_assert_true(passes(f, request("b")));
  wall_us += S;
  boot_us += S;
  g_assert_false(passes(f, request("c")));
  g_assert_cmpuint(f->events[GRANT_EXPIRED], ==, 1);
  g_assert_cmpuint(grants_list(f->grants)->len, ==, 0);
}

static void
test_clock_set_back(Fixture *f, const void *data)
{
  (void)data;
  give(f, request("a"), ANSWER_APPROVE, &ten_minutes);
  boot_us += 600 * S;
  wall_us -= 100000 * S;
  g_assert_false(passes(f, request("b")));
}

static void
test_clock_set_forward(Fixture *f, const void *data)
{
  (void)data;
  give(f, request("a"), ANSWER_APPROVE, &ten_minutes);
  wall_us += 600 * S;
  g_assert_false(passes(f, request("b")));
}

/* A yes of one kind is none of another. */
static void
test_kind(Fixture *f, const void *data)
{
  HeldRequest *held = bare("a");
  Held first, second;
  g_autoptr(GError) error = NULL;

  (void)data;
  add_need(held, "careful", 'c', both, 2, false);
  hold(f, &first, held);
  g_assert_true(grant_as(
      f, "a", APPROVER_DEVELOPER, "ada", ANSWER_APPROVE, &ten_minutes, NULL));
  g_assert_cmpuint(first.decided, ==, 0); /* the lead is still asked */
  let_go(f, &first);

  held = bare("b");
  add_need(held, "careful", 'c', both, 2, false);
  hold(f, &second, held);
  g_assert_cmpuint(second.decided, ==, 0);
  /* Nor may the developer play the lead. */
  g_assert_false(grant_as(
      f, "b", APPROVER_REVIEWER, "ada", ANSWER_APPROVE, &ten_minutes, &error));
  g_assert_error(error, APPROVE_ERROR, APPROVE_ERROR_NOT_ASKED);
  g_assert_true(grant_as(
      f, "b", APPROVER_REVIEWER, "lea", ANSWER_APPROVE, &ten_minutes, NULL));
  g_assert_cmpuint(second.decided, ==, 1);
  g_assert_cmpint(second.outcome, ==, OUTCOME_APPROVED);
  let_go(f, &second);
  /* Now both have granted. */
  held = bare("c");
  add_need(held, "careful", 'c', both, 2, false);
  g_assert_true(passes(f, held));
  /* The same rule by others: its text is another one, and if it were not. */
  held = bare("d");
  add_need(held, "careful", 'c', presence, 1, false);
  hold(f, &first, held);
  g_assert_cmpint(first.outcome, !=, OUTCOME_APPROVED);
  let_go(f, &first);
}

/* What a reviewer is asked, a developer's grant does not lift, whichever
 * request it came from. */
static void
test_developer_is_no_reviewer(Fixture *f, const void *data)
{
  HeldRequest *held = request("a");

  (void)data;
  give(f, held, ANSWER_APPROVE, &ten_minutes);
  held = bare("b");
  add_need(held, "careful", 'c', reviewer, 1, false);
  g_assert_false(passes(f, held));
  /* The developer's answer to a request that asks a lead as well. */
  held = request("c");
  add_need(held, "eyes", 'e', reviewer, 1, false);
  g_assert_false(passes(f, held));
  g_assert_cmpuint(only(f)->rules->len, ==, 1);
}

static void
test_masked(Fixture *f, const void *data)
{
  HeldRequest *held;
  Held one;

  (void)data;
  give(f, request("a"), ANSWER_APPROVE_MASKED, &ten_minutes);
  hold(f, &one, request("b"));
  g_assert_cmpuint(one.decided, ==, 1);
  g_assert_cmpint(one.outcome, ==, OUTCOME_APPROVED_MASKED);
  let_go(f, &one);
  /* Nothing to mask: that would be all of it. */
  held = request("c");
  held->can_mask = false;
  g_assert_false(passes(f, held));
  /* A grant for the whole text is asked first. */
  held = request("d");
  held->can_mask = false;
  give(f, held, ANSWER_APPROVE, &ten_minutes);
  hold(f, &one, request("e"));
  g_assert_cmpint(one.outcome, ==, OUTCOME_APPROVED);
  let_go(f, &one);
}

/* One rule granted whole and one masked: masked goes. */
static void
test_masked_beside_whole(Fixture *f, const void *data)
{
  HeldRequest *held = bare("a");
  Held one;

  (void)data;
  add_need(held, "cards", 'k', developer, 1, false);
  give(f, held, ANSWER_APPROVE_MASKED, &ten_minutes);
  give(f, request("b"), ANSWER_APPROVE, &ten_minutes);
  held = request("c");
  add_need(held, "cards", 'k', developer, 1, false);
  hold(f, &one, held);
  g_assert_cmpuint(one.decided, ==, 1);
  g_assert_cmpint(one.outcome, ==, OUTCOME_APPROVED_MASKED);
  let_go(f, &one);
}

static void
test_revoke(Fixture *f, const void *data)
{
  g_autofree char *id = NULL;
  g_autoptr(GError) error = NULL;

  (void)data;
  give(f, request("a"), ANSWER_APPROVE, &ten_minutes);
  id = g_strdup(only(f)->id);
  g_assert_false(grants_revoke(f->grants, "", &error));
  g_assert_error(error, APPROVE_ERROR, APPROVE_ERROR_NOT_FOUND);
  g_assert_true(passes(f, request("b")));
  g_assert_true(grants_revoke(f->grants, id, NULL));
  g_assert_false(passes(f, request("c")));
  g_clear_error(&error);
  g_assert_false(grants_revoke(f->grants, id, &error));
  g_assert_error(error, APPROVE_ERROR, APPROVE_ERROR_NOT_FOUND);
  /* Nor after a restart. */
  grants_free(f->grants);
  f->grants = make_grants(f);
  approve_use_grants(f->queue, f->grants);
  g_assert_cmpuint(grants_list(f->grants)->len, ==, 0);
}

/* While a lead is still asked the developer's grant is revoked: the lead's yes
 * is not enough any more. */
static void
test_revoke_while_held(Fixture *f, const void *data)
{
  g_autofree char *id = NULL;
  HeldRequest *held = request("a");
  Held one;

  (void)data;
  give(f, held, ANSWER_APPROVE, &ten_minutes);
  id = g_strdup(only(f)->id);
  held = request("b");
  add_need(held, "eyes", 'e', reviewer, 1, false);
  hold(f, &one, held);
  g_assert_cmpuint(one.decided, ==, 0);
  g_assert_true(grants_revoke(f->grants, id, NULL));
  {
    uint8_t digest[SHA256_LEN];

    sha256("b", 1, digest);
    static const char *const groups[] = {"leads", NULL};
    const Answerer lea = {.kind = APPROVER_REVIEWER,
                          .user = "lea",
                          .groups = groups,
                          .how = "test"};

    g_assert_true(approve_answer(
        f->queue, "b", &lea, ANSWER_APPROVE, digest, f->nonce, NULL, NULL));
  }
  loop_iterate(f->loop, 0);
  g_assert_cmpuint(one.decided, ==, 0);
  let_go(f, &one);
}

/* Two that wait: the grant for one lets the other go, unless it is another's.
 */
static void
test_two_at_once(Fixture *f, const void *data)
{
  HeldRequest *strange = request("c");
  Held first, second, third;
  char nonce[64];

  (void)data;
  hold(f, &first, request("a"));
  g_strlcpy(nonce, f->nonce, sizeof nonce);
  hold(f, &second, request("b"));
  change(&strange->client, "/usr/bin/other");
  hold(f, &third, strange);
  g_strlcpy(f->nonce, nonce, sizeof f->nonce);
  g_assert_true(grant_as(
      f, "a", APPROVER_DEVELOPER, "ada", ANSWER_APPROVE, &for_session, NULL));
  g_assert_cmpuint(first.decided, ==, 1);
  g_assert_cmpstr(first.how, ==, "test");
  g_assert_cmpstr(first.grant, ==, only(f)->id);
  g_assert_cmpuint(second.decided, ==, 1);
  g_assert_cmpstr(second.how, ==, "grant");
  g_assert_cmpuint(third.decided, ==, 0);
  let_go(f, &first);
  let_go(f, &second);
  let_go(f, &third);
}

/* Holds `what`; true when it was denied as what was denied before. */
static bool
is_denied(Fixture *f, HeldRequest *what)
{
  Held held;
  bool denied;

  hold(f, &held, what);
  denied = held.decided == 1 && held.outcome == OUTCOME_DENIED;
  if (denied) {
    g_assert_cmpstr(held.how, ==, "grant");
    g_assert_cmpstr(held.grant, ==, only(f)->id);
  }
  let_go(f, &held);
  return denied;
}

/* A remembered denial: of the same user, client and connection, by any of its
 * rules, until it is revoked. */
static void
test_denial(Fixture *f, const void *data)
{
  g_autofree char *id = NULL;
  HeldRequest *held = request("a");

  (void)data;
  add_need(held, "cards", 'k', developer, 1, true);
  give(f, held, ANSWER_DENY, &ten_minutes);
  g_assert_true(only(f)->denies);
  g_assert_cmpuint(only(f)->rules->len, ==, 2);
  g_assert_true(is_denied(f, request("b")));
  held = bare("c");
  add_need(held, "cards", 'k', developer, 1, true);
  g_assert_true(is_denied(f, held));
  held = bare("d");
  add_need(held, "eyes", 'e', developer, 1, false);
  g_assert_false(is_denied(f, held));
  held = request("e");
  change(&held->client, "another");
  g_assert_false(is_denied(f, held));
  held = request("f");
  change(&held->user, "eve");
  g_assert_false(is_denied(f, held));
  held = request("g");
  change(&held->connection, "other");
  g_assert_false(is_denied(f, held));
  g_assert_cmpuint(only(f)->uses, ==, 2);
  id = g_strdup(only(f)->id);
  g_assert_true(grants_revoke(f->grants, id, NULL));
  g_assert_false(is_denied(f, request("h")));
}

static void
test_denial_beats_grant(Fixture *f, const void *data)
{
  Held first, second;

  (void)data;
  /* What waits already is denied with it. */
  hold(f, &first, request("a"));
  hold(f, &second, request("b"));
  g_assert_true(grant_as(
      f, "b", APPROVER_DEVELOPER, "ada", ANSWER_DENY, &ten_minutes, NULL));
  g_assert_cmpint(first.outcome, ==, OUTCOME_DENIED);
  g_assert_cmpint(second.outcome, ==, OUTCOME_DENIED);
  let_go(f, &first);
  let_go(f, &second);
  g_assert_true(is_denied(f, request("c")));
}

/* A grant was there first, and is asked after the denial. */
static void
test_denial_over_grant(Fixture *f, const void *data)
{
  HeldRequest *held = bare("b");
  Held one;

  (void)data;
  give(f, request("a"), ANSWER_APPROVE, &ten_minutes);
  add_need(held, "cards", 'k', developer, 1, false);
  give(f, held, ANSWER_DENY, &ten_minutes);
  held = request("c");
  add_need(held, "cards", 'k', developer, 1, false);
  hold(f, &one, held);
  g_assert_cmpuint(one.decided, ==, 1);
  g_assert_cmpint(one.outcome, ==, OUTCOME_DENIED);
  let_go(f, &one);
  g_assert_true(passes(f, request("d")));
}

typedef struct {
  const char *words;
  GrantTerm term;
  Answer answer;
  const char *client; /* NULL: the usual one */
  bool no_session, no_grants;
} Refusal;

static const Refusal refusals[] = {
    {"lasts 3600 seconds at most", {.seconds = 3601}, ANSWER_APPROVE},
    {"needs a time", {0}, ANSWER_APPROVE},
    {"needs a time", {0}, ANSWER_DENY},
    {"deny it once", {.seconds = 60}, ANSWER_DENY, .client = "unknown"},
    {"which program", {.seconds = 60}, ANSWER_APPROVE, .client = "unknown"},
    {"no session", {.session = true}, ANSWER_APPROVE, .no_session = true},
    {"each time", {.seconds = 60}, ANSWER_APPROVE, .no_grants = true},
};

/* What cannot be remembered is not answered either. */
static void
test_refusals(Fixture *f, const void *data)
{
  (void)data;
  for (unsigned i = 0; i < G_N_ELEMENTS(refusals); i++) {
    const Refusal *row = &refusals[i];
    g_autoptr(GError) error = NULL;
    HeldRequest *held = bare("a");
    Held one;

    add_need(held, "careful", 'c', developer, 1, row->no_grants);
    if (row->client)
      change(&held->client, row->client);
    if (row->no_session)
      change(&held->session, NULL);
    hold(f, &one, held);
    g_assert_false(grant_as(
        f, "a", APPROVER_DEVELOPER, "ada", row->answer, &row->term, &error));
    g_assert_error(error, APPROVE_ERROR, APPROVE_ERROR_GRANT);
    g_assert_nonnull(strstr(error->message, row->words));
    g_assert_cmpuint(one.decided, ==, 0);
    let_go(f, &one);
  }
  g_assert_cmpuint(grants_list(f->grants)->len, ==, 0);
}

static void
test_most(Fixture *f, const void *data)
{
  g_autoptr(GError) error = NULL;
  Held one;

  (void)data;
  for (unsigned i = 0; i < 4; i++) {
    g_autofree char *id = g_strdup_printf("%u", i);
    HeldRequest *held = request(id);

    change(&held->client, id);
    give(f, held, ANSWER_APPROVE, &ten_minutes);
  }
  hold(f, &one, request("a"));
  g_assert_false(grant_as(
      f, "a", APPROVER_DEVELOPER, "ada", ANSWER_APPROVE, &ten_minutes, &error));
  g_assert_nonnull(strstr(error->message, "max-grants"));
  let_go(f, &one);
  /* Ended ones do not count. */
  wall_us += 600 * S;
  boot_us += 600 * S;
  give(f, request("b"), ANSWER_APPROVE, &ten_minutes);
}

/* The digest and the nonce of an answer are looked at as ever. */
static void
test_other_digest(Fixture *f, const void *data)
{
  const Answerer ada = {
      .kind = APPROVER_DEVELOPER, .user = "ada", .how = "test"};
  g_autoptr(GError) error = NULL;
  g_autofree char *id = NULL;
  uint8_t digest[SHA256_LEN] = {0};
  Held one;

  (void)data;
  hold(f, &one, request("a"));
  g_assert_false(approve_grant(f->queue,
                               "a",
                               &ada,
                               ANSWER_APPROVE,
                               digest,
                               f->nonce,
                               NULL,
                               &ten_minutes,
                               &id,
                               &error));
  g_assert_error(error, APPROVE_ERROR, APPROVE_ERROR_DIGEST);
  g_assert_cmpuint(grants_list(f->grants)->len, ==, 0);
  let_go(f, &one);
}

/* ---- Policy --------------------------------------------------------------
 */

static void
test_follows_policy(Fixture *f, const void *data)
{
  static const struct {
    const char *text, *why;
  } rows[] = {
      {HEAD CAREFUL, NULL},
      {HEAD "  - {id: no, match: {user: x}, action: block}\n" CAREFUL, NULL},
      {HEAD CARDS, "no rule \"careful\""},
      {HEAD "  - {id: careful, match: {prompt: xx}, action: approve}\n",
       "rule \"careful\" of the policy was changed"},
      {HEAD "  - {id: careful, match: {prompt: x}, action: approve, by: "
            "[presence]}\n",
       "was changed"},
      {HEAD "  - {id: careful, match: {prompt: x}, action: approve, by: "
            "[developer], grants: false}\n",
       "was changed"},
      {HEAD "  - {id: careful, match: {prompt: x}, action: block}\n",
       "was changed"},
  };
  g_autoptr(Policy) given = policy_of(HEAD CAREFUL CARDS);

  (void)data;
  for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(Policy) next = policy_of(rows[i].text);

    grants_follow(f->grants, given);
    give(f, request_by("a", given), ANSWER_APPROVE, &ten_minutes);
    g_clear_pointer(&f->why, g_free);
    grants_follow(f->grants, next);
    g_assert_cmpint(
        grants_list(f->grants)->len, ==, rows[i].why == NULL ? 1 : 0);
    if (rows[i].why)
      g_assert_nonnull(strstr(f->why, rows[i].why));
    else
      g_assert_true(grants_revoke(f->grants, only(f)->id, NULL));
  }
}

/* Asked by the former policy, answered under the new one. */
static void
test_policy_between(Fixture *f, const void *data)
{
  g_autoptr(Policy) before = policy_of(HEAD CAREFUL);
  g_autoptr(Policy) after = policy_of(HEAD CARDS);
  g_autoptr(GError) error = NULL;
  Held one;

  (void)data;
  grants_follow(f->grants, before);
  hold(f, &one, request_by("a", before));
  grants_follow(f->grants, after);
  g_assert_false(grant_as(
      f, "a", APPROVER_DEVELOPER, "ada", ANSWER_APPROVE, &ten_minutes, &error));
  g_assert_error(error, APPROVE_ERROR, APPROVE_ERROR_GRANT);
  g_assert_cmpuint(one.decided, ==, 0);
  let_go(f, &one);
}

#define TEST(name, func)                                                       \
  g_test_add("/approve/grants/" name, Fixture, NULL, set_up, func, tear_down)

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  TEST("lets-pass", test_lets_pass);
  TEST("bound", test_bound);
  TEST("session", test_session);
  TEST("dead-session", test_dead_session);
  TEST("expires", test_expires);
  TEST("clock-set-back", test_clock_set_back);
  TEST("clock-set-forward", test_clock_set_forward);
  TEST("kind", test_kind);
  TEST("developer-is-no-reviewer", test_developer_is_no_reviewer);
  TEST("masked", test_masked);
  TEST("masked-beside-whole", test_masked_beside_whole);
  TEST("revoke", test_revoke);
  TEST("revoke-while-held", test_revoke_while_held);
  TEST("two-at-once", test_two_at_once);
  TEST("denial", test_denial);
  TEST("denial-beats-grant", test_denial_beats_grant);
  TEST("denial-over-grant", test_denial_over_grant);
  TEST("refusals", test_refusals);
  TEST("most", test_most);
  TEST("other-digest", test_other_digest);
  TEST("follows-policy", test_follows_policy);
  TEST("policy-between", test_policy_between);
  return g_test_run();
}
