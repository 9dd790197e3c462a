/* SPDX-License-Identifier: Apache-2.0 */
/* The words of the verb journal that are about the record as evidence.
 * Private. */
#ifndef HOOP_CLI_EVIDENCE_H
#define HOOP_CLI_EVIDENCE_H

#include "cli/verb.h"
#include "journal/journal.h"

/* verify: whether what was recorded still is what was written. */
int journal_check(const Call *call, JournalReader *reader);
/* head: what to hold elsewhere. */
int journal_show_head(const Call *call, JournalReader *reader);
/* unseal: the originals of an exchange. */
int journal_open_sealed(const Call *call, JournalReader *reader);
/* prune: takes away what retention says, or tells what that is. */
int journal_take_away(const Call *call);

#endif
