/* SPDX-License-Identifier: Apache-2.0 */
/* OpenSSL takes 18 ms to decode a system's 140 anchors, of which a process
 * uses three: here they stay DER until a chain names one as its issuer. */
#include "upstream/anchors.h"

#include "kit/file.h"
#include "upstream/upstream.h"

#include <openssl/x509_vfy.h>
#include <string.h>
#include <sys/stat.h>

/* A system's bundle has 200 to 300 KiB. */
#define MAX_BUNDLE (16 * 1024 * 1024)
#define PEM_BEGIN "-----BEGIN CERTIFICATE-----"
#define PEM_END "-----END CERTIFICATE-----"

/* Debian and most others; Fedora and its kin; Alpine. */
static const char *const SYSTEM_BUNDLES[] = {
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
};

typedef struct {
  unsigned long name; /* hash of the canonical subject */
  GBytes *der;
  bool decoded; /* in the store */
} Anchor;

typedef struct {
  char *path; /* NULL: none */
  struct stat seen;
} Bundle;

/* The anchors behind one store; lives as long as the store does. */
typedef struct {
  GArray *list;      /* Anchor */
  X509_STORE *store; /* not owned */
} Shelf;

struct anchors {
  Bundle system;
  Bundle extra;
  X509_STORE *store;
  X509_LOOKUP_METHOD *method;
};

static void
anchor_clear(void *data)
{
  g_bytes_unref(((Anchor *)data)->der);
}

/* The content of the TLV at *at, which moves behind it; false when the bytes
 * end before it does. Definite lengths only, as DER has them. */
static bool
der_enter(const uint8_t **at,
          const uint8_t *end,
          const uint8_t **content,
          const uint8_t **content_end)
{
  const uint8_t *p = *at;
  size_t len, digits;

  if (end - p < 2)
    return false;
  len = p[1];
  p += 2;
  if (len >= 0x80) {
    digits = len & 0x7f;
    if (digits == 0 || digits > 4 || (size_t)(end - p) < digits)
      return false;
    for (len = 0; digits > 0; digits--)
      len = len << 8 | *p++;
  }
  if ((size_t)(end - p) < len)
    return false;
  *content = p;
  *content_end = p + len;
  *at = p + len;
  return true;
}

/* Finds the subject in a certificate (RFC 5280 section 4.1) without decoding
 * its key, which is what costs the time. */
static X509_NAME *
subject_of(const uint8_t *der, size_t len)
{
  const uint8_t *end = der + len;
  const uint8_t *p, *tbs_end, *inner, *inner_end;

  if (!der_enter(&der, end, &p, &tbs_end) ||
      !der_enter(&p, tbs_end, &inner, &inner_end))
    return NULL;
  p = inner;
  tbs_end = inner_end;
  if (p < tbs_end && *p == 0xa0 && !der_enter(&p, tbs_end, &inner, &inner_end))
    return NULL;
  /* serialNumber, signature, issuer, validity */
  for (int i = 0; i < 4; i++)
    if (!der_enter(&p, tbs_end, &inner, &inner_end))
      return NULL;
  return d2i_X509_NAME(NULL, &p, tbs_end - p);
}

/* False when the bytes are no certificate. */
static bool
add_anchor(GArray *list, const uint8_t *der, size_t len)
{
  X509_NAME *subject = subject_of(der, len);
  unsigned long name;
  int hashed = 0;
  Anchor *anchor;

  if (subject == NULL)
    return false;
  name = X509_NAME_hash_ex(subject, NULL, NULL, &hashed);
  X509_NAME_free(subject);
  if (!hashed)
    return false;
  g_array_set_size(list, list->len + 1);
  anchor = &g_array_index(list, Anchor, list->len - 1);
  anchor->name = name;
  anchor->der = g_bytes_new(der, len);
  return true;
}

/* Appends the certificates of a PEM file; what is no certificate is skipped,
 * as OpenSSL does. */
static bool
read_bundle(Bundle *bundle, GArray *list, GError **error)
{
  g_autoptr(GBytes) file = NULL;
  g_autoptr(GError) failed = NULL;
  g_autofree uint8_t *der = NULL;
  const char *p, *end;
  gsize size;

  /* Before reading: a change while it is read shows at the next look. */
  if (stat(bundle->path, &bundle->seen) != 0)
    bundle->seen = (struct stat){0};
  file = file_read(bundle->path, MAX_BUNDLE, &failed);
  if (file == NULL) {
    g_set_error_literal(
        error, UPSTREAM_ERROR, UPSTREAM_ERROR_TLS, failed->message);
    return false;
  }
  p = g_bytes_get_data(file, &size);
  end = p + size;
  der = g_malloc((gsize)(end - p) + 3);
  while (p != NULL && (p = g_strstr_len(p, end - p, PEM_BEGIN)) != NULL) {
    const char *stop;
    gint state = 0;
    guint save = 0;
    gsize len;

    p += strlen(PEM_BEGIN);
    stop = g_strstr_len(p, end - p, PEM_END);
    if (stop == NULL)
      break;
    len = g_base64_decode_step(p, (gsize)(stop - p), der, &state, &save);
    add_anchor(list, der, len);
    p = stop;
  }
  return true;
}

