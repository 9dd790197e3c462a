/* SPDX-License-Identifier: Apache-2.0 */
/* The tray's picture of the daemon: read from variants, told in sentences. */
#include "tray/model.h"
#include <string.h>

/* A menu of recent decisions is read at a glance. */
#define MAX_DECISIONS 8
/* As much of a foreign name as a line holds. */
#define NAME_CHARS 40
/* And a sentence of the daemon. */
#define SENTENCE_CHARS 160

/* ---- Parts ---------------------------------------------------------------
 */

static void
pending_free(gpointer data)
{
  TrayPending *pending = data;

  g_free(pending->id);
  g_free(pending->rules);
  g_free(pending->approvers);
  g_free(pending->process);
  g_free(pending->model);
  g_free(pending);
}

static void
decision_free(gpointer data)
{
  TrayDecision *decision = data;

  g_free(decision->rules);
  g_free(decision->outcome);
  g_free(decision->who);
  g_free(decision);
}

static void
session_free(gpointer data)
{
  TraySession *session = data;

  g_free(session->name);
  g_free(session->user);
  g_free(session->problem);
  g_free(session);
}

TrayModel *
tray_model_new(void)
{
  TrayModel *model = g_new0(TrayModel, 1);

  model->pending = g_ptr_array_new_with_free_func(pending_free);
  model->sessions = g_ptr_array_new_with_free_func(session_free);
  model->decisions = g_ptr_array_new_with_free_func(decision_free);
  return model;
}

static void
forget_status(TrayModel *model)
{
  g_clear_pointer(&model->problem, g_free);
  g_clear_pointer(&model->paused, g_free);
  g_clear_pointer(&model->journal, g_free);
  g_clear_pointer(&model->policy_error, g_free);
  g_clear_pointer(&model->shipping, g_free);
}

void
tray_model_free(TrayModel *model)
{
  if (!model)
    return;
  forget_status(model);
  g_ptr_array_unref(model->pending);
  g_ptr_array_unref(model->sessions);
  g_ptr_array_unref(model->decisions);
  g_free(model);
}

/* ---- What the daemon told ------------------------------------------------
 */

static char *
text_of(GVariant *dict, const char *key)
{
  char *text = NULL;

  g_variant_lookup(dict, key, "s", &text);
  return text;
}

static bool
flag_of(GVariant *dict, const char *key)
{
  gboolean flag = FALSE;

  g_variant_lookup(dict, key, "b", &flag);
  return flag;
}

static unsigned
number_of(GVariant *dict, const char *key)
{
  guint32 number = 0;

  g_variant_lookup(dict, key, "u", &number);
  return number;
}

static char *
joined(GVariant *dict, const char *key)
{
  g_autofree const char **items = NULL;

  g_variant_lookup(dict, key, "^a&s", &items);
  return items ? g_strjoinv(", ", (char **)items) : g_strdup("");
}

static char *
shipping_of(GVariant *status, bool *goes_on)
{
  g_autoptr(GVariant) shipping =
      g_variant_lookup_value(status, "shipping", G_VARIANT_TYPE_VARDICT);
  g_autofree char *problem = shipping ? text_of(shipping, "problem") : NULL;
  gint64 rows = 0;

  *goes_on = !problem;
  if (!shipping)
    return NULL;
  if (!problem)
    return g_strdup("The record is shipped");
  g_variant_lookup(shipping, "behind_rows", "x", &rows);
  return g_strdup_printf("%" G_GINT64_FORMAT " row%s of the record wait to be "
                         "sent: %s",
                         rows,
                         rows == 1 ? "" : "s",
                         problem);
}

void
tray_model_take_status(TrayModel *model, GVariant *status)
{
  forget_status(model);
  model->connected = true;
  model->paused = text_of(status, "paused");
  model->journal = text_of(status, "journal");
  model->policy_error = text_of(status, "policy_error");
  model->shipping = shipping_of(status, &model->ships);
  model->notices = flag_of(status, "notices");
}

