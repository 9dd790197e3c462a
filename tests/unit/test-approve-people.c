/* SPDX-License-Identifier: Apache-2.0 */
/* Who may answer what, and when it is enough: reviewers' groups, distinct
 * people, and never whose request it is. */
#include "approve/private.h"
#include <string.h>

#define ISSUER "https://idp.example"

/* "kind user groups…" of those who agreed, in order; "!" in front: denied. */
typedef struct {
  const char *by;      /* as policy files write it */
  const char *answers; /* separated by "; " */
  bool met;
} Row;

static const Row rows[] = {
    /* Nobody, and the others' kinds. */
    {"developer", "", false},
    {"developer", "developer ada", true},
    {"developer", "presence ada", false},
    {"presence", "developer ada", false},
    {"developer", "reviewer bob leads", false},
    {"[developer, presence]", "developer ada", false},
    {"[developer, presence]", "developer ada; presence ada", true},
    {"{any: [developer, presence]}", "presence ada", true},
    {"{any: [developer, presence]}", "!presence ada", false},
    /* Of the group, and of no other. */
    {"'reviewer:leads'", "reviewer bob leads", true},
    {"'reviewer:leads'", "reviewer bob security", false},
    {"'reviewer:leads'", "reviewer bob", false},
    {"'reviewer:leads'", "!reviewer bob leads", false},
    {"'reviewer:leads'", "developer ada", false},
    /* The table's names and the provider's own. */
    {"'reviewer:seniors'", "reviewer bob staff", true},
    {"'reviewer:staff'", "reviewer bob staff", true},
    {"'reviewer:seniors'", "reviewer bob seniors", false},
    {"'reviewer:*'", "reviewer bob leads", true},
    {"'reviewer:*'", "reviewer bob", true},
    /* Both kinds. */
    {"[developer, 'reviewer:leads']", "developer ada", false},
    {"[developer, 'reviewer:leads']", "reviewer bob leads", false},
    {"[developer, 'reviewer:leads']",
     "developer ada; reviewer bob leads",
     true},
    {"{any: [developer, 'reviewer:leads']}", "reviewer bob leads", true},
    {"{any: [developer, 'reviewer:leads']}", "developer ada", true},
    {"{any: [presence, 'reviewer:leads']}", "reviewer bob security", false},
    /* Each of several groups is another person. */
    {"['reviewer:leads', 'reviewer:security']",
     "reviewer bob leads,security",
     false},
    {"['reviewer:leads', 'reviewer:security']",
     "reviewer bob leads; reviewer cyd security",
     true},
    {"['reviewer:leads', 'reviewer:security']",
     "reviewer bob leads; reviewer cyd leads",
     false},
    {"['reviewer:leads', 'reviewer:security']",
     "reviewer bob leads,security; reviewer cyd leads",
     true},
    {"['reviewer:leads', 'reviewer:security']",
     "reviewer bob leads,security; reviewer cyd security",
     true},
    {"['reviewer:leads', 'reviewer:security', 'reviewer:legal']",
     "reviewer bob leads,security,legal; reviewer cyd leads; reviewer dan "
     "leads",
     false},
    {"['reviewer:leads', 'reviewer:security', 'reviewer:legal']",
     "reviewer bob leads,security,legal; reviewer cyd leads; reviewer dan "
     "security",
     true},
    {"['reviewer:leads', 'reviewer:security', 'reviewer:legal']",
     "reviewer bob leads,security; reviewer cyd leads,legal; reviewer dan "
     "leads",
     true},
    {"{any: ['reviewer:leads', 'reviewer:security']}",
     "reviewer cyd security",
     true},
    /* So many people, whatever groups each is in. */
    {"{count: 2, of: ['reviewer:leads', 'reviewer:security']}",
     "reviewer bob leads,security",
     false},
    {"{count: 2, of: ['reviewer:leads', 'reviewer:security']}",
     "reviewer bob leads; reviewer cyd leads",
     true},
    {"{count: 2, of: ['reviewer:leads', 'reviewer:security']}",
     "reviewer bob leads; reviewer cyd legal",
     false},
    {"{count: 2, of: [developer, presence, 'reviewer:leads']}",
     "developer ada; presence ada",
     false},
    {"{count: 2, of: [developer, presence, 'reviewer:leads']}",
     "developer ada; presence ada; reviewer bob leads",
     true},
    {"{count: 3, of: ['reviewer:leads']}",
     "reviewer bob leads; reviewer cyd leads",
     false},
    {"{count: 3, of: ['reviewer:leads']}",
     "reviewer bob leads; reviewer cyd leads; reviewer dan leads",
     true},
    {"{count: 1, of: ['reviewer:leads', developer]}", "developer ada", true},
    /* One who has two names, or the same name twice, is one. */
    {"{count: 2, of: ['reviewer:leads']}",
     "reviewer bob leads; reviewer Bob leads",
     false},
    {"{count: 2, of: ['reviewer:leads']}",
     "reviewer bob=7 leads; reviewer robert=7 leads",
     false},
    {"{count: 2, of: ['reviewer:leads']}",
     "reviewer bob=7 leads; reviewer bob=8 leads",
     false},
    {"{count: 2, of: ['reviewer:leads']}",
     "reviewer bob=7 leads; reviewer cyd=8 leads",
     true},
};

