/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a command, and ends with it whatever it began, in whichever process
 * group, session or environment: `warden COMMAND...`. A signal ends them all.
 */

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST                                                                   \
  8192 /* processes looked at; pid_max of small machines is 32768              \
        */
#define ASK_SECONDS 5     /* as long as a test's agent may take to drain */
#define INSIST_SECONDS 15 /* then what is left is in the kernel's hands */
#define STEP_NS 50000000L

struct process {
  pid_t pid;
  pid_t parent;
  char name[17];
  bool below;
};

static struct process processes[MOST];

/* One line of /proc/PID/stat: the name ends at the last bracket. */
static bool
process_read(const char *pid, struct process *process)
{
  char path[64], line[512], state = 0;

  snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
  FILE *file = fopen(path, "re");
  if (!file)
    return false;
  size_t n = fread(line, 1, sizeof line - 1, file);
  fclose(file);
  line[n] = 0;

  char *from = strchr(line, '('), *to = strrchr(line, ')');
  if (!from || !to || sscanf(to, ") %c %d", &state, &process->parent) != 2)
    return false;
  *to = 0;
  snprintf(process->name, sizeof process->name, "%.16s", from + 1);
  process->pid = atoi(pid);
  process->below = false;
  return state != 'Z';
}

static size_t
processes_read(void)
{
  DIR *dir = opendir("/proc");
  size_t n = 0;

  if (!dir)
    return 0;
  for (struct dirent *entry; n < MOST && (entry = readdir(dir));)
    if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
        process_read(entry->d_name, &processes[n]))
      n++;
  closedir(dir);
  return n;
}

/* signal goes to all that live below this process, orphans included, for it is
 * their parent then; returns how many there are. They are named with a title.
 */
static int
signal_below(int signal, const char *title)
{
  const size_t n = processes_read();
  int found = 0;
  bool more = true;

  while (more) {
    more = false;
    for (size_t i = 0; i < n; i++) {
      if (processes[i].below)
        continue;
      bool below = processes[i].parent == getpid();
      for (size_t k = 0; !below && k < n; k++)
        below = processes[k].below && processes[k].pid == processes[i].parent;
      if (!below)
        continue;
      processes[i].below = more = true;
      found++;
      if (title)
        fprintf(stderr,
                "%s: %s, process %d\n",
                title,
                processes[i].name,
                (int)processes[i].pid);
    }
  }
  for (size_t i = 0; i < n; i++)
    if (processes[i].below)
      kill(processes[i].pid, signal);
  return found;
}

static void
reap(void)
{
  while (waitpid(-1, NULL, WNOHANG) > 0)
    continue;
}

/* Asks once, insists later, until nothing is left. */
static void
end_all(const char *title)
{
  const struct timespec step = {0, STEP_NS};
  const time_t start = time(NULL);

  for (int left = signal_below(SIGTERM, title); left > 0;) {
    nanosleep(&step, NULL);
    reap();
    const time_t waited = time(NULL) - start;
    if (waited > INSIST_SECONDS)
      return;
    left = signal_below(waited < ASK_SECONDS ? 0 : SIGKILL, NULL);
  }
}

int
main(int argc, char *argv[])
{
  const struct sigaction ordinary = {.sa_handler = SIG_DFL};
  sigset_t wanted, before;
  int status = 0, signal = 0;

  if (argc < 2)
    return 2;
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0 ||
      prctl(PR_SET_PDEATHSIG, SIGTERM) != 0) {
    perror("warden");
    return 2;
  }
  sigemptyset(&wanted);
  sigaddset(&wanted, SIGCHLD);
  sigaddset(&wanted, SIGHUP);
  sigaddset(&wanted, SIGINT);
  sigaddset(&wanted, SIGTERM);
  sigprocmask(SIG_BLOCK, &wanted, &before);

  const pid_t child = fork();
  if (child == 0) {
    sigprocmask(SIG_SETMASK, &before, NULL);
    sigaction(SIGINT, &ordinary, NULL); /* a shell's & ignores them */
    sigaction(SIGQUIT, &ordinary, NULL);
    execvp(argv[1], argv + 1);
    perror(argv[1]);
    _exit(127);
  }
  if (child < 0) {
    perror("warden");
    return 2;
  }
  for (;;) {
    const pid_t ended = waitpid(-1, &status, WNOHANG);
    if (ended == child)
      break;
    if (ended > 0)
      continue;
    signal = sigwaitinfo(&wanted, NULL);
    if (signal == SIGCHLD || (signal < 0 && errno == EINTR))
      continue;
    end_all(NULL);
    return 128 + signal;
  }
  end_all("left behind");
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
