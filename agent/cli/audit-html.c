/* SPDX-License-Identifier: Apache-2.0 */
/* The report as one page: no script, nothing loaded, every text escaped. */
#include "config.h"

#include "cli/audit.h"
#include "kit/clock.h"
#include "kit/digest.h"
#include "kit/visible.h"
#include <string.h>

/* Names of one list. */
#define TOP_NAMES 12

/* The policy of the page allows this style and nothing else. */
static const char style[] =
    ":root{color-scheme:light dark;--paper:#fbfbfa;--card:#fff;--ink:#1d2125;"
    "--soft:#646b73;--line:#e3e5e8;--blue:#3f6fd8;--amber:#d99a1c;"
    "--violet:#8a63d2;--red:#cf3f3f;--green:#2c8a57;--wash:#eaf5ef;"
    "--alarm:#fdecec}"
    "@media(prefers-color-scheme:dark){:root{--paper:#14171a;--card:#1c2024;"
    "--ink:#e6e8ea;--soft:#9aa2ab;--line:#30363c;--blue:#6d97f0;"
    "--amber:#e3b04b;--violet:#a98be6;--red:#ec6a6a;--green:#58bd88;"
    "--wash:#17291f;--alarm:#33191b}}"
    "*{box-sizing:border-box}"
    "body{margin:0;background:var(--paper);color:var(--ink);"
    "font:15px/1.5 system-ui,-apple-system,\"Segoe UI\",Roboto,sans-serif;"
    "-webkit-print-color-adjust:exact;print-color-adjust:exact}"
    "main{max-width:1080px;margin:0 auto;padding:40px 24px 64px}"
    "h1{font-size:26px;line-height:1.25;margin:0 0 4px;letter-spacing:-.01em}"
    "h2{font-size:16px;margin:0 0 12px}"
    "h2 small{font-weight:400;color:var(--soft);font-size:13px}"
    "p{margin:0 0 8px}.sub,.none,dt,footer{color:var(--soft)}.none{margin:0}"
    ".none.gap{margin-top:12px}"
    "section{background:var(--card);border:1px solid var(--line);"
    "border-radius:12px;padding:20px 22px;margin-top:18px}"
    ".proof{border-left:5px solid var(--green);background:var(--wash)}"
    ".proof.bad{border-left-color:var(--red);background:var(--alarm)}"
    ".proof strong{color:var(--green);font-size:17px}"
    ".proof.bad strong{color:var(--red)}"
    "code{font:12.5px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;"
    "overflow-wrap:anywhere}"
    ".cards{display:grid;gap:12px;margin-top:18px;"
    "grid-template-columns:repeat(4,1fr)}"
    ".card{background:var(--card);border:1px solid var(--line);"
    "border-radius:12px;padding:14px 18px}"
    ".card b{display:block;font-size:25px;line-height:1.2;font-weight:650;"
    "font-variant-numeric:tabular-nums;letter-spacing:-.01em}"
    ".card span{color:var(--soft);font-size:13px}"
    ".card.blocked b{color:var(--red)}.card.masked b{color:var(--amber)}"
    ".card.asked b{color:var(--violet)}"
    ".two{display:grid;gap:18px;grid-template-columns:repeat(auto-fit,"
    "minmax(min(100%,420px),1fr));align-items:start;margin-top:18px}"
    ".two section{margin:0;"
    "min-width:0}"
    ".legend{display:flex;flex-wrap:wrap;gap:4px 18px;margin:0 0 8px;"
    "font-size:13px;color:var(--soft)}"
    ".legend span::before{content:\"\";display:inline-block;width:10px;"
    "height:10px;border-radius:3px;margin-right:6px;background:var(--k)}"
    ".k1{--k:var(--blue)}.k2{--k:var(--amber)}.k3{--k:var(--violet)}"
    ".k4{--k:var(--red)}"
    ".scroll{overflow-x:auto}svg{display:block;width:100%;height:auto}"
    ".scroll>svg{min-width:620px}"
    ".grid{stroke:var(--line);stroke-width:1}"
    ".axis{fill:var(--soft);font-size:12px;font-variant-numeric:tabular-nums}"
    ".allowed{fill:var(--blue)}.masked{fill:var(--amber)}"
    ".asked{fill:var(--violet)}.blocked{fill:var(--red)}"
    ".rail{fill:var(--line)}"
    "table{border-collapse:collapse;width:100%;font-size:13.5px}"
    "th{text-align:left;font-weight:600;color:var(--soft);font-size:12.5px}"
    "th,td{padding:6px 14px 6px 0;vertical-align:top;"
    "border-bottom:1px solid var(--line);overflow-wrap:anywhere}"
    "tr:last-child td{border-bottom:0}td:last-child,th:last-child"
    "{padding-right:0}"
    "td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;"
    "white-space:nowrap}td.t{white-space:nowrap;"
    "font-variant-numeric:tabular-nums}"
    "td.bar{width:34%;min-width:60px;vertical-align:middle}"
    "td.bar svg{height:9px}"
    ".wide{min-width:560px}"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:3px 16px;"
    "margin:10px 0 0;font-size:13.5px}dd{margin:0;min-width:0;"
    "overflow-wrap:anywhere}ul{margin:6px 0 0;padding-left:20px}"
    "footer{font-size:13px;margin-top:26px}"
    "@media(max-width:560px){main{padding:22px 14px 40px}"
    "section{padding:16px 15px}h1{font-size:22px}"
    ".cards{grid-template-columns:repeat(2,1fr)}.card b{font-size:20px}}"
    "@media print{:root{color-scheme:light}body{background:#fff;font-size:12px}"
    "main{max-width:none;padding:0}section,.card{break-inside:avoid;"
    "border-color:#ccc}.long{break-inside:auto}tr{break-inside:avoid}}";

