/* SPDX-License-Identifier: Apache-2.0 */
/* Presence, by the real polkitd and an agent of the test's own: a yes is a
 * yes, and everything else is a no. */
#define _GNU_SOURCE /* unshare, setresuid */

#include "approve/approve.h"
#include "polkit-kit.h"
#include <glib-unix.h>
#include <stdio.h>
#include <stdlib.h>

/* The user of the program that answers: whoever, but not root. */
#define SOMEBODY 65534
/* Of /proc/PID/stat, proc(5), behind the name's bracket. */
#define FIELD_START_TIME 19

/* ---- The program that answers: this one again, as somebody ----------------
 */

typedef struct {
  GMainLoop *loop;
  PresenceCheck *check;
} Ask;

static void
print_end(const GError *error, void *data)
{
  const Ask *ask = data;

  printf("%s\n", error ? error->message : "yes");
  fflush(stdout);
  g_main_loop_quit(ask->loop);
}

static gboolean
cancel(gpointer data)
{
  Ask *ask = data;

  presence_cancel(ask->check);
  printf("cancelled\n");
  fflush(stdout);
  return G_SOURCE_REMOVE;
}

static gboolean
on_line(GIOChannel *channel, GIOCondition condition, gpointer data)
{
  (void)channel;
  (void)condition;
  return cancel(data);
}

/* One line to begin; another one cancels. */
static int
ask_as_somebody(pid_t about)
{
  Ask ask = {.loop = g_main_loop_new(NULL, FALSE)};
  g_autoptr(GError) error = NULL;
  g_autoptr(GIOChannel) more = g_io_channel_unix_new(STDIN_FILENO);
  char go;

  if (setresgid(SOMEBODY, SOMEBODY, SOMEBODY) != 0 ||
      setresuid(SOMEBODY, SOMEBODY, SOMEBODY) != 0 ||
      prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() == 1)
    return 2;
  printf("ready\n");
  fflush(stdout);
  if (read(STDIN_FILENO, &go, 1) != 1)
    return 2;
  ask.check =
      presence_ask(about ? about : getpid(), SOMEBODY, print_end, &ask, &error);
  if (!ask.check) {
    printf("%s\n", error->message);
    return 0;
  }
  g_io_add_watch(more, G_IO_IN, on_line, &ask);
  g_main_loop_run(ask.loop);
  return 0;
}

/* ---- The test ------------------------------------------------------------
 */

typedef struct {
  GPid pid;
  guint64 began;
  int in, out;
  GString *said;
} Somebody;

static const char *self;

static bool
said(Somebody *one, const char *what)
{
  char bytes[256];
  ssize_t n = read(one->out, bytes, sizeof bytes);

  if (n > 0)
    g_string_append_len(one->said, bytes, n);
  return strstr(one->said->str, what) != NULL;
}

static void
somebody_start(Somebody *one, pid_t about)
{
  g_autofree char *number = g_strdup_printf("%d", (int)about);
  char *argv[] = {
      (char *)(uintptr_t)self, (char *)(uintptr_t) "--ask", number, NULL};
  g_autofree char *path = NULL, *text = NULL;
  g_auto(GStrv) fields = NULL;
  g_autoptr(GError) error = NULL;

  one->said = g_string_new(NULL);
  g_spawn_async_with_pipes(NULL,
                           argv,
                           NULL,
                           G_SPAWN_DO_NOT_REAP_CHILD,
                           before_bus,
                           NULL,
                           &one->pid,
                           &one->in,
                           &one->out,
                           NULL,
                           &error);
  g_assert_no_error(error);
  g_unix_set_fd_nonblocking(one->out, TRUE, NULL);
  until(said(one, "ready\n"));
  path = g_strdup_printf("/proc/%d/stat", (int)one->pid);
  g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
  fields = g_strsplit(strrchr(text, ')') + 2, " ", -1);
  one->began = g_ascii_strtoull(fields[FIELD_START_TIME], NULL, 10);
}

static void
somebody_end(Somebody *one)
{
  close(one->in);
  close(one->out);
  stop(&one->pid);
  g_string_free(one->said, TRUE);
}

static void
go(const Somebody *one)
{
  g_assert_cmpint(write(one->in, "g", 1), ==, 1);
}

/* Asks about itself, with an agent at hand; what it was told. */
static void
asks(Polkit *polkit, Behaviour person, const char *told)
{
  Somebody one = {0};

  polkit->person = person;
  somebody_start(&one, 0);
  polkit_agent_for(polkit, one.pid, one.began);
  go(&one);
  until(said(&one, "yes\n") || said(&one, "still waits\n"));
  g_assert_nonnull(strstr(one.said->str, told));
  somebody_end(&one);
}

