/* SPDX-License-Identifier: Apache-2.0 */
/* Inside a response filter: a queue of events in the order in which they came,
 * each given out once all of its texts are decided and its tool calls are
 * judged; and what an API's shape adds. Private to the room. */
#ifndef HOOP_INSPECT_FILTER_H
#define HOOP_INSPECT_FILTER_H

#include "inspect/answer.h"
#include "inspect/calls.h"
#include "inspect/sse.h"
#include "inspect/text-field.h"

/* A delta whose decided front is at most this long waits for its last word as
 * a whole, so that a stream of words leaves byte for byte as it came. */
#define FRONT_MAX 8
/* Events that wait behind an undecided text before its front goes ahead. */
#define QUEUE_SOFT 64
/* Bytes of events that wait (for a tool call's end, for its verdict). */
#define QUEUE_MAX ((size_t)16 * 1024 * 1024)
/* Texts and tool calls of one answer. */
#define MAX_TEXTS 1024
#define MAX_CALLS 256

typedef enum {
  SLOT_DELTA, /* a piece of a text */
  SLOT_COPY,  /* a text again that came in pieces */
  SLOT_RAW    /* a piece that is not inside a JSON string */
} SlotKind;

typedef struct {
  TextField *field;
  size_t from, to;   /* of the field's text; from SIZE_MAX: what is left */
  size_t start, end; /* of the payload, inside the quotes if it has any */
  SlotKind kind;
} Slot;

/* A value that repeats pieces of texts (token probabilities). */
typedef struct {
  size_t start, end;
} Shadow;

enum {
  EVENT_TERMINAL = 1 << 0, /* the API's last event */
  EVENT_PLAIN = 1 << 1,    /* one delta and nothing that must come once */
  EVENT_FLUSH = 1 << 2     /* made by us: what a text still holds */
};

typedef struct {
  GString *raw;    /* the event's bytes */
  GArray *lines;   /* SseLine; kept when there are several data lines */
  GString *joined; /* their values, joined by newlines */
  bool is_joined;
  size_t data, data_end; /* the payload in raw, when it is one line */
  GArray *slots;         /* Slot */
  GArray *shadows;       /* Shadow */
  Edits edits;           /* of the payload, already known */
  GArray *calls;         /* unsigned: calls that must be judged before */
  unsigned flags;
  int tag;        /* the shape's */
  unsigned index; /* the shape's: choice, output item, content block */
  int64_t number; /* its sequence number, or -1 … */
  size_t number_start, number_end; /* … and where it stands in the payload */
} FilterEvent;

static inline const char *
event_payload(const FilterEvent *event, size_t *len)
{
  if (event->is_joined) {
    *len = event->joined->len;
    return event->joined->str;
  }
  *len = event->data_end - event->data;
  return event->raw->str + event->data;
}

/* A text, named by choice (or item), part and member. */
typedef struct {
  unsigned choice, part;
  char *name;
  TextField *field;
  FilterEvent *frame; /* of a delta that left a tail behind, or NULL */
} TextEntry;

typedef enum { CALL_OPEN, CALL_WAITING, CALL_RELEASED, CALL_REFUSED } CallState;
typedef struct {
  ToolCall call;
  unsigned index; /* within its choice, or its item's */
  TextField *arguments;
  CallState state;
  bool object;             /* its arguments came at once, as an object */
  ToolCall shown;          /* as it is judged: strings of its own or `call` */
  char *restored, *masked; /* arguments, where they differ */
  char *message;           /* of a refusal */
  bool told;               /* the refusal was given out */
  bool dropped;            /* never complete: left out without a word */
} Call;

/* The bytes around the text of the last plain delta. */
typedef struct {
  TextEntry *entry; /* NULL: nothing is known */
  GString *head, *tail;
  size_t number, number_end; /* of the sequence number in head, or 0 */
  size_t data, data_left;    /* bytes before and behind the payload */
  int tag;
  unsigned index;
} EventFrame;

/* Where an event that fits has its text, and its number. */
typedef struct {
  size_t start, end;
  bool escaped;
  int64_t number;
  size_t number_len;
} FrameMatch;