/* ---- Text ----------------------------------------------------------------
 */

void
html_text(GString *out, const char *text)
{
  g_autofree char *seen = visible(text ? text : "–", -1, false);

  for (const char *p = seen; *p; p++) {
    const char *entity = char_html((guchar)*p);

    if (entity)
      g_string_append(out, entity);
    else
      g_string_append_c(out, *p);
  }
}

/* 1234567 as 1,234,567. g_free. */
static char *
grouped(uint64_t number)
{
  g_autofree char *digits = g_strdup_printf("%" G_GUINT64_FORMAT, number);
  size_t len = strlen(digits);
  GString *out = g_string_new(NULL);

  for (size_t i = 0; i < len; i++) {
    if (i && (len - i) % 3 == 0)
      g_string_append_c(out, ',');
    g_string_append_c(out, digits[i]);
  }
  return g_string_free(out, FALSE);
}

static void
cell(GString *out, const char *class, const char *text)
{
  g_string_append_printf(out,
                         "<td%s%s%s>",
                         class ? " class=\"" : "",
                         class ?: "",
                         class ? "\"" : "");
  html_text(out, text);
  g_string_append(out, "</td>");
}

static void
number_cell(GString *out, uint64_t number)
{
  g_autofree char *text = grouped(number);

  cell(out, "n", text);
}

static void
heading(GString *out, const char *text, const char *small)
{
  g_string_append(out, "<h2>");
  html_text(out, text);
  if (small) {
    g_string_append(out, " <small>");
    html_text(out, small);
    g_string_append(out, "</small>");
  }
  g_string_append(out, "</h2>");
}

/* ---- Head ----------------------------------------------------------------
 */

static void
page_head(GString *out)
{
  g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
  uint8_t digest[SHA256_LEN];
  gsize len = sizeof digest;
  g_autofree char *base64 = NULL;

  g_checksum_update(sum, (const guchar *)style, (gssize)strlen(style));
  g_checksum_get_digest(sum, digest, &len);
  base64 = g_base64_encode(digest, len);
  g_string_append_printf(
      out,
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src "
      "'none'; style-src 'sha256-%s'; base-uri 'none'; form-action 'none'\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, "
      "initial-scale=1\">\n<meta name=\"referrer\" content=\"no-referrer\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n"
      "<title>hoop-agent: report on the journal</title>\n<style>%s</style>"
      "</head>\n<body><main>\n",
      base64,
      style);
}

