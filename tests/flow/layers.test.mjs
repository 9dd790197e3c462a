// SPDX-License-Identifier: Apache-2.0
// The layers of agent.conf, with the machine's own files really in their
// place: in a mount namespace of its own, where this machine allows that.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, beforeEach, test } from 'node:test';

import {
  Agent,
  agentProgram,
  callOf,
  configText,
  Fixture,
  run,
  startAgent,
  startBackend,
  tempDir,
  until,
} from './lib/harness.mjs';
import { inside, insideLive, machine, SYSTEM, whyNot } from './lib/machine.mjs';

const skip = whyNot();
const fixture = new Fixture();
let backend;
let other;

before(async () => {
  backend = await startBackend(fixture);
  other = await startBackend(fixture);
});
after(() => fixture.close());
beforeEach(() => backend.reset());

/** Runs a verb of an agent's home with the machine's files in place. */
function verb(dir, agent, ...args) {
  const [command, ...more] = [...inside(dir), agentProgram(), ...args];
  return run(command, more, { env: agent.env, timeoutMs: 30000 });
}

/** A home in which no agent ran yet. */
function home(t) {
  const agent = new Agent(t, { backend });
  agent.configure();
  return agent;
}

async function connections(dir, agent, ...args) {
  const result = await verb(dir, agent, 'connection', 'list', '--json', ...args);
  assert.equal(result.code, 0, result.stderr);
  return Object.fromEntries(JSON.parse(result.stdout).map((c) => [c.name, c]));
}

function writeUsers(agent, sections) {
  const dir = path.join(agent.env.XDG_CONFIG_HOME, 'hoop-agent');
  fs.mkdirSync(dir, { recursive: true });
  fs.writeFileSync(path.join(dir, 'agent.conf'), configText(sections));
}

test('the user overrides the machine, the manager both', { skip }, async (t) => {
  const dir = machine(t, {
    'agent.conf': {
      'connection "a"': { type: 'openai', upstream: 'https://a1.example' },
      'connection "b"': { type: 'openai', upstream: 'https://b1.example' },
      'connection "c"': { type: 'openai', upstream: 'https://c1.example' },
    },
    'managed.conf': {
      'connection "c"': { upstream: 'https://c3.example' },
      'connection "d"': { type: 'openai', upstream: 'https://d3.example' },
    },
  });
  const agent = home(t);
  const sections = {
    'connection "b"': { upstream: 'https://b2.example' },
    'connection "c"': { upstream: 'https://c2.example' },
    'connection "d"': { upstream: 'https://d2.example' },
  };
  const expected = {
    a: 'https://a1.example',
    b: 'https://b2.example',
    c: 'https://c3.example',
    d: 'https://d3.example',
  };
  writeUsers(agent, sections);
  const file = path.join(agent.dir, 'given.conf');
  fs.writeFileSync(file, configText(sections));
  // The user's own file, and another one that was given in its place.
  for (const args of [[], ['--config', file]]) {
    const found = await connections(dir, agent, ...args);
    for (const [name, upstream] of Object.entries(expected))
      assert.equal(found[name].upstream, upstream, `${name} ${args}`);
  }
  const outside = await agent.cli(['connection', 'list', '--json']);
  assert.doesNotMatch(outside.stdout, /a1\.example|c3\.example/);
});

test('a given file takes the place of the user\'s', { skip }, async (t) => {
  const dir = machine(t, {});
  const agent = home(t);
  writeUsers(agent, { 'connection "mine"': { type: 'openai' } });
  const file = path.join(agent.dir, 'given.conf');
  fs.writeFileSync(file, '');
  assert.ok((await connections(dir, agent)).mine);
  const given = await connections(dir, agent, '--config', file);
  assert.equal(given.mine, undefined);
});

test('managed trust and record win over what is given', { skip }, async (t) => {
  const journal = path.join(tempDir(t), 'managed', 'journal.db');
  const dir = machine(t, {
    'agent.conf': { limits: { 'max-body': '1K' } },
    'managed.conf': {
      upstream: { 'ca-file': other.ca },
      journal: { path: journal, durability: 'full' },
    },
  });
  // startAgent() gives --config with the right CA and its own journal.
  const agent = await startAgent(t, {
    backend,
    config: { journal: { durability: 'grouped' } },
    wrapper: inside(dir),
  });
  const status = await agent.status();
  assert.equal(status.managed, true);
  assert.equal(status.durability, 'full');
  const client = agent.client({ mode: 'base-url', token: backend.token });
  const { path: target, body } = callOf('chat', 'hello');
  const answer = await client.post(target, body);
  assert.equal(answer.status, 400, answer.text);
  assert.equal(answer.json.error.code, 'upstream_not_trusted');
  assert.equal((await backend.modelCalls()).length, 0);
  const large = await client.post(target, callOf('chat', 'x'.repeat(2000)).body);
  assert.equal(large.status, 413, large.text);
  assert.ok(fs.existsSync(journal));
  assert.ok(!fs.existsSync(agent.journalFile));
});

for (const [where, files, config] of [
  [
    'the user',
    { 'managed.conf': { limits: { connections: 100 } } },
    { detect: { enabled: false } },
  ],
  [
    'the user, of the journal',
    { 'managed.conf': '# nothing\n' },
    { journal: { enabled: false } },
  ],
  ['the manager', { 'managed.conf': { detect: { enabled: false } } }, {}],
])
  test(`switched off by ${where}: refused when managed`, { skip }, async (t) => {
    const dir = machine(t, files);
    const agent = home(t);
    fs.writeFileSync(agent.configFile, configText(config));
    const result = await verb(dir, agent, 'serve', '--config', agent.configFile);
    assert.equal(result.code, 2, result.stderr);
    assert.match(result.stderr, /refused on a managed machine/);
  });

