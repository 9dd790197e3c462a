/* SPDX-License-Identifier: Apache-2.0 */
/* The menu. A panel that shows it is told of no change: one rebuilt its rows
 * under the pointer, and a click on Review became a click on Deny. */
#include "tray/menu.h"
#include "tray/link.h"
#include <libdbusmenu-glib/dbusmenu-glib.h>
#include <stdarg.h>
#include <string.h>

/* More would not fit a screen; the rest is told as a number. */
#define MAX_SHOWN 8
#define NAME_CHARS 40
/* A panel that died while the menu was open never says that it closed. */
#define OPEN_AT_MOST_S 120
#define GRANT_S 600
#define HOUR_S 3600

struct tray_menu {
  DbusmenuServer *server;
  DbusmenuMenuitem *root;
  TrayChosen chosen;
  void *data;
  const TrayModel *later; /* shown when the menu closes, or NULL */
  guint open;             /* the timer while it is */
  bool news;              /* what happens is told */
};

typedef struct {
  TrayMenu *menu;
  TrayAction action;
  char *id;
  unsigned seconds;
} Choice;

static void
choice_free(gpointer data, GClosure *closure)
{
  Choice *choice = data;

  (void)closure;
  g_free(choice->id);
  g_free(choice);
}

static void
on_activated(DbusmenuMenuitem *item, guint timestamp, gpointer data)
{
  const Choice *choice = data;
  TrayMenu *menu = choice->menu;
  /* What is chosen may make the menu anew, and with it this choice. */
  g_autofree char *id = g_strdup(choice->id);

  (void)item;
  (void)timestamp;
  menu->chosen(choice->action, id, choice->seconds, menu->data);
}

/* ---- Rows ----------------------------------------------------------------
 */

/* A single _ would mark the next letter as a key. */
static char *
label_of(const char *text)
{
  g_auto(GStrv) parts = g_strsplit(text, "_", -1);

  return g_strjoinv("__", parts);
}

static DbusmenuMenuitem *
add(DbusmenuMenuitem *parent, const char *text)
{
  DbusmenuMenuitem *item = dbusmenu_menuitem_new();
  g_autoptr(GObject) own = G_OBJECT(item); /* the parent keeps another */
  g_autofree char *label = label_of(text);

  dbusmenu_menuitem_property_set(item, DBUSMENU_MENUITEM_PROP_LABEL, label);
  dbusmenu_menuitem_child_append(parent, item);
  return item;
}

/* A line to read, not to click. */
static void add_note(DbusmenuMenuitem *parent, const char *format, ...)
    G_GNUC_PRINTF(2, 3);

static void
add_note(DbusmenuMenuitem *parent, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start(args, format);
  text = g_strdup_vprintf(format, args);
  va_end(args);
  dbusmenu_menuitem_property_set_bool(
      add(parent, text), DBUSMENU_MENUITEM_PROP_ENABLED, FALSE);
}

static void
add_line(DbusmenuMenuitem *parent)
{
  DbusmenuMenuitem *item = dbusmenu_menuitem_new();

  dbusmenu_menuitem_property_set(
      item, DBUSMENU_MENUITEM_PROP_TYPE, "separator");
  dbusmenu_menuitem_child_append(parent, item);
  g_object_unref(item);
}

static DbusmenuMenuitem *
add_choice(TrayMenu *menu,
           DbusmenuMenuitem *parent,
           const char *text,
           TrayAction action,
           const char *id,
           unsigned seconds)
{
  DbusmenuMenuitem *item = add(parent, text);
  Choice *choice = g_new0(Choice, 1);

  choice->menu = menu;
  choice->action = action;
  choice->id = g_strdup(id);
  choice->seconds = seconds;
  g_signal_connect_data(item,
                        DBUSMENU_MENUITEM_SIGNAL_ITEM_ACTIVATED,
                        G_CALLBACK(on_activated),
                        choice,
                        choice_free,
                        0);
  return item;
}

static DbusmenuMenuitem *
add_folder(DbusmenuMenuitem *parent, const char *text)
{
  DbusmenuMenuitem *item = add(parent, text);

  dbusmenu_menuitem_property_set(item,
                                 DBUSMENU_MENUITEM_PROP_CHILD_DISPLAY,
                                 DBUSMENU_MENUITEM_CHILD_DISPLAY_SUBMENU);
  return item;
}

/* ---- Parts ---------------------------------------------------------------
 */

/* What may let the request go: not what a person should have read first. */
static void
add_approvals(TrayMenu *menu,
              DbusmenuMenuitem *folder,
              const TrayPending *pending)
{
  const char *id = pending->id;

  if (!pending->ours) {
    g_autofree char *who = tray_shown(pending->approvers, NAME_CHARS);

    add_note(folder, "Asked: %s", who);
    return;
  }
  if (pending->high_risk || pending->needs_reason) {
    add_note(folder, "To approve it, review it");
    return;
  }
  add_choice(menu, folder, "Approve once", TRAY_DO_APPROVE, id, 0);
  if (pending->can_mask)
    add_choice(menu, folder, "Approve masked", TRAY_DO_MASKED, id, 0);
  if (pending->can_grant)
    add_choice(
        menu, folder, "Approve for 10 minutes", TRAY_DO_APPROVE, id, GRANT_S);
}

