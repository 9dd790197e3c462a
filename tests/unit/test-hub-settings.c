/* SPDX-License-Identifier: Apache-2.0 */
/* hoop-hub.conf: what is taken, and that what is wrong is named. */
#include "folder.h"
#include "hub/settings.h"
#include <string.h>

#define GOOD                                                                   \
  "[hub]\naudience=hub\nstate-dir=/srv/hub\n"                                  \
  "[identity \"corp\"]\nissuer=https://idp.example\n"

static HubConfig *
load(const char *text, GError **error)
{
  g_autofree char *folder = g_dir_make_tmp("hub-conf-XXXXXX", NULL);
  g_autofree char *path = g_build_filename(folder, "hub.conf", NULL);
  HubConfig *config;

  g_assert_true(g_file_set_contents(path, text, -1, NULL));
  config = hub_config_load(path, error);
  remove_folder(folder);
  return config;
}

static void
test_good(void)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(HubConfig) config =
      load(GOOD "[limits]\nmax-body=2M\nrate=5\n"
                "[reviewers \"leads\"]\ngroups=a; b\nescalation=leads\n",
           &error);

  g_assert_no_error(error);
  g_assert_cmpuint(config->port, ==, 8790);
  g_assert_cmpuint(config->max_body, ==, 2 << 20);
  g_assert_cmpuint(config->rate, ==, 5);
  g_assert_cmpstr(config->certificate, ==, "/srv/hub/tls.pem");
  g_assert_cmpstr(hub_config_reviewers(config, "leads")->groups[1], ==, "b");
  g_assert_null(hub_config_reviewers(config, "others"));
}

static void
test_refused(void)
{
  static const struct {
    const char *text, *says;
  } rows[] = {
      {"", "audience"},
      {"[hub]\naudience=hub\nstate-dir=/srv\n", "identity"},
      {GOOD "[other]\nkey=1\n", "[other]"},
      {GOOD "[roles]\nowner=a\n", "owner"},
      {GOOD "[limits]\nrate=0\n", "rate"},
      {GOOD "[limits]\nrate=5K\n", "rate"},
      {GOOD "[limits]\nmax-body=9999M\n", "max-body"},
      {GOOD "[limits]\nmax-body=M\n", "max-body"},
      {GOOD "[reviewers \"leads\"]\n", "leads"},
      {GOOD "[reviewers \"leads\"]\ngroups=a\nescalation=none\n", "leads"},
      {GOOD "[reviewers leads]\ngroups=a\n", "[reviewers leads]"},
      {GOOD "[identity \"two\"]\nissuer=http://idp.example\n", "two"},
      {"[hub]\naudience=hub\nstate-dir=srv\n"
       "[identity \"corp\"]\nissuer=https://idp.example\n",
       "state-dir"},
      {GOOD "[hub]\ncertificate=/a\n", "certificate"},
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(GError) error = NULL;

    g_assert_null(load(rows[i].text, &error));
    g_assert_error(error, HUB_ERROR, HUB_ERROR_CONFIG);
    if (!strstr(error->message, rows[i].says))
      g_error("row %zu: %s", i, error->message);
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/hub/settings/good", test_good);
  g_test_add_func("/hub/settings/refused", test_refused);
  return g_test_run();
}
