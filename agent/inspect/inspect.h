/* SPDX-License-Identifier: Apache-2.0 */
/* Finding and masking: the detector, what a body of a known API says (fields,
 * model, tool calls), findings with spans, masks, and the filter that a
 * streamed answer flows through. No I/O beyond the database cache; nothing
 * here decides: the judge does. */
#ifndef HOOP_INSPECT_H
#define HOOP_INSPECT_H

#include "kit/api.h"
#include "kit/buf.h"
#include "kit/secret.h"
#include "policy/policy.h"

#define INSPECT_ERROR (inspect_error_quark())
GQuark inspect_error_quark(void);
typedef enum {
  INSPECT_ERROR_UNREADABLE, /* broken JSON, invalid UTF-8, nested too deep */
  INSPECT_ERROR_TYPE,       /* a content type that is not inspected */
  INSPECT_ERROR_LIMIT,      /* a limit was met; the message names it */
  INSPECT_ERROR_ENGINE      /* the detector cannot be built or used */
} InspectErrorCode;

/* ---- Detector ---------------------------------------------------------- */

/* Compiled rules; immutable, shared by all threads. */
typedef struct detector Detector;
/* Compiles the enabled rules, or loads the compiled form from cache_dir
 * (NULL: no cache) when library, CPU and rules are the same. */
Detector *detector_new(RulePack *pack, const char *cache_dir, GError **error);
/* The same for a folder of rule files, with the rules switched on that are off
 * and named (as policy_named_findings() does; NULL: none). While all that, the
 * library and the CPU are the same, not even the YAML is read again: some
 * milliseconds rather than seconds. The detector's pack has no examples. Errors
 * as rule_pack_load_dir() and detector_new(). */
Detector *detector_load(const char *dir,
                        const char *const *named,
                        const char *cache_dir,
                        GError **error);
Detector *detector_ref(Detector *detector);
void detector_unref(Detector *detector);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Detector, detector_unref)
/* For quiet times: gives back the memory of a compiled form that was loaded;
 * it comes back as it is used. Any thread. */
void detector_rest(const Detector *detector);
RulePack *detector_pack(const Detector *detector);

/* Per-thread working memory. Not shared between threads at one time. */
typedef struct detector_scratch DetectorScratch;
DetectorScratch *detector_scratch_new(Detector *detector, GError **error);
void detector_scratch_free(DetectorScratch *scratch);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DetectorScratch, detector_scratch_free)

typedef struct {
  const DetectorRule *rule;
  size_t start, end; /* bytes of the decoded UTF-8 text */
  unsigned field;    /* index of the Inspection's field; 0 for plain text */
  double confidence; /* 0 to 1 */
  bool allowed;      /* the user allowed its fingerprint */
} Finding;

/* Scans one text, as it is and in its other forms: folded (invisible characters
 * left out, wide ones and escapes as the ASCII that they stand for) and decoded
 * (runs of base64 and hex that are text), up to three inside one another. Spans
 * are those of the text as it came. Appends Finding to `findings`, ordered by
 * start, the longer first. Findings of different rules may overlap, so that
 * each rule that policy names is seen; rewriting merges them. Of rules of one
 * class that found the same span the most certain (then the first of the pack)
 * speaks. False on INSPECT_ERROR_LIMIT/ENGINE: then the text counts as
 * unreadable. */
bool detector_scan(DetectorScratch *scratch,
                   const char *text,
                   size_t len,
                   GArray *findings,
                   GError **error);

/* ---- Exact values ------------------------------------------------------ */

/* Values that are found wherever they stand, byte for byte. Each kind is a rule
 * of every pack (policy.h). They are kept as keyed hashes only; the key is
 * drawn when the set is made. */
#define VALUE_MIN 4          /* bytes; what is shorter stands everywhere */
#define VALUE_MAX 4096       /* bytes; a private key fits */
#define HELD_VALUE_MAX 32768 /* a session token, each byte escaped */
#define VALUES_MAX 100000    /* of one set */

