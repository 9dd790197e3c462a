/* SPDX-License-Identifier: Apache-2.0 */
/* What the words of journal share: conversations for people. Private. */
#ifndef HOOP_CLI_SHOW_H
#define HOOP_CLI_SHOW_H

#include "cli/rows.h"
#include "talk/talk.h"

/* The conversation in a row's body, or NULL: there is none, and why goes to
 * *why (static). g_ptr_array_unref. */
GPtrArray *show_parts(JournalReader *reader,
                      const JournalEntry *entry,
                      const char **why);
/* One part as text in which nothing acts on a terminal, with who said it
 * above; ends with a line end. `ink_on`: in colours. g_free. */
char *show_part(const TalkPart *part, bool ink_on);

/* The same as JSON: a list of {role, kind, name, id, choice, text}, or null. */
struct json_object *show_parts_json(JournalReader *reader,
                                    const JournalEntry *entry);

int journal_list(const Call *call, JournalReader *reader);
int journal_show(const Call *call, JournalReader *reader);
int journal_find(const Call *call, JournalReader *reader);
int journal_export(const Call *call, JournalReader *reader);
int journal_play(const Call *call);
int journal_report(const Call *call, JournalReader *reader);

/* Says on standard error what the search index has not yet, if that makes
 * this slow. */
void show_index_state(const Call *call, JournalReader *reader);

#endif
