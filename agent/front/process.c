/* SPDX-License-Identifier: Apache-2.0 */
/* Which program holds a socket, and its parents: by looking through /proc, once
 * for all that wait; it is only told, and decides nothing. */
#include "front/private.h"
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Parents told beside the executable: IDE, shell, terminal, session. */
#define MAX_ANCESTORS 6
/* The workers are full of other jobs: asked again. */
#define RETRY_MS 20

/* One connection whose program is looked for. */
typedef struct {
  PeerId peer;
  Caller *caller;
  char **processes;
} Wanted;

struct lookups {
  WorkerPool *workers;
  Loop *loop;
  LoopTimer *retry;
  GPtrArray *waiting; /* Wanted; as many as connections at most */
  bool busy;          /* a worker looks for others */
  bool ended;
};

/* What one worker looks for in one go. */
typedef struct {
  Lookups *lookups;
  GPtrArray *wanted;
} Batch;

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

/* ---- Sockets
 * -------------------------------------------------------------------- */

/* Notes the process with each socket of the set that it holds. */
static void
note_sockets(pid_t pid, GHashTable *by_inode)
{
  g_autofree char *path = g_strdup_printf("/proc/%d/fd", (int)pid);
  DIR *fds = opendir(path);
  const struct dirent *entry;

  while (fds && g_hash_table_size(by_inode) && (entry = readdir(fds))) {
    char target[64];
    ssize_t len =
        readlinkat(dirfd(fds), entry->d_name, target, sizeof target - 1);
    guint64 inode;
    pid_t *found;

    if (len <= 0)
      continue;
    target[len] = '\0';
    if (sscanf(target, "socket:[%" G_GUINT64_FORMAT "]", &inode) != 1)
      continue;
    found = g_hash_table_lookup(by_inode, &inode);
    if (!found)
      continue;
    *found = pid;
    g_hash_table_remove(by_inode, &inode);
  }
  if (fds)
    closedir(fds);
}

/* inode (guint64 *) to where its holder goes (pid_t *). What is found leaves
 * the set. */
static void
find_holders(GHashTable *by_inode, uid_t uid, bool everybody)
{
  g_autoptr(GArray) pids = NULL;

  if (!g_hash_table_size(by_inode))
    return;
  pids = processes_of(uid, everybody);
  for (unsigned i = 0; i < pids->len && g_hash_table_size(by_inode); i++)
    note_sockets(g_array_index(pids, pid_t, i), by_inode);
}

static GHashTable *
socket_set(void)
{
  return g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
}

static void
socket_set_add(GHashTable *by_inode, ino_t inode, pid_t *holder)
{
  guint64 *key = g_new(guint64, 1);

  *key = (guint64)inode;
  g_hash_table_insert(by_inode, key, holder);
}

/* ---- Looking, on a worker
 * ------------------------------------------------------- */

static char **
lineage(pid_t pid)
{
  g_autoptr(GStrvBuilder) names = g_strv_builder_new();
  char **list;

  for (unsigned i = 0; i < MAX_ANCESTORS && pid > 1; i++, pid = parent(pid)) {
    g_autofree char *name = executable(pid);

    if (!name)
      break;
    g_strv_builder_add(names, name);
  }
  list = g_strv_builder_end(names);
  if (!list[0])
    g_clear_pointer(&list, g_strfreev);
  return list;
}

static void
batch_job(void *data)
{
  Batch *batch = data;
  g_autoptr(GHashTable) by_inode = socket_set();
  uid_t uid = 0;

  for (unsigned i = 0; i < batch->wanted->len; i++) {
    Wanted *wanted = batch->wanted->pdata[i];

    uid = wanted->peer.uid; /* the owner's, all of them */
    if (!wanted->peer.pid)
      socket_set_add(by_inode, wanted->peer.inode, &wanted->peer.pid);
  }
  find_holders(by_inode, uid, false);
  for (unsigned i = 0; i < batch->wanted->len; i++) {
    Wanted *wanted = batch->wanted->pdata[i];

    if (wanted->peer.pid)
      wanted->processes = lineage(wanted->peer.pid);
  }
}

/* ---- What waits
 * ----------------------------------------------------------------- */

static void
wanted_free(void *data)
{
  Wanted *wanted = data;

  g_strfreev(wanted->processes);
  caller_unref(wanted->caller);
  g_free(wanted);
}

static void
destroy(Lookups *lookups)
{
  g_ptr_array_unref(lookups->waiting);
  g_free(lookups);
}

static void look(void *data);

static void
batch_done(void *data, bool cancelled)
{
  Batch *batch = data;
  Lookups *lookups = batch->lookups;

  lookups->busy = false;
  for (unsigned i = 0; i < batch->wanted->len && !cancelled; i++) {
    Wanted *wanted = batch->wanted->pdata[i];

    caller_resolve(wanted->caller,
                   wanted->peer.pid ? wanted->peer.pid : -1,
                   g_steal_pointer(&wanted->processes));
  }
  g_ptr_array_unref(batch->wanted);
  g_free(batch);
  if (lookups->ended)
    destroy(lookups);
  else
    look(lookups);
}

/* Everything that waits goes to one worker: a burst of connections costs one
 * look through /proc, not one each. */
static void
look(void *data)
{
  Lookups *lookups = data;
  Batch *batch;

  if (lookups->busy || !lookups->waiting->len)
    return;
  batch = g_new0(Batch, 1);
  batch->lookups = lookups;
  batch->wanted = lookups->waiting;
  if (worker_run(
          lookups->workers, lookups->loop, batch_job, batch_done, batch)) {
    lookups->busy = true;
    lookups->waiting = g_ptr_array_new_with_free_func(wanted_free);
    return;
  }
  g_free(batch);
  loop_timer_set(lookups->retry, RETRY_MS);
}

Lookups *
lookups_new(WorkerPool *workers, Loop *loop)
{
  Lookups *lookups = g_new0(Lookups, 1);

  lookups->workers = workers;
  lookups->loop = loop;
  lookups->retry = loop_timer_new(loop, look, lookups);
  lookups->waiting = g_ptr_array_new_with_free_func(wanted_free);
  return lookups;
}

void
lookups_add(Lookups *lookups, const PeerId *peer, Caller *caller)
{
  Wanted *wanted = g_new0(Wanted, 1);

  wanted->peer = *peer;
  wanted->caller = caller_ref(caller);
  g_ptr_array_add(lookups->waiting, wanted);
  look(lookups);
}

void
lookups_free(Lookups *lookups)
{
  if (!lookups)
    return;
  lookups->ended = true;
  loop_timer_free(lookups->retry);
  g_ptr_array_set_size(lookups->waiting, 0);
  if (!lookups->busy)
    destroy(lookups);
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
  g_autoptr(GHashTable) by_inode = socket_set();
  g_autofree char *name = NULL;
  pid_t pid = 0;

  if (!inode)
    inode = listening_inode("/proc/net/tcp6", port);
  if (inode) {
    socket_set_add(by_inode, inode, &pid);
    find_holders(by_inode, 0, true);
  }
  if (!pid)
    return NULL;
  name = executable(pid);
  return g_strdup_printf("%s (pid %d)", name ? name : "a process", (int)pid);
}
