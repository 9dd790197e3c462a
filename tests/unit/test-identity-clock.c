/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks that jump and machines that sleep: what becomes of sessions, renewals
 * and codes. The test turns our clocks; the provider keeps its own. */
#include "kit/clock.h"
#include "tests/unit/identity-kit.h"
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/timerfd.h>

#define US_PER_S INT64_C(1000000)
#define HOUR_S 3600
/* Of a token: renewed after 450 to 480 s. */
#define LIFE_S 600
/* More than the checks' leeway for clocks that differ. */
#define TOO_FAR_S 90
#define WITHIN_S 30
#define FLAPS 50

/* How far they are turned; the provider's is for its threads. */
static atomic_int_least64_t wall_ahead, boot_ahead, provider_ahead;
static pthread_t own_thread;
/* The sessions' timer, as it was set last. */
static int clock_fd = -1;
static struct itimerspec clock_due;

int64_t __real_clock_wall_us(void);
int64_t __wrap_clock_wall_us(void);
int64_t __real_clock_boot_us(void);
int64_t __wrap_clock_boot_us(void);
int __real_timerfd_settime(int fd,
                           int flags,
                           const struct itimerspec *due,
                           struct itimerspec *old);
int __wrap_timerfd_settime(int fd,
                           int flags,
                           const struct itimerspec *due,
                           struct itimerspec *old);

int64_t
__wrap_clock_wall_us(void)
{
  return __real_clock_wall_us() +
         atomic_load(pthread_equal(pthread_self(), own_thread)
                         ? &wall_ahead
                         : &provider_ahead);
}

int64_t
__wrap_clock_boot_us(void)
{
  return __real_clock_boot_us() + atomic_load(&boot_ahead);
}

/* The kernel's clock is not turned: its timer is, the other way. */
static int
set_timer(int flags)
{
  struct itimerspec due = clock_due;
  int64_t us = (int64_t)due.it_value.tv_sec * US_PER_S +
               due.it_value.tv_nsec / 1000 - atomic_load(&wall_ahead);

  if (due.it_value.tv_sec || due.it_value.tv_nsec) {
    us = MAX(us, 1);
    due.it_value.tv_sec = us / US_PER_S;
    due.it_value.tv_nsec = us % US_PER_S * 1000;
  }
  return __real_timerfd_settime(clock_fd, flags, &due, NULL);
}

int
__wrap_timerfd_settime(int fd,
                       int flags,
                       const struct itimerspec *due,
                       struct itimerspec *old)
{
  g_assert_null(old);
  /* What the test counts on: absolute, and woken when the clock is set. */
  g_assert_cmpint(flags, ==, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET);
  clock_fd = fd;
  clock_due = *due;
  return set_timer(flags);
}

/* Somebody sets the wall clock: the kernel wakes the timer. */
static void
set_clock(int64_t s)
{
  const struct itimerspec now = {.it_value = {.tv_nsec = 1}};

  atomic_fetch_add(&wall_ahead, s * US_PER_S);
  if (clock_due.it_value.tv_sec || clock_due.it_value.tv_nsec)
    __real_timerfd_settime(clock_fd, TFD_TIMER_ABSTIME, &now, NULL);
}

/* The machine sleeps: all clocks go on, and the kernel looks at the timer. */
static void
suspend(int64_t s)
{
  atomic_fetch_add(&wall_ahead, s * US_PER_S);
  atomic_fetch_add(&boot_ahead, s * US_PER_S);
  atomic_fetch_add(&provider_ahead, s * US_PER_S);
  if (clock_fd >= 0)
    set_timer(TFD_TIMER_ABSTIME);
}

static void
put_right(void)
{
  atomic_store(&wall_ahead, 0);
  atomic_store(&boot_ahead, 0);
  atomic_store(&provider_ahead, 0);
  clock_fd = -1;
  clock_due = (struct itimerspec){0};
}

static void
sign_in(Desk *desk)
{
  Fake *fake = desk->fake;

  fake_answer(fake, "/device", 200, fake_device(fake, 1, LIFE_S));
  fake_grant(fake, "r1", &(TokenSpec){.life = LIFE_S});
  desk_sign_in(desk, LOGIN_DEVICE, true);
  g_assert_no_error(desk->error);
  g_string_truncate(desk->events, 0);
}