typedef enum {
  VALUE_FITS,
  VALUE_TOO_SHORT,
  VALUE_TOO_LONG,
  VALUE_REPETITIVE, /* fewer than three different bytes */
  VALUE_TOO_MANY
} ValueFit;

/* Filled by one thread, then sealed; from then on immutable and shared. */
typedef struct value_set ValueSet;
ValueSet *value_set_new(void);
ValueSet *value_set_ref(ValueSet *set);
void value_set_unref(ValueSet *set);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ValueSet, value_set_unref)
ValueFit value_set_add(ValueSet *set,
                       ValueKind kind,
                       const char *value,
                       size_t len);
/* One value a line, the blanks around it not part of it; empty lines and such
 * that begin with # are none; a backslash before a value keeps a # or a
 * backslash at its start. False on a value that cannot be one: "name:line: why"
 * without the value; INSPECT_ERROR_UNREADABLE. */
bool value_set_read_dictionary(ValueSet *set,
                               const char *name,
                               const char *text,
                               size_t len,
                               GError **error);
/* A .env file: NAME=value with or without export, quotes of every kind, values
 * of several lines. Takes values of 8 bytes and more whose name says that they
 * are secret or that look random, and the passwords of URLs; numbers,
 * placeholders and references to variables are none. Returns how many. */
unsigned value_set_read_env(ValueSet *set, const char *text, size_t len);
void value_set_seal(ValueSet *set);
unsigned value_set_count(const ValueSet *set, ValueKind kind);

/* What all scans of this detector find beside the rules from now on (NULL:
 * nothing); streams that began keep the set that they began with. Any thread.
 */
void detector_set_values(Detector *detector, ValueSet *values);
/* The same for the scans with this scratch only (NULL: no more). */
void detector_scratch_hold(DetectorScratch *scratch, ValueSet *held);

/* ---- Masks ------------------------------------------------------------- */

/* The user's mask key, the key for findings' fingerprints, and the memory-only
 * map from masks back to values. Used from the data thread; large inspections
 * on a worker use it too: it locks itself. */
typedef struct masker Masker;
Masker *masker_new(Secret *mask_key, Secret *fingerprint_key);
void masker_free(Masker *masker);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Masker, masker_free)
/* "[rule-id:" + at least 12 base32 characters + "]"; appends to out. The same
 * value always gets the same mask; a collision gets a longer one. `scope`
 * names conversation, user and connection: a mask is restored only inside the
 * scope that it was issued in. NULL: never restored. A value longer than
 * MASK_VALUE_MAX is named by its first so many bytes (a stream does not hold
 * the rest) and never restored. */
#define MASK_VALUE_MAX ((size_t)16384)
void masker_mask(Masker *masker,
                 const char *scope,
                 const char *rule_id,
                 const char *value,
                 size_t len,
                 GString *out);
/* Keyed hash of a value (as far as MASK_VALUE_MAX), 16 hex characters + NUL:
 * names it in the journal. */
#define FINGERPRINT_SIZE 17
void masker_fingerprint(const Masker *masker,
                        const char *value,
                        size_t len,
                        char out[FINGERPRINT_SIZE]);
/* As masker_mask(); the mask may be undone in this scope as far as `restore`
 * says, by the newest word on it. NONE: as without a scope. */
void masker_issue(Masker *masker,
                  const char *scope,
                  Restore restore,
                  const char *rule_id,
                  const char *value,
                  size_t len,
                  GString *out);
/* The value behind a mask issued in this scope that may be undone there (TEXT)
 * or inside tool arguments (TOOLS); false when there is none. */
bool masker_restore(Masker *masker,
                    const char *scope,
                    Restore where,
                    const char *mask,
                    size_t len,
                    GString *out);
/* No mask issued so far is undone any more: another policy decides anew. What a
 * conversation sends again is issued again. */
void masker_forget_scopes(Masker *masker);

/* Findings that the user says are none, by their fingerprints, each until the
 * first of the two clocks says so (setting the wall clock back lengthens
 * nothing); in place of what was set before. */
