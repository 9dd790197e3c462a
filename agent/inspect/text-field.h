/* SPDX-License-Identifier: Apache-2.0 */
/* One text that arrives in pieces: what of it is decided, what is masked, what
 * was given out. Private to the room. */
#ifndef HOOP_INSPECT_TEXT_FIELD_H
#define HOOP_INSPECT_TEXT_FIELD_H

#include "inspect/values.h"
#include "inspect/views.h"

/* Findings of one streamed answer; an answer with more is ended. */
#define STREAM_MAX_FINDINGS 10000

/* What all fields of one answer share. */
typedef struct {
  DetectorScratch *scratch;
  const StreamPlan *plan;
  Masker *masker;
  const char *scope;
  GArray *findings;     /* Finding, field = choice */
  GArray *fingerprints; /* char[FINGERPRINT_SIZE], beside them */
  GHashTable *masked;   /* rule id → how many masks, as GUINT_TO_POINTER */
  size_t restored;      /* bytes that values in the place of masks take */
  bool blocked;         /* a finding that policy blocks was seen */
  bool in_call;         /* arguments of a tool call are looked at */
  bool allowed; /* the finding noted last is one that the user allowed; never in
                   a call */
} MaskContext;

bool mask_context_init(MaskContext *context,
                       Detector *detector,
                       const StreamPlan *plan,
                       Masker *masker,
                       const char *scope,
                       GError **error);
void mask_context_clear(MaskContext *context);
/* What policy wants with a rule's findings. */
Action mask_context_action(const MaskContext *context,
                           const DetectorRule *rule);
/* The same for the finding that was noted last. */
Action mask_context_noted_action(const MaskContext *context,
                                 const DetectorRule *rule);
/* Counts a mask that is put into the answer. */
void mask_context_count(MaskContext *context, const char *rule_id);
/* Notes a finding; false beyond the limit. */
bool mask_context_note(MaskContext *context,
                       const Finding *finding,
                       unsigned choice,
                       const char *value,
                       size_t len,
                       GError **error);

/* The end of a finding or an edit whose text still goes on. */
#define SPAN_OPEN SIZE_MAX

/* A span of a text and what stands there instead. */
typedef struct {
  size_t start, end; /* SPAN_OPEN: of a block that is being swallowed */
  char *text;        /* for the client */
  char *record;      /* for the journal; NULL: the same */
} TextEdit;

/* Why no finding is missed however long a run without white space is, and why
 * no run is masked for its length alone (images and archives in base64 are such
 * runs): a token rule matches at most `token_width` bytes (TOKEN_WIDTH_MAX
 * bounds it; wider rules are refused). libhs in stream mode reports an end
 * wherever it is. So a match that ends behind the view's end begins less than
 * `token_width` before it, and hold_position() holds that much of the last run.
 * A suspicion that is not decided holds from where its window begins, and its
 * window ends at the latest max_width - min_width behind its first end, by its
 * rule's widths, not by the run's. What goes before can be in no match. */
typedef struct text_field TextField;
struct text_field {
  MaskContext *context;
  unsigned choice;
  bool whole;    /* scanned only when complete: tool arguments */
  bool restores; /* masks of this scope become values again */
  bool finished; /* no more text comes */
  bool released; /* an innocent tail was given out early, once */
  hs_stream_t *stream;
  ValueTail *values; /* exact values that may have begun; or NULL */
  GString *text;     /* bytes from `base` on */
  size_t base;
  size_t scanned;   /* before it everything was looked at */
  size_t settled;   /* before it everything is decided */
  size_t emitted;   /* before it everything was given out */
  GArray *pending;  /* Candidate */
  GArray *runs;     /* GateRun */
  GArray *findings; /* Finding, confirmed behind `settled` */
  LastFinding *last;
  GArray *edits; /* TextEdit in order; all of them are kept for the copies */
  guint next_edit;
  guint open_edit;    /* index + 1 of one that a long block began; 0: none */
  size_t open_end;    /* … and where the blocks of it that ended did */
  Finding long_block; /* the last long one that ended and was noted */
  size_t block_at;    /* where what policy blocks begins; SIZE_MAX: nowhere */
  DecodeScan decode;  /* runs of it that are encoded text */
  TextField *shadow;  /* its folded form, once something folds; or NULL */
  TextField *owner;   /* of a shadow: whose folded form it is; or NULL */
  unsigned level;     /* shadows around it */
  GArray *steps;      /* of a shadow: FoldStep … */
  size_t consumed;    /* … how much of the owner it has */
  size_t near;        /* … and where short escapes of it stop to fold */
};

