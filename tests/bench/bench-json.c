/* SPDX-License-Identifier: Apache-2.0 */
/* How fast bodies are tokenised: nanoseconds per byte for the documents that
 * clients send. Not part of `make check`. */

#include "kit/clock.h"
#include "kit/json.h"

#include <stdio.h>

/* What a prompt weighs in the figures of the product. */
#define DOCUMENT_SIZE 32768
/* Rounds per sample, and samples of which the best counts: the machine's
 * other work only ever adds. */
#define ROUNDS 200
#define SAMPLES 25

typedef struct {
  const char *name;
  const char *unit; /* repeated as a member of an array */
} Shape;

static const Shape shapes[] = {
    {"chat, 500-byte texts",
     "{\"role\":\"user\",\"content\":\"Please explain what this function does "
     "and how it could be made simpler without changing what it returns. I "
     "would like to keep the names of the parameters as they are, because "
     "other modules use them as keywords, but everything inside may change. "
     "Where an early return makes the flow easier to follow, use it, and "
     "where a helper would be used only once, leave it out. Mention anything "
     "that looks like a mistake, even if it is unrelated to the question, and "
     "say which tests would show it. Thank you very much in advance.\"}"},
    {"code, an escape every 30 bytes",
     "{\"role\":\"tool\",\"content\":\"static int\\nread_all(int fd, char *to, "
     "size_t n)\\n{\\n  while (n > 0) {\\n    ssize_t k = read(fd, to, n);\\n "
     "   if (k < 0)\\n      return fail(\\\"read\\\");\\n    to += k;\\n    n "
     "-= (size_t)k;\\n  }\\n  return 0;\\n}\\n\"}"},
    {"text that is not ASCII",
     "{\"role\":\"user\",\"content\":\"\xe8\xaf\xb7\xe8\xa7\xa3\xe9\x87\x8a\xe8"
     "\xbf\x99\xe4\xb8\xaa\xe5\x87\xbd\xe6\x95\xb0\xe7\x9a\x84\xe4\xbd\x9c\xe7"
     "\x94\xa8\xe5\xb9\xb6\xe4\xbd\xbf\xe5\xae\x83\xe6\x9b\xb4\xe7\xae\x80\xe5"
     "\x8d\x95 na\xc3\xafve fa\xc3\xa7"
     "ade\"}"},
    {"embeddings, numbers only", "[-0.01745213,0.00381204,1.25e-05,42]"},
    {"short members", "{\"index\":0,\"id\":\"c1\",\"ok\":true,\"end\":null}"},
};

static GString *
document(const char *unit)
{
  GString *text = g_string_new("{\"model\":\"gpt-41\",\"messages\":[");

  for (;;) {
    g_string_append(text, unit);
    if (text->len >= DOCUMENT_SIZE)
      break;
    g_string_append_c(text, ',');
  }
  g_string_append(text, "]}");
  return text;
}

static size_t
tokenise(const GString *text)
{
  JsonReader reader;
  JsonToken token;
  size_t tokens = 0;

  json_reader_init(&reader, text->str, text->len);
  do {
    g_autoptr(GError) error = NULL;

    if (!json_next(&reader, &token, &error))
      g_error("%s", error->message);
    tokens++;
  } while (token.type != JSON_END);
  return tokens;
}

int
main(void)
{
  printf("%-32s %8s %8s %8s %8s %8s\n",
         "document",
         "bytes",
         "tokens",
         "us",
         "ns/byte",
         "MB/s");
  for (size_t i = 0; i < G_N_ELEMENTS(shapes); i++) {
    g_autoptr(GString) text = document(shapes[i].unit);
    double best = 1e18;
    size_t tokens = 0;

    for (int sample = 0; sample < SAMPLES; sample++) {
      const int64_t start = clock_mono_us();

      for (int round = 0; round < ROUNDS; round++)
        tokens = tokenise(text);
      best = MIN(best, (double)(clock_mono_us() - start) / ROUNDS);
    }
    printf("%-32s %8zu %8zu %8.1f %8.3f %8.0f\n",
           shapes[i].name,
           text->len,
           tokens,
           best,
           best * 1000 / (double)text->len,
           (double)text->len / best);
  }
  return 0;
}
