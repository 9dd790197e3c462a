/* SPDX-License-Identifier: Apache-2.0 */
/* The table of verbs. Parsing, --help, the completions' check and the man
 * page's read it; adding a verb is adding its row and its file. */
#include "cli/verb.h"
#include <limits.h>
#include <string.h>

#define CONFIG                                                                 \
  {                                                                            \
    .name = "config", .value = "FILE",                                         \
    .help = "Read this file instead of the user's agent.conf."                 \
  }
#define JSON                                                                   \
  {                                                                            \
    .name = "json", .help = "Print JSON."                                      \
  }
#define ISSUER                                                                 \
  {                                                                            \
    .name = "issuer", .value = "ISSUER",                                       \
    .help = "Its name or URL; default: the first that is configured."          \
  }
#define REASON                                                                 \
  {                                                                            \
    .name = "reason", .value = "TEXT", .help = "Why; goes on record."          \
  }

#define CLIENTS                                                                \
  "CLIENT is one of vscode, jetbrains, neovim, language-server, "              \
  "copilot-cli,\nclaude, codex, openai."
#define VIA                                                                    \
  {                                                                            \
    .name = "via", .value = "WAY",                                             \
    .help = "proxy (all that it sends) or base-url (its API)."                 \
  }
#define ID_SHORT "ID may be shortened to its unique beginning."

