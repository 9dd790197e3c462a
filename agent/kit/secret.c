/* SPDX-License-Identifier: Apache-2.0 */
/* Key material in pages of its own: locked, between guard pages, left out of
 * core dumps and of forked children. */
#include "kit/secret.h"

#include "kit/digest.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

/* Largest secret: a key file or a token, never a document. */
#define MAX_SECRET ((size_t)1 << 20)

struct secret {
  atomic_int refs;
  uint8_t *map; /* guard page, map_len - 2 pages of content, guard page */
  size_t map_len;
  uint8_t *bytes; /* so that the NUL after them is the content's last byte */
  size_t len;
};

static size_t
page_size(void)
{
  return (size_t)sysconf(_SC_PAGESIZE);
}

/* Running on without the protection would break a promise. */
static void
must(bool done, const char *what)
{
  if (!done)
    g_error(
        "Cannot protect a secret in memory: %s: %s", what, g_strerror(errno));
}

static Secret *
secret_alloc(size_t len)
{
  const size_t page = page_size();
  const size_t content = (len + 1 + page - 1) / page * page;
  Secret *secret = g_new0(Secret, 1);
  uint8_t *inner;

  g_assert(len >= 1 && len <= MAX_SECRET);
  atomic_init(&secret->refs, 1);
  secret->len = len;
  secret->map_len = content + 2 * page;
  secret->map = mmap(
      NULL, secret->map_len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  must(secret->map != MAP_FAILED, "mmap");
  inner = secret->map + page;
  must(mprotect(inner, content, PROT_READ | PROT_WRITE) == 0, "mprotect");
  must(madvise(inner, content, MADV_DONTDUMP) == 0, "MADV_DONTDUMP");
  must(madvise(inner, content, MADV_WIPEONFORK) == 0, "MADV_WIPEONFORK");
  /* RLIMIT_MEMLOCK may refuse: then only swap is out of our hands. */
  (void)mlock(inner, content);
  secret->bytes = inner + content - len - 1;
  return secret;
}

Secret *
secret_new(const void *bytes, size_t len)
{
  Secret *secret = secret_alloc(len);

  memcpy(secret->bytes, bytes, len);
  return secret;
}

Secret *
secret_new_filled(size_t len,
                  bool (*fill)(uint8_t *bytes, size_t len, void *data),
                  void *data)
{
  g_autoptr(Secret) secret = secret_alloc(len);

  if (!fill(secret->bytes, len, data))
    return NULL;
  return g_steal_pointer(&secret);
}

Secret *
secret_new_random(size_t len)
{
  Secret *secret = secret_alloc(len);

  random_bytes(secret->bytes, len);
  return secret;
}

Secret *
secret_ref(Secret *secret)
{
  atomic_fetch_add(&secret->refs, 1);
  return secret;
}

void
secret_unref(Secret *secret)
{
  if (secret == NULL || atomic_fetch_sub(&secret->refs, 1) != 1)
    return;
  secret_wipe(secret->bytes, secret->len);
  munmap(secret->map, secret->map_len);
  g_free(secret);
}

const uint8_t *
secret_bytes(const Secret *secret)
{
  return secret->bytes;
}

const char *
secret_text(const Secret *secret)
{
  return (const char *)secret->bytes;
}

size_t
secret_len(const Secret *secret)
{
  return secret->len;
}

bool
secret_equal(const Secret *secret, const void *bytes, size_t len)
{
  return len == secret->len && CRYPTO_memcmp(secret->bytes, bytes, len) == 0;
}

bool
secret_harden_process(void)
{
  const struct rlimit none = {0, 0};

  return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 &&
         setrlimit(RLIMIT_CORE, &none) == 0;
}

void
secret_wipe(void *bytes, size_t len)
{
  if (len > 0)
    explicit_bzero(bytes, len);
}