typedef struct shape Shape;

/* Answer state that the synthetic events need. */
typedef struct {
  char *id;
  char *model;
  int64_t created;
} AnswerHead;

struct response_filter {
  Api api;
  bool sse;
  const Shape *shape;
  StreamPlan *plan;
  char *scope;
  MaskContext context;
  Buf in;
  SseSplitter splitter;
  GArray *lines;
  Dom dom;
  GArray *covered; /* bool by node: a slot or the shape takes care of it */
  GQueue queue;    /* FilterEvent */
  size_t queued;   /* their bytes */
  GPtrArray *spare;
  GPtrArray *texts; /* TextEntry */
  GPtrArray *calls; /* Call */
  EventFrame frame;
  GString *leaves, *seen_leaves;
  GArray *leaf_starts, *leaf_lens, *leaf_nodes;
  GString *decoded;
  /* Of the event that is written. */
  Edits edits, plain_edits;
  GString *text, *plain_text, *payload;
  FilterState state;
  bool overflow; /* the caller's buffer is full */
  bool ended;    /* upstream's body ended */
  bool cut;
  bool terminal; /* the terminal event was taken */
  bool released; /* … and given out, or replaced */
  Buf final_out, final_record;
  AnswerHead head;
  int64_t input_tokens, output_tokens;
  void *data; /* the shape's */
};

/* An API's events. */
struct shape {
  void *(*data_new)(void);
  void (*data_free)(void *data);
  /* Reads an event (its tree is filter->dom): adds slots, calls, shadows. */
  bool (*read)(ResponseFilter *filter, FilterEvent *event, GError **error);
  /* A piece of a text came in an event that was known by its frame. */
  void (*more)(ResponseFilter *filter,
               TextEntry *entry,
               const char *text,
               size_t len);
  /* Before an event is written: further edits of its payload. Events of its own
   * are written before it. False: the event is left out. */
  bool (*write)(ResponseFilter *filter,
                FilterEvent *event,
                Edits *edits,
                Buf *out,
                Buf *record);
  /* After it was written, with the payload as the journal has it, and the text
   * of its one delta where that is known (else NULL). */
  void (*written)(ResponseFilter *filter,
                  FilterEvent *event,
                  const char *payload,
                  size_t len,
                  bool edited,
                  const char *text,
                  size_t text_len);
  /* What the client has seen, for answer_append_message(); borrowed. */
  void (*state)(ResponseFilter *filter, AnswerState *state);
  /* True when an answer is complete but for its terminal event … */
  bool (*is_complete)(const ResponseFilter *filter);
  /* … which is these bytes; NULL: none. */
  const char *terminal;
};
extern const Shape shape_completions, shape_chat, shape_responses,
    shape_messages, shape_other;

/* filter-life.c */
void filter_drop_queue(ResponseFilter *filter);
/* filter-read.c: one event's bytes (its lines are in filter->lines); a comment
 * is given out at once, everything else is queued. */
bool filter_take_event(ResponseFilter *filter,
                       const char *bytes,
                       size_t len,
                       Buf *out,
                       Buf *record,
                       GError **error);

/* ---- filter-event.c: reading and writing events ------------------------- */

FilterEvent *event_new(ResponseFilter *filter);
void event_free(FilterEvent *event);
/* Back to the spare ones. */
void event_recycle(ResponseFilter *filter, FilterEvent *event);
/* The same event again, its slots empty but for one. */
FilterEvent *event_clone(ResponseFilter *filter,
                         const FilterEvent *event,
                         const Slot *slot);
/* Scans the leaves that no slot covers, and what stands beside the data. */
bool event_scan_leaves(ResponseFilter *filter,
                       FilterEvent *event,
                       GError **error);
/* Writes it, or its raw bytes where nothing changed. Where `out` cannot take
 * all of it, nothing is written and filter->overflow is set. */
void event_write(ResponseFilter *filter,
                 FilterEvent *event,
                 Buf *out,
                 Buf *record);
