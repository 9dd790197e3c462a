/* SPDX-License-Identifier: Apache-2.0 */
/* Search of the record of all agents, and what is wrong with it; read on the
 * record's own thread. */
#include "hub/audit/audit.h"
#include "hub/page/parts.h"
#include "kit/log.h"
#include <string.h>

#define MAX_NAME 120
#define MAX_SAID 300
#define MAX_ALERTS 5

/* What may be asked for, and how it is called. */
static const struct {
  const char *name, *label;
  size_t offset; /* in AuditQuery */
} fields[] = {
    {"words", "Words", G_STRUCT_OFFSET(AuditQuery, text)},
    {"user", "Person", G_STRUCT_OFFSET(AuditQuery, user)},
    {"rule", "Rule", G_STRUCT_OFFSET(AuditQuery, rule)},
    {"verdict", "Verdict", G_STRUCT_OFFSET(AuditQuery, verdict)},
    {"model", "Model", G_STRUCT_OFFSET(AuditQuery, model)},
    {"kind", "Kind", G_STRUCT_OFFSET(AuditQuery, kind)},
};

/* One look at the record. */
typedef struct {
  PageVisit *visit;
  Form *form;
  AuditQuery query; /* texts are the form's */
  AuditPage *page;
  GPtrArray *alerts;
} Look;

static void
look_free(void *data)
{
  Look *look = data;

  form_free(look->form);
  audit_page_free(look->page);
  if (look->alerts)
    g_ptr_array_unref(look->alerts);
  g_free(look);
}

/* ---- the form -------------------------------------------------------------
 */

static void
put_hidden(Html *html, const Form *form)
{
  for (size_t i = 0; i < G_N_ELEMENTS(fields); i++) {
    const char *value = form_get(form, fields[i].name);

    if (!value || !*value)
      continue;
    html_raw(html, "<input type=\"hidden\"");
    html_attr(html, "name", fields[i].name);
    html_attr(html, "value", value);
    html_raw(html, ">");
  }
  if (form_get(form, "marked"))
    html_raw(html, "<input type=\"hidden\" name=\"marked\" value=\"1\">");
}

static void
put_search(Html *html, const Form *form)
{
  html_raw(html,
           "<form class=\"ask-for\" role=\"search\" method=\"get\" "
           "action=\"/audit\">");
  for (size_t i = 0; i < G_N_ELEMENTS(fields); i++) {
    html_raw(html, "<label>");
    html_text(html, fields[i].label);
    html_raw(html, "<input type=\"search\" maxlength=\"200\"");
    html_attr(html, "name", fields[i].name);
    if (i == 0)
      html_raw(html, " id=\"words\"");
    html_attr(html, "value", form_get(form, fields[i].name));
    html_raw(html, "></label>");
  }
  html_raw(html,
           "<label class=\"tick\"><input type=\"checkbox\" "
           "name=\"marked\" value=\"1\"");
  if (form_get(form, "marked"))
    html_raw(html, " checked");
  html_raw(html,
           "> only what is wrong</label>"
           "<button class=\"button\">Search</button></form>");
}

/* ---- what was found -------------------------------------------------------
 */

static void
put_alerts(Html *html, const GPtrArray *alerts)
{
  if (alerts->len == 0)
    return;
  html_raw(html,
           "<section class=\"alerts\" aria-labelledby=\"alerts\">"
           "<h2 id=\"alerts\">Latest alerts</h2><ul>");
  for (guint i = 0; i < alerts->len; i++) {
    const AuditAlert *alert = alerts->pdata[i];

    html_raw(html, "<li><strong>");
    html_brief(html, alert->kind, MAX_NAME);
    html_raw(html, "</strong> ");
    html_brief(html, alert->detail, MAX_SAID);
    html_raw(html, " <span class=\"dim\">");
    html_brief(html, alert->user, MAX_NAME);
    html_raw(html, ", ");
    html_time(html, alert->at_us);
    html_raw(html, "</span></li>");
  }
  html_raw(html, "</ul></section>");
}

static void
put_cell(Html *html, const char *text)
{
  html_raw(html, "<td>");
  html_brief(html, text, MAX_NAME);
  html_raw(html, "</td>");
}