test('managed.conf that cannot be read stops the start', { skip }, async (t) => {
  const agent = home(t);
  const file = `${SYSTEM}/hoop-agent/managed.conf`;
  for (const [text, words] of [
    ['[journal]\nenabeld=false\n', `${file}:2: .*did you mean enabled`],
    ['[journal\n', `${file}:1: `],
    ['[journal]\nenabled=false', 'refused on a managed machine'],
  ]) {
    const dir = machine(t, { 'managed.conf': text });
    const result = await verb(dir, agent, 'serve', '--config', agent.configFile);
    assert.equal(result.code, 2, result.stderr);
    assert.match(result.stderr, new RegExp(words));
  }
  const dir = machine(t, {});
  fs.mkdirSync(path.join(dir, 'hoop-agent', 'managed.conf')); // no file
  const result = await verb(dir, agent, 'serve', '--config', agent.configFile);
  assert.equal(result.code, 2, result.stderr);
  assert.match(result.stderr, /managed\.conf/);
});

test("the manager's identities replace all others", { skip }, async (t) => {
  const dir = machine(t, {
    'agent.conf': {
      'identity "old"': { issuer: 'https://old.example', 'client-id': 'x' },
    },
    'managed.conf': {
      'identity "corp"': { issuer: 'https://corp.example', 'client-id': 'x' },
      'identity "two"': { issuer: 'https://two.example', 'client-id': 'x' },
    },
  });
  const config = {
    'identity "own"': { issuer: 'https://own.example', 'client-id': 'mine' },
    'identity "corp"': { issuer: 'https://own2.example', 'ca-file': '/mine' },
  };
  const agent = await startAgent(t, { backend, wrapper: inside(dir), config });
  const { sessions } = await agent.status();
  assert.deepEqual(
    sessions.map((session) => [session.name, session.issuer]),
    [
      ['corp', 'https://corp.example'],
      ['two', 'https://two.example'],
    ],
  );
  await agent.stop();
  const picked = new Agent(t, {
    backend,
    wrapper: inside(dir),
    config: { ...config, 'connection "copilot"': { issuer: 'own' } },
  });
  await assert.rejects(picked.start(), /agent\.conf:\d+: issuer=own: there is no \[identity "own"\]/);
});

const rules = (...list) => `version: 1\nrules:\n${list.join('\n')}\n`;
const blocking = (id, word) =>
  `  - {id: ${id}, match: {direction: request, prompt: ${word}}, action: block}`;

test('the central policy: nobody else lifts it, keeps it out or forges it', { skip }, async (t) => {
  const dir = machine(t, { 'central-policy.yaml': rules(blocking('central', 'marmot')) });
  const central = path.join(dir, 'hoop-agent', 'central-policy.yaml');
  const agent = await startAgent(t, {
    backend,
    wrapper: insideLive(dir),
    policy: `version: 1\ndefault: allow\nrules:\n  - {id: all, match: {user: '*'}, action: allow}\n`,
  });
  const client = agent.client({ mode: 'base-url', token: backend.token });
  const ask = async (text) => {
    const { path: target, body } = callOf('chat', text);
    return client.post(target, body);
  };
  const becomes = (text, status) =>
    until(async () => (await ask(text)).status === status, `${text}: ${status}`);
  const state = async () =>
    (await agent.status()).policy_layers.find((one) => one.layer === 'central').state;
  assert.equal((await ask('hello')).status, 200);
  assert.match((await ask('marmot')).text, /rule \\"central\\"/);
  assert.equal(await state(), 'loaded');
  const write = (text) => {
    fs.writeFileSync(`${central}.new`, text);
    fs.renameSync(`${central}.new`, central);
  };
  write(rules(blocking('central', 'otter')));
  await becomes('otter', 400);
  assert.equal((await ask('marmot')).status, 200);
  // Somebody else's file, or one that others write, is none of central's.
  write(rules(blocking('central', 'badger')));
  fs.chmodSync(central, 0o666);
  await until(async () => (await state()) === 'bad', 'bad');
  assert.match((await agent.status()).policy_error, /^central layer: Others can write/);
  assert.equal((await ask('otter')).status, 400);
  fs.chmodSync(central, 0o644);
  await becomes('badger', 400);
  // A rule of the same name in the user's layer keeps a new one out; then
  // nothing goes on as it was.
  const own = path.join(agent.env.XDG_CONFIG_HOME, 'hoop-agent', 'user-policy.yaml');
  fs.mkdirSync(path.dirname(own), { recursive: true });
  fs.writeFileSync(own, rules(blocking('mine', 'ferret')));
  await becomes('ferret', 400);
  write(rules(blocking('mine', 'stoat')));
  await becomes('hello', 400);
  assert.match((await ask('hello')).text, /the central layer is another/);
  assert.match((await agent.status()).paused, /central layer is another/);
  fs.rmSync(own);
  await becomes('hello', 200);
  assert.equal((await ask('stoat')).status, 400);
  assert.equal((await agent.status()).paused, undefined);
  const kinds = (await agent.journal('--kind', 'pause')).map((row) => row.verdict);
  assert.deepEqual(kinds, ['paused', 'resumed']);
});
