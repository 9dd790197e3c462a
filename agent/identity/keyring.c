/* SPDX-License-Identifier: Apache-2.0 */
/* Talks to the Secret Service. A locked collection looks like an empty one to
 * simple look-ups, so every question here looks at the lock first. */
#include "identity/keyring.h"
#include <dlfcn.h>
#include <libsecret/secret.h>
#include <string.h>

#define LIBRARY "libsecret-1.so.0"
#define LABEL "hoop-agent: sign-in at %s"

/* The calls of libsecret that this file makes. */
#define CALLS(X)                                                               \
  X(secret_error_get_quark)                                                    \
  X(secret_service_get)                                                        \
  X(secret_service_get_finish)                                                 \
  X(secret_service_search)                                                     \
  X(secret_service_search_finish)                                              \
  X(secret_service_unlock)                                                     \
  X(secret_service_unlock_finish)                                              \
  X(secret_collection_for_alias)                                               \
  X(secret_collection_for_alias_finish)                                        \
  X(secret_collection_get_locked)                                              \
  X(secret_item_create)                                                        \
  X(secret_item_create_finish)                                                 \
  X(secret_item_delete)                                                        \
  X(secret_item_delete_finish)                                                 \
  X(secret_item_get_locked)                                                    \
  X(secret_item_get_secret)                                                    \
  X(secret_value_new)                                                          \
  X(secret_value_get)                                                          \
  X(secret_value_unref)

struct keyring {
  gint refs;
  void *library;
#define FIELD(name) __typeof__(name) *name;
  CALLS(FIELD)
#undef FIELD
};

typedef enum { OPEN, LOAD, SAVE, CLEAR } Operation;

struct keyring_call {
  Keyring *keyring;
  Operation operation;
  GCancellable *cancellable;
  SecretService *service;
  SecretCollection *collection;
  GHashTable *attributes;
  char *label;
  Secret *secret;
  GList *items;
  bool prompt;
  StoreDone done;
  void (*loaded)(Secret *secret, const GError *error, void *data);
  void *data;
  guint idle;    /* an end that must not come from inside */
  GError *fault; /* of that */
};

static const SecretSchema schema = {
    "dev.hoop.Agent.Session",
    SECRET_SCHEMA_NONE,
    {{"issuer", SECRET_SCHEMA_ATTRIBUTE_STRING},
     {"client-id", SECRET_SCHEMA_ATTRIBUTE_STRING},
     {NULL, 0}},
};

/* ---- the library --------------------------------------------------------- */

