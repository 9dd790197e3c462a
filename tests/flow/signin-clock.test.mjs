// SPDX-License-Identifier: Apache-2.0
// The clock of a machine is set while somebody is signed in: libfaketime turns
// it under the whole daemon. What the unit tests see part by part, as one.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { providersOff } from '../providers/install.mjs';
import { startOidcProvider } from '../providers/oidc-provider.mjs';
import { callOf, startAgent, startBackend, tempDir, until } from './lib/harness.mjs';
import { identityOf, signIn } from './lib/signin.mjs';

const library = ['/usr/lib', '/usr/lib64']
  .flatMap((dir) =>
    fs.existsSync(dir)
      ? ['.', ...fs.readdirSync(dir).filter((name) => /-linux-gnu$/.test(name))].map(
          (name) => path.join(dir, name, 'faketime/libfaketimeMT.so.1'),
        )
      : [],
  )
  .find(fs.existsSync);

const sanitized = !['', 'no', undefined].includes(process.env.HOOP_SANITIZER);
const skip =
  providersOff ||
  (sanitized && 'libfaketime and sanitizers exclude each other') ||
  (!library && 'libfaketime is not installed (package faketime)');

test('the clock is set forward, back, and behind', { skip }, async (t) => {
  const clock = path.join(tempDir(t), 'clock');
  const set = (offset) => {
    fs.writeFileSync(`${clock}.new`, `${offset}\n`);
    fs.renameSync(`${clock}.new`, clock);
  };
  set('+0');
  const backend = await startBackend(t);
  const provider = await startOidcProvider(t);
  const agent = await startAgent(t, {
    backend,
    config: identityOf(provider),
    wrapper: [
      'env',
      `LD_PRELOAD=${library}`,
      `FAKETIME_TIMESTAMP_FILE=${clock}`,
      'FAKETIME_NO_CACHE=1',
      'FAKETIME_DONT_FAKE_MONOTONIC=1',
    ],
  });
  const { path: target, body } = callOf('chat', 'hello');
  const ask = async () => {
    const client = agent.client({ mode: 'base-url', token: backend.token });
    const answer = await client.post(target, body);
    return answer.status === 200 ? 'ok' : JSON.parse(answer.text).error.code;
  };
  assert.equal((await signIn(agent, provider)).code, 0);
  assert.equal(await ask(), 'ok');
  // Behind the session's end: over at once, though nothing woke up for it.
  set('+20m');
  assert.equal(await ask(), 'not_signed_in');
  // Put right: the session is there, or comes again by itself.
  set('+0');
  await until(async () => (await ask()) === 'ok', 'the session again', 30000);
  // Backward it goes on, to the end that the clock of the boot tells.
  set('-20m');
  assert.equal(await ask(), 'ok');
  assert.match((await agent.cli(['whoami'])).stdout, /dev/);
});
