/* SPDX-License-Identifier: Apache-2.0 */
/* The fake provider: it runs in the server's threads. */
#include "tests/unit/identity-kit.h"
#include "kit/clock.h"
#include "kit/digest.h"
#include "tests/unit/folder.h"
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <pthread.h>
#include <string.h>

typedef struct {
  int status;
  char *body;
  int delay_ms;
  /* Or tokens, made when they are asked for. */
  bool grants;
  char *refresh;
  bool has_spec;
  TokenSpec spec;
} Reply;

typedef struct {
  GQueue replies;
  GArray *times;
  char *last;
  int delay_ms;
} Path;

struct fake {
  Server *server;
  Cert *ca, *leaf;
  char *dir, *ca_file, *issuer;
  pthread_mutex_t lock;
  GHashTable *paths;
  EVP_PKEY *key;
  unsigned kid;
};

/* ---- the provider -------------------------------------------------------- */

static void
reply_free(void *data)
{
  Reply *reply = data;

  g_free(reply->body);
  g_free(reply->refresh);
  g_free(reply);
}

static void
path_free(void *data)
{
  Path *path = data;

  g_queue_clear_full(&path->replies, reply_free);
  g_array_unref(path->times);
  g_free(path->last);
  g_free(path);
}

/* Under the lock. */
static Path *
path_of(Fake *fake, const char *name)
{
  Path *path = g_hash_table_lookup(fake->paths, name);

  if (!path) {
    path = g_new0(Path, 1);
    g_queue_init(&path->replies);
    path->times = g_array_new(FALSE, FALSE, sizeof(int64_t));
    g_hash_table_insert(fake->paths, g_strdup(name), path);
  }
  return path;
}

static char *
number_of(EVP_PKEY *key, const char *name)
{
  BIGNUM *n = NULL;
  uint8_t bytes[512];
  char *text;
  int len;

  g_assert_true(EVP_PKEY_get_bn_param(key, name, &n));
  len = BN_bn2bin(n, bytes);
  text = base64url_encode(bytes, (size_t)len);
  BN_free(n);
  return text;
}

static char *
make_jwks(const Fake *fake)
{
  g_autofree char *n = number_of(fake->key, OSSL_PKEY_PARAM_RSA_N);
  g_autofree char *e = number_of(fake->key, OSSL_PKEY_PARAM_RSA_E);

  return g_strdup_printf("{\"keys\":[{\"kty\":\"RSA\",\"use\":\"sig\",\"alg\":"
                         "\"RS256\",\"kid\":\"k%u\",\"n\":\"%s\",\"e\":\"%s\"}]"
                         "}",
                         fake->kid,
                         n,
                         e);
}

char *
fake_metadata(const Fake *fake, const char *edit)
{
  static const char *const endpoints[] = {"authorization_endpoint",
                                          "token_endpoint",
                                          "device_authorization_endpoint",
                                          "userinfo_endpoint",
                                          "revocation_endpoint",
                                          "jwks_uri"};
  static const char *const paths[] = {
      "authorize", "token", "device", "userinfo", "revoke", "jwks"};
  GString *text = g_string_new("{");

  if (edit)
    g_string_append(text, edit);
  if (!edit || !strstr(edit, "\"issuer\""))
    g_string_append_printf(
        text, "%s\"issuer\":\"%s\"", edit ? "," : "", fake->issuer);
  for (unsigned i = 0; i < G_N_ELEMENTS(endpoints); i++) {
    g_autofree char *name = g_strdup_printf("\"%s\"", endpoints[i]);

    if (!edit || !strstr(edit, name))
      g_string_append_printf(
          text, ",%s:\"%s/%s\"", name, fake->issuer, paths[i]);
  }
  g_string_append(text, "}");
  return g_string_free(text, FALSE);
}

/* What is to be answered; the caller frees. */
static Reply *
take_reply(Fake *fake, const char *name, const char *body)
{
  const int64_t now = clock_mono_us();
  Reply *reply = g_new0(Reply, 1);
  const Reply *scripted;
  Path *path;

  pthread_mutex_lock(&fake->lock);
  path = path_of(fake, name);
  g_array_append_val(path->times, now);
  g_free(path->last);
  path->last = g_strdup(body);
  scripted = g_queue_peek_head(&path->replies);
  if (scripted) {
    *reply = *scripted;
    reply->body = g_strdup(scripted->body);
    reply->refresh = g_strdup(scripted->refresh);
    if (path->replies.length > 1)
      reply_free(g_queue_pop_head(&path->replies));
  } else if (g_str_equal(name, "/.well-known/openid-configuration")) {
    *reply = (Reply){.status = 200, .body = fake_metadata(fake, NULL)};
  } else if (g_str_equal(name, "/jwks")) {
    *reply = (Reply){.status = 200, .body = make_jwks(fake)};
  } else {
    *reply = (Reply){.status = 404};
  }
  reply->delay_ms = path->delay_ms;
  pthread_mutex_unlock(&fake->lock);
  if (reply->grants)
    reply->body = fake_tokens(
        fake, reply->refresh, reply->has_spec ? &reply->spec : NULL);
  return reply;
}