static void
page_title(const Audit *audit, GString *out)
{
  g_autofree char *first = time_text(audit->first_us);
  g_autofree char *last = time_text(audit->last_us);
  g_autofree char *made = time_text(audit->made_us);
  g_autoptr(GDateTime) now = g_date_time_new_now_local();
  g_autofree char *zone = g_date_time_format(now, "UTC%:z");
  g_autofree char *rows =
      grouped((uint64_t)(audit->last_seq - audit->first_seq + 1));

  g_string_append(out, "<h1>What the assistants asked, and were told</h1>");
  g_string_append(out, "<p class=\"sub\">");
  if (audit->first_seq) {
    html_text(out, first);
    g_string_append(out, " to ");
    html_text(out, last);
    g_string_append_printf(out,
                           " · rows %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT
                           " (%s)",
                           audit->first_seq,
                           audit->last_seq,
                           rows);
  } else {
    g_string_append(out, "The journal has no such rows");
  }
  g_string_append(out, "<br>Made ");
  html_text(out, made);
  g_string_append(out, " from <code>");
  html_text(out, audit->path);
  g_string_append(out, "</code>; times are local (");
  html_text(out, zone);
  g_string_append(out, ")</p>\n");
}

/* ---- Verification --------------------------------------------------------
 */

/* What the receiver's key vouches for. */
static void
say_confirmed(const JournalVerification *seen, GString *out)
{
  g_autofree char *when = NULL;

  if (!seen->receipt_seq)
    return;
  when = time_text(seen->receipt_us);
  g_string_append_printf(
      out,
      "</dd><dt>Confirmed by the receiver</dt><dd>row %" G_GINT64_FORMAT ", ",
      seen->receipt_seq);
  html_text(out, when);
}

static void
say_proof(const Audit *audit, GString *out)
{
  const JournalVerification *seen = &audit->verified;
  bool good = !audit->verify_error && seen->intact;
  g_autofree char *rows = grouped((uint64_t)seen->rows);
  g_autofree char *signs = grouped((uint64_t)seen->checkpoints);
  char hash[SHA256_HEX_SIZE];

  hex_encode(seen->head, SHA256_LEN, hash);
  g_string_append_printf(
      out, "<section class=\"proof%s\"><strong>", good ? "" : " bad");
  g_string_append(out,
                  good                  ? "The chain is intact"
                  : audit->verify_error ? "The chain could not be verified"
                                        : "The chain is not intact");
  g_string_append(out, "</strong>");
  if (audit->verify_error || !seen->intact) {
    g_string_append(out, "<p>");
    html_text(out, audit->verify_error ? audit->verify_error : seen->reason);
    if (!audit->verify_error)
      g_string_append_printf(
          out, " (from row %" G_GINT64_FORMAT " on)", seen->first_bad_seq);
    g_string_append(out, "</p>");
  }
  g_string_append(out, "<dl><dt>Rows hashed</dt><dd>");
  html_text(out, rows);
  g_string_append(out, "</dd><dt>Signed checkpoints</dt><dd>");
  html_text(out, signs);
  g_string_append_printf(out,
                         "</dd><dt>Head</dt><dd><code>%" G_GINT64_FORMAT
                         ":%s</code></dd><dt>Held elsewhere</dt><dd>",
                         seen->head_seq,
                         hash);
  if (audit->head) {
    g_string_append(out, "<code>");
    html_text(out, audit->head);
    g_string_append(out, "</code>");
  } else {
    g_string_append(out, "no head was given to compare with");
  }
  say_confirmed(seen, out);
  g_string_append(
      out,
      "</dd></dl><p class=\"gap none\">What this cannot know:</p>"
      "<ul class=\"none\"><li>The signing key lies on the same machine: who "
      "can "
      "read it can rewrite rows and sign them anew, except up to a head that "
      "is held elsewhere.</li>"
      "<li>Rows behind the last checkpoint are not signed yet; a journal that "
      "lost its newest rows looks like one that was never longer.</li>"
      "<li>What never passed the agent, or passed while it did not run, left "
      "no trace.</li></ul></section>\n");
}

