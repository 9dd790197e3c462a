/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets in memory: what the kernel was told about their pages, what a child
 * inherits, and that nothing reads past them. */

#include "kit/secret.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* A user that owns nothing, for the tests that run as root. */
#define NOBODY 65534

static void
test_contents(void)
{
  g_autoptr(Secret) secret = secret_new("gh\0s", 4);

  g_assert_cmpuint(secret_len(secret), ==, 4);
  g_assert_cmpmem(secret_bytes(secret), 5, "gh\0s\0", 5);
  g_assert_cmpstr(secret_text(secret), ==, "gh");
}

static void
test_sizes(void)
{
  static const size_t sizes[] = {1, 15, 4094, 4095, 4096, 4097, 1 << 20};

  for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
    g_autofree char *bytes = g_strnfill(sizes[i], 'k');
    g_autoptr(Secret) secret = secret_new(bytes, sizes[i]);

    g_assert_cmpmem(secret_bytes(secret), secret_len(secret), bytes, sizes[i]);
    g_assert_cmpint(secret_bytes(secret)[sizes[i]], ==, 0);
  }
}

static void
test_equal(void)
{
  g_autoptr(Secret) secret = secret_new("token", 5);

  g_assert_true(secret_equal(secret, "token", 5));
  g_assert_false(secret_equal(secret, "tokem", 5));
  g_assert_false(secret_equal(secret, "token", 4));
  g_assert_false(secret_equal(secret, "token\0", 6));
  g_assert_false(secret_equal(secret, "", 0));
}

static void
test_random(void)
{
  g_autoptr(Secret) a = secret_new_random(32);
  g_autoptr(Secret) b = secret_new_random(32);

  g_assert_cmpuint(secret_len(a), ==, 32);
  g_assert_false(secret_equal(a, secret_bytes(b), 32));
}

static bool
fill(uint8_t *bytes, size_t len, void *data)
{
  const bool *ok = data;

  for (size_t i = 0; i < len; i++)
    g_assert_cmpuint(bytes[i], ==, 0);
  memset(bytes, 'f', len);
  return *ok;
}

static void
test_filled(void)
{
  bool ok = true;
  g_autoptr(Secret) secret = secret_new_filled(3, fill, &ok);

  g_assert_cmpstr(secret_text(secret), ==, "fff");
  ok = false;
  g_assert_null(secret_new_filled(3, fill, &ok));
}

/* The VmFlags line of the mapping that holds `address`. */
static char *
vm_flags(const void *address)
{
  g_autofree char *maps = NULL;
  g_auto(GStrv) lines = NULL;
  bool inside = false;

  g_assert_true(g_file_get_contents("/proc/self/smaps", &maps, NULL, NULL));
  lines = g_strsplit(maps, "\n", -1);
  for (char **line = lines; *line != NULL; line++) {
    unsigned long begin, end;

    if (sscanf(*line, "%lx-%lx ", &begin, &end) == 2)
      inside = (unsigned long)address >= begin && (unsigned long)address < end;
    else if (inside && g_str_has_prefix(*line, "VmFlags:"))
      return g_strdup_printf("%s ", *line);
  }
  return g_strdup("");
}

/* man 5 proc: dd is MADV_DONTDUMP, wf MADV_WIPEONFORK, lo mlock(2). */
static void
test_pages(void)
{
  g_autoptr(Secret) secret = secret_new("k", 1);
  g_autofree char *flags = vm_flags(secret_bytes(secret));
  const char *sanitizer = g_getenv("HOOP_SANITIZER");
  struct rlimit limit;

  if (*flags == '\0') {
    g_test_skip("no VmFlags in /proc/self/smaps");
    return;
  }
  g_assert_nonnull(strstr(flags, " dd "));
  g_assert_nonnull(strstr(flags, " wf "));
  /* Sanitizers make mlock(2) do nothing. */
  g_assert_cmpint(getrlimit(RLIMIT_MEMLOCK, &limit), ==, 0);
  if (g_strcmp0(sanitizer, "no") == 0 && limit.rlim_cur >= 1 << 16)
    g_assert_nonnull(strstr(flags, " lo "));
}

