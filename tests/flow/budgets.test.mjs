// SPDX-License-Identifier: Apache-2.0
// Budgets of requests, bytes and tokens: counted in a running agent, kept over
// its restart, taken up by a reload.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, beforeEach, test } from 'node:test';

import { callOf, Fixture, startAgent, startBackend, until } from './lib/harness.mjs';

const policy = (...budgets) =>
  `version: 1\ndefault: allow\ntunnels: allow\nrules:\n${budgets.map((one, i) => `  - {id: b${i}, match: {api: chat, budget: {${one}, window: 1d}}, action: block, message: Used up.}\n`).join('')}  - {id: never, match: {prompt: never}, action: block}\n`;

const fixture = new Fixture();
let backend;
before(async () => {
  backend = await startBackend(fixture);
});
after(() => fixture.close());
beforeEach(() => backend.reset());

async function start(t, ...budgets) {
  const agent = await startAgent(t, { backend, policy: policy(...budgets) });
  const client = () => agent.client({ mode: 'base-url', token: backend.token });
  agent.ask = async (text, more = {}) => (await client().post('/chat/completions', callOf('chat', text, more).body)).status;
  agent.reload = async (...next) => {
    fs.writeFileSync(path.join(agent.dir, 'policy.yaml'), policy(...next));
    const before = (await agent.journal('--kind', 'policy')).length;
    process.kill(agent.pid, 'SIGHUP');
    await agent.journalUntil((rows) => rows.filter((row) => row.kind === 'policy').length > before);
  };
  return agent;
}

test('requests: those that went out count, refused ones do not', async (t) => {
  const agent = await start(t, 'requests: 3');
  for (let i = 0; i < 4; i++) await agent.client({ mode: 'base-url', token: backend.token }).get('/models');
  for (const [text, status] of [['one', 200], ['never', 400], ['two', 200], ['three', 200], ['four', 400]])
    assert.equal(await agent.ask(text), status, text);
  const rows = await agent.journal('--kind', 'request');
  assert.equal(rows.at(-1).rule, 'b0');
  const why = await agent.cli(['policy', 'explain', '-'], { stdin: 'five' });
  assert.match(why.stdout, /block +b0 +matched/);
});

test('a restart resets nothing, a kill neither', async (t) => {
  const agent = await start(t, 'requests: 4');
  assert.equal(await agent.ask('one'), 200);
  assert.equal(await agent.ask('never'), 400);
  await agent.stop();
  await agent.restart();
  assert.equal(await agent.ask('two'), 200);
  assert.equal(await agent.ask('three'), 200);
  await agent.kill();
  await agent.restart();
  assert.equal(await agent.ask('four'), 200);
  assert.equal(await agent.ask('five'), 400);
});

test('tokens are those that the answers tell', async (t) => {
  const agent = await start(t, 'tokens: 1000');
  await backend.answer('/chat/completions', { text: 'hello', usage: { input: 500, output: 450 } });
  assert.equal(await agent.ask('one'), 200);
  const [row] = await agent.journalUntil((rows) => rows.some((one) => one.kind === 'response')).then((rows) => rows.filter((one) => one.kind === 'response'));
  const left = 1000 - row.tokens_in - row.tokens_out;
  const seen = await agent.cli(['policy', 'explain', '--json', '-'], { stdin: 'x' });
  const rule = JSON.parse(seen.stdout).rules.find((one) => one.rule === 'b0');
  assert.match(rule.detail, new RegExp(`^used ${1000 - left} of 1000 tokens in 86400 s$`));
  assert.equal(await agent.ask('x'.repeat(4 * left + 400)), 400, 'its own estimate is beyond');
});

test('a reload reads what was used before', async (t) => {
  const agent = await start(t);
  assert.equal(await agent.ask('one'), 200);
  assert.equal(await agent.ask('two'), 200);
  await agent.reload('requests: 3');
  // Until it was read everything counts as used up.
  await until(async () => (await agent.ask('three')) === 200, 'the third');
  assert.equal(await agent.ask('four'), 400);
  await agent.reload('requests: 5');
  assert.equal(await agent.ask('four'), 200);
});

test('replay: what a budget would have done', async (t) => {
  const agent = await start(t);
  for (const text of ['one', 'never', 'two', 'three']) await agent.ask(text);
  await agent.journalUntil((rows) => rows.filter((row) => row.kind === 'response').length === 4);
  const file = path.join(agent.dir, 'budget.yaml');
  fs.writeFileSync(file, policy('requests: 2'));
  const seen = await agent.json('journal', 'replay', '--policy', file);
  assert.equal(seen.rules.find((rule) => rule.rule === 'b0').requests, 1);
  assert.equal(seen.changes.length, 1);
});

test('held requests do not pass a budget together', async (t) => {
  const asks = '  - {id: asks, match: {api: chat, prompt: careful}, action: approve, timeout: 1m}\n';
  const agent = await start(t, 'requests: 2');
  const file = path.join(agent.dir, 'policy.yaml');
  fs.appendFileSync(file, asks);
  process.kill(agent.pid, 'SIGHUP');
  await agent.journalUntil((rows) => rows.some((row) => row.kind === 'policy'));
  const held = ['careful 1', 'careful 2'].map((text) => agent.ask(text));
  const pending = await until(async () => {
    const list = await agent.json('pending');
    return list.length === 2 && list;
  }, 'both are held');
  // Both are spoken for, though nothing went out yet.
  assert.equal(await agent.ask('three'), 400);
  assert.equal(await agent.ask('careful 4'), 400);
  assert.equal((await backend.modelCalls()).length, 0);
  // One is denied: that is free again, once.
  assert.equal((await agent.cli(['deny', pending[0].id])).code, 0);
  assert.equal(await agent.ask('five'), 200);
  assert.equal(await agent.ask('six'), 400);
  assert.equal((await agent.cli(['approve', pending[1].id])).code, 0);
  assert.deepEqual((await Promise.all(held)).sort(), [200, 400]);
  assert.equal(await agent.ask('seven'), 400);
  assert.equal((await backend.modelCalls()).length, 2);
});

test('many at the same time: exactly as many as the budget has', async (t) => {
  const agent = await start(t, 'requests: 7');
  const seen = await Promise.all(Array.from({ length: 20 }, (_, i) => agent.ask(`number ${i}`)));
  assert.equal(seen.filter((status) => status === 200).length, 7);
  assert.equal((await backend.modelCalls()).length, 7);
});
