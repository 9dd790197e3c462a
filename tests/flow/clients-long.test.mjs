// SPDX-License-Identifier: Apache-2.0
// A real chat that waits for a person for longer than most tools dare to: with
// the agent's own times, nothing shortened. Long, so only when asked for.

import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { clientTest, installClients, runClient, shown } from './lib/clients.mjs';
import { Fixture, startThrough, until } from './lib/harness.mjs';

const HELD_MS = 100000;
const POLICY = `
version: 1
default: allow
tunnels: allow
rules:
  - id: careful
    match: {direction: request, prompt: 'be careful'}
    action: approve
    by: [developer]
    timeout: 120
    completions: block
`;

const thorough = Boolean(process.env.HOOP_THOROUGH);
const fixture = new Fixture();
let through;

before(async () => {
  if (!thorough) return;
  await installClients();
  through = await startThrough(fixture, { policy: POLICY });
});
after(() => fixture.close());

clientTest('a chat held for 100 s and approved completes without a retry', async (t) => {
  if (!thorough) return t.skip('HOOP_THOROUGH is not set');
  const since = await through.last();
  let done = false;
  const running = runClient(t, through, 'language-server', 'be careful for long', { timeoutMs: 2 * HELD_MS }).finally(() => {
    done = true;
  });
  const pending = () => through.agent.json('pending');
  const [held] = await until(async () => {
    const list = await pending();
    return list.length > 0 && list;
  }, 'a held chat', 60000);
  const end = held.since_us / 1000 + HELD_MS;
  while (Date.now() < end) {
    assert.ok(!done, 'it waits');
    assert.deepEqual((await pending()).map((one) => one.id), [held.id], 'it was not asked again');
    await sleep(2000);
  }
  assert.deepEqual(await through.seen(), []);
  assert.equal((await through.agent.cli(['approve', held.id])).code, 0);
  // The conversation's title, another request with the same words.
  await until(async () => {
    for (const { id } of await pending()) await through.agent.cli(['approve', id]);
    return done;
  }, 'the end', 60000);
  const result = await running;
  assert.match(shown(result), /You wrote: be careful for long/);
  const asked = (await through.recorded(since)).filter((row) => row.rule === 'careful');
  assert.equal(asked.length, 2, JSON.stringify(asked));
  const calls = await through.seen();
  if (process.env.HOOP_DUMP) for (const call of calls) console.log(JSON.stringify(call));
});
