/* SPDX-License-Identifier: Apache-2.0 */
/* Key material in locked pages that no core dump holds and no fork inherits;
 * wiped when freed. */
#ifndef HOOP_KIT_SECRET_H
#define HOOP_KIT_SECRET_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct secret Secret;

/* Copies `len` bytes (1 B to 1 MiB) and a terminating NUL into locked memory
 * (mmap, mlock, MADV_DONTDUMP, MADV_WIPEONFORK). A refused mlock (limit) is
 * tolerated, the other protections are not. Never NULL. */
Secret *secret_new(const void *bytes, size_t len);
/* The same, filled by fill(bytes, len, data), called once on zeroed locked
 * memory: for bytes that must never lie anywhere else. NULL when fill returns
 * false. */
Secret *secret_new_filled(size_t len,
                          bool (*fill)(uint8_t *bytes, size_t len, void *data),
                          void *data);
/* `len` random bytes from getrandom(2). */
Secret *secret_new_random(size_t len);
Secret *secret_ref(Secret *secret);
/* Accepts NULL. Any thread. */
void secret_unref(Secret *secret);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Secret, secret_unref)

const uint8_t *secret_bytes(const Secret *secret);
/* The same, NUL terminated: for secrets that are text. */
const char *secret_text(const Secret *secret);
size_t secret_len(const Secret *secret);
/* In constant time for equal lengths. */
bool secret_equal(const Secret *secret, const void *bytes, size_t len);

/* Called first in every program that may hold a secret: PR_SET_DUMPABLE 0 and
 * RLIMIT_CORE 0. False with errno when the kernel refused. */
bool secret_harden_process(void);

/* Overwrites memory in a way the compiler keeps. */
void secret_wipe(void *bytes, size_t len);

#endif