static bool
load_library(Keyring *keyring, GError **error)
{
  if (keyring->library)
    return true;
  /* Its types stay registered with GLib: it can never be unloaded. */
  keyring->library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (!keyring->library) {
    g_set_error(error,
                IDENTITY_ERROR,
                IDENTITY_ERROR_STORE,
                LIBRARY " cannot be loaded");
    return false;
  }
#define FIND(name)                                                             \
  {                                                                            \
    void *found = dlsym(keyring->library, #name);                              \
    memcpy(&keyring->name, &found, sizeof found);                              \
    if (!found) {                                                              \
      g_set_error(error,                                                       \
                  IDENTITY_ERROR,                                              \
                  IDENTITY_ERROR_STORE,                                        \
                  LIBRARY " has no " #name);                                   \
      g_clear_pointer(&keyring->library, dlclose);                             \
      return false;                                                            \
    }                                                                          \
  }
  CALLS(FIND)
#undef FIND
  return true;
}

Keyring *
keyring_new(void)
{
  Keyring *keyring = g_new0(Keyring, 1);

  keyring->refs = 1;
  return keyring;
}

void
keyring_free(Keyring *keyring)
{
  if (!keyring || --keyring->refs > 0)
    return;
  g_clear_pointer(&keyring->library, dlclose);
  g_free(keyring);
}

/* ---- the life of a call -------------------------------------------------- */

static void
call_free(KeyringCall *call)
{
  g_list_free_full(call->items, g_object_unref);
  g_clear_object(&call->collection);
  g_clear_object(&call->service);
  g_clear_object(&call->cancellable);
  g_clear_pointer(&call->attributes, g_hash_table_unref);
  g_clear_error(&call->fault);
  g_free(call->label);
  secret_unref(call->secret);
  keyring_free(call->keyring);
  g_free(call);
}

/* Takes both; at most one is there. */
static void
finish(KeyringCall *call, Secret *secret, GError *error)
{
  g_autoptr(GError) taken = error;

  if (!g_cancellable_is_cancelled(call->cancellable)) {
    if (call->loaded)
      call->loaded(secret, taken, call->data);
    else
      call->done(taken, call->data);
  }
  secret_unref(secret);
  call_free(call);
}

static void
fail(KeyringCall *call, IdentityErrorCode code, const char *why)
{
  finish(call, NULL, g_error_new_literal(IDENTITY_ERROR, (int)code, why));
}

static void
fail_locked(KeyringCall *call)
{
  fail(call, IDENTITY_ERROR_LOCKED, "the keyring is locked");
}

/* D-Bus texts name no secrets; the code before the colon is for programs. */
static void
fail_with(KeyringCall *call, GError *error)
{
  g_autoptr(GError) taken = error;
  g_autofree char *why = NULL;

  if (g_error_matches(taken,
                      call->keyring->secret_error_get_quark(),
                      SECRET_ERROR_IS_LOCKED)) {
    fail_locked(call);
    return;
  }
  g_dbus_error_strip_remote_error(taken);
  why = g_strdup_printf("no keyring (Secret Service): %s", taken->message);
  fail(call, IDENTITY_ERROR_STORE, why);
}

static gboolean
on_idle(void *data)
{
  KeyringCall *call = data;

  finish(call, NULL, g_steal_pointer(&call->fault));
  return G_SOURCE_REMOVE;
}

void
keyring_cancel(KeyringCall *call)
{
  g_cancellable_cancel(call->cancellable);
  if (call->idle != 0) {
    g_source_remove(call->idle);
    call_free(call);
  }
}

/* ---- saving -------------------------------------------------------------- */

static void
on_created(GObject *source, GAsyncResult *result, void *data)
{
  KeyringCall *call = data;
  g_autoptr(GError) error = NULL;
  SecretItem *item = call->keyring->secret_item_create_finish(result, &error);

  (void)source;
  if (item)
    g_object_unref(item);
  if (error)
    fail_with(call, g_steal_pointer(&error));
  else
    finish(call, NULL, NULL);
}

static void
save(KeyringCall *call)
{
  const Keyring *keyring = call->keyring;
  SecretValue *value =
      keyring->secret_value_new(secret_text(call->secret),
                                (gssize)secret_len(call->secret),
                                "application/json");

  keyring->secret_item_create(call->collection,
                              &schema,
                              call->attributes,
                              call->label,
                              value,
                              SECRET_ITEM_CREATE_REPLACE,
                              call->cancellable,
                              on_created,
                              call);
  keyring->secret_value_unref(value);
}

/* ---- the default collection and its lock --------------------------------- */

static void
use_collection(KeyringCall *call)
{
  if (call->operation == SAVE)
    save(call);
  else
    finish(call, NULL, NULL);
}

static void
on_unlocked(GObject *source, GAsyncResult *result, void *data)
{
  KeyringCall *call = data;
  g_autoptr(GError) error = NULL;
  GList *unlocked = NULL;

  (void)source;
  call->keyring->secret_service_unlock_finish(
      call->service, result, &unlocked, &error);
  g_list_free_full(unlocked, g_object_unref);
  if (error)
    fail_with(call, g_steal_pointer(&error));
  else if (!unlocked)
    fail_locked(call);
  else
    use_collection(call);
}

static void
on_collection(GObject *source, GAsyncResult *result, void *data)
{
  KeyringCall *call = data;
  const Keyring *keyring = call->keyring;
  g_autoptr(GError) error = NULL;
  GList one = {NULL};

  (void)source;
  call->collection =
      keyring->secret_collection_for_alias_finish(result, &error);
  if (error) {
    fail_with(call, g_steal_pointer(&error));
  } else if (!call->collection) {
    fail(call, IDENTITY_ERROR_STORE, "the keyring has no default collection");
  } else if (!keyring->secret_collection_get_locked(call->collection)) {
    use_collection(call);
  } else if (!call->prompt) {
    fail_locked(call);
  } else {
    one.data = call->collection;
    keyring->secret_service_unlock(
        call->service, &one, call->cancellable, on_unlocked, call);
  }
}

/* ---- items --------------------------------------------------------------- */

static void
take_secret(KeyringCall *call)
{
  const Keyring *keyring = call->keyring;
  SecretValue *value = keyring->secret_item_get_secret(call->items->data);
  const char *bytes;
  Secret *secret = NULL;
  gsize len = 0;

  if (value) {
    bytes = keyring->secret_value_get(value, &len);
    secret = len > 0 ? secret_new(bytes, len) : NULL;
    keyring->secret_value_unref(value);
  }
  finish(call, secret, NULL);
}

static void delete_next(KeyringCall *call);

static void
on_deleted(GObject *source, GAsyncResult *result, void *data)
{
  KeyringCall *call = data;
  g_autoptr(GError) error = NULL;

  call->keyring->secret_item_delete_finish(
      (SecretItem *)source, result, &error);
  if (error)
    fail_with(call, g_steal_pointer(&error));
  else
    delete_next(call);
}

static void
delete_next(KeyringCall *call)
{
  SecretItem *item;

  if (!call->items) {
    finish(call, NULL, NULL);
    return;
  }
  item = call->items->data;
  call->items = g_list_delete_link(call->items, call->items);
  call->keyring->secret_item_delete(item, call->cancellable, on_deleted, call);
  g_object_unref(item);
}

static void
on_found(GObject *source, GAsyncResult *result, void *data)
{
  KeyringCall *call = data;
  const Keyring *keyring = call->keyring;
  g_autoptr(GError) error = NULL;

  (void)source;
  call->items =
      keyring->secret_service_search_finish(call->service, result, &error);
  if (error) {
    fail_with(call, g_steal_pointer(&error));
    return;
  }
  for (const GList *item = call->items; item; item = item->next)
    if (keyring->secret_item_get_locked(item->data)) {
      fail_locked(call);
      return;
    }
  if (call->operation == CLEAR)
    delete_next(call);
  else if (call->items)
    take_secret(call);
  else
    finish(call, NULL, NULL);
}

static void
on_service(GObject *source, GAsyncResult *result, void *data)
{
  KeyringCall *call = data;
  const Keyring *keyring = call->keyring;
  g_autoptr(GError) error = NULL;

  (void)source;
  call->service = keyring->secret_service_get_finish(result, &error);
  if (error)
    fail_with(call, g_steal_pointer(&error));
  else if (call->operation == OPEN || call->operation == SAVE)
    keyring->secret_collection_for_alias(call->service,
                                         SECRET_COLLECTION_DEFAULT,
                                         SECRET_COLLECTION_NONE,
                                         call->cancellable,
                                         on_collection,
                                         call);
  else
    keyring->secret_service_search(call->service,
                                   &schema,
                                   call->attributes,
                                   call->operation == CLEAR
                                       ? SECRET_SEARCH_ALL
                                       : SECRET_SEARCH_ALL |
                                             SECRET_SEARCH_LOAD_SECRETS,
                                   call->cancellable,
                                   on_found,
                                   call);
}

/* ---- calls --------------------------------------------------------------- */

static KeyringCall *
call_new(Keyring *keyring, Operation operation, const StoreKey *key)
{
  KeyringCall *call = g_new0(KeyringCall, 1);

  call->keyring = keyring;
  keyring->refs++;
  call->operation = operation;
  call->cancellable = g_cancellable_new();
  if (!key)
    return call;
  call->label = g_strdup_printf(LABEL, key->issuer);
  call->attributes =
      g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  g_hash_table_insert(
      call->attributes, g_strdup("issuer"), g_strdup(key->issuer));
  g_hash_table_insert(
      call->attributes, g_strdup("client-id"), g_strdup(key->client_id));
  return call;
}

static KeyringCall *
start(KeyringCall *call)
{
  if (!load_library(call->keyring, &call->fault))
    call->idle = g_idle_add(on_idle, call);
  else
    call->keyring->secret_service_get(
        SECRET_SERVICE_OPEN_SESSION, call->cancellable, on_service, call);
  return call;
}

KeyringCall *
keyring_open(Keyring *keyring, bool prompt, StoreDone done, void *data)
{
  KeyringCall *call = call_new(keyring, OPEN, NULL);

  call->prompt = prompt;
  call->done = done;
  call->data = data;
  return start(call);
}

KeyringCall *
keyring_load(Keyring *keyring,
             const StoreKey *key,
             void (*done)(Secret *secret, const GError *error, void *data),
             void *data)
{
  KeyringCall *call = call_new(keyring, LOAD, key);

  call->loaded = done;
  call->data = data;
  return start(call);
}

KeyringCall *
keyring_save(Keyring *keyring,
             const StoreKey *key,
             Secret *secret,
             StoreDone done,
             void *data)
{
  KeyringCall *call = call_new(keyring, SAVE, key);

  call->secret = secret_ref(secret);
  call->done = done;
  call->data = data;
  return start(call);
}

KeyringCall *
keyring_clear(Keyring *keyring, const StoreKey *key, StoreDone done, void *data)
{
  KeyringCall *call = call_new(keyring, CLEAR, key);

  call->done = done;
  call->data = data;
  return start(call);
}
