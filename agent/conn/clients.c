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
#define TOKEN_LEN (sizeof TOKEN_PREFIX - 1 + 2 * (size_t)TOKEN_BYTES)
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

/* Every name has a token in our form: a file that holds anything else is not
 * one that we wrote. */
static bool
is_ours(struct json_object *names)
{
  if (!json_object_is_type(names, json_type_object))
    return false;
  json_object_object_foreach(names, name, value)
  {
    const char *token = json_object_get_string(value);

    if (!*name || !json_object_is_type(value, json_type_string) ||
        strlen(token) != TOKEN_LEN || !g_str_has_prefix(token, TOKEN_PREFIX))
      return false;
  }
  return true;
}

struct json_object *
clients_parse(const char *path, const char *text, size_t len, GError **error)
{
  struct json_tokener *tokener = json_tokener_new();
  struct json_object *names = NULL;
  bool whole = false;

  json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
  if (len <= MAX_FILE && !memchr(text, '\0', len)) {
    names = json_tokener_parse_ex(tokener, text, (int)len);
    whole = json_tokener_get_error(tokener) == json_tokener_success;
  }
  json_tokener_free(tokener);
  if (whole && is_ours(names))
    return names;
  json_object_put(names);
  g_set_error(error,
              CONN_ERROR,
              CONN_ERROR_CREDENTIAL,
              "%s is damaged; remove it, then `hoop-agent env CLIENT` gives "
              "each client another token",
              path);
  return NULL;
}

/* NULL without an error: there is no such file yet. */
static struct json_object *
read_names(const char *path, GError **error)
{
  g_autoptr(GError) why = NULL;
  g_autoptr(GBytes) bytes = file_read(path, MAX_FILE, &why);
  const char *text;
  size_t len;

  if (bytes) {
    text = g_bytes_get_data(bytes, &len);
    return clients_parse(path, text ? text : "", len, error);
  }
  if (!g_error_matches(why, G_FILE_ERROR, G_FILE_ERROR_NOENT))
    g_set_error(error, CONN_ERROR, CONN_ERROR_CREDENTIAL, "%s", why->message);
  return NULL;
}

/* `hoop-agent env` may add a client at any time; a file that is gone or cannot
 * be read takes all of them away. */
static void
refresh(Clients *clients)
{
  struct stat now = {0};

  if (stat(clients->path, &now) == 0 && now.st_dev == clients->seen.st_dev &&
      now.st_ino == clients->seen.st_ino &&
      now.st_size == clients->seen.st_size &&
      now.st_mtim.tv_sec == clients->seen.st_mtim.tv_sec &&
      now.st_mtim.tv_nsec == clients->seen.st_mtim.tv_nsec)
    return;
  clients->seen = now;
  json_object_put(clients->names);
  clients->names = read_names(clients->path, NULL);
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
  g_autoptr(GError) why = NULL;
  struct json_object *names = read_names(path, &why);
  struct json_object *known = NULL;
  g_autofree char *token = NULL;
  const char *text;
  bool stored;

  if (why) {
    g_propagate_error(error, g_steal_pointer(&why));
    return NULL;
  }
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
  stored = strlen(text) <= MAX_FILE;
  if (stored)
    stored = file_replace(path, text, strlen(text), 0600, error);
  else
    g_set_error(error,
                CONN_ERROR,
                CONN_ERROR_CREDENTIAL,
                "%s holds as many clients as it can; remove those that are "
                "no more",
                path);
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
