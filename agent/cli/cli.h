/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of hoop-agent: one table of verbs, one file for each. */
#ifndef HOOP_CLI_H
#define HOOP_CLI_H

/* Finds the verb, reads its options as its row says, runs it. Returns the exit
 * code: 0 done, 1 found, refused or not verified, 2 usage, 3 the daemon is not
 * running, 4 not signed in, 5 a service is out of reach. Main thread, before
 * any other thread exists, after secret_harden_process(). Writes to standard
 * output and standard error. */
int cli_main(int argc, char **argv);

#endif
