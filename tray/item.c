/* SPDX-License-Identifier: Apache-2.0 */
/* The status item. It registers by its object's path: by a well-known name one
 * panel's extension does not find it. */
#include "tray/item.h"
#include "tray/icon.h"
#include "tray/status-notifier-item.h"

#define WATCHER "org.kde.StatusNotifierWatcher"
#define WATCHER_PATH "/StatusNotifierWatcher"

struct tray_item {
  SniStatusNotifierItem *skeleton;
  guint watch;
  TrayState state;
  char *headline, *details;
  void (*activate)(void *data);
  void *data;
};

static gboolean
on_activate(SniStatusNotifierItem *skeleton,
            GDBusMethodInvocation *call,
            gint x,
            gint y,
            gpointer data)
{
  TrayItem *item = data;

  (void)x;
  (void)y;
  sni_status_notifier_item_complete_activate(skeleton, call);
  item->activate(item->data);
  return TRUE;
}

static gboolean
on_secondary(SniStatusNotifierItem *skeleton,
             GDBusMethodInvocation *call,
             gint x,
             gint y,
             gpointer data)
{
  TrayItem *item = data;

  (void)x;
  (void)y;
  sni_status_notifier_item_complete_secondary_activate(skeleton, call);
  item->activate(item->data);
  return TRUE;
}

/* The panel draws the menu itself, from the object that Menu names. */
static gboolean
on_context_menu(SniStatusNotifierItem *skeleton,
                GDBusMethodInvocation *call,
                gint x,
                gint y,
                gpointer data)
{
  (void)x;
  (void)y;
  (void)data;
  sni_status_notifier_item_complete_context_menu(skeleton, call);
  return TRUE;
}

static gboolean
on_scroll(SniStatusNotifierItem *skeleton,
          GDBusMethodInvocation *call,
          gint delta,
          const char *orientation,
          gpointer data)
{
  (void)delta;
  (void)orientation;
  (void)data;
  sni_status_notifier_item_complete_scroll(skeleton, call);
  return TRUE;
}

static void
on_watcher(GDBusConnection *bus,
           const char *name,
           const char *owner,
           gpointer data)
{
  (void)name;
  (void)data;
  g_dbus_connection_call(bus,
                         owner,
                         WATCHER_PATH,
                         WATCHER,
                         "RegisterStatusNotifierItem",
                         g_variant_new("(s)", TRAY_ITEM_PATH),
                         NULL,
                         G_DBUS_CALL_FLAGS_NONE,
                         -1,
                         NULL,
                         NULL,
                         NULL);
}

static void
set_fixed(SniStatusNotifierItem *skeleton)
{
  sni_status_notifier_item_set_category(skeleton, "SystemServices");
  sni_status_notifier_item_set_id(skeleton, "hoop-agent");
  sni_status_notifier_item_set_title(skeleton, "hoop-agent");
  sni_status_notifier_item_set_window_id(skeleton, 0);
  sni_status_notifier_item_set_icon_name(skeleton, "");
  sni_status_notifier_item_set_overlay_icon_name(skeleton, "");
  sni_status_notifier_item_set_overlay_icon_pixmap(
      skeleton, g_variant_new_array(G_VARIANT_TYPE("(iiay)"), NULL, 0));
  sni_status_notifier_item_set_attention_icon_name(skeleton, "");
  sni_status_notifier_item_set_item_is_menu(skeleton, FALSE);
  sni_status_notifier_item_set_menu(skeleton, TRAY_MENU_PATH);
}

TrayItem *
tray_item_new(GDBusConnection *bus,
              void (*activate)(void *data),
              void *data,
              GError **error)
{
  g_autoptr(TrayItem) item = g_new0(TrayItem, 1);
  g_autoptr(TrayModel) nothing = tray_model_new();

  item->activate = activate;
  item->data = data;
  item->state = N_TRAY_STATES; /* none: the first show() sets all */
  item->skeleton = sni_status_notifier_item_skeleton_new();
  set_fixed(item->skeleton);
  g_signal_connect(
      item->skeleton, "handle-activate", G_CALLBACK(on_activate), item);
  g_signal_connect(item->skeleton,
                   "handle-secondary-activate",
                   G_CALLBACK(on_secondary),
                   item);
  g_signal_connect(
      item->skeleton, "handle-context-menu", G_CALLBACK(on_context_menu), item);
  g_signal_connect(
      item->skeleton, "handle-scroll", G_CALLBACK(on_scroll), item);
  tray_item_show(item, nothing);
  if (!g_dbus_interface_skeleton_export(
          G_DBUS_INTERFACE_SKELETON(item->skeleton),
          bus,
          TRAY_ITEM_PATH,
          error))
    return NULL;
  item->watch = g_bus_watch_name_on_connection(bus,
                                               WATCHER,
                                               G_BUS_NAME_WATCHER_FLAGS_NONE,
                                               on_watcher,
                                               NULL,
                                               item,
                                               NULL);
  return g_steal_pointer(&item);
}

void
tray_item_free(TrayItem *item)
{
  if (!item)
    return;
  if (item->watch)
    g_bus_unwatch_name(item->watch);
  if (g_dbus_interface_skeleton_get_connection(
          G_DBUS_INTERFACE_SKELETON(item->skeleton)))
    g_dbus_interface_skeleton_unexport(
        G_DBUS_INTERFACE_SKELETON(item->skeleton));
  g_object_unref(item->skeleton);
  g_free(item->headline);
  g_free(item->details);
  g_free(item);
}

static void
show_state(TrayItem *item, TrayState state)
{
  g_autoptr(GVariant) pixmaps = g_variant_ref_sink(tray_icon_pixmaps(state));
  const char *status = state == TRAY_PENDING ? "NeedsAttention" : "Active";

  item->state = state;
  sni_status_notifier_item_set_icon_pixmap(item->skeleton, pixmaps);
  sni_status_notifier_item_set_attention_icon_pixmap(item->skeleton, pixmaps);
  sni_status_notifier_item_set_status(item->skeleton, status);
  sni_status_notifier_item_emit_new_icon(item->skeleton);
  sni_status_notifier_item_emit_new_attention_icon(item->skeleton);
  sni_status_notifier_item_emit_new_status(item->skeleton, status);
}

void
tray_item_show(TrayItem *item, const TrayModel *model)
{
  TrayState state = tray_model_state(model);
  g_autofree char *headline = tray_model_headline(model);
  g_autofree char *details = tray_model_details(model);

  if (state != item->state)
    show_state(item, state);
  if (g_strcmp0(headline, item->headline) == 0 &&
      g_strcmp0(details, item->details) == 0)
    return;
  g_free(item->headline);
  g_free(item->details);
  item->headline = g_steal_pointer(&headline);
  item->details = g_steal_pointer(&details);
  sni_status_notifier_item_set_tool_tip(
      item->skeleton,
      g_variant_new("(s@a(iiay)ss)",
                    "",
                    g_variant_new_array(G_VARIANT_TYPE("(iiay)"), NULL, 0),
                    item->headline,
                    item->details));
  sni_status_notifier_item_emit_new_tool_tip(item->skeleton);
}
