/* SPDX-License-Identifier: Apache-2.0 */
/* Doctor's checks of what leads to the agent: trust in its CA, proxies, the
 * clients' settings. */
#include "cli/change.h"
#include "cli/doctor.h"
#include "kit/file.h"
#include <errno.h>
#include <gio/gio.h>
#include <string.h>

/* Today's bundles are a quarter of this. */
#define MAX_BUNDLE ((size_t)4 * 1024 * 1024)
/* A proxy of the company's that takes longer is a fault. */
#define CONNECT_S 3

/* ---- Trust ---------------------------------------------------------------
 */

static char *
read_text(const char *path)
{
  g_autoptr(GBytes) bytes = path ? file_read(path, MAX_BUNDLE, NULL) : NULL;

  return bytes
             ? g_strndup(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes))
             : NULL;
}

/* The certificate's text, line for line, is in the file. */
static bool
holds(const char *path, const char *pem)
{
  g_autofree char *text = read_text(path);

  return text && pem && strstr(text, pem);
}

void
check_trust(Doctor *doctor)
{
  g_autofree char *path = NULL;
  g_autofree char *pem = NULL;
  g_autoptr(GString) where = g_string_new(NULL);

  if (!doctor->config)
    return;
  path = g_build_filename(doctor->config->data_dir, "ca.pem", NULL);
  pem = read_text(path);
  if (!pem)
    return;
  g_strstrip(pem);
  if (holds(g_getenv("NODE_EXTRA_CA_CERTS"), pem))
    g_string_append(where, ", NODE_EXTRA_CA_CERTS of this shell");
  if (holds(g_getenv("SSL_CERT_FILE"), pem))
    g_string_append(where, ", SSL_CERT_FILE of this shell");
  if (holds(trust_system_bundle(), pem))
    g_string_append(where, ", the system's store");
  for (unsigned i = 0; client_row(i); i++)
    if (change_set_recorded(doctor->config->state_dir, client_row(i)->name))
      g_string_append_printf(where, ", %s's setup", client_row(i)->name);
  if (where->len)
    doctor_say(doctor,
               "trust",
               HEALTH_OK,
               NULL,
               "the CA is trusted by %s",
               where->str + 2);
  else
    doctor_say(doctor,
               "trust",
               HEALTH_WARN,
               "hoop-agent setup CLIENT, or eval \"$(hoop-agent env CLIENT)\"",
               "nothing here trusts the agent's CA yet");
}

/* ---- Proxies -------------------------------------------------------------
 */

static void
check_parent(Doctor *doctor, const char *proxy)
{
  g_autoptr(GSocketClient) client = g_socket_client_new();
  g_autoptr(GSocketConnection) connection = NULL;
  g_autoptr(GError) error = NULL;
  g_autoptr(GUri) uri = g_uri_parse(proxy, G_URI_FLAGS_NONE, NULL);

  if (!uri)
    return;
  g_socket_client_set_timeout(client, CONNECT_S);
  g_socket_client_set_enable_proxy(client, FALSE);
  connection = g_socket_client_connect_to_host(
      client,
      g_uri_get_host(uri),
      g_uri_get_port(uri) > 0 ? (guint16)g_uri_get_port(uri) : 80,
      NULL,
      &error);
  if (connection)
    doctor_say(doctor,
               "proxy",
               HEALTH_OK,
               NULL,
               "the agent goes through %s, which answers",
               proxy);
  else
    doctor_say(doctor,
               "proxy",
               HEALTH_FAIL,
               "correct [upstream] proxy, or ask who runs it",
               "the parent proxy %s: %s",
               proxy,
               error->message);
}

/* The environment's proxy is the agent itself. */
static bool
is_agent(const Doctor *doctor, const char *proxy)
{
  const char *address = NULL;
  g_autofree char *own = NULL;

  if (doctor->status)
    g_variant_lookup(doctor->status, "address", "&s", &address);
  own = address ? g_strdup(address)
                : g_strdup_printf("%s:%u",
                                  doctor->config->address,
                                  (unsigned)doctor->config->port);
  return strstr(proxy, own) != NULL;
}

void
check_proxy(Doctor *doctor)
{
  const char *environment = g_getenv("HTTPS_PROXY") ?: g_getenv("https_proxy");
  const char *strict = g_getenv("NODE_TLS_REJECT_UNAUTHORIZED");

  if (g_strcmp0(strict, "0") == 0)
    doctor_say(doctor,
               "proxy",
               HEALTH_WARN,
               "unset NODE_TLS_REJECT_UNAUTHORIZED",
               "this shell tells clients to trust any certificate");
  if (!doctor->config) {
    /* A proxy in the environment that is the agent itself keeps the
     * configuration from loading: check_config() told. */
    return;
  }
  if (doctor->config->proxy && !is_agent(doctor, doctor->config->proxy))
    check_parent(doctor, doctor->config->proxy);
  else if (environment && is_agent(doctor, environment))
    doctor_say(doctor,
               "proxy",
               HEALTH_OK,
               NULL,
               "this shell's programs go through the agent");
  else
    doctor_say(doctor,
               "proxy",
               HEALTH_OK,
               NULL,
               "the agent reaches its servers directly");
}

/* ---- Clients -------------------------------------------------------------
 */

/* Every recorded file still holds what was written, and it leads here. */
static bool
still_set_up(const ChangeSet *set, const char **changed)
{
  for (unsigned i = 0; i < set->files->len; i++) {
    const Change *one = set->files->pdata[i];
    g_autoptr(Change) now = change_open(set, one->path, one->kind, NULL);

    *changed = one->path;
    if (!now || strcmp(now->now, now->before) == 0)
      return false;
  }
  return true;
}

static bool
check_client(Doctor *doctor, const Client *client)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(ChangeSet) set =
      change_set_load(doctor->config->state_dir, client->name, &error);
  g_autofree char *advice =
      g_strdup_printf("hoop-agent setup %s", client->name);
  g_autofree char *program =
      client->program ? g_find_program_in_path(client->program) : NULL;
  const char *changed = NULL;

  if (!set) {
    doctor_say(doctor, "client", HEALTH_WARN, NULL, "%s", error->message);
    return true;
  }
  if (set->files->len && still_set_up(set, &changed)) {
    doctor_say(
        doctor, "client", HEALTH_OK, NULL, "%s is set up", client->title);
    return true;
  }
  if (set->files->len) {
    doctor_say(doctor,
               "client",
               HEALTH_WARN,
               advice,
               "%s was set up, but %s does not say so any more",
               client->title,
               changed);
    return true;
  }
  if (program)
    doctor_say(doctor,
               "client",
               HEALTH_WARN,
               advice,
               "%s is installed (%s) and not set up",
               client->title,
               program);
  return program != NULL;
}

void
check_clients(Doctor *doctor)
{
  bool any = false;

  if (!doctor->config)
    return;
  for (unsigned i = 0; client_row(i); i++)
    any = check_client(doctor, client_row(i)) || any;
  if (!any)
    doctor_say(doctor,
               "client",
               HEALTH_WARN,
               "hoop-agent setup CLIENT; hoop-agent setup --help lists them",
               "no client is set up");
}