static void
serve(Session *session, void *data)
{
  Fake *fake = data;
  const char *head;
  size_t len;

  while ((head = session_request(session, &len))) {
    const char *target = strchr(head, ' ') + 1;
    g_autofree char *path = g_strndup(target, strcspn(target, " ?"));
    g_autofree char *body = g_strndup(session_body(session), len);
    Reply *reply = take_reply(fake, path, body);
    const char *text = reply->body ? reply->body : "";
    const int status = reply->status;

    g_usleep((gulong)reply->delay_ms * 1000);
    if (status == 0)
      session_send(session, text, strlen(text));
    else if (status > 0)
      session_print(session,
                    "HTTP/1.1 %d X\r\nContent-Type: application/json\r\n"
                    "Content-Length: %zu\r\n\r\n%s",
                    status,
                    strlen(text),
                    text);
    reply_free(reply);
    if (status == -2)
      session_wait_closed(session);
    if (status <= 0)
      return;
  }
}

Fake *
fake_new(void)
{
  static EVP_PKEY *key; /* of all: making one takes seconds under valgrind */
  Fake *fake = g_new0(Fake, 1);

  key = key ? key : EVP_RSA_gen(2048);
  fake->dir = g_dir_make_tmp("hoop-identity-XXXXXX", NULL);
  g_assert_nonnull(fake->dir);
  pthread_mutex_init(&fake->lock, NULL);
  fake->paths =
      g_hash_table_new_full(g_str_hash, g_str_equal, g_free, path_free);
  EVP_PKEY_up_ref(fake->key = key);
  fake->ca = cert_new(&(CertSpec){.cn = "Test CA", .ca = true});
  fake->leaf = cert_new(&(CertSpec){.issuer = fake->ca, .san = "IP:127.0.0.1"});
  fake->ca_file = cert_write(fake->dir, "ca.pem", fake->ca);
  fake->server =
      server_new(&(ServerSpec){.leaf = fake->leaf, .run = serve, .data = fake});
  fake->issuer = g_strdup_printf("https://127.0.0.1:%u",
                                 (unsigned)server_port(fake->server));
  return fake;
}

void
fake_free(Fake *fake)
{
  if (!fake)
    return;
  server_free(fake->server);
  g_hash_table_unref(fake->paths);
  pthread_mutex_destroy(&fake->lock);
  EVP_PKEY_free(fake->key);
  cert_free(fake->ca);
  cert_free(fake->leaf);
  remove_folder(fake->dir);
  g_free(fake->dir);
  g_free(fake->ca_file);
  g_free(fake->issuer);
  g_free(fake);
}

const char *
fake_issuer(const Fake *fake)
{
  return fake->issuer;
}

const char *
fake_ca_file(const Fake *fake)
{
  return fake->ca_file;
}

const char *
fake_dir(const Fake *fake)
{
  return fake->dir;
}

void
fake_answer(Fake *fake, const char *name, int status, char *body)
{
  Reply *reply = g_new0(Reply, 1);

  *reply = (Reply){.status = status, .body = body};
  pthread_mutex_lock(&fake->lock);
  g_queue_push_tail(&path_of(fake, name)->replies, reply);
  pthread_mutex_unlock(&fake->lock);
}

void
fake_delay(Fake *fake, const char *name, int ms)
{
  pthread_mutex_lock(&fake->lock);
  path_of(fake, name)->delay_ms = ms;
  pthread_mutex_unlock(&fake->lock);
}

void
fake_forget(Fake *fake, const char *name)
{
  pthread_mutex_lock(&fake->lock);
  g_queue_clear_full(&path_of(fake, name)->replies, reply_free);
  pthread_mutex_unlock(&fake->lock);
}

unsigned
fake_asked(Fake *fake, const char *name)
{
  unsigned times;

  pthread_mutex_lock(&fake->lock);
  times = path_of(fake, name)->times->len;
  pthread_mutex_unlock(&fake->lock);
  return times;
}

