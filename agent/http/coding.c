/* SPDX-License-Identifier: Apache-2.0 */
/* Content codings (RFC 9110 section 8.4.1, RFC 7932, RFC 8878): one stream
 * decoder for each, its output bounded by the caller's buffer. */
#include "http/http.h"
#include <brotli/decode.h>
#include <zlib.h>
#include <zstd.h>

/* Output is produced in steps of this size, so that a small body costs little
 * and a bomb is noticed soon. */
#define STEP_SIZE 16384
/* 8 MiB, what RFC 9659 allows this coding on the web. */
#define ZSTD_WINDOW_LOG 23

typedef struct {
  const char *name;
  bool (*init)(HttpDecoder *decoder);
  void (*clear)(HttpDecoder *decoder);
  bool (*feed)(HttpDecoder *decoder,
               const uint8_t *bytes,
               size_t len,
               Buf *out,
               GError **error);
} Coding;

struct http_decoder {
  const Coding *coding;
  bool started; /* at least one byte came */
  bool ended;   /* what came is complete */
  union {
    z_stream zlib;
    BrotliDecoderState *br;
    ZSTD_DStream *zstd;
  };
  /* deflate: set up once two bytes told the wrapping */
  bool open;
  bool has_first;
  uint8_t first;    /* of zstd: of the frame */
  unsigned n_magic; /* zstd: bytes of the frame's magic number that came */
};

/* Where the next output goes: the end of the caller's buffer or, when that is
 * full, one spare byte that shows whether there is more. */
typedef struct {
  Buf *out;
  uint8_t *at;
  size_t room;
  uint8_t spare;
} Step;

static bool
too_large(const Buf *out, GError **error)
{
  g_set_error(error,
              HTTP_ERROR,
              HTTP_ERROR_TOO_LARGE,
              "the decoded body exceeds %zu bytes",
              out->max);
  return false;
}

static bool
broken(const HttpDecoder *decoder, GError **error)
{
  g_set_error(error,
              HTTP_ERROR,
              HTTP_ERROR_CODING,
              "the %s data are broken",
              decoder->coding->name);
  return false;
}

static bool
step_begin(Step *step, Buf *out, GError **error)
{
  step->out = out;
  step->room = MIN(out->max - out->len, STEP_SIZE);
  if (step->room == 0) {
    step->at = &step->spare;
    step->room = 1;
    return true;
  }
  step->at = buf_reserve(out, step->room);
  return step->at || too_large(out, error);
}

/* Counts what was produced. */
static bool
step_end(Step *step, size_t produced, GError **error)
{
  if (step->at != &step->spare)
    buf_commit(step->out, produced);
  else if (produced)
    return too_large(step->out, error);
  return true;
}

/* ---- identity ---------------------------------------------------------- */

static bool
identity_feed(HttpDecoder *decoder,
              const uint8_t *bytes,
              size_t len,
              Buf *out,
              GError **error)
{
  decoder->ended = true;
  return buf_append(out, bytes, len) || too_large(out, error);
}

/* ---- gzip and deflate --------------------------------------------------- */

static void
zlib_clear(HttpDecoder *decoder)
{
  if (decoder->open)
    inflateEnd(&decoder->zlib);
}

static bool
zlib_open(HttpDecoder *decoder, int window_bits)
{
  decoder->open = inflateInit2(&decoder->zlib, window_bits) == Z_OK;
  return decoder->open;
}

/* At the end of a stream with input left: gzip members follow one another
 * (RFC 1952 section 2.2), behind a deflate stream nothing may. */
static bool
zlib_next_member(HttpDecoder *decoder, bool members)
{
  decoder->ended = false;
  return members && inflateReset(&decoder->zlib) == Z_OK;
}

