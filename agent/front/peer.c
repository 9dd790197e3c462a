/* SPDX-License-Identifier: Apache-2.0 */
/* Who connects: the owner of the client's socket by the kernel's socket
 * diagnosis (sock_diag(7)), which decides; and the process, by looking through
 * /proc, which is only told. */
#define _GNU_SOURCE
#include "front/private.h"
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

/* The kernel answers in microseconds; a socket that does not is broken. */
#define ANSWER_MS 200
/* Parents told beside the executable: IDE, shell, terminal, session. */
#define MAX_ANCESTORS 6

struct peers {
  int fd;
  uint32_t sequence;
};

Peers *
peers_new(GError **error)
{
  struct timeval limit = {.tv_usec = ANSWER_MS * 1000};
  Peers *peers;
  int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

  if (fd < 0 ||
      setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0) {
    g_set_error(error,
                FRONT_ERROR,
                FRONT_ERROR_PEER,
                "the kernel's socket diagnosis cannot be used: %s",
                g_strerror(errno));
    if (fd >= 0)
      close(fd);
    return NULL;
  }
  peers = g_new0(Peers, 1);
  peers->fd = fd;
  return peers;
}

void
peers_free(Peers *peers)
{
  if (!peers)
    return;
  close(peers->fd);
  g_free(peers);
}

/* ---- Socket diagnosis
 * --------------------------------------------------------- */

static void
put_address(const struct sockaddr_storage *address,
            __be16 *port,
            __be32 out[4],
            uint8_t *family)
{
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;

  if (address->ss_family == AF_INET) {
    memcpy(&v4, address, sizeof v4);
    *family = AF_INET;
    *port = v4.sin_port;
    memcpy(out, &v4.sin_addr, sizeof v4.sin_addr);
  } else {
    memcpy(&v6, address, sizeof v6);
    *family = AF_INET6;
    *port = v6.sin6_port;
    memcpy(out, &v6.sin6_addr, sizeof v6.sin6_addr);
  }
}

/* The client's end of the connection is the socket whose source is our peer
 * and whose destination is ourselves. */
static bool
endpoints(int fd, struct inet_diag_req_v2 *request)
{
  struct sockaddr_storage ours = {0}, theirs = {0};
  socklen_t ours_len = sizeof ours, theirs_len = sizeof theirs;

  if (getsockname(fd, (struct sockaddr *)&ours, &ours_len) != 0 ||
      getpeername(fd, (struct sockaddr *)&theirs, &theirs_len) != 0)
    return false;
  put_address(&theirs,
              &request->id.idiag_sport,
              request->id.idiag_src,
              &request->sdiag_family);
  put_address(&ours,
              &request->id.idiag_dport,
              request->id.idiag_dst,
              &request->sdiag_family);
  return true;
}

static bool
receive(Peers *peers, uint32_t sequence, PeerId *out)
{
  union {
    struct nlmsghdr header;
    char bytes[4096];
  } answer;

  for (;;) {
    ssize_t len = recv(peers->fd, &answer, sizeof answer, 0);
    const struct inet_diag_msg *message = NLMSG_DATA(&answer.header);

    if (len < 0 && errno == EINTR)
      continue;
    if (len < (ssize_t)sizeof answer.header ||
        !NLMSG_OK(&answer.header, (size_t)len))
      return false;
    if (answer.header.nlmsg_seq != sequence)
      continue; /* a late answer to an earlier question */
    if (answer.header.nlmsg_type != SOCK_DIAG_BY_FAMILY ||
        answer.header.nlmsg_len < NLMSG_LENGTH(sizeof *message))
      return false;
    /* Where the kernel finds no such connection (the client lives in another
     * network namespace) it tells of a listener on the client's port, who may
     * be anybody. */
    if (message->idiag_state == TCP_LISTEN)
      return false;
    out->uid = message->idiag_uid;
    out->inode = message->idiag_inode;
    return true;
  }
}