static void
assert_who(Desk *desk, const char *text)
{
  g_autofree char *who = desk_who(desk);

  if (!strstr(who, text))
    g_error("\"%s\" where \"%s\" was to be", who, text);
}

static void
forget_events(Desk *desk)
{
  g_string_truncate(desk->events, 0);
}

/* ---- sessions ------------------------------------------------------------ */

static void
test_set_forward(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);

  sign_in(desk);
  /* We were wrong, and the provider was right. */
  atomic_store(&provider_ahead, HOUR_S * US_PER_S);
  set_clock(HOUR_S);
  /* The first to ask is refused, before any timer. */
  assert_who(desk, "has ended");
  desk_until_event(desk, 'N');
  g_assert_cmpstr(desk->events->str, ==, "ON");
  assert_who(desk, "dev");
  put_right();
}

/* Wrongly: its tokens are too old for us, until the clock is put right. */
static void
test_set_forward_wrongly(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);

  sign_in(desk);
  set_clock(HOUR_S);
  assert_who(desk, "has ended");
  desk_until_event(desk, 'F');
  assert_who(desk, "could not be renewed");
  g_assert_nonnull(strstr(identity_session(desk->identity, 0).problem, "exp"));
  forget_events(desk);
  set_clock(-HOUR_S);
  /* Tried again at its time, which the clock of the boot tells. */
  desk_run(50);
  suspend(10);
  desk_until_event(desk, 'N');
  g_assert_null(identity_session(desk->identity, 0).problem);
  assert_who(desk, "dev");
  put_right();
}

/* The session does not live the longer. */
static void
test_set_backward(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);

  sign_in(desk);
  set_clock(-2 * HOUR_S);
  desk_run(50);
  assert_who(desk, "dev");
  g_assert_cmpstr(desk->events->str, ==, "");
  suspend(LIFE_S);
  assert_who(desk, "has ended");
  /* What the provider says now is in our future. */
  desk_until_event(desk, 'F');
  g_assert_nonnull(strchr(desk->events->str, 'O'));
  g_assert_nonnull(strstr(identity_session(desk->identity, 0).problem, "iat"));
  forget_events(desk);
  set_clock(2 * HOUR_S);
  desk_run(50);
  suspend(10);
  desk_until_event(desk, 'N');
  assert_who(desk, "dev");
  put_right();
}

/* A renewal is not put off by as much. */
static void
test_set_backward_before_a_renewal(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);

  sign_in(desk);
  set_clock(-WITHIN_S);
  desk_run(50);
  g_assert_cmpuint(fake_asked(fake, "/token"), ==, 1);
  suspend(LIFE_S * 80 / 100);
  assert_who(desk, "dev");
  desk_until_event(desk, 'N');
  g_assert_cmpstr(desk->events->str, ==, "N");
  put_right();
}

static void
test_sleeps_over_its_end(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);

  sign_in(desk);
  g_assert_cmpuint(fake_asked(fake, "/jwks"), ==, 1);
  suspend(8 * HOUR_S);
  assert_who(desk, "has ended");
  desk_until_event(desk, 'N');
  g_assert_cmpstr(desk->events->str, ==, "ON");
  assert_who(desk, "dev");
  /* Keys that old are fetched anew. */
  g_assert_cmpuint(fake_asked(fake, "/jwks"), ==, 2);
  put_right();
}

static void
test_sleeps_over_a_renewal(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);

  sign_in(desk);
  suspend(LIFE_S * 90 / 100);
  assert_who(desk, "dev");
  desk_until_event(desk, 'N');
  g_assert_cmpstr(desk->events->str, ==, "N");
  put_right();
}

/* As a machine does that wakes up before its network. */
static void
test_sleeps_and_wakes_offline(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);
  unsigned asked;

  sign_in(desk);
  fake_forget(fake, "/token");
  fake_answer(fake, "/token", -1, NULL);
  fake_grant(fake, "r2", &(TokenSpec){.life = LIFE_S});
  asked = fake_asked(fake, "/token");
  suspend(LIFE_S * 90 / 100);
  desk_until_event(desk, 'F');
  assert_who(desk, "dev");
  /* The next try comes when the machine has slept as long, too, whatever the
   * wall clock was set to meanwhile. */
  set_clock(-WITHIN_S);
  desk_run(50);
  suspend(10);
  desk_until_event(desk, 'N');
  g_assert_cmpuint(fake_asked(fake, "/token"), ==, asked + 2);
  put_right();
}