/* Writes an event of our own: "event: NAME" (NULL: none) and the data. */
void write_event(const char *name, const char *data, Buf *out, Buf *record);
/* To `out`, and to `record` as far as it goes; what does not fit is told by
 * out->refused. */
void append_bytes(Buf *out, Buf *record, const void *bytes, size_t len);
/* head.c */
/* Appends "text" as a JSON string with its quotes. */
void append_string(GString *out, const char *text);
/* An id with 24 random hex digits. g_free. */
char *answer_id(const char *prefix);
/* A message item of the Responses API with one text part; `status` as the API
 * names it; text NULL: no part. */
void append_message_item(GString *out,
                         const char *id,
                         const char *status,
                         const char *text);
/* Id, model and time, made up where the answer told none. */
const char *head_id(ResponseFilter *filter, const char *prefix);
const char *head_model(ResponseFilter *filter);
int64_t head_created(ResponseFilter *filter);
/* Takes id, model and creation time (NULL: none) of an object. */
void head_note(ResponseFilter *filter, uint32_t object, const char *created);
/* The refusal of a call, as the user reads it. */
const char *call_message(const Call *call);

/* ---- filter-frame.c: events known by their bytes ------------------------- */

void frame_init(EventFrame *frame);
void frame_clear(EventFrame *frame);
/* Remembers an event that was read, or that it is not one of these. */
void frame_learn(ResponseFilter *filter, const FilterEvent *event);
/* True when the bytes are the frame with another text. */
bool frame_matches(ResponseFilter *filter,
                   const char *bytes,
                   size_t len,
                   FrameMatch *match);
/* Reads such an event, whose raw bytes are set. */
bool frame_take(ResponseFilter *filter,
                FilterEvent *event,
                const FrameMatch *match,
                GError **error);

/* ---- filter-text.c: texts and calls ------------------------------------- */

/* The text of this name, made when it is new. */
TextEntry *filter_text(ResponseFilter *filter,
                       unsigned choice,
                       unsigned part,
                       const char *name,
                       bool whole,
                       GError **error);
/* Feeds the string at `node` to a text and adds its slot. */
bool filter_add_delta(ResponseFilter *filter,
                      FilterEvent *event,
                      uint32_t node,
                      TextEntry *entry,
                      GError **error);
/* The same for arguments that are an object: its bytes are their text. */
bool filter_add_object(ResponseFilter *filter,
                       FilterEvent *event,
                       uint32_t node,
                       Call *call,
                       GError **error);
/* Another text of the same choice goes on: what an earlier one holds must not
 * keep the new one waiting. */
void filter_release_others(ResponseFilter *filter, const TextEntry *current);
/* Queues what a text left behind, so that it comes before the next event. */
void filter_flush_text(ResponseFilter *filter, TextEntry *entry);
/* The text is complete; what it left behind is queued. */
bool filter_finish_text(ResponseFilter *filter,
                        TextEntry *entry,
                        GError **error);
bool filter_finish_texts(ResponseFilter *filter,
                         unsigned choice,
                         bool all,
                         GError **error);
/* A call by choice and index, made when it is new; the event belongs to it. */
Call *filter_call(ResponseFilter *filter,
                  FilterEvent *event,
                  unsigned choice,
                  unsigned index,
                  GError **error);
Call *filter_find_call(const ResponseFilter *filter,
                       unsigned choice,
                       unsigned index);
bool filter_close_call(ResponseFilter *filter, Call *call, GError **error);
/* A call whose client could run another one than is judged; false. */
bool filter_refuse_call(GError **error);
void filter_cover(ResponseFilter *filter, uint32_t node);

/* Decodes a string token; lone halves of surrogate pairs stay what they are
 * (three bytes each, as in WTF-8), so that pairs split over deltas survive. */
void string_decode(const char *raw, size_t len, GString *out);
void string_encode(GString *out, const char *text, size_t len);
/* Such a text for others to read: pairs are joined, lone halves and NULs become
 * U+FFFD. g_free. */
char *string_whole(const char *text, size_t len);

#endif
