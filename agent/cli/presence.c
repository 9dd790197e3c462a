/* SPDX-License-Identifier: Apache-2.0 */
/* Proving presence in a terminal: polkit's own agent for text, for as long as
 * an approval needs it. */
#include "cli/verb.h"
#include <glib-unix.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* It says when it is ready; one that does not is as good as none. */
#define READY_MS 5000

GPid
presence_agent_start(void)
{
  /* On a desktop its own agent asks, where it has one. polkit takes a fallback
   * in a session only, so that elsewhere ours is none. */
  const bool desktop = g_getenv("DISPLAY") || g_getenv("WAYLAND_DISPLAY");
  g_autofree char *pid = g_strdup_printf("%d", (int)getpid());
  char *const argv[] = {(char *)(uintptr_t) "pkttyagent",
                        (char *)(uintptr_t) "--process",
                        pid,
                        (char *)(uintptr_t) "--notify-fd",
                        (char *)(uintptr_t) "3",
                        desktop ? (char *)(uintptr_t) "--fallback" : NULL,
                        NULL};
  int ready[2];
  const int target = 3;
  struct pollfd wait;
  GPid child = 0;

  if (!isatty(STDIN_FILENO) || !g_unix_open_pipe(ready, FD_CLOEXEC, NULL))
    return 0;
  if (!g_spawn_async_with_pipes_and_fds(NULL,
                                        (const char *const *)argv,
                                        NULL,
                                        G_SPAWN_SEARCH_PATH |
                                            G_SPAWN_DO_NOT_REAP_CHILD |
                                            G_SPAWN_CHILD_INHERITS_STDIN,
                                        NULL,
                                        NULL,
                                        -1,
                                        -1,
                                        -1,
                                        &ready[1],
                                        &target,
                                        1,
                                        &child,
                                        NULL,
                                        NULL,
                                        NULL,
                                        NULL))
    child = 0;
  close(ready[1]);
  wait = (struct pollfd){.fd = ready[0], .events = POLLIN};
  if (child)
    poll(&wait, 1, READY_MS);
  close(ready[0]);
  return child;
}

void
presence_agent_stop(GPid child)
{
  if (!child)
    return;
  kill(child, SIGTERM);
  waitpid(child, NULL, 0);
  g_spawn_close_pid(child);
}