/* ---- Numbers -------------------------------------------------------------
 */

static void
card(GString *out, const char *class, uint64_t number, const char *what)
{
  g_autofree char *text = grouped(number);

  g_string_append_printf(out,
                         "<div class=\"card%s%s\"><b>%s</b><span>%s</span>"
                         "</div>",
                         class ? " " : "",
                         class ?: "",
                         text,
                         what);
}

static void
say_cards(const Audit *audit, GString *out)
{
  g_string_append(out, "<div class=\"cards\">");
  card(out, NULL, audit->requests, "requests");
  card(out, "masked", audit->verdicts_masked, "masked");
  card(out, "asked", audit->approved + audit->denied, "put to a person");
  card(out, "blocked", audit->verdicts_blocked, "blocked");
  card(out, NULL, audit->tools, "tool calls judged");
  card(out, NULL, audit->refused, "turned away");
  card(out, NULL, audit->tunnels, "tunnels");
  card(out,
       NULL,
       (uint64_t)(audit->tokens_in + audit->tokens_out),
       "tokens, as told");
  g_string_append(out, "</div>\n");
}

static void
say_time(const Audit *audit, GString *out)
{
  g_string_append(out, "<section>");
  heading(out, "Requests over time", NULL);
  g_string_append(
      out,
      "<div class=\"legend\"><span class=\"k1\">allowed</span>"
      "<span class=\"k2\">masked</span><span class=\"k3\">asked</span>"
      "<span class=\"k4\">blocked</span></div>");
  audit_timeline(audit, out);
  g_string_append(out, "</section>\n");
}

static void
rail(GString *out, uint64_t count, uint64_t most)
{
  g_string_append_printf(
      out,
      "<td class=\"bar\"><svg viewBox=\"0 0 1000 10\" "
      "preserveAspectRatio=\"none\"><rect class=\"rail\" width=\"1000\" "
      "height=\"10\"/><rect class=\"allowed\" width=\"%" G_GUINT64_FORMAT
      "\" height=\"10\"/></svg></td>",
      most ? MAX(count * 1000 / most, 4) : 0);
}

static void
say_lines(GString *out,
          const char *title,
          const char *what,
          GHashTable *table,
          bool blocked)
{
  g_autoptr(GPtrArray) lines = audit_sorted(table);
  g_autofree char *small =
      lines->len > TOP_NAMES
          ? g_strdup_printf("the first %d of %u", TOP_NAMES, lines->len)
          : NULL;
  uint64_t most = lines->len ? ((const AuditLine *)lines->pdata[0])->count : 0;

  g_string_append(out, "<section>");
  heading(out, title, small);
  if (!lines->len)
    g_string_append(out, "<p class=\"none\">None.</p>");
  else
    g_string_append_printf(out,
                           "<table><tr><th>%s</th><th></th><th class=\"n\">"
                           "times</th>%s</tr>",
                           what,
                           blocked ? "<th class=\"n\">blocked</th>" : "");
  for (unsigned i = 0; i < MIN(lines->len, TOP_NAMES); i++) {
    const AuditLine *line = lines->pdata[i];

    g_string_append(out, "<tr>");
    cell(out, NULL, line->name);
    rail(out, line->count, most);
    number_cell(out, line->count);
    if (blocked)
      number_cell(out, line->blocked);
    g_string_append(out, "</tr>");
  }
  g_string_append(out, lines->len ? "</table></section>\n" : "</section>\n");
}