static TrayPending *
pending_of(GVariant *dict)
{
  TrayPending *pending = g_new0(TrayPending, 1);
  g_autofree char *process = text_of(dict, "process");
  g_autofree char *client = text_of(dict, "client");
  g_autofree char *risk = text_of(dict, "risk");
  gint64 deadline = 0;

  pending->id = text_of(dict, "id");
  pending->rules = joined(dict, "rules");
  pending->approvers = joined(dict, "approvers");
  pending->process = client    ? g_path_get_basename(client)
                     : process ? g_path_get_basename(process)
                               : g_strdup("an unknown program");
  pending->model = text_of(dict, "model");
  if (!pending->model)
    pending->model = g_strdup("");
  pending->findings = number_of(dict, "findings");
  pending->waiting = number_of(dict, "waiting");
  pending->ours = strstr(pending->approvers, "developer") != NULL;
  pending->low_risk = g_strcmp0(risk, "low") == 0;
  pending->high_risk = g_strcmp0(risk, "high") == 0;
  pending->needs_reason = flag_of(dict, "needs_reason");
  pending->can_remember = flag_of(dict, "can_remember");
  pending->can_mask = flag_of(dict, "can_mask");
  pending->can_grant = flag_of(dict, "can_grant");
  g_variant_lookup(dict, "deadline_us", "x", &deadline);
  pending->deadline_us = deadline;
  return pending;
}

void
tray_model_take_pending(TrayModel *model, GVariant *list)
{
  GVariantIter iter;
  GVariant *one;

  g_ptr_array_set_size(model->pending, 0);
  g_variant_iter_init(&iter, list);
  while ((one = g_variant_iter_next_value(&iter))) {
    TrayPending *pending = pending_of(one);

    if (pending->id)
      g_ptr_array_add(model->pending, pending);
    else
      pending_free(pending);
    g_variant_unref(one);
  }
}

void
tray_model_take_sessions(TrayModel *model, GVariant *list)
{
  GVariantIter iter;
  GVariant *one;

  g_ptr_array_set_size(model->sessions, 0);
  g_variant_iter_init(&iter, list);
  while ((one = g_variant_iter_next_value(&iter))) {
    TraySession *session = g_new0(TraySession, 1);
    g_autofree char *issuer = text_of(one, "issuer");

    session->name = text_of(one, "name");
    if (!session->name)
      session->name = g_strdup("?");
    session->user = text_of(one, "user");
    session->problem = text_of(one, "problem");
    session->signing_in = flag_of(one, "signing_in");
    session->solo = !issuer || !strchr(issuer, ':');
    g_ptr_array_add(model->sessions, session);
    g_variant_unref(one);
  }
}

void
tray_model_decided(TrayModel *model,
                   const char *id,
                   const char *outcome,
                   const char *who)
{
  const TrayPending *pending = tray_model_find(model, id);
  TrayDecision *decision = g_new0(TrayDecision, 1);

  decision->rules = g_strdup(pending ? pending->rules : id);
  decision->outcome = g_strdup(outcome);
  decision->who = g_strdup(who);
  decision->when_us = g_get_real_time();
  g_ptr_array_insert(model->decisions, 0, decision);
  if (model->decisions->len > MAX_DECISIONS)
    g_ptr_array_set_size(model->decisions, MAX_DECISIONS);
  if (pending)
    g_ptr_array_remove(model->pending, (gpointer)pending);
}

void
tray_model_lost(TrayModel *model, const char *problem)
{
  forget_status(model);
  model->connected = false;
  model->problem = g_strdup(problem);
  g_ptr_array_set_size(model->pending, 0);
  g_ptr_array_set_size(model->sessions, 0);
}

/* ---- Looking -------------------------------------------------------------
 */

const TrayPending *
tray_model_find(const TrayModel *model, const char *id)
{
  for (unsigned i = 0; i < model->pending->len; i++) {
    const TrayPending *pending = model->pending->pdata[i];

    if (g_str_equal(pending->id, id))
      return pending;
  }
  return NULL;
}

const TraySession *
tray_model_signed_out(const TrayModel *model)
{
  for (unsigned i = 0; i < model->sessions->len; i++) {
    const TraySession *session = model->sessions->pdata[i];

    if (!session->solo && !session->user)
      return session;
  }
  return NULL;
}

static bool
stores(const TrayModel *model)
{
  return !model->journal || g_str_equal(model->journal, "ok") ||
         g_str_equal(model->journal, "off");
}