static const Verb verbs[] = {
    {"serve",
     verb_serve,
     "",
     "Run the agent in the foreground.",
     .more = "Serves until SIGTERM or SIGINT, then waits up to 10 s for what "
             "runs. SIGHUP\nreads the policy again.",
     .options = {CONFIG}},
    {"status",
     verb_status,
     "",
     "Show what the agent is doing.",
     .options = {JSON}},
    {"doctor",
     verb_doctor,
     "",
     "Check what must be right, and say what to do.",
     .more = "Exits with 1 when a check failed; a warning alone is no failure.",
     .options = {JSON, CONFIG}},
    {"logs",
     verb_logs,
     "",
     "Show the agent's own log.",
     .options = {{.name = "follow",
                  .letter = 'f',
                  .help = "Go on with what is logged from now on."},
                 CONFIG}},
    {"pause",
     verb_pause,
     "",
     "Refuse everything governed for a while.",
     .options = {{.name = "for",
                  .value = "TIME",
                  .help = "90s, 10m, 2h …; without it until resume."}}},
    {"resume", verb_resume, "", "End a pause."},
    {"env",
     verb_env,
     "[CLIENT]",
     "Print the variables that lead a client to the agent.",
     .most = 1,
     .more = "For a shell: eval \"$(hoop-agent env claude)\"\n" CLIENTS,
     .options = {{.name = "shell",
                  .value = "SHELL",
                  .help = "sh, fish or json; default: your shell."},
                 VIA,
                 CONFIG}},
    {"setup",
     verb_setup,
     "CLIENT",
     "Write a client's settings, or take them back.",
     .least = 1,
     .most = 1,
     .more = "Shows the difference first; asks when it runs on a "
             "terminal.\n" CLIENTS,
     .options = {{.name = "undo", .help = "Put everything back as it was."},
                 {.name = "yes", .letter = 'y', .help = "Do not ask."},
                 VIA,
                 {.name = "profile",
                  .value = "FILE",
                  .help = "Shell profile to use instead of your shell's."},
                 CONFIG}},
    {"ca",
     verb_ca,
     "show|export FILE|rotate",
     "Show, export or replace the agent's CA.",
     .least = 1,
     .most = 2,
     .words = "show|export|rotate",
     .more = "FILE may be -, standard output.",
     .options = {JSON, CONFIG}},
    {"pending",
     verb_pending,
     "",
     "List requests that wait for a person.",
     .options = {JSON,
                 {.name = "watch",
                  .help = "Go on and tell each that comes or goes."}}},
    {"review",
     verb_review,
     "ID",
     "Show a waiting request.",
     .least = 1,
     .most = 1,
     .more = ID_SHORT "\nCharacters that a terminal would act on, or that "
                      "reorder or hide text, are\nshown by their codes.",
     .options = {{.name = "masked",
                  .help = "Only as approve --masked would send it."},
                 JSON}},
    {"approve",
     verb_approve,
     "ID",
     "Let a waiting request go.",
     .least = 1,
     .most = 1,
     .more = ID_SHORT "\n--for lets what the same rules hold of the same "
                      "program and connection pass,\ntoo: for that time, or "
                      "in this conversation while it lives (session).",
     .options = {{.name = "masked",
                  .help = "Let it go with what was found masked."},
                 {.name = "for",
                  .value = "TIME",
                  .help = "10m, 2h …, or session: those like it, too."},
                 REASON}},
    {"deny",
     verb_deny,
     "ID",
     "Refuse a waiting request.",
     .least = 1,
     .most = 1,
     .more = ID_SHORT,
     .options = {REASON}},
    {"grants",
     verb_grants,
     "[list|explain ID|revoke ID]",
     "List, explain or revoke remembered approvals.",
     .most = 2,
     .words = "list|explain|revoke",
     .more = "Those that `approve --for` gave, in force now.\n" ID_SHORT,
     .options = {JSON}},
    {"allow",
     verb_allow,
     "[FINGERPRINT]",
     "Mark a finding as none, where policy permits.",
     .most = 1,
     .more =
         "FINGERPRINT is what `why` shows beside a finding. Rules that say\n"
         "allow-fingerprints pass it over, in requests and answers.",
     .options = {{.name = "for",
                  .value = "TIME",
                  .help = "10m, 2h, 7d …; default: 7d."},
                 {.name = "list", .help = "Show what is allowed."},
                 {.name = "remove",
                  .value = "FINGERPRINT",
                  .help = "Allow it no longer."},
                 JSON}},
    {"why",
     verb_why,
     "ID",
     "Tell one exchange's story, rule by rule.",
     .least = 1,
     .most = 1,
     .more = ID_SHORT,
     .options = {JSON, CONFIG}},
    {"scan",
     verb_scan,
     "[FILE|FOLDER...]",
     "Find secrets in files, as a linter does.",
     .most = UINT_MAX,
     .more = "Without FILE, or with -, reads standard input. In folders what "
             "git ignores is\npassed over, and everywhere findings on lines "
             "that say hoop:allow. Exits with 1\nwhen something was found, "
             "with 2 when something could not be read.",
     .options = {JSON,
                 {.name = "sarif",
                  .help = "Print SARIF 2.1.0 for code-scanning tools."},
                 {.name = "baseline",
                  .value = "FILE",
                  .help = "Pass over what this --json or --sarif holds."},
                 {.name = "rules",
                  .value = "RULES",
                  .help = "Only these; commas between, * and ? allowed."},
                 {.name = "class",
                  .value = "CLASSES",
                  .help = "Only rules of these classes."},
                 {.name = "list-rules", .help = "Print the rules."},
                 {.name = "no-ignore", .help = "What git ignores, too."},
                 {.name = "no-allow", .help = "Lines of hoop:allow, too."},
                 {.name = "binary", .help = "Binary files, too."},
                 {.name = "max-size",
                  .value = "SIZE",
                  .help = "Most of one file; default: max-body."},
                 {.name = "batch",
                  .help = "Read lines {\"text\": ...}, write one line each."},
                 {.name = "chunks",
                  .value = "N",
                  .help = "With --batch: as a stream, N bytes at a time."},
                 CONFIG}},
    {"policy",
     verb_policy,
     "check|test FILE...|diff A B|explain FILE|ID|show",
     "Check, test, explain or show the policy.",
     .least = 1,
     .most = UINT_MAX,
     .words = "check|diff|explain|show|test",
     .more =
         "explain judges a request body (JSON of a known API, or a plain "
         "prompt; - is\nstandard input) and says of each rule whether it "
         "matched or why not. test runs\nthe cases of *.test.yaml files and "
         "exits with 1 when one came out otherwise.\ndiff tells what the "
         "second file says otherwise, and whether that tightens or\n"
         "loosens.",
     .options = {JSON,
                 {.name = "policy",
                  .value = "FILE",
                  .only = "explain|test",
                  .help = "With this policy; default: the one in effect."},
                 {.name = "group",
                  .value = "GROUP",
                  .only = "explain",
                  .help = "Judge as a member of it; commas between several."},
                 {.name = "api",
                  .value = "API",
                  .only = "explain",
                  .help = "chat, completions, responses, messages …"},
                 {.name = "connection",
                  .value = "NAME",
                  .only = "explain",
                  .help = "As if it came in there; default: copilot."},
                 {.name = "direction",
                  .value = "WHICH",
                  .only = "explain",
                  .help = "request (default) or response."},
                 CONFIG}},
    {"journal",
     verb_journal,
     "list|search TEXT|show ID|replay|stats|export [FILE]|verify",
     "List, search, show, export or verify what was recorded.",
     .least = 1,
     .most = 2,
     .words = "list|search|show|replay|stats|export|verify",
     .more =
         ID_SHORT "\nsearch finds words of prompts and answers as they were "
                  "masked: \"together\", begin*,\n-without. replay tells what "
                  "a policy would have done to recorded traffic, stats\nhow "
                  "much there was. TIME is 10m, 2h, 7d (ago), yesterday, "
                  "14:30, 2026-03-01\nor 2026-03-01T14:30; a day that ends a "
                  "span is meant whole.",
     .options =
         {JSON,
          {.name = "jsonl",
           .only = "list|search|export",
           .help = "Print JSON, one row a line."},
          {.name = "csv",
           .only = "list|export",
           .help = "Print comma separated values."},
          {.name = "bodies",
           .only = "export",
           .help = "With the masked bodies."},
          {.name = "rows", .only = "show", .help = "Every field of every row."},
          {.name = "policy",
           .value = "FILE",
           .only = "replay",
           .help = "The candidate; default: the one in effect."},
          {.name = "limit",
           .value = "N",
           .only = "list|search|export|replay",
           .help = "The last N rows, or N changes; 0: all."},
          {.name = "oldest",
           .only = "list|search",
           .help = "The first ones, not the last."},
          {.name = "reverse", .only = "list", .help = "The newest on top."},
          {.name = "since",
           .value = "TIME",
           .only = "list|search|export|replay|stats",
           .help = "10m, 2h, 7d … ago, or a date."},
          {.name = "until",
           .value = "TIME",
           .only = "list|search|export|replay|stats",
           .help = "Before this time, or to the end of this day."},
          {.name = "kind",
           .value = "KIND",
           .only = "list|search|export",
           .help = "request, response, approval, tunnel …"},
          {.name = "user",
           .value = "USER",
           .only = "list|search|export|replay|stats",
           .help = "Of this user."},
          {.name = "group",
           .value = "GROUP",
           .only = "list|search|export",
           .help = "Of members of this group."},
          {.name = "client",
           .value = "CLIENT",
           .only = "list|search|export|replay|stats",
           .help = "Of this client."},
          {.name = "process",
           .value = "PROGRAM",
           .only = "list|search|export",
           .help = "Of this program or one that it started."},
          {.name = "connection",
           .value = "NAME",
           .only = "list|search|export|replay|stats",
           .help = "Of this connection."},
          {.name = "api",
           .value = "API",
           .only = "list|search|export|replay|stats",
           .help = "chat, responses, messages, completions …"},
          {.name = "model",
           .value = "MODEL",
           .only = "list|search|export|replay|stats",
           .help = "Of this model."},
          {.name = "conversation",
           .value = "ID",
           .only = "list|search|export",
           .help = "Of this conversation."},
          {.name = "rule",
           .value = "RULE",
           .only = "list|search|export",
           .help = "Decided by this rule."},
          {.name = "verdict",
           .value = "VERDICT",
           .only = "list|search|export",
           .help = "With this verdict."},
          {.name = "head",
           .value = "HEAD",
           .only = "verify",
           .help = "SEQ:HASH held elsewhere, or a file of it."},
          CONFIG}},
    {"connection",
     verb_connection,
     "list",
     "List the connections.",
     .least = 1,
     .most = 1,
     .words = "list",
     .options = {JSON, CONFIG}},
    {"login",
     verb_login,
     "",
     "Sign in at the identity provider.",
     .more = "Shows an address and a code, which are used on any machine; "
             "Ctrl-C cancels. The\nagent keeps the session and renews it. "
             "Exits with 6 when it was denied, 7 when\nthe code expired, 8 "
             "when a token was no good, 9 when the keyring is locked.",
     .options = {ISSUER,
                 {.name = "device",
                  .help = "By a code; this is the default where it works."},
                 {.name = "browser", .help = "By a browser on this machine."},
                 {.name = "no-qr", .help = "Show no QR code."},
                 {.name = "client-credentials",
                  .help = "As a machine, by the client's own secret."},
                 {.name = "token-file",
                  .value = "FILE",
                  .help = "As a machine, by the ID token in this file."},
                 {.name = "insecure-storage",
                  .help = "Without a keyring keep the session in a file."},
                 JSON}},
    {"logout",
     verb_logout,
     "",
     "Sign out, here and at the provider.",
     .options = {ISSUER}},
    {"whoami",
     verb_whoami,
     "",
     "Show whose exchanges these are.",
     .options = {JSON}},
};

const Verb *
verb_table(unsigned *n)
{
  *n = G_N_ELEMENTS(verbs);
  return verbs;
}

const Verb *
verb_find(const char *name)
{
  for (unsigned i = 0; i < G_N_ELEMENTS(verbs); i++)
    if (strcmp(verbs[i].name, name) == 0)
      return &verbs[i];
  return NULL;
}
