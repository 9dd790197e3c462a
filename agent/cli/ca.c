/* SPDX-License-Identifier: Apache-2.0 */
/* ca show, export and rotate: the authority that vouches for the agent. */
#include "cli/settings.h"
#include "conn/conn.h"
#include "kit/file.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static void
line(const char *name, const char *value)
{
  g_autofree char *shown = visible(value, -1, false);

  printf("%-12s %s\n", name, shown);
}

static int
show(const Call *call, const Ca *ca)
{
  const CaFacts *facts = ca_facts(ca);
  g_autofree char *from = time_text(facts->from_s * G_USEC_PER_SEC);
  g_autofree char *until = time_text(facts->until_s * G_USEC_PER_SEC);
  g_autofree char *names = g_strjoinv(", ", facts->names);
  struct json_object *json, *list;

  if (!call_has(call, "json")) {
    line("subject", facts->subject);
    line("file", ca_path(ca));
    line("SHA-256", facts->fingerprint);
    line("valid from", from);
    line("until", until);
    line("only for", names);
    return CLI_DONE;
  }
  json = json_object_new_object();
  list = json_object_new_array();
  json_object_object_add(
      json, "subject", json_object_new_string(facts->subject));
  json_object_object_add(json, "file", json_object_new_string(ca_path(ca)));
  json_object_object_add(
      json, "sha256", json_object_new_string(facts->fingerprint));
  json_object_object_add(json, "from", json_object_new_int64(facts->from_s));
  json_object_object_add(json, "until", json_object_new_int64(facts->until_s));
  for (char **name = facts->names; *name; name++)
    json_object_array_add(list, json_object_new_string(*name));
  json_object_object_add(json, "names", list);
  print_json(json);
  return CLI_DONE;
}

/* The certificate alone; its key never leaves the state folder. */
static int
export_to(const Call *call, const Ca *ca)
{
  g_autoptr(GBytes) pem = ca_pem(ca);
  g_autoptr(GError) error = NULL;
  const char *path = call->args[1];
  size_t len;
  const char *text = g_bytes_get_data(pem, &len);
  g_autofree char *shown = visible(path, -1, false);

  if (g_str_equal(path, "-")) {
    fwrite(text, 1, len, stdout);
    return CLI_DONE;
  }
  if (g_file_test(path, G_FILE_TEST_IS_DIR))
    return complain(call, CLI_USAGE, "%s is a folder: name a file in it", path);
  if (!file_replace(path, text, len, 0644, &error))
    return complain(call, CLI_FOUND, "%s", error->message);
  printf("The agent's CA certificate is in %s.\n", shown);
  return CLI_DONE;
}

static int
rotate(const Call *call, const Config *config)
{
  g_autoptr(GError) error = NULL;
  g_auto(GStrv) hosts = conn_hosts(config, NULL, &error);
  g_autoptr(HoopAgent1) agent = daemon_try();
  g_autofree char *extra = NULL;
  g_autoptr(Ca) ca = NULL;

  if (hosts)
    ca = ca_rotate(config->state_dir,
                   config->data_dir,
                   (const char *const *)hosts,
                   &error);
  if (!ca || !trust_write(config, ca, &extra, &error))
    return complain(call, CLI_FOUND, "%s", error->message);
  show(call, ca);
  if (call_has(call, "json"))
    return CLI_DONE;
  if (agent)
    puts("\nRestart the agent (systemctl --user restart hoop-agent), which "
         "still uses the\nformer one, and then the clients.");
  puts("\nWhere the former one was imported (system store, browser store, "
       "JetBrains),\nimport this one and remove that.");
  return CLI_DONE;
}

int
verb_ca(const Call *call)
{
  const char *word = call->args[0];
  bool exports = g_str_equal(word, "export");
  g_autoptr(Config) config = NULL;
  g_autoptr(GError) error = NULL;
  g_autoptr(Ca) ca = NULL;
  int code = CLI_DONE;

  if (call->n_args != (exports ? 2 : 1))
    return complain(call,
                    CLI_USAGE,
                    "usage: hoop-agent ca %s%s",
                    word,
                    exports ? " FILE" : "");
  config = cli_config(call, &code);
  if (!config)
    return code;
  if (g_str_equal(word, "rotate"))
    return rotate(call, config);
  ca = cli_ca(config, &error);
  if (!ca)
    return complain(call, CLI_FOUND, "%s", error->message);
  return exports ? export_to(call, ca) : show(call, ca);
}
