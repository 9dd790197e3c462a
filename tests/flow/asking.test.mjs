// SPDX-License-Identifier: Apache-2.0
// Asking a person, by the command line: remembered denials, more time, who is
// asked next, reasons and risks, a hundred at once, and a terminal alone.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, beforeEach, test } from 'node:test';

import { agentProgram } from './lib/agent.mjs';
import {
  callOf,
  Child,
  Fixture,
  run,
  startAgent,
  startBackend,
  tempDir,
  until,
} from './lib/harness.mjs';

const POLICY = `version: 1
default: allow
tunnels: allow
rules:
  - id: careful
    match: {direction: request, prompt: 'careful'}
    action: approve
    timeout: 60
  - id: next
    match: {direction: request, prompt: 'escalate'}
    action: approve
    timeout: 60
    extend: 0
    escalate: {after: 3, to: [presence]}
  - id: present
    match: {direction: request, prompt: 'present'}
    action: approve
    by: [presence]
    timeout: 60
    risk: high
  - id: reasoned
    match: {direction: request, prompt: 'reasoned'}
    action: approve
    timeout: 60
    risk: low
    reason: true
`;

const fixture = new Fixture();
let backend;
let agent;
let client;

before(async () => {
  backend = await startBackend(fixture);
  agent = await startAgent(fixture, {
    backend,
    policy: POLICY,
    env: { DBUS_SYSTEM_BUS_ADDRESS: 'unix:path=/nowhere/bus' },
  });
  client = agent.client({ mode: 'base-url', token: backend.token });
});
after(() => fixture.close());
beforeEach(async () => {
  await backend.reset();
  for (const left of await agent.json('pending')) await agent.cli(['deny', left.id]);
});

const ask = (text, headers = {}) =>
  client.post('/chat/completions', callOf('chat', text).body, { headers });

async function hold(text, headers) {
  const answer = ask(text, headers);
  const [held] = await until(async () => {
    const list = await agent.json('pending');
    return list.length && list;
  }, 'it waits');
  return { answer, held };
}

async function fine(...args) {
  const { code, stdout, stderr } = await agent.cli(args);
  assert.equal(code, 0, `${args.join(' ')}: ${stderr}`);
  return stdout;
}

async function fails(expected, ...args) {
  const { code, stderr } = await agent.cli(args);
  assert.equal(code, 1, args.join(' '));
  assert.match(stderr, expected);
}

test('a denial is remembered, listed, and ends when it is revoked', async () => {
  const { answer, held } = await hold('be careful 1');
  assert.equal(held.can_remember, true);
  const said = await fine('deny', held.id, '--for', '10m', '--reason', 'not now');
  assert.match(said, /: denied\.\ng-\w+: for 10 min 0 s what careful holds of .* is denied/);
  assert.equal((await answer).status, 400);
  const refused = await ask('be careful 2');
  assert.equal(refused.status, 400);
  assert.match(refused.json.error.message, /not now: .* denied what is like this \(g-\w+\)/);
  assert.equal((await backend.modelCalls()).length, 0);
  const [denial] = await agent.json('grants');
  assert.equal(denial.denies, true);
  assert.equal(denial.uses, 1);
  assert.match(await fine('grants'), /denied/);
  assert.match(await fine('grants', 'explain', denial.id), /whatever one of the rules careful holds/);
  // It outlives the agent.
  await agent.stop();
  await agent.start();
  client = agent.client({ mode: 'base-url', token: backend.token });
  assert.equal((await ask('be careful 3')).status, 400);
  await fine('grants', 'revoke', denial.id);
  // What it denied meanwhile is asked about again.
  const again = await hold('be careful 3');
  await fine('approve', again.held.id);
  assert.equal((await again.answer).status, 200);
});

test('more time, once, and it is on record', async () => {
  const { answer, held } = await hold('be careful with time');
  assert.equal(held.extensions, 1);
  assert.equal(held.extend_us, 60e6);
  assert.match(await fine('extend', held.id), /waits for \d min \d+ s more/);
  const [later] = await agent.json('pending');
  assert.ok(Math.abs(later.deadline_us - held.deadline_us - 60e6) < 2e6);
  assert.equal(later.extensions, 0);
  await fails(/cannot wait longer/, 'extend', held.id);
  await fine('approve', held.id);
  assert.equal((await answer).status, 200);
  const rows = await agent.json('journal', 'show', held.id);
  assert.match(JSON.stringify(rows), /"extended":1/);
});

