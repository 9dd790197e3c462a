/* SPDX-License-Identifier: Apache-2.0 */
/* One queue of changes over keyring and files, so that what was said last is
 * what stays. */
#include "identity/token-store.h"
#include "identity/keyring.h"
#include "kit/digest.h"
#include "kit/file.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Of the digest that names a file. */
#define NAME_BYTES 12
/* The agent's end does not wait longer for a keyring. */
#define FLUSH_MS 3000

typedef enum { OPEN, LOAD, SAVE, CLEAR } Operation;

struct token_store {
  Loop *loop;
  char *dir;
  Keyring *keyring;
  GQueue queue; /* StoreCalls; the first one runs */
  GList *opens; /* StoreCalls beside the queue */
};

struct token_store_call {
  TokenStore *store;
  Operation operation;
  char *issuer, *client_id;
  Secret *secret;
  StorePlace place;
  bool prompt;
  bool runs;
  bool had_file; /* so that the keyring need not have anything */
  KeyringCall *keyring;
  LoopTimer *timer;
  GError *fault;
  StoreDone done;
  StoreLoaded loaded;
  void *data;
};

/* What the end of the store waits for. */
typedef struct {
  KeyringCall *call;
  bool over;
} Flush;

static void run_first(TokenStore *store);

/* ---- files --------------------------------------------------------------- */

char *
token_store_path(const TokenStore *store,
                 const StoreKey *key,
                 const char *suffix)
{
  g_autofree char *both =
      g_strdup_printf("%s\n%s", key->issuer, key->client_id);
  char hex[2 * NAME_BYTES + 1];
  uint8_t digest[SHA256_LEN];

  sha256(both, strlen(both), digest);
  hex_encode(digest, NAME_BYTES, hex);
  return g_strdup_printf("%s/session-%s%s", store->dir, hex, suffix);
}

static char *
file_of(const TokenStoreCall *call)
{
  const StoreKey key = {call->issuer, call->client_id};

  return token_store_path(call->store, &key, ".token");
}

static GError *
store_error(const GError *error)
{
  return g_error_new_literal(
      IDENTITY_ERROR, IDENTITY_ERROR_STORE, error->message);
}

/* True when there was one. */
static bool
remove_file(const TokenStoreCall *call, GError **error)
{
  g_autofree char *path = file_of(call);

  if (unlink(path) == 0)
    return true;
  if (errno != ENOENT)
    g_set_error(error,
                IDENTITY_ERROR,
                IDENTITY_ERROR_STORE,
                "cannot remove %s: %s",
                path,
                g_strerror(errno));
  return false;
}

/* ---- the life of a call -------------------------------------------------- */

static void
call_free(TokenStoreCall *call)
{
  TokenStore *store = call->store;

  if (call->keyring)
    keyring_cancel(call->keyring);
  g_queue_remove(&store->queue, call);
  store->opens = g_list_remove(store->opens, call);
  loop_timer_free(call->timer);
  g_clear_error(&call->fault);
  secret_unref(call->secret);
  g_free(call->issuer);
  g_free(call->client_id);
  g_free(call);
}

/* Tells and goes on with the next; takes the error. */
static void
finish(TokenStoreCall *call, Secret *secret, StorePlace place, GError *error)
{
  TokenStore *store = call->store;
  g_autoptr(GError) taken = error;
  const StoreDone done = call->done;
  const StoreLoaded loaded = call->loaded;
  void *data = call->data;

  call_free(call);
  run_first(store);
  if (loaded)
    loaded(secret, place, taken, data);
  else
    done(taken, data);
}

static void
on_keyring(const GError *error, void *data)
{
  TokenStoreCall *call = data;

  call->keyring = NULL;
  if (!error && call->operation == SAVE)
    remove_file(call, &call->fault);
  else if (error && !call->fault &&
           (!call->had_file || error->code == IDENTITY_ERROR_LOCKED))
    call->fault = g_error_copy(error);
  finish(call, NULL, STORE_KEYRING, g_steal_pointer(&call->fault));
}

static void
on_loaded(Secret *secret, const GError *error, void *data)
{
  TokenStoreCall *call = data;

  call->keyring = NULL;
  finish(call, secret, STORE_KEYRING, error ? g_error_copy(error) : NULL);
}

/* ---- operations ---------------------------------------------------------- */

static void
on_timer(void *data)
{
  TokenStoreCall *call = data;
  g_autoptr(Secret) secret = g_steal_pointer(&call->secret);

  finish(call,
         call->operation == LOAD ? secret : NULL,
         STORE_FILE,
         g_steal_pointer(&call->fault));
}

/* Files are done with at once; that is told later. */
static void
tell_later(TokenStoreCall *call)
{
  call->timer = loop_timer_new(call->store->loop, on_timer, call);
  loop_timer_set(call->timer, 0);
}

static void
load(TokenStoreCall *call, const StoreKey *key)
{
  g_autofree char *path = file_of(call);
  g_autoptr(GError) error = NULL;

  if (g_file_test(path, G_FILE_TEST_EXISTS | G_FILE_TEST_IS_SYMLINK)) {
    call->secret = file_read_secret(path, &error);
    call->fault = error ? store_error(error) : NULL;
    tell_later(call);
  } else {
    call->keyring = keyring_load(call->store->keyring, key, on_loaded, call);
  }
}

static void
save(TokenStoreCall *call, const StoreKey *key)
{
  g_autofree char *path = NULL;
  g_autoptr(GError) error = NULL;

  if (call->place == STORE_KEYRING) {
    call->keyring =
        keyring_save(call->store->keyring, key, call->secret, on_keyring, call);
    return;
  }
  path = file_of(call);
  file_replace(
      path, secret_bytes(call->secret), secret_len(call->secret), 0600, &error);
  call->fault = error ? store_error(error) : NULL;
  tell_later(call);
}

