/* SPDX-License-Identifier: Apache-2.0 */
/* What was decided of a text in pieces is given out, and what repeats it is
 * edited in the same way. */
#include "inspect/text-field.h"

static void
append_piece(const TextField *field,
             size_t from,
             size_t to,
             GString *out,
             GString *record)
{
  const char *text = field->text->str + (from - field->base);

  g_string_append_len(out, text, (gssize)(to - from));
  if (record != NULL)
    g_string_append_len(record, text, (gssize)(to - from));
}

bool
text_field_take(TextField *field, size_t to, GString *out, GString *record)
{
  bool changed = false;

  while (field->emitted < to) {
    const TextEdit *edit =
        field->next_edit < field->edits->len
            ? &g_array_index(field->edits, TextEdit, field->next_edit)
            : NULL;
    size_t stop = edit != NULL ? MIN(edit->start, to) : to;

    if (field->emitted < stop) {
      append_piece(field, field->emitted, stop, out, record);
      field->emitted = stop;
      continue;
    }
    /* The mask stands where the secret begins; its other pieces are empty. */
    if (edit->start >= field->emitted && edit->start < to) {
      g_string_append(out, edit->text);
      if (record != NULL)
        g_string_append(record, edit->record ? edit->record : edit->text);
    }
    changed = true;
    stop = MIN(edit->end, to);
    field->emitted = stop;
    if (stop == edit->end)
      field->next_edit++;
  }
  return changed;
}

bool
text_field_edited(const TextField *field, size_t from, size_t to)
{
  for (guint i = field->next_edit; i < field->edits->len; i++) {
    const TextEdit *edit = &g_array_index(field->edits, TextEdit, i);

    if (edit->start >= to)
      return false;
    if (edit->end > from)
      return true;
  }
  return false;
}

void
text_field_copy(const TextField *field,
                size_t from,
                const char *text,
                size_t len,
                GString *out,
                GString *record)
{
  size_t done = 0;

  for (guint i = 0; i < field->edits->len; i++) {
    const TextEdit *edit = &g_array_index(field->edits, TextEdit, i);
    size_t start, end;

    if (edit->end <= from || edit->start >= from + len)
      continue;
    start = edit->start > from ? edit->start - from : 0;
    end = MIN(edit->end - from, len);
    g_string_append_len(out, text + done, (gssize)(start - done));
    g_string_append_len(record, text + done, (gssize)(start - done));
    if (edit->start >= from) {
      g_string_append(out, edit->text);
      g_string_append(record, edit->record ? edit->record : edit->text);
    }
    done = end;
  }
  g_string_append_len(out, text + done, (gssize)(len - done));
  g_string_append_len(record, text + done, (gssize)(len - done));
}