typedef struct {
  char fingerprint[FINGERPRINT_SIZE];
  int64_t until_us;      /* clock_wall_us() */
  int64_t until_boot_us; /* clock_boot_us() */
} AllowedFinding;
#define ALLOWED_MAX 1000
void masker_set_allowed(Masker *masker,
                        const AllowedFinding *allowed,
                        unsigned n);
bool masker_allows(Masker *masker, const char fingerprint[FINGERPRINT_SIZE]);
/* The same for a value, whose fingerprint is made only if it may matter. */
bool masker_allows_value(Masker *masker, const char *value, size_t len);

/* ---- Bodies ------------------------------------------------------------ */

/* What one field of a body is to its API; policy's `prompt` reads PROMPT and
 * SYSTEM and TOOL_RESULT texts. */
typedef enum {
  FIELD_OTHER,
  FIELD_PROMPT, /* what the user or the IDE put in */
  FIELD_SYSTEM,
  FIELD_ASSISTANT, /* resent or new model text */
  FIELD_TOOL_RESULT,
  FIELD_TOOL_ARGUMENTS
} FieldRole;

typedef struct {
  char *path;      /* e.g. messages[3].content[0].text */
  const char *key; /* last decoded key name on the path, "" for none */
  FieldRole role;
  char *text; /* decoded UTF-8, NUL terminated; may hold NULs inside */
  size_t len;
  bool is_key; /* an object member's name rather than a value */
} InspectField;

typedef struct {
  char *id; /* the API's call id, or NULL */
  char *name;
  char *arguments; /* decoded: JSON text, or free text of a custom tool; of a
                      stream: as the tool would get it, masks restored */
  char *masked;    /* the same as the journal has it; NULL: nothing differs */
  unsigned choice;
} ToolCall;

typedef struct {
  size_t max_fields; /* string leaves of one body */
  size_t max_findings;
  unsigned max_depth; /* decodings inside decodings (JSON in JSON …); 0: texts
                         are read as they stand, as those of streams are */
} InspectLimits;
extern const InspectLimits inspect_default_limits;

typedef struct inspection Inspection;

/* Reads a whole body (already content-decoded) by its API and content type:
 * JSON, application/x-www-form-urlencoded and text; an empty body has no
 * fields. Keeps a reference on body. Scanning is on unless detector scratch is
 * NULL (detection switched off). Blocking, CPU only. */
Inspection *inspection_new(DetectorScratch *scratch,
                           Api api,
                           Direction direction,
                           const char *content_type,
                           GBytes *body,
                           const InspectLimits *limits,
                           GError **error);
void inspection_free(Inspection *inspection);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Inspection, inspection_free)

/* Bytes that it keeps beside the body; 0 for NULL. */
size_t inspection_held(const Inspection *inspection);
Api inspection_api(const Inspection *inspection);
Direction inspection_direction(const Inspection *inspection);
size_t inspection_size(const Inspection *inspection);
const InspectField *inspection_fields(const Inspection *inspection,
                                      unsigned *n);
/* The text that holds this field's, decoded (JSON in a string …), or the field
 * itself: who reads that one reads all that is in it. */
unsigned inspection_outer_field(const Inspection *inspection, unsigned field);
const Finding *inspection_findings(const Inspection *inspection, unsigned *n);
/* Where each of them stands in the body's own bytes, through every decoding:
 * `spans` has room for n. */
typedef struct {
  size_t start, end;
} BodySpan;
void inspection_body_spans(const Inspection *inspection, BodySpan *spans);
/* Spans of inner texts become those of the texts that hold them, n each. */
typedef struct {
  unsigned field;
  size_t start, end;
} OuterSpan;
void inspection_outer_spans(const Inspection *inspection,
                            OuterSpan *spans,
                            unsigned n);
/* Marks the findings that the user allowed, but for those in tool calls of an
 * answer. */
void inspection_allow(Inspection *inspection, Masker *masker);
/* Tool calls of an answer (not those resent in a request's history). */
const ToolCall *inspection_tool_calls(const Inspection *inspection,
                                      unsigned *n);
