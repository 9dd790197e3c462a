// SPDX-License-Identifier: Apache-2.0
// What the benches of this folder share: certificates, programs that end with
// the bench, and the agent.

import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import {
  Child,
  configText,
  freePort,
  privateEnv,
  until,
} from '../../flow/lib/harness.mjs';

export const build = process.env.HOOP_BUILDDIR;
export const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'hoop-bench-'));
const children = [];

export function start(file, argv, options = {}) {
  const child = new Child(file, argv, options);
  children.push(child);
  return child;
}

export function has(program) {
  return spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
}

/** A CA and a certificate for localhost that everybody here uses. */
export function certificates() {
  const file = (name) => path.join(dir, name);
  const openssl = (...argv) =>
    execFileSync('openssl', argv, { stdio: 'ignore' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  openssl('req', '-x509', ...key, '-keyout', file('ca.key'), '-out', file('ca.pem'),
    '-days', '2', '-subj', '/CN=bench');
  openssl('req', ...key, '-keyout', file('key.pem'), '-out', file('req.pem'),
    '-subj', '/CN=localhost');
  fs.writeFileSync(file('ext'), 'subjectAltName=DNS:localhost,IP:127.0.0.1');
  openssl('x509', '-req', '-in', file('req.pem'), '-CA', file('ca.pem'), '-CAkey',
    file('ca.key'), '-CAcreateserial', '-days', '2', '-extfile', file('ext'),
    '-out', file('cert.pem'));
  fs.writeFileSync(file('both.pem'),
    fs.readFileSync(file('cert.pem')) + fs.readFileSync(file('key.pem')));
  return { ca: file('ca.pem'), cert: file('cert.pem'), key: file('key.pem'), both: file('both.pem') };
}

export async function listening(port) {
  await until(
    () => spawnSync('sh', ['-c', `ss -ltn | grep -q ':${port} '`]).status === 0,
    `port ${port}`,
    60000,
  );
}

/** The agent; `on`: inspection and, unless told otherwise, journal, grouped. */
export async function agent(name, tls, backend, on, journal = on) {
  const home = path.join(dir, name);
  fs.mkdirSync(home, { mode: 0o700 });
  const port = await freePort();
  const conf = path.join(home, 'agent.conf');
  fs.writeFileSync(conf, configText({
    listen: { port },
    upstream: { 'ca-file': tls.ca },
    detect: { enabled: on },
    journal: { enabled: journal, durability: 'grouped' },
    'connection "copilot"': { upstream: `https://localhost:${backend}` },
  }));
  const env = privateEnv(home);
  const run = () => start(path.join(build, 'hoop-agent'), ['serve', '--config', conf], { env });
  const child = run();
  const ca = path.join(env.XDG_DATA_HOME, 'hoop-agent', 'ca.pem');
  await listening(port);
  await until(() => fs.existsSync(ca), 'CA');
  return { port, ca, child, run };
}

export async function cleanUp() {
  for (const child of children.reverse()) await child.stop();
  fs.rmSync(dir, { recursive: true, force: true });
}