/* How long people took to answer. */
static void
say_held(const Audit *audit, GString *out)
{
  static const char *const heads[] = {
      "times", "timed out", "p50", "p95", "longest"};
  g_autoptr(GArray) spans = waits_spans(audit->waits);

  g_string_append(out, "<section>");
  heading(out, "How long people took", NULL);
  g_string_append(out,
                  spans->len ? "<table><tr><th>Asked by</th>"
                             : "<p class=\"none\">Nobody was asked.</p>");
  for (unsigned i = 0; spans->len && i < G_N_ELEMENTS(heads); i++)
    g_string_append_printf(out, "<th class=\"n\">%s</th>", heads[i]);
  for (unsigned i = 0; i < MIN(spans->len, TOP_NAMES + 1); i++) {
    const WaitSpan *one = &g_array_index(spans, WaitSpan, i);
    const int64_t times[] = {one->p50_us, one->p95_us, one->most_us};

    g_string_append(out, "</tr><tr>");
    cell(out, NULL, one->rule ? one->rule : "(all)");
    number_cell(out, one->n);
    number_cell(out, one->timeouts);
    for (unsigned k = 0; k < G_N_ELEMENTS(times); k++) {
      g_autofree char *text = span_text(times[k]);

      cell(out, "n", text);
    }
  }
  g_string_append(out,
                  spans->len ? "</tr></table></section>\n" : "</section>\n");
}

/* ---- Events --------------------------------------------------------------
 */

static void
say_events(GString *out,
           const char *title,
           const char *const heads[5],
           const GPtrArray *events,
           unsigned n)
{
  g_autofree char *small =
      n > events->len ? g_strdup_printf("the newest %u of %u", events->len, n)
                      : g_strdup_printf("%u", n);

  g_string_append(out, "<section class=\"long\">");
  heading(out, title, n ? small : NULL);
  if (!n) {
    g_string_append(out, "<p class=\"none\">None.</p></section>\n");
    return;
  }
  g_string_append(out, "<div class=\"scroll\"><table class=\"wide\"><tr>");
  for (unsigned i = 0; i < 5; i++)
    g_string_append_printf(out, "<th>%s</th>", heads[i]);
  g_string_append(out, "</tr>");
  for (unsigned i = events->len; i-- > 0;) {
    const AuditEvent *event = events->pdata[i];
    g_autofree char *when = time_text(event->wall_us);

    g_string_append(out, "<tr>");
    cell(out, "t", when);
    cell(out, NULL, event->what);
    cell(out, NULL, event->who);
    cell(out, NULL, event->how);
    cell(out, NULL, event->why && *event->why ? event->why : NULL);
    g_string_append(out, "</tr>");
  }
  g_string_append(out, "</table></div></section>\n");
}

static void
say_all_events(const Audit *audit, GString *out)
{
  static const char *const approvals[] = {
      "When", "Outcome", "Who asked", "Who answered, and how", "Why"};
  static const char *const refusals[] = {
      "When", "Rule", "Who", "Client or host", "Why"};
  static const char *const signins[] = {"When", "What", "Who", "Issuer", "Why"};
  static const char *const changes[] = {"When", "What", "Who", "Issuer", "Why"};
  static const char *const gaps[] = {
      "When", "What", "Version", "After what", "Why"};

  say_events(out, "Approvals", approvals, audit->approvals, audit->n_approvals);
  say_events(out, "Refusals", refusals, audit->refusals, audit->n_refusals);
  say_events(out, "Sign-ins", signins, audit->signins, audit->n_signins);
  say_events(out,
             "Pauses, policy and retention",
             changes,
             audit->pauses,
             audit->n_pauses);
  say_events(out, "Starts, stops and errors", gaps, audit->gaps, audit->n_gaps);
}

void
audit_html(const Audit *audit, GString *out)
{
  page_head(out);
  page_title(audit, out);
  say_proof(audit, out);
  say_cards(audit, out);
  say_time(audit, out);
  g_string_append(out, "<div class=\"two\">");
  say_lines(out, "Rules that matched", "Rule", audit->rules, false);
  say_lines(out, "Users", "User", audit->users, true);
  say_lines(out, "Models", "Model", audit->models, true);
  say_lines(out, "Clients", "Client", audit->clients, true);
  g_string_append(out, "</div>\n");
  say_held(audit, out);
  say_all_events(audit, out);
  g_string_append(
      out,
      "<footer>Counted from the journal's rows by hoop-agent " PACKAGE_VERSION
      ". Texts were masked before they were recorded; this page loads nothing "
      "and runs nothing.</footer>\n</main></body></html>\n");
}