test('who is asked next, and a click that still counts', async () => {
  const { answer, held } = await hold('escalate this');
  assert.deepEqual(held.escalate_to, ['presence']);
  assert.deepEqual(held.approvers, ['developer']);
  const [then] = await until(async () => {
    const list = await agent.json('pending');
    return list[0]?.escalated && list;
  }, 'others are asked');
  assert.deepEqual(then.approvers, ['developer', 'presence']);
  assert.equal(then.presence, false);
  await fails(/cannot wait longer/, 'extend', held.id);
  await fine('approve', held.id);
  assert.equal((await answer).status, 200);
  const rows = await agent.json('journal', 'show', held.id);
  assert.match(JSON.stringify(rows), /"escalated":true/);
  assert.match(await fine('why', held.id), /escalat/i);
});

test('presence without polkit is no', async () => {
  const { answer, held } = await hold('be present');
  assert.equal(held.presence, true);
  assert.equal(held.risk, 'high');
  await fails(/could not prove that you are there.*still waits/, 'approve', held.id);
  await fails(/could not prove/, 'approve', held.id, '--for', '10m');
  assert.equal((await agent.json('pending')).length, 1);
  assert.equal((await backend.modelCalls()).length, 0);
  assert.deepEqual(await agent.json('grants'), []);
  await fine('deny', held.id);
  assert.equal((await answer).status, 400);
});

test('an approval that takes a reason', async () => {
  const { answer, held } = await hold('reasoned');
  assert.equal(held.risk, 'low');
  assert.equal(held.needs_reason, true);
  await fails(/takes a reason/, 'approve', held.id);
  await fails(/takes a reason/, 'approve', held.id, '--reason', ' ');
  await fine('approve', held.id, '--reason', 'the release');
  assert.equal((await answer).status, 200);
});

test('a hundred of the same are one question', async () => {
  const body = callOf('chat', 'careful, all of you').body;
  const all = [];
  let held;
  // Who connects is looked up by a few at a time, of 64 who may wait for that.
  for (let n = 20; n <= 100; n += 20) {
    for (let i = 0; i < 20; i++) all.push(client.post('/chat/completions', body));
    [held] = await until(async () => {
      const list = await agent.json('pending');
      assert.ok(list.length <= 1);
      return list[0]?.waiting === n && list;
    }, `${n} of them wait`);
  }
  await fine('approve', held.id);
  for (const answer of await Promise.all(all)) assert.equal(answer.status, 200);
  assert.equal((await backend.modelCalls()).length, 100);
});

test('one program has so many questions, and is told so', async () => {
  const some = Array.from({ length: 9 }, (_, n) => ask(`careful number ${n}`));
  const refused = await Promise.race(some);
  assert.equal(refused.status, 400);
  assert.match(refused.json.error.message, /this program has as many requests waiting/);
  const list = await until(async () => {
    const now = await agent.json('pending');
    return now.length === 8 && now;
  }, 'the others wait');
  const since = list.map((one) => one.since_us);
  assert.deepEqual(since, [...since].sort((a, b) => a - b));
  for (const one of list) await fine('deny', one.id);
  for (const answer of await Promise.all(some)) assert.equal(answer.status, 400);
});

test('on a terminal alone: watched, given time, approved', async (t) => {
  const terminal = (command) =>
    new Child('script', ['-qec', `${agentProgram()} ${command}`, '/dev/null'], {
      env: { ...agent.env, TERM: 'xterm' },
      input: 'pipe',
      t,
    });
  const watch = terminal('pending --watch');
  const { answer, held } = await hold('careful on a terminal');
  await until(() => watch.stdout.includes(`${held.id} waits: careful`), 'the line');
  const review = terminal(`review ${held.id}`);
  const asked = (n) => () => review.stdout.split('Answer').length === n + 1;
  await until(asked(1), 'the question');
  review.process.stdin.write('more\n');
  await until(asked(2), 'the question again');
  assert.match(review.stdout, /waits for \d min \d+ s more/);
  review.process.stdin.write('approve\n');
  await until(() => !review.running, 'its end');
  assert.match(review.stdout, /approved\./);
  assert.equal((await answer).status, 200);
  await until(() => watch.stdout.includes(`${held.id} approved by`), 'the end of it');
});

test('what was held when the agent stopped was denied, and says so', async () => {
  const { answer, held } = await hold('careful, I stop');
  await agent.stop();
  await agent.start();
  client = agent.client({ mode: 'base-url', token: backend.token });
  const end = await answer.catch((error) => ({ error }));
  assert.ok(end.error || end.status >= 400);
  assert.deepEqual(await agent.json('pending'), []);
  assert.match(await fine('why', held.id), /refused|the agent stopped|interrupted/);
  assert.equal((await backend.modelCalls()).length, 0);
});