static bool
diagnose(Peers *peers, int fd, PeerId *out)
{
  struct {
    struct nlmsghdr header;
    struct inet_diag_req_v2 request;
  } question = {
      .header = {.nlmsg_len = sizeof question,
                 .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                 .nlmsg_flags = NLM_F_REQUEST,
                 .nlmsg_seq = ++peers->sequence},
      .request = {.sdiag_protocol = IPPROTO_TCP,
                  .idiag_states = -1U,
                  .id.idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}},
  };
  const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

  return endpoints(fd, &question.request) &&
         sendto(peers->fd,
                &question,
                sizeof question,
                0,
                (const struct sockaddr *)&kernel,
                sizeof kernel) == sizeof question &&
         receive(peers, question.header.nlmsg_seq, out);
}

static bool
refuse(const char *why, GError **error)
{
  g_set_error_literal(error, FRONT_ERROR, FRONT_ERROR_PEER, why);
  return false;
}

bool
peers_identify(Peers *peers, int fd, PeerId *out, GError **error)
{
  struct ucred credentials;
  socklen_t len = sizeof credentials;
  int domain = 0;
  socklen_t domain_len = sizeof domain;
  PeerId found = {0};

  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &domain_len) == 0 &&
      domain == AF_UNIX) {
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &len) == 0) {
      *out = (PeerId){.uid = credentials.uid, .pid = credentials.pid};
      return true;
    }
  } else if (diagnose(peers, fd, &found)) {
    if (found.inode) {
      *out = found;
      return true;
    }
    /* Of a socket without one the kernel says that it is root's. */
    return refuse("the client closed its socket before it could be asked "
                  "whose it is",
                  error);
  }
  return refuse("the kernel knows no owner of this connection on this machine "
                "(another network namespace?)",
                error);
}

bool
front_is_ours(int fd)
{
  Peers *peers = peers_new(NULL);
  PeerId peer;
  bool ours = peers && peers_identify(peers, fd, &peer, NULL) &&
              (peer.uid == getuid() || peer.uid == 0);

  peers_free(peers);
  return ours;
}

/* ---- Processes
 * ------------------------------------------------------------------ */

/* The kernel marks a program that was replaced since: it is known by its name
 * all the same. */
static char *
executable(pid_t pid)
{
  static const char mark[] = " (deleted)";
  g_autofree char *link = g_strdup_printf("/proc/%d/exe", (int)pid);
  char *name = g_file_read_link(link, NULL);

  if (name && g_str_has_suffix(name, mark))
    name[strlen(name) - (sizeof mark - 1)] = '\0';
  return name;
}

/* The fourth field of /proc/PID/stat, behind the name in parentheses. */
static pid_t
parent(pid_t pid)
{
  g_autofree char *path = g_strdup_printf("/proc/%d/stat", (int)pid);
  g_autofree char *text = NULL;
  const char *rest;
  int ppid = 0;

  if (!g_file_get_contents(path, &text, NULL, NULL))
    return 0;
  rest = strrchr(text, ')');
  if (!rest || sscanf(rest, ") %*c %d", &ppid) != 1)
    return 0;
  return ppid;
}

static bool
holds(pid_t pid, const char *wanted)
{
  g_autofree char *path = g_strdup_printf("/proc/%d/fd", (int)pid);
  DIR *fds = opendir(path);
  const struct dirent *entry;
  bool found = false;

  if (!fds)
    return false;
  while (!found && (entry = readdir(fds))) {
    char target[64];
    ssize_t len =
        readlinkat(dirfd(fds), entry->d_name, target, sizeof target - 1);

    if (len > 0) {
      target[len] = '\0';
      found = g_str_equal(target, wanted);
    }
  }
  closedir(fds);
  return found;
}

/* Newest first: the client was most likely started after what it talks to. */
static int
newest_first(const void *a, const void *b)
{
  const pid_t *left = a, *right = b;

  return *left < *right ? 1 : *left > *right ? -1 : 0;
}