static bool
zlib_feed(HttpDecoder *decoder,
          const uint8_t *bytes,
          size_t len,
          bool members,
          Buf *out,
          GError **error)
{
  z_stream *zlib = &decoder->zlib;
  zlib->next_in = (Bytef *)(uintptr_t)bytes;
  zlib->avail_in = (uInt)len;
  bool full = false;
  while (zlib->avail_in > 0 || full) {
    Step step;
    if (decoder->ended && !zlib_next_member(decoder, members))
      return broken(decoder, error);
    if (!step_begin(&step, out, error))
      return false;
    zlib->next_out = step.at;
    zlib->avail_out = (uInt)step.room;
    int result = inflate(zlib, Z_NO_FLUSH);
    if (!step_end(&step, step.room - zlib->avail_out, error))
      return false;
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
      return broken(decoder, error);
    decoder->ended = result == Z_STREAM_END;
    full = zlib->avail_out == 0 && !decoder->ended;
  }
  return true;
}

static bool
gzip_init(HttpDecoder *decoder)
{
  return zlib_open(decoder, 16 + MAX_WBITS);
}

static bool
gzip_feed(HttpDecoder *decoder,
          const uint8_t *bytes,
          size_t len,
          Buf *out,
          GError **error)
{
  return zlib_feed(decoder, bytes, len, true, out, error);
}

/* RFC 9110 means the zlib format; some send bare deflate data and every
 * browser reads both. Two bytes tell (RFC 1950 section 2.2): bare data start
 * so only with a block type that no compressor writes. */
static bool
deflate_open(HttpDecoder *decoder, uint8_t second)
{
  unsigned both = decoder->first * 256u + second;
  bool is_zlib = (decoder->first & 0x8f) == 0x08 && both % 31 == 0;
  return zlib_open(decoder, is_zlib ? MAX_WBITS : -MAX_WBITS);
}

static bool
deflate_feed(HttpDecoder *decoder,
             const uint8_t *bytes,
             size_t len,
             Buf *out,
             GError **error)
{
  if (decoder->open)
    return zlib_feed(decoder, bytes, len, false, out, error);
  if (!decoder->has_first) {
    decoder->has_first = true;
    decoder->first = bytes[0];
    if (len < 2)
      return true;
    bytes++;
    len--;
  }
  if (!deflate_open(decoder, bytes[0]))
    return broken(decoder, error);
  return zlib_feed(decoder, &decoder->first, 1, false, out, error) &&
         zlib_feed(decoder, bytes, len, false, out, error);
}

/* ---- br ------------------------------------------------------------------ */

static bool
br_init(HttpDecoder *decoder)
{
  decoder->br = BrotliDecoderCreateInstance(NULL, NULL, NULL);
  return decoder->br != NULL;
}

static void
br_clear(HttpDecoder *decoder)
{
  if (decoder->br)
    BrotliDecoderDestroyInstance(decoder->br);
}

static bool
br_feed(HttpDecoder *decoder,
        const uint8_t *bytes,
        size_t len,
        Buf *out,
        GError **error)
{
  BrotliDecoderResult result = BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT;
  if (decoder->ended)
    return broken(decoder, error);
  while (result == BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT) {
    Step step;
    if (!step_begin(&step, out, error))
      return false;
    size_t left = step.room;
    uint8_t *at = step.at;
    result = BrotliDecoderDecompressStream(
        decoder->br, &len, &bytes, &left, &at, NULL);
    if (!step_end(&step, step.room - left, error))
      return false;
  }
  decoder->ended = result == BROTLI_DECODER_RESULT_SUCCESS;
  if (result == BROTLI_DECODER_RESULT_ERROR || len > 0)
    return broken(decoder, error);
  return true;
}

/* ---- zstd ---------------------------------------------------------------- */

static bool
zstd_init(HttpDecoder *decoder)
{
  decoder->zstd = ZSTD_createDStream();
  return decoder->zstd &&
         !ZSTD_isError(ZSTD_DCtx_setParameter(
             decoder->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG));
}

static void
zstd_clear(HttpDecoder *decoder)
{
  ZSTD_freeDStream(decoder->zstd);
}

/* What a frame begins with (RFC 8878 sections 3.1.1 and 3.1.2). libzstd reads
 * frames from before the standard, too: no client does, and whole or in pieces
 * they do not come to the same. */