TextField *text_field_new(MaskContext *context,
                          unsigned choice,
                          bool whole,
                          bool restores,
                          GError **error);
void text_field_free(TextField *field);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TextField, text_field_free)

static inline size_t
text_field_end(const TextField *field)
{
  return field->base + field->text->len;
}

/* Appends a piece and decides what can be decided. */
bool text_field_feed(TextField *field,
                     const char *bytes,
                     size_t len,
                     GError **error);
/* The text is complete: decides the rest. */
bool text_field_finish(TextField *field, GError **error);
/* No more text comes and the rest will never be known: what is not decided is
 * dropped. */
bool text_field_abandon(TextField *field, GError **error);
/* Gives a tail out that no token begins like, because something else must not
 * wait for it; once a text. False: it stays held. */
bool text_field_release_tail(TextField *field);
/* Appends text up to `to` (<= settled) and counts it as given out; the same
 * with masks not restored to `record` (may be NULL). Returns whether anything
 * was masked or restored. */
bool text_field_take(TextField *field,
                     size_t to,
                     GString *out,
                     GString *record);
/* Whether an edit touches [from, to). */
bool text_field_edited(const TextField *field, size_t from, size_t to);
/* A copy of [from, to), which the caller holds as `text`, with the same edits.
 */
void text_field_copy(const TextField *field,
                     size_t from,
                     const char *text,
                     size_t len,
                     GString *out,
                     GString *record);

/* text-block.c: a candidate whose value is longer than what a stream can hold.
 *
 * Its beginning is masked once so much of it is known that the mask is (longer
 * than MASK_VALUE_MAX); from then on what belongs to it is swallowed, and what
 * is held is what its rule needs to see to say where it ends. */
void text_block_grew(TextField *field, Candidate *candidate);
/* It ended, and its finding is the newest of the field. */
void text_block_ended(TextField *field, Candidate *candidate);
/* Its finding is noted: the last of the context's. */
void text_block_noted(TextField *field, const Finding *finding);
/* A finding inside one that is noted says no more than that, when both are of
 * one rule. */
bool text_block_has(const TextField *field, const Finding *finding);

/* text-shadow.c: the folded form of a text in pieces (normalise.h).
 *
 * It is a text field of its own, with another matcher, made where the first
 * character folds: until then both would be the same, so it begins as a copy.
 * It gives nothing out; what it finds becomes findings of its owner, and its
 * owner settles nothing before it did.
 *
 * How much of what was not scanned yet may be before one may be needed; `due`:
 * one is needed there. */
size_t text_shadow_find(const TextField *field, bool final, bool *due);
/* Makes it where the field was scanned up to. */
bool text_shadow_fork(TextField *field, GError **error);
/* Gives it what its owner took since. */
bool text_shadow_go_on(TextField *field, GError **error);
bool text_shadow_finish(TextField *field, GError **error);
/* Its findings before `hold` become the owner's. */
void text_shadow_hand_over(TextField *shadow, size_t hold);
/* Up to where in the owner's text it has decided everything. */
size_t text_shadow_hold(const TextField *field);
/* Looks into encoded runs that are complete. */
bool text_decode_go_on(TextField *field, GError **error);

/* whole-mask.c: the edits of a text that is complete: findings in it and in
 * JSON that it holds, and members named by policy when `arguments`. Appends
 * TextEdit in order. */
bool whole_mask(MaskContext *context,
                unsigned choice,
                bool arguments,
                bool restores,
                const char *text,
                size_t len,
                GArray *edits,
                GError **error);
void text_edits_free(GArray *edits);
/* restore.c: adds edits for the masks of this scope in [from, to) of a view
 * that no edit from `first` on covers, in order. False beyond the limit. */
bool restore_edits(MaskContext *context,
                   const TextView *view,
                   size_t from,
                   size_t to,
                   guint first,
                   GArray *edits,
                   GError **error);

#endif
