/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets under AES-256-GCM: what is sealed is bound to its name, its group and
 * its version, so that none can be put in another's place. */
#include "hub/vault/vault.h"
#include "kit/clock.h"
#include "kit/file.h"
#include "kit/signing.h"
#include <openssl/evp.h>
#include <string.h>

#define KEY_LEN 32
#define NONCE_LEN 12
#define TAG_LEN 16
#define EVERYBODY "*"

static const DbVersion versions[] = {
    {.sqlite = "CREATE TABLE vault_item(name TEXT NOT NULL, grp TEXT NOT NULL,"
               " version BIGINT NOT NULL, sealed BLOB NOT NULL,"
               " PRIMARY KEY(name, grp)) WITHOUT ROWID;",
     .postgresql = "CREATE TABLE vault_item(name TEXT NOT NULL,"
                   " grp TEXT NOT NULL, version BIGINT NOT NULL,"
                   " sealed BYTEA NOT NULL, PRIMARY KEY(name, grp));"},
};
static const DbPart part = {"vault", versions, G_N_ELEMENTS(versions)};

bool
vault_migrate(Db *db, GError **error)
{
  return db_migrate(db, &part, error);
}

/* "about: what". */
static bool
fail(GError **error, const char *about, const char *what)
{
  g_set_error(error, HUB_ERROR, HUB_ERROR_VAULT, "%s: %s", about, what);
  return false;
}

/* ---- the key --------------------------------------------------------------
 */

static bool
decode_key(uint8_t *bytes, size_t len, void *data)
{
  return hex_decode(secret_text(data), bytes, len);
}

Secret *
vault_key_from(const char *path, bool create, GError **error)
{
  g_autoptr(Secret) text = NULL;
  Secret *key;

  /* A key file is a key file: made as those that sign are. */
  if (create && !g_file_test(path, G_FILE_TEST_EXISTS)) {
    g_autoptr(SigningKey) made = signing_key_load(path, true, error);

    if (!made)
      return NULL;
  }
  text = file_read_secret(path, error);
  if (!text)
    return NULL;
  key = secret_new_filled(KEY_LEN, decode_key, text);
  if (!key)
    fail(error, path, "this is no key (64 hex digits)");
  return key;
}

Secret *
vault_key(const HubConfig *config, GError **error)
{
  const char *given = g_getenv("CREDENTIALS_DIRECTORY");
  g_autofree char *service =
      given ? g_build_filename(given, "hoop-hub-vault-key", NULL) : NULL;
  g_autofree char *own = g_build_filename(config->state_dir, "vault.key", NULL);

  if (config->vault_key_file)
    return vault_key_from(config->vault_key_file, false, error);
  if (service && g_file_test(service, G_FILE_TEST_EXISTS))
    return vault_key_from(service, false, error);
  return vault_key_from(own, true, error);
}

/* ---- sealing --------------------------------------------------------------
 */

static char *
label_of(const char *name, const char *group, int64_t version)
{
  return g_strdup_printf(
      "hoop-hub credential 1\n%s\n%s\n%" G_GINT64_FORMAT, name, group, version);
}

static GByteArray *
seal(const Secret *key, const char *label, const Secret *secret)
{
  EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
  const int len = (int)secret_len(secret);
  GByteArray *out = g_byte_array_sized_new(NONCE_LEN + (guint)len + TAG_LEN);
  int n = 0;
  bool good;

  g_byte_array_set_size(out, NONCE_LEN + (guint)len + TAG_LEN);
  random_bytes(out->data, NONCE_LEN);
  good =
      ctx &&
      EVP_EncryptInit_ex(
          ctx, EVP_aes_256_gcm(), NULL, secret_bytes(key), out->data) == 1 &&
      EVP_EncryptUpdate(
          ctx, NULL, &n, (const uint8_t *)label, (int)strlen(label)) == 1 &&
      EVP_EncryptUpdate(
          ctx, out->data + NONCE_LEN, &n, secret_bytes(secret), len) == 1 &&
      n == len && EVP_EncryptFinal_ex(ctx, out->data, &n) == 1 &&
      EVP_CIPHER_CTX_ctrl(
          ctx, EVP_CTRL_GCM_GET_TAG, TAG_LEN, out->data + NONCE_LEN + len) == 1;
  EVP_CIPHER_CTX_free(ctx);
  if (good)
    return out;
  g_byte_array_unref(out);
  return NULL;
}

typedef struct {
  const Secret *key;
  const char *label;
  const uint8_t *sealed;
} Opening;