static GArray *
processes_of(uid_t uid, bool everybody)
{
  GArray *pids = g_array_new(FALSE, FALSE, sizeof(pid_t));
  DIR *proc = opendir("/proc");
  const struct dirent *entry;

  while (proc && (entry = readdir(proc))) {
    pid_t pid = (pid_t)g_ascii_strtoll(entry->d_name, NULL, 10);
    struct stat info;

    if (pid > 0 && fstatat(dirfd(proc), entry->d_name, &info, 0) == 0 &&
        (everybody || info.st_uid == uid))
      g_array_append_val(pids, pid);
  }
  if (proc)
    closedir(proc);
  g_array_sort(pids, newest_first);
  return pids;
}

static pid_t
holder_of(ino_t inode, uid_t uid, bool everybody)
{
  g_autofree char *wanted =
      g_strdup_printf("socket:[%" G_GUINT64_FORMAT "]", (guint64)inode);
  g_autoptr(GArray) pids = processes_of(uid, everybody);

  for (unsigned i = 0; i < pids->len; i++)
    if (holds(g_array_index(pids, pid_t, i), wanted))
      return g_array_index(pids, pid_t, i);
  return 0;
}

typedef struct {
  PeerId peer;
  Caller *caller;
  char **processes;
} Resolve;

static void
resolve_job(void *data)
{
  Resolve *resolve = data;
  g_autoptr(GStrvBuilder) names = g_strv_builder_new();
  pid_t pid = resolve->peer.pid;

  if (!pid)
    pid = holder_of(resolve->peer.inode, resolve->peer.uid, false);
  resolve->peer.pid = pid;
  if (!pid)
    return;
  for (unsigned i = 0; i < MAX_ANCESTORS && pid > 1; i++, pid = parent(pid)) {
    g_autofree char *name = executable(pid);

    if (!name)
      break;
    g_strv_builder_add(names, name);
  }
  resolve->processes = g_strv_builder_end(names);
  if (!resolve->processes[0])
    g_clear_pointer(&resolve->processes, g_strfreev);
}

static void
resolve_done(void *data, bool cancelled)
{
  Resolve *resolve = data;

  if (cancelled)
    g_strfreev(resolve->processes);
  else
    caller_resolve(resolve->caller,
                   resolve->peer.pid ? resolve->peer.pid : -1,
                   resolve->processes);
  caller_unref(resolve->caller);
  g_free(resolve);
}

void
peers_resolve(WorkerPool *workers,
              Loop *loop,
              const PeerId *peer,
              Caller *caller)
{
  Resolve *resolve = g_new0(Resolve, 1);

  resolve->peer = *peer;
  resolve->caller = caller_ref(caller);
  if (worker_run(workers, loop, resolve_job, resolve_done, resolve))
    return;
  resolve_done(resolve, true);
  caller_resolve(caller, -1, NULL); /* too busy to look: unknown */
}

/* ---- Who holds a port
 * ------------------------------------------------------------ */

static ino_t
listening_inode(const char *table, uint16_t port)
{
  g_autofree char *text = NULL;
  g_auto(GStrv) lines = NULL;

  if (!g_file_get_contents(table, &text, NULL, NULL))
    return 0;
  lines = g_strsplit(text, "\n", -1);
  for (char **line = lines; *line; line++) {
    unsigned local, state;
    unsigned long inode;

    /* sl local:port remote:port state tx:rx tr:when retrnsmt uid timeout inode
     */
    if (sscanf(*line,
               "%*d: %*[0-9A-F]:%x %*[0-9A-F]:%*x %x %*x:%*x %*x:%*x %*x %*u "
               "%*u %lu",
               &local,
               &state,
               &inode) == 3 &&
        local == port && state == 0x0A)
      return inode;
  }
  return 0;
}

char *
front_port_holder(uint16_t port)
{
  ino_t inode = listening_inode("/proc/net/tcp", port);
  g_autofree char *name = NULL;
  pid_t pid;

  if (!inode)
    inode = listening_inode("/proc/net/tcp6", port);
  pid = inode ? holder_of(inode, 0, true) : 0;
  if (!pid)
    return NULL;
  name = executable(pid);
  return g_strdup_printf("%s (pid %d)", name ? name : "a process", (int)pid);
}
