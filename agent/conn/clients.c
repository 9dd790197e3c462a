/* SPDX-License-Identifier: Apache-2.0 */
/* Client tokens: what a client holds in place of the credential. Each client
 * has its own random one, kept in clients.json of the state folder. */
#include "conn/private.h"
#include "kit/digest.h"
#include "kit/file.h"
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <openssl/crypto.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* GitHub's own form, gho_ and 36 characters, because clients look at it; the
 * four fixed characters tell people (and secret scanners) whose it is. */
#define TOKEN_PREFIX "gho_hoop"
#define TOKEN_BYTES 16
/* A name a person gave to a program. */
#define MAX_NAME 64
#define MAX_FILE (64 * 1024)
/* Session tokens made of a client's token: tid=TOKEN;… */
#define SESSION_PREFIX "tid="

struct clients {
  char *path;
  struct stat seen;
  struct json_object *names; /* name → token */
};

Clients *
clients_new(const char *state_dir)
{
  Clients *clients = g_new0(Clients, 1);

  clients->path = g_build_filename(state_dir, "clients.json", NULL);
  return clients;
}

void
clients_free(Clients *clients)
{
  if (!clients)
    return;
  json_object_put(clients->names);
  g_free(clients->path);
  g_free(clients);
}

static struct json_object *
read_names(const char *path)
{
  g_autoptr(GBytes) bytes = file_read(path, MAX_FILE, NULL);
  g_autofree char *text = NULL;
  struct json_object *names;

  if (!bytes)
    return NULL;
  text = g_strndup(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
  names = json_tokener_parse(text);
  if (names && !json_object_is_type(names, json_type_object)) {
    json_object_put(names);
    names = NULL;
  }
  return names;
}

/* `hoop-agent env` may add a client at any time. */
static void
refresh(Clients *clients)
{
  struct stat now;

  if (stat(clients->path, &now) != 0 ||
      (now.st_ino == clients->seen.st_ino &&
       now.st_mtim.tv_sec == clients->seen.st_mtim.tv_sec &&
       now.st_mtim.tv_nsec == clients->seen.st_mtim.tv_nsec))
    return;
  clients->seen = now;
  json_object_put(clients->names);
  clients->names = read_names(clients->path);
}

static bool
same_token(const char *known, const char *given, size_t len)
{
  return strlen(known) == len && CRYPTO_memcmp(known, given, len) == 0;
}

const char *
clients_find(Clients *clients, const char *token)
{
  size_t len = strlen(token);

  refresh(clients);
  if (g_str_has_prefix(token, SESSION_PREFIX)) {
    token += strlen(SESSION_PREFIX);
    len = strcspn(token, ";:");
  }
  if (!clients->names)
    return NULL;
  json_object_object_foreach(clients->names, name, value)
  {
    const char *known = json_object_get_string(value);

    if (known && same_token(known, token, len))
      return name;
  }
  return NULL;
}

static bool
valid_name(const char *name)
{
  size_t len = strlen(name);

  return len > 0 && len <= MAX_NAME &&
         strspn(name,
                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                "0123456789._-") == len;
}

static char *
new_token(void)
{
  uint8_t bytes[TOKEN_BYTES];
  char hex[2 * TOKEN_BYTES + 1];

  random_bytes(bytes, sizeof bytes);
  hex_encode(bytes, sizeof bytes, hex);
  return g_strconcat(TOKEN_PREFIX, hex, NULL);
}

/* Held while the file is read and replaced. */
static int
lock(const char *path, GError **error)
{
  g_autofree char *name = g_strconcat(path, ".lock", NULL);
  int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

  if (fd >= 0 && flock(fd, LOCK_EX) == 0)
    return fd;
  g_set_error(error,
              CONN_ERROR,
              CONN_ERROR_CREDENTIAL,
              "%s: cannot be locked: %s",
              name,
              g_strerror(errno));
  if (fd >= 0)
    close(fd);
  return -1;
}

static char *
get_or_add(const char *path, const char *client, GError **error)
{
  struct json_object *names = read_names(path);
  struct json_object *known = NULL;
  g_autofree char *token = NULL;
  const char *text;
  bool stored;

  if (!names)
    names = json_object_new_object();
  if (json_object_object_get_ex(names, client, &known)) {
    token = g_strdup(json_object_get_string(known));
    json_object_put(names);
    return g_steal_pointer(&token);
  }
  token = new_token();
  json_object_object_add(names, client, json_object_new_string(token));
  text = json_object_to_json_string_ext(names, JSON_C_TO_STRING_PRETTY);
  stored = file_replace(path, text, strlen(text), 0600, error);
  json_object_put(names);
  return stored ? g_steal_pointer(&token) : NULL;
}

char *
conn_client_token(const char *state_dir, const char *client, GError **error)
{
  g_autofree char *path = g_build_filename(state_dir, "clients.json", NULL);
  char *token;
  int fd;

  if (!valid_name(client)) {
    g_set_error(error,
                CONN_ERROR,
                CONN_ERROR_CLIENT,
                "a client's name is 1 to %d letters, digits, dots, dashes",
                MAX_NAME);
    return NULL;
  }
  if (!file_private_dir(state_dir, error))
    return NULL;
  fd = lock(path, error);
  if (fd < 0)
    return NULL;
  token = get_or_add(path, client, error);
  close(fd);
  return token;
}
