/* SPDX-License-Identifier: Apache-2.0 */
/* The way a machine signed in, as a small JSON file: its secret stays where
 * the configuration or the token's mount has it. */
#include "identity/machine.h"
#include "identity/fields.h"
#include "kit/file.h"
#include "kit/json.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

static const struct {
  const char *name;
  LoginMethod method;
} methods[] = {{"client-credentials", LOGIN_CLIENT_CREDENTIALS},
               {"token-file", LOGIN_TOKEN_FILE}};

void
machine_record_clear(MachineRecord *record)
{
  g_clear_pointer(&record->token_file, g_free);
  g_clear_pointer(&record->subject, g_free);
}

static void
add(GString *text, const char *name, const char *value)
{
  if (!value)
    return;
  g_string_append_printf(text, "%s\"%s\":\"", text->len > 1 ? "," : "", name);
  json_escape(text, value, -1);
  g_string_append_c(text, '"');
}

bool
machine_remember(const char *path, const MachineRecord *record, GError **error)
{
  g_autoptr(GString) text = g_string_new("{");
  g_autoptr(GError) fault = NULL;

  for (unsigned i = 0; i < G_N_ELEMENTS(methods); i++)
    if (methods[i].method == record->method)
      add(text, "method", methods[i].name);
  add(text, "token_file", record->token_file);
  add(text, "subject", record->subject);
  g_string_append(text, "}\n");
  if (file_replace(path, text->str, text->len, 0600, &fault))
    return true;
  g_set_error_literal(
      error, IDENTITY_ERROR, IDENTITY_ERROR_STORE, fault->message);
  return false;
}

static bool
read_record(const Secret *text, MachineRecord *record)
{
  g_autofree char *method = NULL;
  Fields fields;

  if (!fields_read(&fields, secret_text(text), secret_len(text), NULL))
    return false;
  method = fields_text(&fields, "method");
  record->token_file = fields_text(&fields, "token_file");
  record->subject = fields_text(&fields, "subject");
  for (unsigned i = 0; method && i < G_N_ELEMENTS(methods); i++) {
    if (!g_str_equal(methods[i].name, method))
      continue;
    record->method = methods[i].method;
    return record->subject &&
           (record->method != LOGIN_TOKEN_FILE ||
            (record->token_file && g_path_is_absolute(record->token_file)));
  }
  return false;
}

/* As a secret is read: what others could write is not gone by. */
bool
machine_recall(const char *path, MachineRecord *record, GError **error)
{
  MachineRecord read = {.token_file = NULL};
  g_autoptr(GError) fault = NULL;
  g_autoptr(Secret) text = NULL;

  if (!g_file_test(path, G_FILE_TEST_EXISTS | G_FILE_TEST_IS_SYMLINK))
    return false;
  text = file_read_secret(path, &fault);
  if (text && read_record(text, &read)) {
    *record = read;
    return true;
  }
  machine_record_clear(&read);
  g_set_error(error,
              IDENTITY_ERROR,
              IDENTITY_ERROR_STORE,
              "%s%s",
              fault ? fault->message : path,
              fault ? "" : " cannot be read");
  return false;
}

bool
machine_forget(const char *path, GError **error)
{
  if (unlink(path) == 0 || errno == ENOENT)
    return true;
  g_set_error(error,
              IDENTITY_ERROR,
              IDENTITY_ERROR_STORE,
              "cannot remove %s: %s",
              path,
              g_strerror(errno));
  return false;
}