const char *inspection_model(const Inspection *inspection); /* or NULL */
bool inspection_wants_stream(const Inspection *inspection);
/* The API's conversation, thread or previous-response id, or NULL. */
const char *inspection_conversation(const Inspection *inspection);
/* Tokens as the API's usage object tells them; -1 unknown. */
void inspection_usage(const Inspection *inspection,
                      int64_t *input,
                      int64_t *output);

/* A span to be masked: of a finding, or a whole field named by policy. */
typedef struct {
  unsigned field;
  size_t start, end;
  const char *rule_id; /* the detector rule, or "field" */
  Restore restore;     /* how far its mask may be undone */
} MaskSpan;

/* The body with these spans (any order, overlaps merged) replaced by masks,
 * every other byte as it was; a new reference to the same body when there is
 * nothing to mask. */
GBytes *inspection_rewrite(const Inspection *inspection,
                           Masker *masker,
                           const char *scope,
                           const GArray *mask_spans,
                           GError **error);

/* Masks of this scope that a whole answer repeats, and what they stand for, as
 * far as plan->restore lets them be undone there: in what the model says and
 * (TOOLS) in tool arguments. Restored arguments are read again: where
 * plan->by_restored masks what is found in them the mask stays what it is. */
typedef struct stream_plan StreamPlan;
typedef struct inspect_restore InspectRestore;
InspectRestore *inspect_restore_new(const Inspection *inspection,
                                    DetectorScratch *scratch,
                                    Masker *masker,
                                    const char *scope,
                                    const StreamPlan *plan,
                                    GError **error);
void inspect_restore_free(InspectRestore *restore);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InspectRestore, inspect_restore_free)
/* Nothing is to be restored; something is in tool arguments; policy blocks what
 * is found in restored arguments. */
bool inspect_restore_is_empty(const InspectRestore *restore);
bool inspect_restore_in_tools(const InspectRestore *restore);
bool inspect_restore_blocks(const InspectRestore *restore);
/* The body with its tool arguments restored and nothing else changed: what its
 * tool calls are judged by. */
GBytes *inspect_restore_arguments(const InspectRestore *restore,
                                  const Inspection *inspection);
/* inspection_rewrite() for the client: masks that were in the body become their
 * values; where a span is masked it stays masked. */
GBytes *inspection_rewrite_restored(const Inspection *inspection,
                                    Masker *masker,
                                    const GArray *mask_spans,
                                    const InspectRestore *restore,
                                    GError **error);

/* A whole JSON answer with some tool calls replaced by a refusal text (the
 * call is dropped, its place says why, finish reasons stay consistent).
 * `refused` is a bit per inspection_tool_calls() index, `message` the text. */
GBytes *inspection_refuse_tools(const Inspection *inspection,
                                GBytes *body,
                                const bool *refused,
                                const char *message,
                                GError **error);

/* ---- Streams ----------------------------------------------------------- */

/* What policy wants done with findings in a streamed answer; made by the judge,
 * read by the filter. `by_rule` has one Action per detector rule of the pack:
 * ALLOW, MASK or BLOCK; `by_restored` the same for what is found in restored
 * tool arguments (NULL: as by_rule), where a mask rule that says "restore:
 * tools" has no say; `by_allowed` for findings that the user allowed (NULL: as
 * by_rule). */
struct stream_plan {
  Action *by_rule, *by_restored, *by_allowed;
  unsigned n_rules;
  char **mask_fields; /* decoded keys inside tool arguments, or NULL */
  char **keep_fields; /* those of them whose restored values stay; or NULL */
  bool hold_tools;    /* tool calls wait for response_filter_resolve() */
  Restore restore;    /* the furthest that a rule lets masks be undone */
};
void stream_plan_free(StreamPlan *plan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StreamPlan, stream_plan_free)

typedef struct response_filter ResponseFilter;

typedef enum {
  FILTER_MORE,      /* feed on */
  FILTER_TOOL_CALL, /* a complete tool call waits: judge, then resolve */
  FILTER_BLOCKED,   /* a finding that policy blocks: end it with a message */
  FILTER_FINAL      /* the API's last event is ready: record, then release */
} FilterState;

