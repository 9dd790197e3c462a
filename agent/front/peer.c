/* SPDX-License-Identifier: Apache-2.0 */
/* Who connects: the owner of the client's socket by the kernel's socket
 * diagnosis (sock_diag(7)), which decides. */
#define _GNU_SOURCE
#include "front/private.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* The kernel answers in microseconds; a socket that does not is broken. */
#define ANSWER_MS 200

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
