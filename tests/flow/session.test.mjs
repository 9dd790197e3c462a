// SPDX-License-Identifier: Apache-2.0
// Session tokens of a held credential: revoked before their time, refused for
// good, and waited for by requests while the agent stops.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import {
  callOf,
  Fixture,
  startBackend,
  startHolding,
  until,
} from './lib/harness.mjs';

const HELD = `ghp_${'A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5'}0Zb5Hm`;
const TOKEN_PATH = '/copilot_internal/v2/token';

const fixture = new Fixture();
let backend;
let agent;
let client;

before(async () => {
  backend = await startBackend(fixture, { args: ['--token', HELD] });
  ({ agent, client } = await startHolding(fixture, HELD, { backend }));
});
after(() => fixture.close());

const say = (stream) => {
  const { path: to, body } = callOf('chat', 'hello', { stream });
  return stream ? client.stream(to, body) : client.post(to, body);
};
const tokenOf = (call) => call.headers.authorization.replace(/^Bearer /, '');
const exchanges = async () =>
  (await backend.requests({ path: TOKEN_PATH })).length;

test('a revoked session token is replaced and the request sent again', async () => {
  assert.equal((await say(false)).status, 200);
  const [first] = await backend.modelCalls();
  await backend.revoke(tokenOf(first));
  const before_ = await exchanges();
  const answers = await Promise.all([say(true), say(true), say(false)]);
  for (const answer of answers) assert.equal(answer.status, 200, answer.text);
  assert.ok(answers[0].complete && answers[1].complete);
  assert.equal(await exchanges(), before_ + 1);
  const calls = await backend.modelCalls();
  const fresh = calls.filter((call) => tokenOf(call) !== tokenOf(first));
  assert.equal(fresh.length, 3);
  for (const call of fresh) assert.equal(call.status, 200);
  // To the journal it is one request each.
  const rows = await agent.journalUntil(
    (list) => list.filter((row) => row.kind === 'request').length >= 4,
  );
  assert.equal(rows.filter((row) => row.kind === 'request').length, 4);
});

test('a token that is refused again so soon: the client is told', async () => {
  await backend.forget();
  const before_ = await exchanges();
  await backend.answer('/chat/completions', { status: 401, json: { error: { message: 'no' } } }, 0);
  for (let i = 0; i < 3; i++) assert.equal((await say(false)).status, 401);
  assert.equal((await backend.modelCalls()).length, 3);
  assert.equal(await exchanges(), before_);
  await backend.reset();
});

test('the agent stops while requests wait for a token', async () => {
  await agent.stop();
  await agent.restart();
  client.port = agent.port;
  await backend.answer(TOKEN_PATH, { firstByteDelayMs: 60000, slowStartMs: 60000 }, 0);
  const waiting = [say(true), say(false)].map((call) => call.catch((e) => e));
  await until(async () => (await exchanges()) > 0, 'a token asked for');
  client.close();
  await Promise.all(waiting);
  const { code, signal } = await agent.stop();
  assert.deepEqual({ code, signal }, { code: 0, signal: null }, agent.log());
});