/* A filter for one streamed answer. `sse`: text/event-stream of `api` (or of
 * unknown JSON events); otherwise chunked plain text. The plan is copied.
 * `scope` as in masker_mask(). */
ResponseFilter *response_filter_new(Detector *detector,
                                    Api api,
                                    bool sse,
                                    const StreamPlan *plan,
                                    Masker *masker,
                                    const char *scope,
                                    GError **error);
/* Exact values to be found in this answer beside the detector's (NULL: none);
 * before the first byte is fed. */
void response_filter_hold(ResponseFilter *filter, ValueSet *held);
void response_filter_free(ResponseFilter *filter);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ResponseFilter, response_filter_free)

/* Feeds decoded bytes. Appends to `out` what may go to the client now, and to
 * `record` (may be NULL) the same with masks never restored. The output does
 * not depend on how the input is cut. After TOOL_CALL, BLOCKED or FINAL the
 * rest of the input is kept inside, bounded: feed no more before it was
 * answered. False: the stream cannot be read (INSPECT_ERROR), or `out` cannot
 * take what it comes to (INSPECT_ERROR_LIMIT); only whole events that could be
 * read were given out. */
bool response_filter_feed(ResponseFilter *filter,
                          const void *bytes,
                          size_t len,
                          Buf *out,
                          Buf *record,
                          FilterState *state,
                          GError **error);
/* The upstream's body ended (`cut`: not as it should have). Flushes; a stream
 * without its API's terminal event ends with an error message for the user and
 * the normal terminal events. *state is FINAL, TOOL_CALL or BLOCKED. */
bool response_filter_finish(ResponseFilter *filter,
                            bool cut,
                            Buf *out,
                            Buf *record,
                            FilterState *state,
                            GError **error);

/* Bytes that it keeps: what waits, undecided texts, the last event; 0 for NULL.
 */
size_t response_filter_held(const ResponseFilter *filter);

/* The call that waits after FILTER_TOOL_CALL: arguments as the tool would get
 * them (with plan->restore TOOLS masks are restored), and as they are recorded.
 */
const ToolCall *response_filter_tool_call(const ResponseFilter *filter);
typedef enum { TOOL_RELEASE, TOOL_REFUSE } ToolAnswer;
/* Answers it: released as it came (masked as the plan says), or replaced by
 * the text `message` in a form that the API's clients show. Goes on with what
 * was kept. */
bool response_filter_resolve(ResponseFilter *filter,
                             ToolAnswer answer,
                             const char *message,
                             Buf *out,
                             Buf *record,
                             FilterState *state,
                             GError **error);
/* After FILTER_FINAL: the terminal events. What comes after them is dropped. */
void response_filter_release(ResponseFilter *filter, Buf *out, Buf *record);
/* At any time, instead of everything that is left: a message that the user
 * sees, then the API's normal terminal events (an opened block is closed
 * first). Also for a held request whose headers were committed already. */
void response_filter_end_with_message(ResponseFilter *filter,
                                      const char *model,
                                      const char *message,
                                      Buf *out,
                                      Buf *record);
/* Findings so far, with field = choice; the text is gone, so fingerprints
 * stand beside them in the same order. */
const Finding *response_filter_findings(
    const ResponseFilter *filter,
    const char (**fingerprints)[FINGERPRINT_SIZE],
    unsigned *n);
/* How many masks of each rule ("field": of members named by policy) stand in
 * the answer so far: ids → GUINT_TO_POINTER; the filter's. */
GHashTable *response_filter_masked(const ResponseFilter *filter);
void response_filter_usage(const ResponseFilter *filter,
                           int64_t *input,
                           int64_t *output);
const char *response_filter_model(const ResponseFilter *filter);

/* Removes WebSocket capabilities ("ws:…" endpoints) from a /models answer, so
 * that clients keep to HTTP; a new reference when there were none. */
GBytes *models_without_websocket(GBytes *body, GError **error);

#endif