TrayState
tray_model_state(const TrayModel *model)
{
  if (!model->connected)
    return TRAY_DISCONNECTED;
  if (model->pending->len)
    return TRAY_PENDING;
  if (model->paused)
    return TRAY_PAUSED;
  if (!stores(model) || tray_model_signed_out(model))
    return TRAY_BLOCKED;
  return TRAY_IDLE;
}

/* ---- Telling -------------------------------------------------------------
 */

char *
tray_shown(const char *text, unsigned max)
{
  GString *out = g_string_new(NULL);
  unsigned n = 0;

  for (const char *at = text; *at && n <= max; n++) {
    gunichar c = g_utf8_get_char_validated(at, -1);
    bool whole = c != (gunichar)-1 && c != (gunichar)-2;

    if (n == max)
      g_string_append(out, "\xe2\x80\xa6"); /* … */
    else if (c < 0x80 &&
             (g_ascii_isalnum((char)c) || strchr(" ._:/@+-(),", (int)c)))
      g_string_append_c(out, (char)c);
    else
      g_string_append_c(out, '?');
    at = whole ? g_utf8_next_char(at) : at + 1;
  }
  return g_string_free(out, FALSE);
}

char *
tray_pending_summary(const TrayPending *pending)
{
  g_autofree char *model = tray_shown(pending->model, NAME_CHARS);
  g_autofree char *process = tray_shown(pending->process, NAME_CHARS);
  GString *out = g_string_new(NULL);

  if (pending->findings)
    g_string_append_printf(out,
                           "%u finding%s \xc2\xb7 ",
                           pending->findings,
                           pending->findings == 1 ? "" : "s");
  if (*model)
    g_string_append_printf(out, "%s \xc2\xb7 ", model);
  g_string_append(out, process);
  if (pending->waiting > 1)
    g_string_append_printf(
        out, " \xc2\xb7 %u equal requests", pending->waiting);
  return g_string_free(out, FALSE);
}

static char *
asks(const TrayPending *pending)
{
  g_autofree char *rules = tray_shown(pending->rules, NAME_CHARS);
  g_autofree char *summary = tray_pending_summary(pending);

  return g_strdup_printf("%s: %s", rules, summary);
}

char *
tray_model_headline(const TrayModel *model)
{
  unsigned n = model->pending->len;

  switch (tray_model_state(model)) {
  case TRAY_DISCONNECTED:
    return g_strdup("hoop-agent does not run");
  case TRAY_PENDING:
    return n == 1 ? g_strdup("A request waits for your answer")
                  : g_strdup_printf("%u requests wait for your answer", n);
  case TRAY_PAUSED:
    return g_strdup("Paused: assistants get no answers");
  case TRAY_BLOCKED:
    return g_strdup(stores(model) ? "Signed out: assistants get no answers"
                                  : "Nothing can be recorded: assistants get "
                                    "no answers");
  case TRAY_IDLE:
  default:
    return g_strdup("Nothing waits");
  }
}

char *
tray_model_details(const TrayModel *model)
{
  if (!model->connected)
    return tray_shown(model->problem ? model->problem : "", SENTENCE_CHARS);
  if (model->pending->len) {
    g_autoptr(GStrvBuilder) lines = g_strv_builder_new();
    g_auto(GStrv) all = NULL;

    for (unsigned i = 0; i < model->pending->len && i < 3; i++) {
      g_autofree char *line = asks(model->pending->pdata[i]);

      g_strv_builder_add(lines, line);
    }
    all = g_strv_builder_end(lines);
    return g_strjoinv("\n", all);
  }
  if (model->policy_error)
    return g_strdup("The policy on disk is bad; the last good one is in force. "
                    "Run hoop-agent policy check.");
  if (!stores(model))
    return tray_shown(model->journal, SENTENCE_CHARS);
  if (tray_model_signed_out(model)) {
    const TraySession *session = tray_model_signed_out(model);
    g_autofree char *name = tray_shown(session->name, NAME_CHARS);

    return g_strdup_printf("Sign in to %s to go on.", name);
  }
  if (model->shipping && !model->ships)
    return tray_shown(model->shipping, SENTENCE_CHARS);
  return g_strdup("");
}