/* X509_LOOKUP's get_by_subject: puts every anchor of that name into the
 * store. The object handed back must not own a reference: the caller takes
 * its own (OpenSSL's by_dir.c). */
static int
look_up(X509_LOOKUP *lookup,
        X509_LOOKUP_TYPE type,
        const X509_NAME *name,
        X509_OBJECT *found)
{
  Shelf *shelf = X509_LOOKUP_get_method_data(lookup);
  unsigned long hash;
  int hashed = 0;
  int n = 0;

  if (type != X509_LU_X509)
    return 0;
  hash = X509_NAME_hash_ex(name, NULL, NULL, &hashed);
  if (!hashed)
    return 0;
  for (guint i = 0; i < shelf->list->len; i++) {
    Anchor *anchor = &g_array_index(shelf->list, Anchor, i);
    const uint8_t *der;
    X509 *certificate;
    gsize len;

    if (anchor->decoded || anchor->name != hash)
      continue;
    anchor->decoded = true;
    der = g_bytes_get_data(anchor->der, &len);
    certificate = d2i_X509(NULL, &der, (long)len);
    if (certificate == NULL)
      continue;
    if (X509_NAME_cmp(X509_get_subject_name(certificate), name) == 0 &&
        X509_STORE_add_cert(shelf->store, certificate) == 1 && n++ == 0) {
      X509_OBJECT_set1_X509(found, certificate);
      X509_free(certificate); /* the object's: the store holds one */
    }
    X509_free(certificate);
  }
  return n > 0;
}

static void
free_shelf(X509_LOOKUP *lookup)
{
  Shelf *shelf = X509_LOOKUP_get_method_data(lookup);

  if (shelf != NULL)
    g_array_unref(shelf->list);
  g_free(shelf);
}

/* Reads both files into a list of Anchor. */
static GArray *
read_bundles(Anchors *anchors, GError **error)
{
  g_autoptr(GArray) list = g_array_new(FALSE, TRUE, sizeof(Anchor));
  guint of_system;

  g_array_set_clear_func(list, anchor_clear);
  if (anchors->system.path != NULL)
    read_bundle(&anchors->system, list, NULL);
  of_system = list->len;
  if (anchors->extra.path != NULL && !read_bundle(&anchors->extra, list, error))
    return NULL;
  if (anchors->extra.path != NULL && list->len == of_system) {
    g_set_error(error,
                UPSTREAM_ERROR,
                UPSTREAM_ERROR_TLS,
                "%s: holds no PEM certificate",
                anchors->extra.path);
    return NULL;
  }
  if (list->len == 0) {
    g_set_error(error,
                UPSTREAM_ERROR,
                UPSTREAM_ERROR_TLS,
                "No trust anchors: install ca-certificates or set "
                "[upstream] ca-file");
    return NULL;
  }
  return g_steal_pointer(&list);
}

static bool
load(Anchors *anchors, GError **error)
{
  GArray *list = read_bundles(anchors, error);
  X509_LOOKUP *lookup;
  Shelf *shelf;

  if (list == NULL)
    return false;
  shelf = g_new0(Shelf, 1);
  shelf->list = list;
  shelf->store = X509_STORE_new();
  lookup = X509_STORE_add_lookup(shelf->store, anchors->method);
  X509_LOOKUP_set_method_data(lookup, shelf);
  X509_STORE_free(anchors->store);
  anchors->store = shelf->store;
  return true;
}

Anchors *
anchors_new(const char *ca_file, GError **error)
{
  g_autoptr(Anchors) anchors = g_new0(Anchors, 1);

  for (gsize i = 0; i < G_N_ELEMENTS(SYSTEM_BUNDLES); i++) {
    if (g_file_test(SYSTEM_BUNDLES[i], G_FILE_TEST_IS_REGULAR)) {
      anchors->system.path = g_strdup(SYSTEM_BUNDLES[i]);
      break;
    }
  }
  anchors->extra.path = g_strdup(ca_file);
  anchors->method = X509_LOOKUP_meth_new("hoop-agent anchors");
  X509_LOOKUP_meth_set_get_by_subject(anchors->method, look_up);
  X509_LOOKUP_meth_set_free(anchors->method, free_shelf);
  if (!load(anchors, error))
    return NULL;
  return g_steal_pointer(&anchors);
}

void
anchors_free(Anchors *anchors)
{
  if (anchors == NULL)
    return;
  X509_STORE_free(anchors->store);
  X509_LOOKUP_meth_free(anchors->method);
  g_free(anchors->system.path);
  g_free(anchors->extra.path);
  g_free(anchors);
}

static bool
changed(const Bundle *bundle)
{
  struct stat now;

  return bundle->path != NULL && stat(bundle->path, &now) == 0 &&
         (now.st_ino != bundle->seen.st_ino ||
          now.st_size != bundle->seen.st_size ||
          now.st_mtim.tv_sec != bundle->seen.st_mtim.tv_sec ||
          now.st_mtim.tv_nsec != bundle->seen.st_mtim.tv_nsec);
}

X509_STORE *
anchors_store(Anchors *anchors)
{
  if (changed(&anchors->system) || changed(&anchors->extra))
    load(anchors, NULL);
  return anchors->store;
}
