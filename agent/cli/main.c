/* SPDX-License-Identifier: Apache-2.0 */
/* hoop-agent: the daemon and the command line that speaks to it, one program.
 * Before anything else it closes itself to debuggers and core dumps. */
#include "cli/cli.h"
#include "kit/secret.h"
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

int
main(int argc, char **argv)
{
  if (!secret_harden_process()) {
    fprintf(stderr,
            "hoop-agent: the kernel refused to close this process to "
            "debuggers and core dumps: %s\n",
            strerror(errno));
    return 1;
  }
  setlocale(LC_ALL, "");
  return cli_main(argc, argv);
}