static void
put_row(Html *html, const AuditFound *row)
{
  g_autofree const char **marks = audit_mark_names(row->marks);

  html_raw(html, "<tr><td>");
  html_time(html, row->at_us);
  html_raw(html, "</td>");
  put_cell(html, row->user ? row->user : row->sender);
  put_cell(html, row->kind ? row->kind : row->event);
  put_cell(html, row->verdict);
  put_cell(html, row->rule);
  put_cell(html, row->model);
  html_raw(html, "<td class=\"detail\">");
  for (unsigned i = 0; marks && marks[i]; i++) {
    html_raw(html, "<span class=\"hid\">");
    html_text(html, marks[i]);
    html_raw(html, "</span> ");
  }
  html_raw(html, "<details><summary>");
  html_gist(html, row->said ? row->said : row->key, MAX_SAID);
  html_raw(html, "</summary><pre>");
  html_lines(html, row->attributes);
  html_raw(html, "</pre></details></td></tr>");
}

static void
put_found(Html *html, const Look *look)
{
  const GPtrArray *rows = look->page->rows;

  html_raw(html,
           "<div class=\"wide\"><table><thead><tr><th>When</th>"
           "<th>Who</th><th>What</th><th>Verdict</th><th>Rule</th>"
           "<th>Model</th><th>Said</th></tr></thead><tbody>");
  for (guint i = 0; i < rows->len; i++)
    put_row(html, rows->pdata[i]);
  html_raw(html, "</tbody></table></div>");
  if (rows->len == 0)
    html_raw(html, "<p class=\"dim\">No row here.</p>");
  if (look->page->next == 0)
    return;
  html_raw(html, "<form method=\"get\" action=\"/audit\" class=\"more\">");
  put_hidden(html, look->form);
  html_raw(html, "<button class=\"button\" name=\"before\" value=\"");
  html_number(html, look->page->next);
  html_raw(html, "\">Earlier rows</button></form>");
}

/* ---- reading --------------------------------------------------------------
 */

static bool
read_them(Db *db, void *data, GError **error)
{
  Look *look = data;

  look->page = audit_find(db, &look->query, error);
  if (look->page)
    look->alerts = audit_alerts(db, 0, MAX_ALERTS, error);
  return look->alerts != NULL;
}

static void
on_read(const GError *error, void *data)
{
  Look *look = data;
  PageVisit *visit = look->visit;
  g_autoptr(Html) html = NULL;

  visit->read = NULL;
  if (error) {
    log_error("audit error=\"%s\"", error->message);
    page_refuse(visit, 503, "Not now", "The hub cannot read this now.");
  } else {
    html = frame_begin(visit, "Record", "audit", TAB_RECORD);
    html_raw(html,
             "<div class=\"head\"><h1>Record of all agents</h1>"
             "<a href=\"/record\">Record of this hub</a></div>");
    put_alerts(html, look->alerts);
    put_search(html, look->form);
    put_found(html, look);
    frame_end(html);
    page_answer(visit, 200, html);
  }
  look_free(look);
}

/* False: a number is none. */
static bool
fill(Look *look)
{
  const char *before = form_get(look->form, "before");
  guint64 behind = 0;

  for (size_t i = 0; i < G_N_ELEMENTS(fields); i++) {
    const char *value = form_get(look->form, fields[i].name);

    if (value && *value)
      *(const char **)((char *)&look->query + fields[i].offset) = value;
  }
  look->query.marked = form_get(look->form, "marked") != NULL;
  if (before &&
      !g_ascii_string_to_unsigned(before, 10, 1, INT64_MAX, &behind, NULL))
    return false;
  look->query.before = (int64_t)behind;
  return true;
}

void
agents_show(PageVisit *visit, const char *query)
{
  const Hub *hub = visit->page->hub;
  Look *look;

  if (!hub_has_role(hub->config, visit->person, ROLE_AUDITOR) &&
      !hub_has_role(hub->config, visit->person, ROLE_ADMIN)) {
    page_refuse(visit, 403, "Not for you", "The record is for auditors.");
    return;
  }
  look = g_new0(Look, 1);
  look->visit = visit;
  look->form = form_parse(query ? query : "", query ? strlen(query) : 0);
  if (!fill(look)) {
    look_free(look);
    page_refuse(visit, 400, "Refused", "That is no number of a row.");
    return;
  }
  visit->read = audit_read(hub->audit, read_them, on_read, look_free, look);
  if (visit->read)
    return;
  look_free(look);
  page_refuse(
      visit, 503, "Not now", "Too many read the record. Try again soon.");
}
