// SPDX-License-Identifier: Apache-2.0
// The policy's files while they change: renamed over, taken away, broken, long;
// what is in force is always a whole policy, and no request is lost meanwhile.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, beforeEach, test } from 'node:test';

import {
  callOf,
  Fixture,
  startAgent,
  startBackend,
  until,
} from './lib/harness.mjs';

const policy = (rules) => `version: 1
default: allow
tunnels: allow
rules:
${rules.join('\n')}
`;
const blocking = (word) =>
  `  - {id: no-${word}, match: {direction: request, prompt: ${word}}, action: block}`;
const POLICY = policy([blocking('marmot')]);

const fixture = new Fixture();
let backend;
let agent;
let client;
let file;

before(async () => {
  backend = await startBackend(fixture);
  agent = await startAgent(fixture, { backend, policy: POLICY });
  client = agent.client({ mode: 'base-url', token: backend.token });
  file = path.join(agent.dir, 'policy.yaml');
});
after(() => fixture.close());
beforeEach(async () => {
  await backend.reset();
  fs.writeFileSync(file, POLICY);
  await agent.cli(['status']);
  await until(async () => (await allows('marmot')) === false, 'the first policy');
});

const ask = (text) =>
  client.post('/chat/completions', callOf('chat', text).body);
const allows = async (text) => (await ask(text)).status === 200;
const revision = async () => (await agent.status()).policy_revision;
const verdicts = async () =>
  (await agent.journal('--kind', 'policy')).map((row) => row.verdict);

async function becomes(words) {
  await until(async () => !(await allows(words)), `${words} is blocked`);
}

test('renamed over: in force, and in the record', async () => {
  const before = await revision();
  fs.writeFileSync(`${file}.new`, policy([blocking('otter')]));
  fs.renameSync(`${file}.new`, file);
  await becomes('otter');
  assert.ok(await allows('marmot'));
  const after = await revision();
  assert.notEqual(after, before);
  const rows = await agent.journal('--kind', 'request');
  const newest = rows.reduce((a, b) => (a.seq > b.seq ? a : b));
  assert.equal(newest.policy_revision, after);
});

test('an editor\'s dance: never without a policy', async () => {
  fs.renameSync(file, `${file}~`);
  assert.equal(await allows('marmot'), false);
  fs.writeFileSync(file, policy([blocking('otter')]));
  await becomes('otter');
  assert.equal((await agent.status()).policy_error, undefined);
});

test('a bad file: the former stays, and status says so', async () => {
  const before = await revision();
  fs.writeFileSync(file, POLICY.replace('action: block', 'action: blokc'));
  const status = await until(async () => {
    const now = await agent.status();
    return now.policy_error && now;
  }, 'the error');
  assert.match(status.policy_error, /policy\.yaml:\d+:\d+: .*did you mean/);
  assert.equal(status.policy_revision, before);
  assert.equal(await allows('marmot'), false);
  assert.ok((await verdicts()).includes('refused'));
  fs.writeFileSync(file, policy([blocking('otter')]));
  await becomes('otter');
  assert.equal((await agent.status()).policy_error, undefined);
});

test('taken away: the former stays, and status says so', async () => {
  const before = await revision();
  fs.rmSync(file);
  const status = await until(async () => {
    const now = await agent.status();
    return now.policy_error && now;
  }, 'the error');
  assert.match(status.policy_error, /policy\.yaml.*(No such file|cannot)/);
  assert.equal(status.policy_revision, before);
  assert.equal(await allows('marmot'), false);
  assert.match(agent.log(), /the former stays in force/);
  // Back as it was: nothing is wrong any more.
  fs.writeFileSync(file, POLICY);
  await until(
    async () => !(await agent.status()).policy_error,
    'the end of the error',
  );
  assert.equal(await revision(), before);
});

test('touched: nothing happens', async () => {
  const before = (await verdicts()).length;
  fs.utimesSync(file, new Date(), new Date());
  fs.chmodSync(file, 0o600);
  fs.writeFileSync(`${file}.other`, 'x');
  await new Promise((resolve) => setTimeout(resolve, 1000));
  assert.equal((await verdicts()).length, before);
});

test('SIGHUP reads it, too', async () => {
  const loaded = async () =>
    (await verdicts()).filter((verdict) => verdict === 'loaded').length;
  const before = await loaded();
  process.kill(agent.pid, 'SIGHUP');
  await until(async () => (await loaded()) === before + 1, 'the reload');
});