test('a denial counts for what else the same message makes a client ask', async () => {
  const one = { 'x-interaction-id': '5f0c8a52-one' };
  const { answer, held } = await hold('be careful with this', one);
  await fine('deny', held.id, '--reason', 'not this');
  assert.equal((await answer).status, 400);
  const title = await ask('A title for: be careful with this', one);
  assert.equal(title.status, 400);
  assert.match(title.json.error.message, /denied: not this/);
  // Held for something else, too; of another message; of none that is named.
  for (const [text, headers] of [
    ['be careful and reasoned with this', one],
    ['be careful with that', { 'x-interaction-id': '5f0c8a52-two' }],
    ['be careful with those', {}],
  ]) {
    const other = await hold(text, headers);
    await fine('deny', other.held.id);
    assert.equal((await other.answer).status, 400);
  }
  assert.deepEqual(await backend.modelCalls(), []);
});

test('what was approved says nothing of what else its message asks', async () => {
  const one = { 'x-interaction-id': '5f0c8a52-three' };
  const first = await hold('be careful with yes', one);
  await fine('approve', first.held.id);
  assert.equal((await first.answer).status, 200);
  const second = await hold('A title for: be careful with yes', one);
  await fine('approve', second.held.id);
  assert.equal((await second.answer).status, 200);
});

test('an answer for another request, text or prompt is refused', async () => {
  const socket = path.join(agent.env.XDG_RUNTIME_DIR, 'hoop-agent', 'control.sock');
  const call = (method, ...words) =>
    run('dbus-send', [`--peer=unix:path=${socket}`, '--print-reply', '/io/hoop/Agent', `io.hoop.Agent1.${method}`,
      ...words.map((word) => `string:${word}`)], { env: agent.env });
  const first = await hold('be careful with one');
  const told = await call('Review', first.held.id);
  assert.equal(told.code, 0, told.stderr);
  const said = (key) => new RegExp(`string "${key}"\\s+variant\\s+string "([0-9a-f]+)"`).exec(told.stdout)[1];
  const digest = said('digest');
  const nonce = said('nonce');
  const answer = (id, sum, once) => call('Answer', id, 'test', 'approve', sum, once, '');
  const turned = (hex) => (hex[0] === '0' ? '1' : '0') + hex.slice(1);
  for (const words of [
    [first.held.id, digest, turned(nonce)],
    [first.held.id, digest, ''],
    [first.held.id, turned(digest), nonce],
    [first.held.id, '', nonce],
    [turned(first.held.id), digest, nonce],
    ['', digest, nonce],
  ]) {
    const { code, stdout, stderr } = await answer(...words);
    assert.notEqual(code, 0, stdout);
    assert.match(stderr, /^Error io\.hoop\./, stderr);
  }
  // Nor does one prompt's answer count for the next of the same bytes.
  assert.equal((await agent.json('pending')).length, 1);
  assert.deepEqual(await backend.modelCalls(), []);
  const { code, stderr } = await answer(first.held.id, digest, nonce);
  assert.equal(code, 0, stderr);
  assert.equal((await first.answer).status, 200);
  const second = await hold('be careful with one');
  const late = await answer(second.held.id, digest, nonce);
  assert.notEqual(late.code, 0, late.stdout);
  await fine('deny', second.held.id);
  assert.equal((await second.answer).status, 400);
});

// More connections at one instant than any queue of the agent's was made for.
test('a hundred at once of many programs: each held, each with its name', async (t) => {
  if (!process.env.HOOP_THOROUGH) return t.skip('HOOP_THOROUGH is not set');
  const PROGRAMS = 13;
  const EACH = 8;
  const own = await startAgent(t, { backend, policy: POLICY, config: { approval: { 'max-pending': PROGRAMS * EACH } } });
  const dir = tempDir(t, 'hoop-many-');
  const config = path.join(dir, 'curl.conf');
  const all = [];
  for (let i = 0; i < PROGRAMS; i++) fs.copyFileSync('/usr/bin/curl', path.join(dir, `program-${i}`));
  for (let i = 0; i < PROGRAMS; i++)
    for (let j = 0; j < EACH; j++)
      all.push(new Child(path.join(dir, `program-${i}`), ['-s', '-o', '/dev/null', '-w', '%{http_code}', '--cacert', own.ca,
        '-H', `authorization: Bearer ${backend.token}`, '-H', 'content-type: application/json', '--noproxy', '*',
        '-d', JSON.stringify(callOf('chat', `careful, program-${i}, ${j}`).body), `https://127.0.0.1:${own.port}/chat/completions`], { env: own.env, t }));
  const held = await until(async () => {
    const list = await own.json('pending');
    return list.length === PROGRAMS * EACH && list;
  }, 'all are held', 60000, 200);
  for (const { id, client: name } of held) {
    const { text } = await own.json('review', id);
    assert.ok(text.includes(`careful, ${path.basename(name)}, `), `${name}: ${text}`);
  }
  for (const { id } of held) assert.equal((await own.cli(['approve', id])).code, 0);
  for (const one of all) {
    await one.ended;
    assert.equal(one.stdout, '200');
  }
});
