/* SPDX-License-Identifier: Apache-2.0 */
/* hoop-hub: the program. Its one verb serves until it is told to stop. */
#include "config.h"

#include "hub/bundle/publish.h"
#include "hub/hub.h"
#include "hub/private.h"
#include "hub/vault/vault.h"
#include "kit/file.h"
#include "kit/log.h"
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

#define DEFAULT_CONFIG HOOP_SYSCONFDIR "/hoop-hub/hoop-hub.conf"

static const char usage[] =
    "Usage: hoop-hub serve [--config FILE] [--store URL] [--init]\n"
    "       hoop-hub policy publish|rollout|status ...\n"
    "       hoop-hub audit list|export|alerts|journals|verify [...]\n"
    "       hoop-hub credential set|rotate|remove|list|rekey ...\n"
    "       hoop-hub --version | --help\n\n"
    "Runs the hub of a team: reviews of requests that agents hold.\n"
    "  --config FILE  instead of " DEFAULT_CONFIG "\n"
    "  --store URL    postgresql://…, instead of what the file says\n"
    "  --init         make a self-signed certificate where there is none, for\n"
    "                 trials\n\n"
    "hoop-hub(1), hoop-hub.conf(5) and hoop-hub(7) tell more.\n";

typedef struct {
  Hub *hub;
  int fd;
} Signals;

static void
tell_manager(const char *state)
{
#ifdef HAVE_SYSTEMD
  sd_notify(0, state);
#else
  (void)state;
#endif
}

static void
on_signal(uint32_t events, void *data)
{
  const Signals *signals = data;
  struct signalfd_siginfo info;

  (void)events;
  if (read(signals->fd, &info, sizeof info) != sizeof info)
    return;
  log_info("stopping signal=%u", info.ssi_signo);
  tell_manager("STOPPING=1");
  hub_drain(signals->hub);
}

/* Ended by SIGTERM or SIGINT; SIGPIPE is for sockets that clients reset. */
static bool
run(Loop *loop, Hub *hub)
{
  Signals signals = {.hub = hub};
  LoopWatch *watch;
  sigset_t set;

  signal(SIGPIPE, SIG_IGN);
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigprocmask(SIG_BLOCK, &set, NULL);
  signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  watch = signals.fd < 0
              ? NULL
              : loop_watch_new(loop, signals.fd, EPOLLIN, on_signal, &signals);
  if (!watch) {
    log_error("signals error=\"%s\"", g_strerror(errno));
    return false;
  }
  tell_manager("READY=1");
  loop_run(loop);
  loop_watch_free(watch);
  close(signals.fd);
  return true;
}

static int
serve(const char *path, const char *store, bool init)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(HubConfig) config = hub_config_load(path, &error);
  g_autoptr(Loop) loop = NULL;
  Hub *hub = NULL;
  bool good;

  if (!config) {
    log_error("%s", error->message);
    return 2;
  }
  if (store) {
    g_free(config->store);
    config->store = g_strdup(store);
  }
  if (init &&
      (!file_private_dir(config->state_dir, &error) ||
       !tls_make(
           config->certificate, config->key, g_get_host_name(), &error))) {
    log_error("%s", error->message);
    return 1;
  }
  loop = loop_new(&error);
  if (loop)
    hub = hub_new(loop, config, &error);
  if (!hub) {
    log_error("%s", error->message);
    return 1;
  }
  log_info("listening address=%s port=%u certificate=%s",
           config->address,
           (unsigned)hub_port(hub),
           config->certificate);
  log_info("key fingerprint=\"%s\"", hub_fingerprint(hub));
  good = run(loop, hub);
  hub_free(hub);
  loop_iterate(loop, 0);
  return good ? 0 : 1;
}

static int
misused(const char *what)
{
  fprintf(stderr, "hoop-hub: %s\n%s", what, usage);
  return 2;
}

int
main(int argc, char **argv)
{
  const char *path = DEFAULT_CONFIG;
  const char *store = NULL;
  bool init = false;

  if (!secret_harden_process()) {
    fprintf(stderr,
            "hoop-hub: the kernel refused to close this process to debuggers "
            "and core dumps: %s\n",
            strerror(errno));
    return 1;
  }
  umask(0077); /* the database holds masked prompts */
  setlocale(LC_ALL, "");
  if (argc == 2 && g_str_equal(argv[1], "--version")) {
    printf("hoop-hub %s\n", PACKAGE_VERSION);
    return 0;
  }
  if (argc == 2 && g_str_equal(argv[1], "--help")) {
    fputs(usage, stdout);
    return 0;
  }
  if (argc >= 2 && g_str_equal(argv[1], "policy"))
    return bundle_verb(argc - 1, argv + 1);
  if (argc >= 2 && g_str_equal(argv[1], "audit"))
    return cli_audit(argc - 2, argv + 2, DEFAULT_CONFIG);
  if (argc >= 2 && g_str_equal(argv[1], "credential"))
    return vault_verb(argc - 1, argv + 1);
  if (argc < 2 || !g_str_equal(argv[1], "serve"))
    return misused("the verbs are serve, policy, audit and credential");
  for (int i = 2; i < argc; i++) {
    if (g_str_equal(argv[i], "--init"))
      init = true;
    else if (g_str_equal(argv[i], "--config") && i + 1 < argc)
      path = argv[++i];
    else if (g_str_equal(argv[i], "--store") && i + 1 < argc)
      store = argv[++i];
    else
      return misused("an argument is not understood");
  }
  if (store && !db_is_shared(store))
    return misused("--store takes a postgresql:// URL");
  return serve(path, store, init);
}