static void
run(TokenStoreCall *call)
{
  const StoreKey key = {call->issuer, call->client_id};
  Keyring *keyring = call->store->keyring;

  call->runs = true;
  switch (call->operation) {
  case OPEN:
    call->keyring = keyring_open(keyring, call->prompt, on_keyring, call);
    break;
  case LOAD:
    load(call, &key);
    break;
  case SAVE:
    save(call, &key);
    break;
  case CLEAR:
    call->had_file = remove_file(call, &call->fault);
    call->keyring = keyring_clear(keyring, &key, on_keyring, call);
    break;
  }
}

static void
run_first(TokenStore *store)
{
  TokenStoreCall *call = g_queue_peek_head(&store->queue);

  if (call && !call->runs)
    run(call);
}

static TokenStoreCall *
call_new(TokenStore *store, Operation operation, const StoreKey *key)
{
  TokenStoreCall *call = g_new0(TokenStoreCall, 1);

  call->store = store;
  call->operation = operation;
  if (key) {
    call->issuer = g_strdup(key->issuer);
    call->client_id = g_strdup(key->client_id);
  }
  return call;
}

static TokenStoreCall *
enqueue(TokenStoreCall *call)
{
  g_queue_push_tail(&call->store->queue, call);
  run_first(call->store);
  return call;
}

/* ---- what the sessions see ----------------------------------------------- */

TokenStore *
token_store_new(Loop *loop, const char *state_dir)
{
  TokenStore *store = g_new0(TokenStore, 1);

  store->loop = loop;
  store->dir = g_strdup(state_dir);
  store->keyring = keyring_new();
  g_queue_init(&store->queue);
  return store;
}

static void
on_flushed(const GError *error, void *data)
{
  Flush *flush = data;

  (void)error;
  flush->call = NULL;
}

static gboolean
on_limit(void *data)
{
  Flush *flush = data;

  flush->over = true;
  return G_SOURCE_REMOVE;
}

/* Once more, in a context of its own: the agent's others are being taken
 * apart. What was sent before is sent again, which changes nothing. */
static void
flush_one(TokenStoreCall *call, GMainContext *context, Flush *flush)
{
  const StoreKey key = {call->issuer, call->client_id};
  Keyring *keyring = call->store->keyring;

  if (call->operation == SAVE && call->place == STORE_KEYRING)
    flush->call = keyring_save(keyring, &key, call->secret, on_flushed, flush);
  else if (call->operation == CLEAR)
    flush->call = keyring_clear(keyring, &key, on_flushed, flush);
  while (flush->call && !flush->over)
    g_main_context_iteration(context, TRUE);
  if (!flush->call)
    return;
  keyring_cancel(flush->call);
  flush->call = NULL;
  while (g_main_context_iteration(context, FALSE))
    continue;
}

/* A new refresh token that is on its way into the keyring is all that is left
 * of the session: the agent ends behind it. */
static void
flush(TokenStore *store)
{
  GMainContext *context = g_main_context_new();
  GSource *limit = g_timeout_source_new(FLUSH_MS);
  Flush state = {NULL, false};

  g_main_context_push_thread_default(context);
  g_source_set_callback(limit, on_limit, &state, NULL);
  g_source_attach(limit, context);
  for (GList *call = store->queue.head; call && !state.over; call = call->next)
    flush_one(call->data, context, &state);
  g_source_destroy(limit);
  g_source_unref(limit);
  g_main_context_pop_thread_default(context);
  g_main_context_unref(context);
}

void
token_store_free(TokenStore *store)
{
  if (!store)
    return;
  while (store->opens)
    call_free(store->opens->data);
  if (!g_queue_is_empty(&store->queue))
    flush(store);
  while (!g_queue_is_empty(&store->queue))
    call_free(g_queue_peek_head(&store->queue));
  keyring_free(store->keyring);
  g_free(store->dir);
  g_free(store);
}

TokenStoreCall *
token_store_open(TokenStore *store, bool prompt, StoreDone done, void *data)
{
  TokenStoreCall *call = call_new(store, OPEN, NULL);

  call->prompt = prompt;
  call->done = done;
  call->data = data;
  store->opens = g_list_prepend(store->opens, call);
  run(call);
  return call;
}

TokenStoreCall *
token_store_load(TokenStore *store,
                 const StoreKey *key,
                 StoreLoaded done,
                 void *data)
{
  TokenStoreCall *call = call_new(store, LOAD, key);

  call->loaded = done;
  call->data = data;
  return enqueue(call);
}

TokenStoreCall *
token_store_save(TokenStore *store,
                 const StoreKey *key,
                 Secret *secret,
                 StorePlace place,
                 StoreDone done,
                 void *data)
{
  TokenStoreCall *call = call_new(store, SAVE, key);

  call->secret = secret_ref(secret);
  call->place = place;
  call->done = done;
  call->data = data;
  return enqueue(call);
}

TokenStoreCall *
token_store_clear(TokenStore *store,
                  const StoreKey *key,
                  StoreDone done,
                  void *data)
{
  TokenStoreCall *call = call_new(store, CLEAR, key);

  call->done = done;
  call->data = data;
  return enqueue(call);
}

static void
ignore(const GError *error, void *data)
{
  (void)error;
  (void)data;
}

void
token_store_cancel(TokenStoreCall *call)
{
  TokenStore *store = call->store;

  if (call->operation == SAVE || call->operation == CLEAR) {
    call->done = ignore;
    return;
  }
  call_free(call);
  run_first(store);
}
