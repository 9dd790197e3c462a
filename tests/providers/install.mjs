// SPDX-License-Identifier: Apache-2.0
// Where install.sh put the providers; runs it once for each test process.

import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const INSTALL_MS = 600000;

const here = path.dirname(fileURLToPath(import.meta.url));
const installed = new Map();

/** Why tests with providers are skipped, or false: {skip: providersOff}. */
export const providersOff =
  process.env.HOOP_TEST_PROVIDERS === 'none' && 'HOOP_TEST_PROVIDERS=none';

function install(what) {
  if (!installed.has(what))
    installed.set(
      what,
      promisify(execFile)(path.join(here, 'install.sh'), [what], {
        timeout: INSTALL_MS,
        encoding: 'utf8',
      }).then(({ stdout }) => stdout.trim()),
    );
  return installed.get(what);
}

/** node_modules with oidc-provider. */
export async function npmDir() {
  return path.join(await install('npm'), 'node_modules');
}

/** A root of Debian packages, unpacked: 'glewlwyd', 'lemonldap'. */
export function debianRoot(what) {
  return install(what);
}

/**
 * A chromium to drive, {program, libraries}: the system's, or one that was
 * unpacked before, or with HOOP_FULL one that is got now (115 MB); else
 * undefined.
 */
export async function findChromium() {
  const inside = 'usr/lib/chromium/chromium';
  if (fs.existsSync(`/${inside}`)) return { program: `/${inside}` };
  if (!process.env.HOOP_FULL) return undefined;
  const root = path.join(await install('chromium'), 'root');
  const lib = path.join(root, 'usr/lib');
  return {
    program: path.join(root, inside),
    libraries: fs
      .readdirSync(lib)
      .filter((name) => name.endsWith('-linux-gnu'))
      .flatMap((name) => [
        path.join(lib, name),
        path.join(lib, name, 'pulseaudio'),
      ])
      .join(':'),
  };
}