/* A clock that is put right over and over asks nothing of the provider. */
static void
test_flaps(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);

  sign_in(desk);
  for (int i = 0; i < FLAPS; i++) {
    set_clock(i % 2 ? 1 : -1);
    desk_run(2);
    assert_who(desk, "dev");
  }
  g_assert_cmpuint(fake_asked(fake, "/token"), ==, 1);
  g_assert_cmpstr(desk->events->str, ==, "");
  put_right();
}

/* ---- tokens and codes ---------------------------------------------------- */

static void
test_leeway(void)
{
  static const struct {
    int ahead;
    const char *check; /* that refuses it, or NULL */
  } rows[] = {{WITHIN_S, NULL},
              {-WITHIN_S, NULL},
              {TOO_FAR_S, "iat"},
              {-LIFE_S - TOO_FAR_S, "exp"}};

  for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(Fake) fake = fake_new();
    g_autoptr(Desk) desk = desk_new(fake, NULL);

    atomic_store(&provider_ahead, rows[i].ahead * US_PER_S);
    fake_answer(fake, "/device", 200, fake_device(fake, 1, LIFE_S));
    fake_grant(fake, NULL, &(TokenSpec){.life = LIFE_S});
    desk_sign_in(desk, LOGIN_DEVICE, true);
    if (rows[i].check)
      assert_login_error(desk, IDENTITY_ERROR_TOKEN, rows[i].check);
    else
      g_assert_no_error(desk->error);
    put_right();
  }
}

static char *
pending(void)
{
  return g_strdup("{\"error\":\"authorization_pending\"}");
}

static void
begin_code(Desk *desk)
{
  fake_answer(desk->fake, "/device", 200, fake_device(desk->fake, 1, LIFE_S));
  fake_answer(desk->fake, "/token", 400, pending());
  desk_login(desk, LOGIN_DEVICE, true);
  desk_until_asked(desk->fake, "/token", 1);
}

static void
test_code_while_the_clock_is_set(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);

  begin_code(desk);
  set_clock(HOUR_S);
  desk_until_asked(fake, "/token", 2);
  g_assert_false(desk->done);
  set_clock(-2 * HOUR_S);
  desk_until_asked(fake, "/token", 3);
  g_assert_false(desk->done);
  set_clock(HOUR_S);
  fake_forget(fake, "/token");
  fake_grant(fake, "r1", &(TokenSpec){0});
  desk_wait(desk);
  g_assert_no_error(desk->error);
  put_right();
}

static void
test_code_over_a_sleep(void)
{
  g_autoptr(Fake) fake = fake_new();
  g_autoptr(Desk) desk = desk_new(fake, NULL);

  begin_code(desk);
  set_clock(-2 * HOUR_S);
  desk_run(50);
  suspend(LIFE_S);
  desk_wait(desk);
  assert_login_error(desk, IDENTITY_ERROR_EXPIRED, "not used in time");
  put_right();
}

int
main(int argc, char **argv)
{
  own_thread = pthread_self();
  desk_prepare();
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/identity/clock/set-forward", test_set_forward);
  g_test_add_func("/identity/clock/set-forward-wrongly",
                  test_set_forward_wrongly);
  g_test_add_func("/identity/clock/set-backward", test_set_backward);
  g_test_add_func("/identity/clock/set-backward-before-a-renewal",
                  test_set_backward_before_a_renewal);
  g_test_add_func("/identity/clock/sleeps-over-its-end",
                  test_sleeps_over_its_end);
  g_test_add_func("/identity/clock/sleeps-over-a-renewal",
                  test_sleeps_over_a_renewal);
  g_test_add_func("/identity/clock/sleeps-and-wakes-offline",
                  test_sleeps_and_wakes_offline);
  g_test_add_func("/identity/clock/flaps", test_flaps);
  g_test_add_func("/identity/clock/leeway", test_leeway);
  g_test_add_func("/identity/clock/code-while-the-clock-is-set",
                  test_code_while_the_clock_is_set);
  g_test_add_func("/identity/clock/code-over-a-sleep", test_code_over_a_sleep);
  return g_test_run();
}