/* Deny stands apart from what lets the request go. */
static void
add_denials(TrayMenu *menu,
            DbusmenuMenuitem *folder,
            const TrayPending *pending)
{
  static const struct {
    const char *text;
    unsigned seconds;
  } spans[] = {{"For 10 minutes", GRANT_S},
               {"For an hour", HOUR_S},
               {"While this conversation goes on", TRAY_SESSION}};
  DbusmenuMenuitem *inner;

  add_line(folder);
  add_choice(menu, folder, "Deny", TRAY_DO_DENY, pending->id, 0);
  if (!pending->can_remember)
    return;
  inner = add_folder(folder, "Deny and remember\xe2\x80\xa6");
  for (unsigned i = 0; i < G_N_ELEMENTS(spans); i++)
    add_choice(menu,
               inner,
               spans[i].text,
               TRAY_DO_DENY,
               pending->id,
               spans[i].seconds);
}

static void
add_pending(TrayMenu *menu, const TrayPending *pending)
{
  g_autofree char *rules = tray_shown(pending->rules, NAME_CHARS);
  g_autofree char *summary = tray_pending_summary(pending);
  g_autofree char *text = g_strdup_printf("%s: %s", rules, summary);
  DbusmenuMenuitem *folder = add_folder(menu->root, text);

  add_choice(
      menu, folder, "Review\xe2\x80\xa6", TRAY_DO_REVIEW, pending->id, 0);
  add_approvals(menu, folder, pending);
  add_denials(menu, folder, pending);
}

static void
add_all_pending(TrayMenu *menu, const TrayModel *model)
{
  unsigned n = model->pending->len;

  for (unsigned i = 0; i < n && i < MAX_SHOWN; i++)
    add_pending(menu, model->pending->pdata[i]);
  if (n > MAX_SHOWN)
    add_note(menu->root,
             "and %u more: hoop-agent pending lists them",
             n - MAX_SHOWN);
}

static void
add_sessions(TrayMenu *menu, const TrayModel *model)
{
  for (unsigned i = 0; i < model->sessions->len; i++) {
    const TraySession *session = model->sessions->pdata[i];
    g_autofree char *name = tray_shown(session->name, NAME_CHARS);
    g_autofree char *user =
        session->user ? tray_shown(session->user, NAME_CHARS) : NULL;

    if (session->solo) {
      add_note(menu->root, "Working as %s", user ? user : name);
    } else if (user) {
      add_note(menu->root, "Signed in to %s as %s", name, user);
    } else if (session->signing_in) {
      add_note(menu->root, "Signing in to %s\xe2\x80\xa6", name);
    } else {
      g_autofree char *text =
          g_strdup_printf("Sign in to %s\xe2\x80\xa6", name);

      add_choice(menu, menu->root, text, TRAY_DO_SIGN_IN, session->name, 0);
    }
  }
}

static void
add_record(TrayMenu *menu, const TrayModel *model)
{
  g_autofree char *journal =
      model->journal ? tray_shown(model->journal, 2 * NAME_CHARS) : NULL;
  g_autofree char *shipping =
      model->shipping ? tray_shown(model->shipping, 2 * NAME_CHARS) : NULL;

  if (journal && g_str_equal(journal, "off"))
    add_note(menu->root, "Nothing is recorded: the journal is off");
  else if (journal && !g_str_equal(journal, "ok"))
    add_note(menu->root, "Nothing can be recorded: %s", journal);
  if (shipping)
    add_note(menu->root, "%s", shipping);
  if (model->policy_error)
    add_note(menu->root, "The policy on disk is bad; the last good one holds");
  add_choice(menu,
             menu->root,
             "Open the journal's report\xe2\x80\xa6",
             TRAY_DO_REPORT,
             NULL,
             0);
  add_choice(menu,
             menu->root,
             "List the journal\xe2\x80\xa6",
             TRAY_DO_JOURNAL,
             NULL,
             0);
}

/* Whether it is told what was masked or blocked. */
static void
add_news(TrayMenu *menu, const TrayModel *model)
{
  DbusmenuMenuitem *item;

  if (!model->notices)
    return;
  item = add_choice(menu,
                    menu->root,
                    "Tell what is masked or blocked",
                    TRAY_DO_NEWS,
                    NULL,
                    !menu->news);
  dbusmenu_menuitem_property_set(
      item, DBUSMENU_MENUITEM_PROP_TOGGLE_TYPE, DBUSMENU_MENUITEM_TOGGLE_CHECK);
  dbusmenu_menuitem_property_set_int(
      item,
      DBUSMENU_MENUITEM_PROP_TOGGLE_STATE,
      menu->news ? DBUSMENU_MENUITEM_TOGGLE_STATE_CHECKED
                 : DBUSMENU_MENUITEM_TOGGLE_STATE_UNCHECKED);
}