static Policy *
policy_with(const char *by)
{
  g_autofree char *text = g_strdup_printf(
      "version: 1\ndefault: allow\ntunnels: allow\n"
      "groups: {seniors: [staff]}\n"
      "rules: [{id: r, match: {user: '*'}, action: approve, by: %s}]\n",
      by);
  g_autoptr(GError) error = NULL;
  Policy *policy = policy_parse("p.yaml", text, strlen(text), &error);

  g_assert_no_error(error);
  return policy;
}

static HeldRequest *
request_of(Policy *policy)
{
  HeldRequest *request = held_request_new();
  const PolicyRule *const *rules;
  unsigned n;

  rules = policy_rules(policy, &n);
  request->exchange = g_strdup("a");
  request->user = g_strdup("ada");
  request->issuer = g_strdup(ISSUER);
  request->subject = g_strdup("1");
  request->policy = policy_ref(policy);
  g_ptr_array_add(request->needs, approve_need_new(rules[0]));
  return request;
}

static ApproverKind
kind_of(const char *name)
{
  if (g_str_equal(name, "developer"))
    return APPROVER_DEVELOPER;
  return g_str_equal(name, "presence") ? APPROVER_PRESENCE : APPROVER_REVIEWER;
}

/* "kind user[=subject] [groups]" */
static GivenAnswer *
answer_of(const HeldRequest *request, const char *text)
{
  const bool denied = text[0] == '!';
  g_auto(GStrv) words = g_strsplit(text + denied, " ", 3);
  g_auto(GStrv) name = g_strsplit(words[1], "=", 2);
  g_auto(GStrv) groups = words[2] ? g_strsplit(words[2], ",", -1) : NULL;
  const Answerer by = {.kind = kind_of(words[0]),
                       .user = name[0],
                       .issuer = name[1] ? ISSUER : NULL,
                       .subject = name[1],
                       .groups = (const char *const *)groups};
  GivenAnswer *given = g_new0(GivenAnswer, 1);

  *given = (GivenAnswer){.who = g_strdup(by.user),
                         .issuer = g_strdup(by.issuer),
                         .subject = g_strdup(by.subject),
                         .reviews = reviews_of(request, &by),
                         .kind = by.kind,
                         .answer = denied ? ANSWER_DENY : ANSWER_APPROVE};
  return given;
}

static void
test_enough(void)
{
  for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(Policy) policy = policy_with(rows[i].by);
    g_autoptr(HeldRequest) request = request_of(policy);
    g_autoptr(GPtrArray) answers =
        g_ptr_array_new_with_free_func(given_answer_free);
    g_auto(GStrv) texts = g_strsplit(rows[i].answers, "; ", -1);

    g_test_message("%s: %s", rows[i].by, rows[i].answers);
    for (unsigned j = 0; texts[j] && *texts[j]; j++)
      g_ptr_array_add(answers, answer_of(request, texts[j]));
    g_assert_cmpint(
        need_is_met(request->needs->pdata[0], answers), ==, rows[i].met);
  }
}

/* ---- Through the queue ---------------------------------------------------
 */

typedef struct {
  char nonce[64];
  unsigned decided;
  Outcome outcome;
} Seen;