static bool
open_into(uint8_t *bytes, size_t len, void *data)
{
  const Opening *opening = data;
  const uint8_t *text = opening->sealed + NONCE_LEN;
  EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
  uint8_t tag[TAG_LEN], rest[TAG_LEN];
  int n = 0;
  bool good;

  memcpy(tag, text + len, TAG_LEN);
  good = ctx &&
         EVP_DecryptInit_ex(ctx,
                            EVP_aes_256_gcm(),
                            NULL,
                            secret_bytes(opening->key),
                            opening->sealed) == 1 &&
         EVP_DecryptUpdate(ctx,
                           NULL,
                           &n,
                           (const uint8_t *)opening->label,
                           (int)strlen(opening->label)) == 1 &&
         EVP_DecryptUpdate(ctx, bytes, &n, text, (int)len) == 1 &&
         EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_LEN, tag) == 1 &&
         EVP_DecryptFinal_ex(ctx, rest, &n) == 1;
  EVP_CIPHER_CTX_free(ctx);
  return good;
}

static Secret *
unseal(const Secret *key,
       const char *name,
       const char *group,
       int64_t version,
       const uint8_t *sealed,
       size_t len,
       GError **error)
{
  g_autofree char *label = label_of(name, group, version);
  Opening opening = {key, label, sealed};
  Secret *secret = NULL;

  if (sealed && len > NONCE_LEN + TAG_LEN)
    secret = secret_new_filled(len - NONCE_LEN - TAG_LEN, open_into, &opening);
  if (!secret)
    fail(error, name, "not sealed with this key, or altered");
  return secret;
}

/* ---- changes --------------------------------------------------------------
 */

bool
vault_name_is_fine(const char *name)
{
  return *name && strlen(name) <= VAULT_MAX_NAME &&
         strspn(name,
                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                "0123456789._-") == strlen(name);
}

static bool
is_one_word(const Secret *secret)
{
  const char *text = secret_text(secret);

  for (size_t i = 0; i < secret_len(secret); i++)
    if (text[i] <= ' ' || text[i] > '~' || text[i] == '"' || text[i] == '\\')
      return false;
  return secret_len(secret) <= VAULT_MAX_SECRET;
}

static DbResult
note(Db *db,
     const char *kind,
     const char *name,
     const char *group,
     const Actor *by,
     GError **error)
{
  g_autofree char *detail = g_strdup_printf("%s for %s", name, group);

  return store_note(db, kind, clock_wall_us(), NULL, by, detail, error);
}

static DbResult
put(Db *db,
    const char *name,
    const char *group,
    int64_t version,
    const GByteArray *sealed,
    bool only_change,
    GError **error)
{
  int64_t changed = 0;
  DbResult result = db_run(db,
                           &changed,
                           error,
                           "UPDATE vault_item SET version=$1, sealed=$2"
                           " WHERE name=$3 AND grp=$4",
                           DB_INT(version),
                           DB_BLOB_OF(sealed->data, sealed->len),
                           DB_TEXT(name),
                           DB_TEXT(group));

  if (result != DB_DONE || changed > 0)
    return result;
  if (only_change)
    return DB_CONFLICT;
  return db_run(db,
                NULL,
                error,
                "INSERT INTO vault_item(name, grp, version, sealed)"
                " VALUES($1,$2,$3,$4)",
                DB_TEXT(name),
                DB_TEXT(group),
                DB_INT(version),
                DB_BLOB_OF(sealed->data, sealed->len));
}

DbResult
vault_set(Db *db,
          const Secret *key,
          const char *name,
          const char *group,
          const Secret *secret,
          bool only_change,
          const Actor *by,
          GError **error)
{
  const int64_t version = clock_wall_us();
  g_autofree char *label = label_of(name, group, version);
  g_autoptr(GByteArray) sealed = NULL;
  DbResult result;

  if (!is_one_word(secret)) {
    fail(error,
         name,
         "a credential is one word of ASCII without quotes and backslashes");
    return DB_FAILED;
  }
  sealed = seal(key, label, secret);
  if (!sealed) {
    fail(error, name, "cannot be sealed");
    return DB_FAILED;
  }
  if (!db_begin(db, error))
    return DB_FAILED;
  result = put(db, name, group, version, sealed, only_change, error);
  if (result == DB_DONE)
    result = note(db, "credential-set", name, group, by, error);
  return db_finish(db, result, error);
}

