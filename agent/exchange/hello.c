/* SPDX-License-Identifier: Apache-2.0 */
/* Takes a ClientHello apart without believing any of its lengths; nothing in
 * it is used but the server's name and whether that is the whole truth. */
#include "exchange/hello.h"
#include "kit/buf.h"

#define RECORD_HANDSHAKE 0x16
#define RECORD_HEADER 5
#define RECORD_MAX (16 * 1024)
#define MAJOR_VERSION 3 /* of SSL 3.0 and every TLS */
#define CLIENT_HELLO 1
#define RANDOM_BYTES 32
#define EXTENSION_SERVER_NAME 0
#define EXTENSION_ECH 0xfe0d
#define EXTENSION_OLD_ESNI 0xffce /* its draft's */
#define NAME_HOST 0

/* What is left of something with a length. */
typedef struct {
  const uint8_t *at;
  size_t len;
} Slice;

void
hello_clear(Hello *hello)
{
  g_free(hello->name);
  *hello = (Hello){0};
}

/* ---- Parts ---------------------------------------------------------------
 */

static bool
take(Slice *from, size_t len, Slice *out)
{
  if (len > from->len)
    return false;
  *out = (Slice){from->at, len};
  from->at += len;
  from->len -= len;
  return true;
}

/* A number of `bytes` bytes, most significant first. */
static bool
take_number(Slice *from, size_t bytes, size_t *out)
{
  Slice number;

  if (!take(from, bytes, &number))
    return false;
  *out = 0;
  for (size_t i = 0; i < bytes; i++)
    *out = *out << 8 | number.at[i];
  return true;
}

/* What stands behind its own length of `bytes` bytes. */
static bool
take_vector(Slice *from, size_t bytes, Slice *out)
{
  size_t len;

  return take_number(from, bytes, &len) && take(from, len, out);
}

static bool
is_printable(Slice name)
{
  for (size_t i = 0; i < name.len; i++)
    if (!g_ascii_isgraph((char)name.at[i]))
      return false;
  return name.len > 0;
}

/* One name, and it is a host's: nothing else was ever defined, and RFC 6066
 * forbids two. */
static bool
read_names(Slice extension, Hello *hello)
{
  Slice list, name;
  size_t type;

  if (hello->name || !take_vector(&extension, 2, &list) || extension.len ||
      !take_number(&list, 1, &type) || type != NAME_HOST ||
      !take_vector(&list, 2, &name) || list.len || !is_printable(name))
    return false;
  while (name.len > 1 && name.at[name.len - 1] == '.')
    name.len--;
  hello->name = g_strndup((const char *)name.at, name.len);
  return true;
}

static bool
read_extensions(Slice list, Hello *hello)
{
  while (list.len) {
    Slice extension;
    size_t type;

    if (!take_number(&list, 2, &type) || !take_vector(&list, 2, &extension))
      return false;
    if (type == EXTENSION_SERVER_NAME && !read_names(extension, hello))
      return false;
    hello->ech =
        hello->ech || type == EXTENSION_ECH || type == EXTENSION_OLD_ESNI;
  }
  return true;
}

static bool
read_body(Slice body, Hello *hello)
{
  Slice part, extensions = {0};
  size_t version;

  if (!take_number(&body, 2, &version) || version >> 8 != MAJOR_VERSION ||
      !take(&body, RANDOM_BYTES, &part) || !take_vector(&body, 1, &part) ||
      !take_vector(&body, 2, &part) || !take_vector(&body, 1, &part))
    return false;
  /* Those before TLS 1.2 may end here. */
  if (body.len && (!take_vector(&body, 2, &extensions) || body.len))
    return false;
  return read_extensions(extensions, hello);
}

/* ---- Records -------------------------------------------------------------
 */

/* How long the message is, once its first four bytes are there; 0: it is no
 * ClientHello, or longer than any. */
static size_t
message_length(const Buf *message)
{
  const uint8_t *bytes = buf_bytes(message);
  size_t len;

  if (message->len < 4)
    return 4;
  len = 4 + ((size_t)bytes[1] << 16 | (size_t)bytes[2] << 8 | bytes[3]);
  return bytes[0] == CLIENT_HELLO && len <= HELLO_MAX ? len : 0;
}

/* False when what comes next is no record of a handshake. */
static bool
is_record(Slice from)
{
  return (from.len < 1 || from.at[0] == RECORD_HANDSHAKE) &&
         (from.len < 2 || from.at[1] == MAJOR_VERSION);
}

/* Joins what the records hold until the message is whole; nothing may stand
 * behind it in its last record. */
static HelloState
join_records(Slice from, Buf *message)
{
  size_t missing = 0; /* of the last record, still to come */

  for (;;) {
    size_t need = message_length(message), len = 0;
    Slice header, fragment;

    if (!need || message->len + missing > need)
      return message->len < 4 && missing ? HELLO_MORE : HELLO_BROKEN;
    if (message->len == need)
      return HELLO_READ;
    if (!is_record(from))
      return HELLO_BROKEN;
    if (!take(&from, RECORD_HEADER, &header))
      return HELLO_MORE;
    len = (size_t)header.at[3] << 8 | header.at[4];
    if (!len || len > RECORD_MAX)
      return HELLO_BROKEN;
    missing = len - MIN(len, from.len);
    if (!take(&from, len - missing, &fragment) ||
        !buf_append(message, fragment.at, fragment.len))
      return HELLO_BROKEN;
  }
}

HelloState
hello_read(const uint8_t *bytes, size_t len, Hello *out)
{
  g_auto(Buf) message = {0};
  Hello hello = {0};
  HelloState state;

  if (len && bytes[0] != RECORD_HANDSHAKE)
    return HELLO_OTHER;
  if (len > 1 && bytes[1] != MAJOR_VERSION)
    return HELLO_OTHER;
  buf_init(&message, 2 * HELLO_MAX);
  state = join_records((Slice){bytes, len}, &message);
  if (state != HELLO_READ)
    return state;
  if (read_body((Slice){buf_bytes(&message) + 4, message.len - 4}, &hello)) {
    *out = hello;
    return HELLO_READ;
  }
  hello_clear(&hello);
  return HELLO_BROKEN;
}