static void
on_pending(const PendingView *pending, void *data)
{
  Seen *seen = data;

  g_strlcpy(seen->nonce, pending->nonce, sizeof seen->nonce);
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
on_decided(const Decision *decision, void *data)
{
  Seen *seen = data;

  seen->decided++;
  seen->outcome = decision->outcome;
}

static const char *const leads[] = {"leads", NULL};
static const char *const others[] = {"sales", NULL};

/* Who answers to a request of ada, subject 1 of the issuer, that asks the
 * developer and a reviewer of leads; NULL: it counts. */
static const struct {
  Answerer by;
  const char *refusal;
} who[] = {
    {{APPROVER_REVIEWER, "ada", ISSUER, "1", leads, "hub"}, "you asked for it"},
    {{APPROVER_REVIEWER, "ADA", ISSUER, "1", leads, "hub"}, "you asked for it"},
    {{APPROVER_REVIEWER, "renamed", ISSUER, "1", leads, "hub"},
     "you asked for it"},
    {{APPROVER_REVIEWER, "Ada", "https://other.example", "9", leads, "hub"},
     "you asked for it"},
    {{APPROVER_REVIEWER, "ada", NULL, NULL, leads, "hub"}, "you asked for it"},
    {{APPROVER_REVIEWER, "bob", ISSUER, "2", others, "hub"},
     "you are in none of the groups"},
    {{APPROVER_REVIEWER, "bob", ISSUER, "2", NULL, "hub"},
     "you are in none of the groups"},
    {{APPROVER_PRESENCE, "ada", ISSUER, "1", leads, "cli"},
     "this kind of approver is not asked"},
    {{APPROVER_DEVELOPER, "bob", ISSUER, "2", leads, "cli"},
     "it is somebody else's request"},
    {{APPROVER_REVIEWER, "bob", ISSUER, "2", leads, "hub"}, NULL},
    {{APPROVER_REVIEWER, "bob", "https://other.example", "1", leads, "hub"},
     NULL},
    {{APPROVER_DEVELOPER, "ada", ISSUER, "1", NULL, "cli"}, NULL},
};

static void
test_who(void)
{
  static const ApproveListener listener = {on_pending, on_gone};
  const ApproveLimits limits = {.max_pending = 9,
                                .max_per_client = 9,
                                .kinds = 1 << APPROVER_DEVELOPER |
                                         1 << APPROVER_REVIEWER};
  g_autoptr(Policy) policy = policy_with("[developer, 'reviewer:leads']");

  for (unsigned i = 0; i < G_N_ELEMENTS(who); i++) {
    Loop *loop = loop_new(NULL);
    ApproveQueue *queue = approve_queue_new(loop, &limits);
    HeldRequest *request = request_of(policy);
    Seen seen = {.nonce = ""};
    g_autoptr(GError) error = NULL;
    uint8_t digest[SHA256_LEN] = {0};
    ApproveTicket *ticket;
    bool counts;

    request->client = g_strdup("cli");
    request->policy_revision = g_strdup("rev");
    request->timeout = 60;
    approve_listen(queue, &listener, &seen);
    ticket = approve_hold(queue, request, loop, on_decided, &seen);
    loop_iterate(loop, 0);
    counts = approve_answer(queue,
                            "a",
                            &who[i].by,
                            ANSWER_APPROVE,
                            digest,
                            seen.nonce,
                            NULL,
                            &error);
    g_test_message("%s %s: %s",
                   approver_kind_name(who[i].by.kind),
                   who[i].by.user,
                   error ? error->message : "counts");
    g_assert_cmpint(counts, ==, who[i].refusal == NULL);
    if (who[i].refusal) {
      g_assert_error(error, APPROVE_ERROR, APPROVE_ERROR_NOT_ASKED);
      g_assert_nonnull(strstr(error->message, who[i].refusal));
    }
    g_assert_cmpuint(seen.decided, ==, 0); /* the other one is still asked */
    approve_withdraw(ticket);
    loop_iterate(loop, 0);
    approve_queue_free(queue);
    loop_iterate(loop, 0);
    loop_free(loop);
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/approve/people/enough", test_enough);
  g_test_add_func("/approve/people/who", test_who);
  return g_test_run();
}