static void
test_yes(Polkit *polkit, const void *data)
{
  (void)data;
  asks(polkit, GIVES_PASSWORD, "yes\n");
  g_assert_cmpuint(polkit->asked, ==, 1);
  g_assert_cmpstr(polkit->message,
                  ==,
                  "Authentication is required to approve the request that "
                  "you were shown");
  /* Nothing is remembered of it. */
  asks(polkit, GIVES_UP, "polkit says no");
  g_assert_cmpuint(polkit->asked, ==, 2);
}

static void
test_closed(Polkit *polkit, const void *data)
{
  (void)data;
  asks(polkit, CLOSES_IT, "dismissed");
  g_assert_cmpuint(polkit->asked, ==, 1);
}

static void
test_no_agent(Polkit *polkit, const void *data)
{
  Somebody one = {0}, other = {0};

  (void)data;
  /* Another one's agent is nobody's here. */
  somebody_start(&other, 0);
  polkit_agent_for(polkit, other.pid, other.began);
  somebody_start(&one, 0);
  go(&one);
  until(said(&one, "still waits\n"));
  g_assert_nonnull(strstr(one.said->str, "no polkit agent"));
  g_assert_cmpuint(polkit->asked, ==, 0);
  somebody_end(&one);
  somebody_end(&other);
}

/* Nobody proves it for another user's process. */
static void
test_foreign(Polkit *polkit, const void *data)
{
  Somebody one = {0};

  (void)data;
  somebody_start(&one, getpid());
  polkit_agent_for(polkit, one.pid, one.began);
  go(&one);
  until(said(&one, "still waits\n"));
  g_assert_cmpuint(polkit->asked, ==, 0);
  somebody_end(&one);
}

static void
test_killed(Polkit *polkit, const void *data)
{
  Somebody one = {0};

  (void)data;
  polkit->person = WAITS;
  somebody_start(&one, 0);
  polkit_agent_for(polkit, one.pid, one.began);
  go(&one);
  until(polkit->asked == 1);
  stop(&polkit->polkitd);
  until(said(&one, "still waits\n"));
  g_assert_null(strstr(one.said->str, "yes"));
  somebody_end(&one);
  /* And now there is none. */
  somebody_start(&one, 0);
  go(&one);
  until(said(&one, "still waits\n"));
  g_assert_nonnull(strstr(one.said->str, "polkit is not there"));
  somebody_end(&one);
}

/* The person's question goes with it, and nothing is told any more. */
static void
test_taken_back(Polkit *polkit, const void *data)
{
  Somebody one = {0};

  (void)data;
  polkit->person = WAITS;
  somebody_start(&one, 0);
  polkit_agent_for(polkit, one.pid, one.began);
  go(&one);
  until(polkit->asked == 1);
  go(&one);
  until(said(&one, "cancelled\n"));
  /* polkit may take it back twice: as asked, and with who asked. */
  until(polkit->taken_back > 0);
  g_assert_cmpstr(one.said->str, ==, "ready\ncancelled\n");
  somebody_end(&one);
}

static void
test_no_bus(void)
{
  Somebody one = {0};

  g_setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere/bus", TRUE);
  somebody_start(&one, 0);
  go(&one);
  until(said(&one, "still waits\n"));
  g_assert_null(strstr(one.said->str, "yes"));
  somebody_end(&one);
}

static bool there;

static void
set_up(Polkit *polkit, const void *data)
{
  (void)data;
  there = polkit_start(polkit);
}

static void
tear_down(Polkit *polkit, const void *data)
{
  (void)data;
  polkit_stop(polkit);
}

typedef void (*Test)(Polkit *polkit, const void *data);

static void
run(Polkit *polkit, const void *data)
{
  const Test *test = data;

  if (there)
    (*test)(polkit, NULL);
  else
    g_test_skip("polkitd cannot be given the action here");
}

int
main(int argc, char **argv)
{
  static const struct {
    const char *path;
    Test test;
  } tests[] = {{"/approve/presence/yes", test_yes},
               {"/approve/presence/closed", test_closed},
               {"/approve/presence/no-agent", test_no_agent},
               {"/approve/presence/foreign", test_foreign},
               {"/approve/presence/killed", test_killed},
               {"/approve/presence/taken-back", test_taken_back}};

  if (argc == 3 && g_str_equal(argv[1], "--ask"))
    return ask_as_somebody(atoi(argv[2]));
  g_test_init(&argc, &argv, NULL);
  /* Somebody may not see where the build is; valgrind starts no such link. */
  g_autofree char *real = g_file_read_link("/proc/self/exe", NULL);
  self = g_getenv("HOOP_VALGRIND") ? real : "/proc/self/exe";
  if (geteuid() != 0 || access(POLKITD, X_OK) != 0) {
    printf("1..0 # SKIP needs root and polkitd\n");
    return 0;
  }
  for (unsigned i = 0; i < G_N_ELEMENTS(tests); i++)
    g_test_add(tests[i].path, Polkit, &tests[i].test, set_up, run, tear_down);
  g_test_add_func("/approve/presence/no-bus", test_no_bus);
  return g_test_run();
}