/* Runs func in a child; returns what waitpid(2) says of it. */
static int
in_child(void (*func)(const Secret *secret), const Secret *secret)
{
  const pid_t child = fork();
  int status;

  g_assert_cmpint(child, >=, 0);
  if (child == 0) {
    func(secret);
    _exit(0);
  }
  g_assert_cmpint(waitpid(child, &status, 0), ==, child);
  return status;
}

static void
expect_zeros(const Secret *secret)
{
  for (size_t i = 0; i <= secret_len(secret); i++)
    if (secret_bytes(secret)[i] != 0)
      _exit(1);
}

static void
test_fork_sees_zeros(void)
{
  g_autoptr(Secret) secret = secret_new("0123456789", 10);

  g_assert_cmpint(in_child(expect_zeros, secret), ==, 0);
  g_assert_cmpstr(secret_text(secret), ==, "0123456789");
}

static void
read_past_end(const Secret *secret)
{
  const volatile uint8_t *bytes = secret_bytes(secret);
  const struct rlimit none = {0, 0};

  setrlimit(RLIMIT_CORE, &none);
  /* A sanitizer would report the fault at length before it ends. */
  fclose(stderr);
  close(STDERR_FILENO);
  (void)bytes[secret_len(secret) + 1];
}

/* One byte past the NUL lies a guard page. */
static void
test_guard_page(void)
{
  g_autoptr(Secret) secret = secret_new("0123456789", 10);

  if (g_getenv("HOOP_VALGRIND"))
    g_test_skip("valgrind drops a read of which nothing is made");
  else
    g_assert_cmpint(in_child(read_past_end, secret), !=, 0);
}

static void
without_memlock(const Secret *secret)
{
  const struct rlimit none = {0, 0};
  Secret *other;

  (void)secret;
  if (setrlimit(RLIMIT_MEMLOCK, &none) != 0)
    _exit(2);
  if (geteuid() == 0 && setuid(NOBODY) != 0)
    _exit(3);
  other = secret_new("x", 1);
  if (strcmp(secret_text(other), "x") != 0)
    _exit(1);
  secret_unref(other);
}

static void
test_refused_mlock(void)
{
  g_assert_cmpint(in_child(without_memlock, NULL), ==, 0);
}

static void
harden(const Secret *secret)
{
  struct rlimit core = {1, 1};

  (void)secret;
  /* What cannot be raised back cannot be tried twice. */
  if (getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_cur == 0) {
    core.rlim_cur = core.rlim_max;
    setrlimit(RLIMIT_CORE, &core);
  }
  if (!secret_harden_process() || prctl(PR_GET_DUMPABLE) != 0 ||
      getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_cur != 0 ||
      core.rlim_max != 0)
    _exit(1);
}

static void
test_harden_process(void)
{
  g_assert_cmpint(in_child(harden, NULL), ==, 0);
}

/* The last reference gives the pages back. */
static void
test_references(void)
{
  const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  Secret *secret = secret_new("k", 1);
  Secret *same = secret_ref(secret);
  void *at = (void *)((uintptr_t)secret_bytes(secret) / page * page);
  unsigned char resident;

  g_assert_true(same == secret);
  secret_unref(secret);
  g_assert_cmpstr(secret_text(same), ==, "k");
  secret_unref(same);
  g_assert_cmpint(mincore(at, page, &resident), ==, -1);
  g_assert_cmpint(errno, ==, ENOMEM);
  secret_unref(NULL);
}

static void
test_wipe(void)
{
  char text[] = "secret";

  secret_wipe(text, 6);
  g_assert_cmpmem(text, 6, "\0\0\0\0\0\0", 6);
  secret_wipe(NULL, 0);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/kit/secret/contents", test_contents);
  g_test_add_func("/kit/secret/sizes", test_sizes);
  g_test_add_func("/kit/secret/equal", test_equal);
  g_test_add_func("/kit/secret/random", test_random);
  g_test_add_func("/kit/secret/filled", test_filled);
  g_test_add_func("/kit/secret/pages", test_pages);
  g_test_add_func("/kit/secret/fork-sees-zeros", test_fork_sees_zeros);
  g_test_add_func("/kit/secret/guard-page", test_guard_page);
  g_test_add_func("/kit/secret/refused-mlock", test_refused_mlock);
  g_test_add_func("/kit/secret/harden-process", test_harden_process);
  g_test_add_func("/kit/secret/references", test_references);
  g_test_add_func("/kit/secret/wipe", test_wipe);
  return g_test_run();
}
