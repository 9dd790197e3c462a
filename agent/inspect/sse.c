/* SPDX-License-Identifier: Apache-2.0 */
/* The splitter: lines end with CR, LF or both; an empty line ends an event. */
#include "inspect/sse.h"

#include <string.h>

#define BOM "\xef\xbb\xbf"

void
sse_splitter_init(SseSplitter *splitter)
{
  *splitter = (SseSplitter){0};
}

static void
add_line(GArray *lines, const char *bytes, size_t start, size_t end)
{
  SseLine line = {start, end, false};

  if (end - start >= 4 && memcmp(bytes + start, "data", 4) == 0 &&
      (end - start == 4 || bytes[start + 4] == ':')) {
    line.is_data = true;
    line.start = MIN(start + 5, end);
    if (line.start < end && bytes[line.start] == ' ')
      line.start++;
  }
  g_array_append_val(lines, line);
}

/* Where the line that begins at `from` ends, or len. */
static size_t
find_end(const char *bytes, size_t from, size_t len)
{
  const char *newline = memchr(bytes + from, '\n', len - from);
  const size_t stop = newline != NULL ? (size_t)(newline - bytes) : len;
  const char *cr = memchr(bytes + from, '\r', stop - from);

  return cr != NULL ? (size_t)(cr - bytes) : stop;
}

/* The first line may begin with a byte order mark, which is not part of it. */
static size_t
skip_mark(SseSplitter *splitter, const char *bytes, size_t len)
{
  if (splitter->started || splitter->line != 0)
    return splitter->line;
  if (len >= 3 && memcmp(bytes, BOM, 3) == 0)
    return 3;
  return 0;
}

static size_t
end_event(SseSplitter *splitter, size_t len, bool partial)
{
  splitter->partial = partial;
  splitter->line = 0;
  splitter->look = 0;
  splitter->started = true;
  return len;
}

size_t
sse_next(SseSplitter *splitter,
         const char *bytes,
         size_t len,
         bool final,
         GArray *lines)
{
  for (;;) {
    const size_t end = find_end(bytes, splitter->look, len);
    const size_t start = skip_mark(splitter, bytes, MIN(end, len));
    size_t next;

    if (end == len || (bytes[end] == '\r' && end + 1 == len)) {
      if (!final || len == 0) {
        splitter->look = end;
        return 0;
      }
      if (start < end)
        add_line(lines, bytes, start, end);
      return end_event(splitter, len, true);
    }
    next = end + (bytes[end] == '\r' && bytes[end + 1] == '\n' ? 2 : 1);
    /* Empty lines before an event end nothing. */
    if (start == end && lines->len > 0)
      return end_event(splitter, next, false);
    if (start < end)
      add_line(lines, bytes, start, end);
    splitter->line = next;
    splitter->look = next;
  }
}
