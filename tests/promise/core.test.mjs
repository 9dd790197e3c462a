// SPDX-License-Identifier: Apache-2.0
// Promise 3: nor in a crash dump. A daemon that crashes while a secret is on
// its way writes none, whatever its limits became.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';

import {
  assertNowhere,
  callOf,
  Fixture,
  startAgent,
  startBackend,
  until,
} from '../flow/lib/harness.mjs';

// Made up in AWS's published format.
const SECRET = 'AKIA' + 'Q3EGRUZPL5WY7HTC';

const fixture = new Fixture();
let backend;
let agent;

before(async () => {
  backend = await startBackend(fixture);
  agent = await startAgent(fixture, { backend });
});
after(() => fixture.close());

/** Core files of any name in a folder and those below it. */
const cores = (dir) =>
  fs
    .readdirSync(dir, { recursive: true })
    .filter((name) => /^core(\.|$)/.test(path.basename(name)));

const run = (command, cwd) =>
  spawnSync('sh', ['-c', command], { cwd, timeout: 10000 });

test('no_core_when_it_crashes', async (t) => {
  assert.match(
    fs.readFileSync(`/proc/${agent.pid}/limits`, 'utf8'),
    /^Max core file size\s+0\s+0\s/m,
  );
  // Where that may be undone, what the process says of itself is left.
  run(`prlimit --pid ${agent.pid} --core=unlimited:unlimited`);
  const other = path.join(agent.dir, 'other');
  fs.mkdirSync(other);
  run('ulimit -c unlimited; kill -SEGV $$', other);
  const dumps = cores(other).length > 0;
  fs.rmSync(other, { recursive: true });

  const client = agent.client({ mode: 'base-url', token: backend.token });
  await backend.answer('/chat/completions', {
    deltas: ['Key ', SECRET.slice(0, 9), SECRET.slice(9), ' ends'],
    stallAfterBytes: 900,
  });
  const { path: at, body } = callOf('chat', `use ${SECRET}`, { stream: true });
  const gone = client.stream(at, body).catch((error) => error);
  await until(
    async () => (await backend.modelCalls()).length > 0,
    'the request at the backend',
  );
  await agent.kill('SIGSEGV');
  await gone;
  assert.deepEqual(cores(agent.dir), []);
  assertNowhere(agent.dir, SECRET);
  if (!dumps) t.diagnostic('no core files here: only the limit was seen');
});
