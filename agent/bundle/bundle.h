/* SPDX-License-Identifier: Apache-2.0 */
/* The hub's policy on its way to agents: files and a manifest that the hub's
 * key signed, in one form that has no second reading. hoop-hub(7) has it. */
#ifndef HOOP_BUNDLE_H
#define HOOP_BUNDLE_H

#include "review/review.h"

#define BUNDLE_ERROR (bundle_error_quark())
GQuark bundle_error_quark(void);
typedef enum {
  BUNDLE_ERROR_READ,    /* a folder or file that cannot be read or packed */
  BUNDLE_ERROR_FORM,    /* not the form of hoop-hub(7) */
  BUNDLE_ERROR_FORGED,  /* a signature or digest that is not right */
  BUNDLE_ERROR_OLD,     /* an older version, or this one with other contents */
  BUNDLE_ERROR_EXPIRED, /* it was good until … */
  BUNDLE_ERROR_EARLY    /* it is good from … */
} BundleErrorCode;

#define BUNDLE_CONTEXT "hoop-hub bundle 1" /* of review_sign() */

/* One file may be as long as a policy file, all together as a policy. */
#define BUNDLE_MAX_FILE ((size_t)1 << 20)
#define BUNDLE_MAX_TOTAL ((size_t)8 << 20)
#define BUNDLE_MAX_FILES 250
#define BUNDLE_MAX_PATH 128
#define BUNDLE_MAX_NAME 64
/* A manifest of that many files with the longest paths is shorter. */
#define BUNDLE_MAX_MANIFEST ((size_t)128 << 10)
#define BUNDLE_HEAD_SIZE 152
#define BUNDLE_MAX_SIZE                                                        \
  (BUNDLE_HEAD_SIZE + BUNDLE_MAX_MANIFEST + BUNDLE_MAX_TOTAL)
/* The file that a policy begins with. */
#define BUNDLE_POLICY "policy.yaml"

typedef struct {
  char *path; /* relative: letters, digits and ._-, parts with / between */
  GBytes *bytes;
} BundleFile;

typedef struct {
  char *name; /* for people: letters, digits and ._- */
  int64_t version;
  int64_t issued_us, not_before_us, expires_us; /* wall clock */
  GPtrArray *files;                             /* BundleFile, by path */
  char digest[SHA256_HEX_SIZE]; /* of its manifest, once sealed or opened */
} Bundle;

Bundle *bundle_new(const char *name, int64_t version);
void bundle_free(Bundle *bundle);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Bundle, bundle_free)
bool bundle_name_is_fine(const char *name);

/* Adds a file. BUNDLE_ERROR_FORM: a path that is not as above, longer than
 * BUNDLE_MAX_PATH, with a part that begins with a dot, or that is there already
 * but for the case of its letters, or as a folder; too many or too long. */
bool bundle_add(Bundle *bundle,
                const char *path,
                GBytes *bytes,
                GError **error);
/* The bytes of that file, borrowed, or NULL. */
GBytes *bundle_get(const Bundle *bundle, const char *path);

/* Adds the folder's regular *.yaml files and those of its folders. What begins
 * with a dot is passed over; *tests become those named *.test.yaml (a Bundle
 * that is never sealed), *others (g_strfreev) what else is there. Symbolic
 * links are BUNDLE_ERROR_READ. Blocks. */
bool bundle_read_dir(Bundle *bundle,
                     const char *dir,
                     Bundle **tests,
                     char ***others,
                     GError **error);

/* Signs it and gives its bytes; sets its digest. NULL when libcrypto failed. */
GBytes *bundle_seal(Bundle *bundle, const SigningKey *key);

/* What bundle_seal() made, when this public key signed it and every file is as
 * the manifest says: BUNDLE_ERROR_FORM or _FORGED. Each bundle has one form:
 * other bytes are never the same bundle. Times are not looked at. */
Bundle *bundle_open(GBytes *bytes,
                    const uint8_t public_key[SIGNING_KEY_LEN],
                    GError **error);

/* ---- Which may follow ------------------------------------------------------
 */

/* What an agent remembers of the last bundle that it took, beside it: of which
 * key, so that another hub begins anew. */
typedef struct {
  uint8_t key[SIGNING_KEY_LEN];
  int64_t version; /* 0: none */
  char digest[SHA256_HEX_SIZE];
} BundleMark;
/* Text for a file; g_free. */
char *bundle_mark_format(const BundleMark *mark);
bool bundle_mark_parse(const char *text, size_t len, BundleMark *out);

/* Whether the bundle may be taken now: BUNDLE_ERROR_OLD, _EARLY or _EXPIRED.
 * The mark's own bundle may, but for its times. */
bool bundle_may_follow(const Bundle *bundle,
                       const BundleMark *mark,
                       int64_t now_us,
                       GError **error);

/* ---- What agents run -------------------------------------------------------
 */

#define BUNDLE_MAX_PROBLEM 2000

/* An agent's word on the policy that it enforces, which its machine signs. */
typedef struct {
  char *version;                  /* of the agent */
  char revision[SHA256_HEX_SIZE]; /* of the policy in force, all layers */
  int64_t bundle;                 /* version in force; 0: none */
  char *problem;                  /* with the hub's policy, or NULL */
  int64_t at_us;                  /* wall clock of the agent */
} BundleReport;
void bundle_report_clear(BundleReport *report);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BundleReport, bundle_report_clear)
/* One JSON object; g_free. A long problem is cut. */
char *bundle_report_format(const BundleReport *report);
/* The inverse, strictly, into an empty *out; BUNDLE_ERROR_FORM. */
bool bundle_report_parse(const char *text,
                         size_t len,
                         BundleReport *out,
                         GError **error);

#endif