test('1,000 rules under load: no request is lost', async () => {
  const many = (n, word) =>
    policy([
      ...Array.from(
        { length: n },
        (_, i) =>
          `  - {id: r${i}, match: {direction: request, user: "u${i}-*", prompt: 'word${i}\\b'}, action: block}`,
      ),
      blocking(word),
    ]);
  let running = true;
  let asked = 0;
  const load = Array.from({ length: 4 }, async () => {
    while (running) {
      const answer = await ask(`hello ${asked++}`);
      assert.equal(answer.status, 200, answer.text);
    }
  });
  for (const word of ['otter', 'badger', 'otter']) {
    fs.writeFileSync(`${file}.new`, many(999, word));
    fs.renameSync(`${file}.new`, file);
    await becomes(word);
  }
  running = false;
  await Promise.all(load);
  assert.ok(asked > 20, `${asked}`);
  assert.equal((await agent.status()).policy_error, undefined);
});

const layers = async () =>
  Object.fromEntries(
    (await agent.status()).policy_layers.map((one) => [one.layer, one.state]),
  );

test('included files: watched, shown, covered by the revision', async () => {
  const folder = path.join(agent.dir, 'rules.d');
  const inner = (name, word) =>
    fs.writeFileSync(
      path.join(folder, name),
      `version: 1\nrules:\n${blocking(word)}\n`,
    );
  fs.mkdirSync(folder);
  inner('10-first.yaml', 'otter');
  fs.writeFileSync(file, POLICY.replace('default:', 'include: [rules.d/*.yaml]\ndefault:'));
  await becomes('otter');
  const before = await revision();
  // One more, one changed, one taken away.
  inner('20-second.yaml', 'badger');
  await becomes('badger');
  assert.notEqual(await revision(), before);
  const names = (await agent.status()).policy_files;
  assert.deepEqual(
    names.map((name) => path.relative(agent.dir, name)),
    ['policy.yaml', 'rules.d/10-first.yaml', 'rules.d/20-second.yaml'],
  );
  const shown = await agent.cli(['policy', 'show']);
  assert.match(shown.stdout, /# system: \S+\/rules\.d\/20-second\.yaml:3/);
  inner('10-first.yaml', 'ferret');
  await becomes('ferret');
  assert.ok(await allows('otter'));
  fs.rmSync(path.join(folder, '20-second.yaml'));
  await until(() => allows('badger'), 'the second is gone');
  // A broken one: everything stays, and its place is told.
  fs.writeFileSync(path.join(folder, '10-first.yaml'), 'version: 1\nrules: [{}]\n');
  const status = await until(async () => {
    const now = await agent.status();
    return now.policy_error && now;
  }, 'the error');
  assert.match(status.policy_error, /^system layer: \S+\/rules\.d\/10-first\.yaml:2:9: a rule needs/);
  assert.equal(await allows('ferret'), false);
  assert.equal((await layers()).system, 'bad');
  assert.match((await agent.cli(['status'])).stdout, /system layer: \S+ is wrong/);
  fs.writeFileSync(file, POLICY);
  await until(async () => !(await agent.status()).policy_error, 'the end of it');
  fs.rmSync(folder, { recursive: true });
});

test("the user's layer: comes, changes, breaks and goes by itself", async () => {
  const dir = path.join(agent.env.XDG_CONFIG_HOME, 'hoop-agent');
  const own = path.join(dir, 'user-policy.yaml');
  const write = (text) => fs.writeFileSync(own, text);
  fs.mkdirSync(dir, { recursive: true });
  assert.deepEqual(await layers(), { central: 'absent', system: 'loaded', user: 'absent' });
  assert.match((await agent.cli(['status'])).stdout, /user layer: none/);
  write(`version: 1\nrules:\n${blocking('otter')}\n`);
  await becomes('otter');
  assert.equal((await layers()).user, 'loaded');
  write(`version: 1\nrules:\n${blocking('badger')}\n`);
  await becomes('badger');
  // Broken: what it said stays, and the system layer still changes.
  write('version: 1\ndefault: allow\n');
  await until(async () => (await layers()).user === 'bad', 'it is bad');
  fs.writeFileSync(file, policy([blocking('ferret')]));
  await becomes('ferret');
  assert.equal(await allows('badger'), false);
  assert.match((await agent.status()).policy_error, /^user layer: \S+:2:10: the user layer must not set "default"/);
  // Others could write it: it counts as broken.
  write(`version: 1\nrules:\n${blocking('otter')}\n`);
  await becomes('otter');
  fs.chmodSync(own, 0o666);
  await until(async () => (await layers()).user === 'bad', 'it is bad again');
  assert.equal(await allows('otter'), false);
  fs.rmSync(own);
  await until(() => allows('otter'), 'it is gone');
  assert.equal((await layers()).user, 'absent');
});