static bool
zstd_begins(HttpDecoder *decoder, const uint8_t *bytes, size_t len)
{
  static const uint8_t frame[] = {0x28, 0xb5, 0x2f, 0xfd};
  static const uint8_t skipped[] = {0x50, 0x2a, 0x4d, 0x18};
  for (; decoder->n_magic < sizeof frame && len > 0; bytes++, len--) {
    if (decoder->n_magic == 0)
      decoder->first = (*bytes & 0xf0) == skipped[0] ? skipped[0] : *bytes;
    bool is_frame = decoder->first == frame[0];
    uint8_t wanted = (is_frame ? frame : skipped)[decoder->n_magic];
    uint8_t byte = decoder->n_magic == 0 ? decoder->first : *bytes;
    if (byte != wanted)
      return false;
    decoder->n_magic++;
  }
  return true;
}

static bool
zstd_feed(HttpDecoder *decoder,
          const uint8_t *bytes,
          size_t len,
          Buf *out,
          GError **error)
{
  ZSTD_inBuffer in = {bytes, len, 0};
  bool full = false;
  while (in.pos < in.size || full) {
    Step step;
    if (!zstd_begins(decoder, bytes + in.pos, in.size - in.pos))
      return broken(decoder, error);
    if (!step_begin(&step, out, error))
      return false;
    ZSTD_outBuffer to = {step.at, step.room, 0};
    size_t result = ZSTD_decompressStream(decoder->zstd, &to, &in);
    if (!step_end(&step, to.pos, error))
      return false;
    if (ZSTD_isError(result))
      return broken(decoder, error);
    /* 0: a frame is complete; another one may follow. */
    decoder->ended = result == 0;
    if (decoder->ended)
      decoder->n_magic = 0;
    full = to.pos == to.size && !decoder->ended;
  }
  return true;
}

/* ---- Public -------------------------------------------------------------- */

static const Coding codings[] = {
    {"identity", NULL, NULL, identity_feed},
    {"gzip", gzip_init, zlib_clear, gzip_feed},
    {"x-gzip", gzip_init, zlib_clear, gzip_feed},
    {"deflate", NULL, zlib_clear, deflate_feed},
    {"br", br_init, br_clear, br_feed},
    {"zstd", zstd_init, zstd_clear, zstd_feed},
};

HttpDecoder *
http_decoder_new(const char *coding, GError **error)
{
  for (unsigned i = 0; i < G_N_ELEMENTS(codings); i++) {
    if (g_ascii_strcasecmp(codings[i].name, coding) != 0)
      continue;
    g_autoptr(HttpDecoder) decoder = g_new0(HttpDecoder, 1);
    decoder->coding = &codings[i];
    if (!decoder->coding->init || decoder->coding->init(decoder))
      return g_steal_pointer(&decoder);
    g_set_error(error,
                HTTP_ERROR,
                HTTP_ERROR_CODING,
                "no memory for %s",
                codings[i].name);
    return NULL;
  }
  g_set_error_literal(
      error, HTTP_ERROR, HTTP_ERROR_CODING, "the content coding is unknown");
  return NULL;
}

void
http_decoder_free(HttpDecoder *decoder)
{
  if (!decoder)
    return;
  if (decoder->coding->clear)
    decoder->coding->clear(decoder);
  g_free(decoder);
}

bool
http_decoder_feed(HttpDecoder *decoder,
                  const void *bytes,
                  size_t len,
                  Buf *out,
                  GError **error)
{
  const uint8_t *at = bytes;
  decoder->started |= len > 0;
  while (len > 0) {
    /* zlib counts in unsigned int. */
    size_t n = MIN(len, (size_t)G_MAXINT32);
    if (!decoder->coding->feed(decoder, at, n, out, error))
      return false;
    at += n;
    len -= n;
  }
  return true;
}

bool
http_decoder_finish(HttpDecoder *decoder, GError **error)
{
  if (!decoder->started || decoder->ended)
    return true;
  g_set_error(error,
              HTTP_ERROR,
              HTTP_ERROR_CODING,
              "the %s data end too early",
              decoder->coding->name);
  return false;
}
