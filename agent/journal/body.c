/* SPDX-License-Identifier: Apache-2.0 */
/* Packs masked bodies with zstd, and unpacks them without believing what the
 * database says about them. */
#include "journal/body.h"

#include "kit/buf.h"

#include <string.h>
#include <zstd.h>

/* The fastest of the ordinary levels: this runs on the writer's thread, where
 * it is most of a row's cost. */
#define PACK_LEVEL 1
/* A buffer that grew beyond this is given back after use. */
#define KEEP_BUFFER (1024 * 1024)

struct body_packer {
  ZSTD_CCtx *ctx;
  uint8_t *buffer;
  size_t size;
};

BodyPacker *
body_packer_new(void)
{
  BodyPacker *packer = g_new0(BodyPacker, 1);

  packer->ctx = ZSTD_createCCtx();
  if (packer->ctx == NULL)
    g_error("out of memory");
  ZSTD_CCtx_setParameter(packer->ctx, ZSTD_c_compressionLevel, PACK_LEVEL);
  return packer;
}

void
body_packer_free(BodyPacker *packer)
{
  if (packer == NULL)
    return;
  ZSTD_freeCCtx(packer->ctx);
  g_free(packer->buffer);
  g_free(packer);
}

bool
body_pack(BodyPacker *packer,
          const void *text,
          size_t len,
          const uint8_t **packed,
          size_t *packed_len,
          GError **error)
{
  size_t bound = ZSTD_compressBound(len);
  size_t wrote;

  if (packer->size < bound ||
      (packer->size > KEEP_BUFFER && bound <= KEEP_BUFFER)) {
    g_free(packer->buffer);
    packer->buffer = g_malloc(bound);
    packer->size = bound;
  }
  wrote = ZSTD_compress2(packer->ctx, packer->buffer, packer->size, text, len);
  if (ZSTD_isError(wrote)) {
    g_set_error(error,
                JOURNAL_ERROR,
                JOURNAL_ERROR_WRITE,
                "a body cannot be compressed: %s",
                ZSTD_getErrorName(wrote));
    return false;
  }
  *packed = packer->buffer;
  *packed_len = wrote;
  return true;
}

GBytes *
body_unpack(const void *packed,
            size_t packed_len,
            size_t len,
            const uint8_t digest[SHA256_LEN],
            GError **error)
{
  g_auto(Buf) text = {0};
  uint8_t found[SHA256_LEN];
  uint8_t *room;
  size_t got;

  buf_init(&text, BODY_MAX + 1);
  /* One byte more than announced, so that a longer frame is an error and an
   * empty body still has somewhere to go. */
  room = len <= BODY_MAX ? buf_reserve(&text, len + 1) : NULL;
  if (room == NULL) {
    g_set_error_literal(error,
                        JOURNAL_ERROR,
                        JOURNAL_ERROR_CORRUPT,
                        "a stored body is longer than any that was recorded");
    return NULL;
  }
  got = ZSTD_decompress(room, len + 1, packed, packed_len);
  if (ZSTD_isError(got) || got != len) {
    g_set_error_literal(error,
                        JOURNAL_ERROR,
                        JOURNAL_ERROR_CORRUPT,
                        "a stored body is not what was recorded");
    return NULL;
  }
  buf_commit(&text, got);
  if (digest)
    sha256(buf_bytes(&text), text.len, found);
  if (digest && memcmp(found, digest, SHA256_LEN) != 0) {
    g_set_error_literal(error,
                        JOURNAL_ERROR,
                        JOURNAL_ERROR_CORRUPT,
                        "a stored body is not the one that was recorded");
    return NULL;
  }
  return buf_steal(&text);
}
