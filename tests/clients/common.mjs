// SPDX-License-Identifier: Apache-2.0
// What the drivers share: where the clients are, and an environment that holds
// nothing but a private home and how to reach the backend.
//
// Every driver takes {mode, proxyUrl, baseUrl, caFile, token, home, env}:
//   mode 'proxy'     through the HTTP proxy proxyUrl (CONNECT)
//   mode 'base-url'  to baseUrl instead of the vendor's host
//   mode 'direct'    the same, where baseUrl is the backend itself
// home is a private directory; env adds variables; t is the test (its end
// stops the client).

import { execFile } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { privateEnv } from '../flow/lib/process.mjs';

const INSTALL_MS = 280000;
const here = path.dirname(fileURLToPath(import.meta.url));
let installed;

/** Why tests of clients are skipped, or false: {skip: clientsOff}. */
export const clientsOff =
  process.env.HOOP_TEST_CLIENTS === 'none' && 'HOOP_TEST_CLIENTS=none';

/** Installs the clients if need be; resolves to their node_modules. */
export function clientsDir() {
  installed ??= promisify(execFile)(path.join(here, 'install.sh'), {
    timeout: INSTALL_MS,
    encoding: 'utf8',
  }).then(({ stdout }) => path.join(stdout.trim(), 'node_modules'));
  return installed;
}

/** The environment for a client: private home, CA, proxy when mode says so. */
export function clientEnv(options, extra = {}) {
  const proxy =
    options.mode === 'proxy'
      ? {
          HTTPS_PROXY: options.proxyUrl,
          HTTP_PROXY: options.proxyUrl,
          https_proxy: options.proxyUrl,
          http_proxy: options.proxyUrl,
        }
      : {};
  return privateEnv(options.home, {
    NODE_EXTRA_CA_CERTS: options.caFile,
    ...proxy,
    ...extra,
    ...options.env,
  });
}

/** Parses lines of JSON; lines that are none are left out. */
export function jsonLines(text) {
  return text.split('\n').flatMap((line) => {
    try {
      return [JSON.parse(line)];
    } catch {
      return [];
    }
  });
}