int64_t
fake_when(Fake *fake, const char *name, unsigned nth)
{
  int64_t when;

  pthread_mutex_lock(&fake->lock);
  g_assert_cmpuint(nth, <, path_of(fake, name)->times->len);
  when = g_array_index(path_of(fake, name)->times, int64_t, nth);
  pthread_mutex_unlock(&fake->lock);
  return when;
}

char *
fake_last(Fake *fake, const char *name)
{
  char *last;

  pthread_mutex_lock(&fake->lock);
  last = g_strdup(path_of(fake, name)->last);
  pthread_mutex_unlock(&fake->lock);
  return last;
}

void
fake_rotate_keys(Fake *fake)
{
  pthread_mutex_lock(&fake->lock);
  EVP_PKEY_free(fake->key);
  fake->key = EVP_RSA_gen(2048);
  fake->kid++;
  pthread_mutex_unlock(&fake->lock);
}

/* ---- tokens -------------------------------------------------------------- */

static char *
sign(EVP_PKEY *key, const char *text)
{
  EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  uint8_t signature[512];
  size_t len = sizeof signature;

  g_assert_true(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key));
  g_assert_true(EVP_DigestSign(
      ctx, signature, &len, (const uint8_t *)text, strlen(text)));
  EVP_MD_CTX_free(ctx);
  return base64url_encode(signature, len);
}

char *
fake_id_token(Fake *fake, const TokenSpec *spec)
{
  const int64_t now = clock_wall_us() / 1000000;
  g_autofree char *nonce =
      spec->nonce ? g_strdup_printf(",\"nonce\":\"%s\"", spec->nonce) : NULL;
  g_autofree char *claims = g_strdup_printf(
      "{\"iss\":\"%s\",\"sub\":\"%s\",\"aud\":\"%s\",\"iat\":%" G_GINT64_FORMAT
      ",\"exp\":%" G_GINT64_FORMAT
      ",\"preferred_username\":\"%s\",\"groups\":%s%s}",
      fake->issuer,
      spec->sub ? spec->sub : "u1",
      spec->aud ? spec->aud : "agent",
      now,
      now + (spec->life ? spec->life : 600),
      spec->sub ? spec->sub : "dev",
      spec->groups ? spec->groups : "[\"dev\"]",
      nonce ? nonce : "");
  g_autofree char *second = base64url_encode(claims, strlen(claims));
  g_autofree char *header = NULL, *first = NULL, *both = NULL;
  g_autofree char *signature = NULL;

  pthread_mutex_lock(&fake->lock);
  header = g_strdup_printf(
      "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"k%u\"}", fake->kid);
  first = base64url_encode(header, strlen(header));
  both = g_strdup_printf("%s.%s", first, second);
  signature = sign(fake->key, both);
  pthread_mutex_unlock(&fake->lock);
  return g_strdup_printf("%s.%s", both, signature);
}

char *
fake_tokens(Fake *fake, const char *refresh, const TokenSpec *spec)
{
  GString *text = g_string_new("{\"access_token\":\"made-up-access\","
                               "\"token_type\":\"bearer\",\"expires_in\":600");
  g_autofree char *id_token = spec ? fake_id_token(fake, spec) : NULL;

  if (refresh)
    g_string_append_printf(text, ",\"refresh_token\":\"%s\"", refresh);
  if (id_token)
    g_string_append_printf(text, ",\"id_token\":\"%s\"", id_token);
  g_string_append(text, "}");
  return g_string_free(text, FALSE);
}

void
fake_grant(Fake *fake, const char *refresh, const TokenSpec *spec)
{
  Reply *reply = g_new0(Reply, 1);

  reply->status = 200;
  reply->grants = true;
  reply->refresh = g_strdup(refresh);
  reply->has_spec = spec != NULL;
  if (spec)
    reply->spec = (TokenSpec){.sub = g_intern_string(spec->sub),
                              .aud = g_intern_string(spec->aud),
                              .nonce = g_intern_string(spec->nonce),
                              .groups = g_intern_string(spec->groups),
                              .life = spec->life};
  pthread_mutex_lock(&fake->lock);
  g_queue_push_tail(&path_of(fake, "/token")->replies, reply);
  pthread_mutex_unlock(&fake->lock);
}

char *
fake_device(const Fake *fake, int interval, int expires_in)
{
  return g_strdup_printf(
      "{\"device_code\":\"made-up-device\",\"user_code\":\"NVVG-GNJH\","
      "\"verification_uri\":\"%s/activate\",\"verification_uri_complete\":"
      "\"%s/activate?code=NVVG-GNJH\",\"interval\":%d,\"expires_in\":%d}",
      fake->issuer,
      fake->issuer,
      interval,
      expires_in);
}
