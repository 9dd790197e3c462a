/* SPDX-License-Identifier: Apache-2.0 */
/* The chunked decoder without a copy: the connection hands its owner spans of
 * its own input. */
#ifndef HOOP_HTTP_CHUNKED_H
#define HOOP_HTTP_CHUNKED_H

#include "http/http.h"

/* Goes on until data were found, the body ended or the bytes are used up.
 * *consumed counts what was read, data included; *data_len bytes at *data
 * (inside `bytes`) are body. */
bool chunked_next(HttpChunked *chunked,
                  const uint8_t *bytes,
                  size_t len,
                  size_t *consumed,
                  const uint8_t **data,
                  size_t *data_len,
                  bool *done,
                  GError **error);

#endif