DbResult
vault_remove(Db *db,
             const char *name,
             const char *group,
             const Actor *by,
             GError **error)
{
  int64_t changed = 0;
  DbResult result;

  if (!db_begin(db, error))
    return DB_FAILED;
  result = db_run(db,
                  &changed,
                  error,
                  "DELETE FROM vault_item WHERE name=$1 AND grp=$2",
                  DB_TEXT(name),
                  DB_TEXT(group));
  if (result == DB_DONE && changed == 0)
    result = DB_CONFLICT;
  if (result == DB_DONE)
    result = note(db, "credential-removed", name, group, by, error);
  return db_finish(db, result, error);
}

static void
item_free(void *data)
{
  VaultItem *item = data;

  g_free(item->name);
  g_free(item->group);
  g_free(item);
}

GPtrArray *
vault_list(Db *db, GError **error)
{
  g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(item_free);
  g_autoptr(GError) failed = NULL;
  g_autoptr(DbRows) rows =
      db_query(db,
               error,
               "SELECT name, grp, version FROM vault_item ORDER BY name, grp");

  if (!rows)
    return NULL;
  while (db_next(rows, &failed)) {
    VaultItem *item = g_new0(VaultItem, 1);

    *item = (VaultItem){db_dup(rows, 0), db_dup(rows, 1), db_int(rows, 2)};
    g_ptr_array_add(list, item);
  }
  if (!failed)
    return g_steal_pointer(&list);
  g_propagate_error(error, g_steal_pointer(&failed));
  return NULL;
}

/* One row's secret; NULL with error. */
static Secret *
open_item(Db *db, const Secret *key, const VaultItem *item, GError **error)
{
  g_autoptr(DbRows) rows =
      db_query(db,
               error,
               "SELECT sealed, version FROM vault_item WHERE name=$1 AND"
               " grp=$2",
               DB_TEXT(item->name),
               DB_TEXT(item->group));
  const void *sealed;
  size_t len;

  if (!rows)
    return NULL;
  if (!db_next(rows, error)) {
    if (!*error)
      fail(error, item->name, "is gone");
    return NULL;
  }
  sealed = db_blob(rows, 0, &len);
  return unseal(
      key, item->name, item->group, db_int(rows, 1), sealed, len, error);
}

static DbResult
seal_item(Db *db,
          const Secret *key,
          const Secret *next,
          const VaultItem *item,
          GError **error)
{
  g_autofree char *label = label_of(item->name, item->group, item->version);
  g_autoptr(Secret) secret = open_item(db, key, item, error);
  g_autoptr(GByteArray) sealed = secret ? seal(next, label, secret) : NULL;

  if (secret && !sealed)
    fail(error, item->name, "cannot be sealed");
  return sealed ? put(db,
                      item->name,
                      item->group,
                      item->version,
                      sealed,
                      true,
                      error)
                : DB_FAILED;
}

bool
vault_seal_anew(Db *db,
                const Secret *key,
                const Secret *next,
                const Actor *by,
                GError **error)
{
  g_autoptr(GPtrArray) list = NULL;
  DbResult result = DB_DONE;

  if (!db_begin(db, error))
    return false;
  list = vault_list(db, error);
  if (!list)
    result = DB_FAILED;
  for (guint i = 0; result == DB_DONE && i < list->len; i++)
    result = seal_item(db, key, next, list->pdata[i], error);
  if (result == DB_DONE)
    result = note(db, "credentials-sealed-anew", "all", "everybody", by, error);
  return db_finish(db, result, error) == DB_DONE;
}

/* ---- who may have it ------------------------------------------------------
 */

Secret *
vault_open(Db *db,
           const Secret *key,
           const char *name,
           char *const *groups,
           char **group,
           int64_t *version,
           GError **error)
{
  g_autoptr(GPtrArray) list = vault_list(db, error);

  for (guint i = 0; list && i < list->len; i++) {
    const VaultItem *item = list->pdata[i];
    Secret *secret;

    if (!g_str_equal(item->name, name) ||
        (!g_str_equal(item->group, EVERYBODY) &&
         (!groups ||
          !g_strv_contains((const char *const *)groups, item->group))))
      continue;
    secret = open_item(db, key, item, error);
    if (secret) {
      *group = g_strdup(item->group);
      *version = item->version;
    }
    return secret;
  }
  return NULL;
}

char *
vault_stamp(Db *db, GError **error)
{
  g_autoptr(DbRows) rows = db_query(
      db, error, "SELECT count(*), coalesce(max(version), 0) FROM vault_item");

  return rows && db_next(rows, error)
             ? g_strdup_printf("%" G_GINT64_FORMAT " %" G_GINT64_FORMAT,
                               db_int(rows, 0),
                               db_int(rows, 1))
             : NULL;
}
