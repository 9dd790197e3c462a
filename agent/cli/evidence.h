/* SPDX-License-Identifier: Apache-2.0 */
/* The words of the verb journal that are about the record as evidence.
 * Private. */
#ifndef HOOP_CLI_EVIDENCE_H
#define HOOP_CLI_EVIDENCE_H

#include "cli/verb.h"
#include "journal/journal.h"

/* verify: whether what was recorded still is what was written. */
int journal_check(const Call *call, JournalReader *reader);
/* What is held elsewhere, as the options say it: --head, --receipts and whose
 * key signs them. */
typedef struct {
  char *head;
  char **receipts;
  bool has_key;
  uint8_t key[32];
} Witness;
/* False after having complained into *code. */
bool witness_take(const Call *call, Witness *out, int *code);
JournalWitness witness_view(const Witness *witness);
void witness_clear(Witness *witness);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Witness, witness_clear)
/* head: what to hold elsewhere. */
int journal_show_head(const Call *call, JournalReader *reader);
/* unseal: the originals of an exchange. */
int journal_open_sealed(const Call *call, JournalReader *reader);
/* prune: takes away what retention says, or tells what that is. */
int journal_take_away(const Call *call);

#endif
