/* SPDX-License-Identifier: Apache-2.0 */
/* hoop-review: the window in which a request that waits is read and answered.
 * One process for each session; a second call hands its id to the first. */
#include "config.h"

#include "kit/secret.h"
#include "window/window.h"
#include <gtk/gtk.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define APPLICATION_ID "io.hoop.Review"
/* Ids are 26 letters and digits. */
#define MAX_ID 64

static bool
is_id(const char *text)
{
  const size_t len = strlen(text);

  for (size_t i = 0; i < len; i++)
    if (!g_ascii_isalnum(text[i]) && text[i] != '-' && text[i] != '_')
      return false;
  return len > 0 && len <= MAX_ID && text[0] != '-';
}

static int
on_command_line(GApplication *application,
                GApplicationCommandLine *line,
                gpointer data)
{
  g_auto(GStrv) words = g_application_command_line_get_arguments(line, NULL);

  (void)data;
  if (!words[0] || !words[1] || words[2] || !is_id(words[1]))
    return 2;
  review_window_open(GTK_APPLICATION(application), words[1]);
  return EXIT_SUCCESS;
}

int
main(int argc, char **argv)
{
  g_autoptr(GtkApplication) application = NULL;

  if (argc == 2 && g_str_equal(argv[1], "--version")) {
    puts("hoop-review " PACKAGE_VERSION);
    return EXIT_SUCCESS;
  }
  if (argc != 2 || !is_id(argv[1])) {
    const bool asked = argc == 2 && g_str_equal(argv[1], "--help");

    fputs("usage: hoop-review ID | --version | --help\n"
          "Shows a request that waits and takes the answer; hoop-review(1).\n",
          asked ? stdout : stderr);
    return asked ? EXIT_SUCCESS : 2;
  }
  if (!secret_harden_process()) {
    fputs("hoop-review: the kernel refused to close this process to debuggers "
          "and core dumps\n",
          stderr);
    return EXIT_FAILURE;
  }
  g_set_prgname(APPLICATION_ID);
  g_set_application_name("Review");
  application =
      gtk_application_new(APPLICATION_ID, G_APPLICATION_HANDLES_COMMAND_LINE);
  g_signal_connect(
      application, "command-line", G_CALLBACK(on_command_line), NULL);
  return g_application_run(G_APPLICATION(application), argc, argv);
}
