/* SPDX-License-Identifier: Apache-2.0 */
/* Finding what a receiver does not take: every way of refusing, records at any
 * place, and receivers that refuse everything. */
#include "ship/private.h"

#include <string.h>

/* Requests that finding one bad record among N may take: it and its sibling at
 * each halving. */
#define LOG2_N 10
#define N 1000

typedef enum { PARTIAL, REFUSE, FAULT, TOO_LARGE } Way;

typedef struct {
  bool bad[N];
  unsigned n_bad;
  bool nothing; /* it takes no record at all */
  Way way;
  unsigned asked;
  bool has[N];
} Receiver;

static Batch *
batch_of(unsigned n)
{
  Batch *batch = g_new0(Batch, 1);

  batch->text = g_string_new(NULL);
  batch->items = g_array_new(FALSE, FALSE, sizeof(BatchItem));
  for (unsigned i = 0; i < n; i++) {
    const BatchItem item = {{i + 1, false}, 0, 0};

    g_array_append_val(batch->items, item);
  }
  return batch;
}

static void
receive(Receiver *receiver, Slice slice, Sent *sent)
{
  unsigned bad = 0;

  receiver->asked++;
  for (unsigned i = slice.from; i < slice.from + slice.n; i++)
    bad += receiver->nothing || receiver->bad[i];
  *sent = (Sent){.retry_ms = -1};
  if (bad == 0 || receiver->way == PARTIAL) {
    sent->code = SENT_TAKEN;
    sent->rejected = bad;
    for (unsigned i = slice.from; i < slice.from + slice.n; i++)
      receiver->has[i] |= !receiver->nothing && !receiver->bad[i];
    return;
  }
  sent->code = receiver->way == REFUSE  ? SENT_REFUSED
               : receiver->way == FAULT ? SENT_FAULT
                                        : SENT_TOO_LARGE;
}

/* True when the round came to an end that counts. */
static bool
run(Receiver *receiver, Round *round, unsigned n)
{
  Slice slice;

  round_begin(round, batch_of(n));
  while (round_next(round, &slice)) {
    Sent sent;

    receive(receiver, slice, &sent);
    round_note(round, &sent); /* SENT_FAULT: the same again */
    g_assert_cmpuint(receiver->asked, <, 20 * N);
  }
  return round_is_good(round);
}

static void
assert_found(const Receiver *receiver, const Round *round, unsigned n)
{
  unsigned found = 0;

  for (unsigned i = 0; i < round->bad->len; i++)
    g_assert_true(receiver->bad[g_array_index(round->bad, BadItem, i).index]);
  for (unsigned i = 0; i < n; i++) {
    found += receiver->bad[i];
    g_assert_cmpint(receiver->has[i], ==, !receiver->bad[i]);
  }
  g_assert_cmpuint(round->bad->len, ==, found);
}

static void
test_nothing_bad(void)
{
  Receiver receiver = {0};
  Round round;

  g_assert_true(run(&receiver, &round, N));
  g_assert_cmpuint(receiver.asked, ==, 1);
  assert_found(&receiver, &round, N);
  round_clear(&round);
}

static void
test_one_bad(void)
{
  static const unsigned places[] = {0, 1, 499, 500, 777, N - 1};

  for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
    for (Way way = PARTIAL; way <= TOO_LARGE; way++) {
      Receiver receiver = {.way = way};
      Round round;

      receiver.bad[places[i]] = true;
      g_assert_true(run(&receiver, &round, N));
      assert_found(&receiver, &round, N);
      g_assert_cmpuint(
          receiver.asked, <=, (way == FAULT ? 6 : 2) * (LOG2_N + 1) + 1);
      round_clear(&round);
    }
  }
}

/* Also a run of bad ones at the beginning, where nothing was taken yet. */
static void
test_many_bad(void)
{
  for (Way way = PARTIAL; way <= TOO_LARGE; way++) {
    Receiver receiver = {.way = way};
    Round round;

    for (unsigned i = 0; i < 100; i++)
      receiver.bad[i] = true;
    for (unsigned i = 300; i < N - 1; i += 97)
      receiver.bad[i] = true;
    g_assert_true(run(&receiver, &round, N));
    assert_found(&receiver, &round, N);
    round_clear(&round);
  }
}

/* Then it is not the records. */
static void
test_all_bad(void)
{
  static const unsigned sizes[] = {1, 2, 7, 8, N};

  for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
    for (Way way = PARTIAL; way <= TOO_LARGE; way++) {
      Receiver receiver = {.way = way, .nothing = true};
      Round round;

      g_assert_false(run(&receiver, &round, sizes[i]));
      g_assert_cmpuint(receiver.asked, <=, 200);
      round_clear(&round);
    }
  }
}

/* What an answer says is bounded by what was sent. */
static void
test_absurd_counts(void)
{
  Slice slice;
  Round round;

  round_begin(&round, batch_of(4));
  for (unsigned i = 0; round_next(&round, &slice) && i < 100; i++)
    round_note(&round,
               &(Sent){.code = SENT_TAKEN, .rejected = i == 0 ? 2 : 1000});
  g_assert_cmpuint(round.todo->len, ==, 0);
  g_assert_cmpuint(round.bad->len, <=, 4);
  round_clear(&round);
}

static void
test_later(void)
{
  Slice slice, again;
  Round round;

  round_begin(&round, batch_of(4));
  g_assert_true(round_next(&round, &slice));
  g_assert_false(round_note(&round, &(Sent){.code = SENT_LATER}));
  g_assert_true(round_next(&round, &again));
  g_assert_cmpmem(&slice, sizeof slice, &again, sizeof again);
  round_clear(&round);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/ship/round/nothing-bad", test_nothing_bad);
  g_test_add_func("/ship/round/one-bad", test_one_bad);
  g_test_add_func("/ship/round/many-bad", test_many_bad);
  g_test_add_func("/ship/round/all-bad", test_all_bad);
  g_test_add_func("/ship/round/absurd-counts", test_absurd_counts);
  g_test_add_func("/ship/round/later", test_later);
  return g_test_run();
}
