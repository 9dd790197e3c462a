// SPDX-License-Identifier: Apache-2.0
// Promise 8: a process of the same user reads nothing of the daemon's memory.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { agentProgram, configText } from '../flow/lib/agent.mjs';
import { Child, privateEnv, run, tempDir, until } from '../flow/lib/process.mjs';

const NOBODY = 65534;
const AS_NOBODY = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];
const POLICY = 'version: 1\ndefault: allow\ntunnels: allow\nrules: []\n';
const skip = process.getuid() !== 0 && 'needs root, to be somebody else';

const asNobody = (...command) =>
  run('setpriv', [...AS_NOBODY, ...command], { env: process.env, timeoutMs: 20000 });

function giveAway(dir) {
  fs.chownSync(dir, NOBODY, NOBODY);
  for (const entry of fs.readdirSync(dir, { withFileTypes: true })) {
    const one = path.join(dir, entry.name);
    if (entry.isDirectory()) giveAway(one);
    else fs.chownSync(one, NOBODY, NOBODY);
  }
}

/** A command of nobody's own. */
const start = (t, env, ...command) => new Child('setpriv', [...AS_NOBODY, ...command], { env, t });

test('memory_is_closed_to_the_same_user', { skip }, async (t) => {
  // All in one folder that another user may enter.
  const dir = tempDir(t, 'hoop-spoof-');
  const program = path.join(dir, 'hoop-agent');
  const config = path.join(dir, 'agent.conf');
  const env = privateEnv(dir);
  fs.copyFileSync(agentProgram(), program);
  fs.chmodSync(program, 0o755);
  fs.writeFileSync(path.join(dir, 'policy.yaml'), POLICY, { mode: 0o600 });
  fs.writeFileSync(
    config,
    configText({
      listen: { port: 0 },
      policy: { file: path.join(dir, 'policy.yaml') },
      detect: { enabled: false },
    }),
    { mode: 0o600 },
  );
  giveAway(dir);
  const daemon = start(t, env, program, 'serve', '--config', config);
  const other = start(t, env, 'sleep', '60');
  await until(
    () => /listens on/.test(daemon.stderr) || !daemon.running,
    'the daemon serves',
  );
  assert.ok(daemon.running, daemon.stderr);
  const reads = (child, what) =>
    asNobody('head', '-c', '1', `/proc/${child.process.pid}/${what}`);
  assert.equal((await reads(other, 'environ')).code, 0, 'another of its processes is open');
  for (const what of ['environ', 'mem', 'maps', 'auxv']) {
    const { code, stderr } = await reads(daemon, what);
    assert.notEqual(code, 0, what);
    assert.match(stderr, /Permission denied/, what);
  }
  const traced = await asNobody('strace', '-p', String(daemon.process.pid));
  assert.notEqual(traced.code, 0);
  assert.match(traced.stderr, /not permitted/);
});