static void
add_decisions(TrayMenu *menu, const TrayModel *model)
{
  DbusmenuMenuitem *folder;

  if (!model->decisions->len)
    return;
  folder = add_folder(menu->root, "Recent decisions");
  for (unsigned i = 0; i < model->decisions->len; i++) {
    const TrayDecision *decision = model->decisions->pdata[i];
    g_autofree char *rules = tray_shown(decision->rules, NAME_CHARS);
    g_autofree char *outcome = tray_shown(decision->outcome, NAME_CHARS);
    g_autofree char *who = tray_shown(decision->who, NAME_CHARS);
    g_autoptr(GDateTime) when =
        g_date_time_new_from_unix_local(decision->when_us / G_USEC_PER_SEC);
    g_autofree char *time = g_date_time_format(when, "%H:%M");

    add_note(folder,
             "%s  %s: %s%s%s",
             time,
             rules,
             outcome,
             *who ? " by " : "",
             who);
  }
}

static void
add_pause(TrayMenu *menu, const TrayModel *model)
{
  if (model->paused) {
    add_choice(menu, menu->root, "Resume", TRAY_DO_RESUME, NULL, 0);
    return;
  }
  add_choice(menu,
             menu->root,
             "Pause for 10 minutes (assistants get no answers)",
             TRAY_DO_PAUSE,
             NULL,
             600);
  add_choice(menu, menu->root, "Pause until resumed", TRAY_DO_PAUSE, NULL, 0);
}

static void
rebuild(TrayMenu *menu, const TrayModel *model)
{
  g_autofree char *headline = tray_model_headline(model);
  GList *old = dbusmenu_menuitem_take_children(menu->root);

  g_list_free_full(old, g_object_unref);
  menu->later = NULL;
  add_note(menu->root, "%s", headline);
  if (model->connected) {
    add_all_pending(menu, model);
    add_line(menu->root);
    add_sessions(menu, model);
    add_record(menu, model);
    add_decisions(menu, model);
    add_line(menu->root);
    add_pause(menu, model);
    add_news(menu, model);
  }
  add_line(menu->root);
  add_choice(menu, menu->root, "Close this icon", TRAY_DO_QUIT, NULL, 0);
}

/* ---- Open and closed -----------------------------------------------------
 */

static void
closed(TrayMenu *menu)
{
  if (menu->open)
    g_source_remove(menu->open);
  menu->open = 0;
  if (menu->later)
    rebuild(menu, menu->later);
}

static gboolean
on_open_too_long(gpointer data)
{
  TrayMenu *menu = data;

  menu->open = 0;
  closed(menu);
  return G_SOURCE_REMOVE;
}

static gboolean
on_event(DbusmenuMenuitem *root,
         const char *name,
         GVariant *value,
         guint timestamp,
         gpointer data)
{
  TrayMenu *menu = data;

  (void)root;
  (void)value;
  (void)timestamp;
  if (g_str_equal(name, DBUSMENU_MENUITEM_EVENT_OPENED)) {
    if (menu->open)
      g_source_remove(menu->open);
    menu->open = g_timeout_add_seconds(OPEN_AT_MOST_S, on_open_too_long, menu);
  } else if (g_str_equal(name, DBUSMENU_MENUITEM_EVENT_CLOSED)) {
    closed(menu);
  }
  return FALSE;
}

TrayMenu *
tray_menu_new(const char *object_path, TrayChosen chosen, void *data)
{
  TrayMenu *menu = g_new0(TrayMenu, 1);

  menu->chosen = chosen;
  menu->data = data;
  menu->server = dbusmenu_server_new(object_path);
  menu->root = dbusmenu_menuitem_new();
  dbusmenu_menuitem_property_set(menu->root,
                                 DBUSMENU_MENUITEM_PROP_CHILD_DISPLAY,
                                 DBUSMENU_MENUITEM_CHILD_DISPLAY_SUBMENU);
  g_signal_connect(
      menu->root, DBUSMENU_MENUITEM_SIGNAL_EVENT, G_CALLBACK(on_event), menu);
  dbusmenu_server_set_root(menu->server, menu->root);
  return menu;
}

void
tray_menu_free(TrayMenu *menu)
{
  if (!menu)
    return;
  if (menu->open)
    g_source_remove(menu->open);
  g_object_unref(menu->root);
  g_object_unref(menu->server);
  g_free(menu);
}

void
tray_menu_set_news(TrayMenu *menu, bool told)
{
  menu->news = told;
}

void
tray_menu_show(TrayMenu *menu, const TrayModel *model)
{
  if (menu->open)
    menu->later = model;
  else
    rebuild(menu, model);
}
