// SPDX-License-Identifier: Apache-2.0
// A credential that only the hub keeps: lent to a machine of the right group,
// changed and taken away there, never on the developer's disk.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { startOidcProvider } from '../providers/oidc-provider.mjs';
import {
  callOf,
  Fixture,
  startAgent,
  startBackend,
  until,
} from './lib/harness.mjs';
import { accessToken, Hub } from './lib/hub.mjs';
import { identityOf, signIn } from './lib/signin.mjs';

const AUDIENCE = 'https://hub.example.test';
const USERS = {
  ada: { preferred_username: 'ada', groups: ['developers'] },
  aud: { preferred_username: 'aud', groups: ['audit'] },
};
const FIRST = `ghp_${'A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5'}0Zb5Hm`;
const SECOND = `ghp_${'B1b2C3d4E5f6G7h8I9j0K1l2M3n4O6'}0Zb5Hn`;
const TOKEN_PATH = '/copilot_internal/v2/token';

const fixture = new Fixture();
let provider;
let hub;
let backend;
let agent;
let client;

const say = () => {
  const { path: to, body } = callOf('chat', 'hello');
  return client.post(to, body);
};
const credential = async (...args) => {
  const stdin = /set|rotate/.test(args[0]) ? args.pop() : undefined;
  const got = await hub.cli(['credential', ...args], { stdin });
  assert.equal(got.code, 0, got.stderr);
  return got;
};
const sent = async () =>
  (await backend.requests({ path: TOKEN_PATH })).map(
    (request) => request.headers.authorization,
  );

before(async () => {
  provider = await startOidcProvider(fixture, {
    users: USERS,
    audience: AUDIENCE,
  });
  hub = await new Hub(fixture, {
    hub: { audience: AUDIENCE },
    roles: { auditor: 'audit' },
    'identity "corp"': { issuer: provider.issuer, 'ca-file': provider.ca },
  }).start();
  backend = await startBackend(fixture, { args: ['--token', FIRST] });
  agent = await startAgent(fixture, {
    backend,
    config: {
      ...identityOf(provider),
      hub: { url: hub.url, 'ca-file': hub.ca },
      'connection "copilot"': { credential: 'hub:copilot' },
    },
  });
  const { code, stderr } = await signIn(agent, provider, 'ada', [
    '--insecure-storage',
  ]);
  assert.equal(code, 0, stderr);
  const enrolled = await agent.cli(['enrol', '--fingerprint', hub.fingerprint]);
  assert.equal(enrolled.code, 0, enrolled.stderr);
  const env = await agent.envFor('language-server');
  const token = Object.values(env).find((v) => /^gho_hoop/.test(v));
  client = agent.client({ mode: 'base-url', token });
});
after(() => fixture.close());

test('what is for another group is not lent, and nothing is sent', async () => {
  await credential('set', '--group', 'admins', 'copilot', SECOND);
  await until(() => /no credential of that name/.test(agent.log()), 'the no');
  const got = await say();
  assert.notEqual(got.status, 200);
  assert.match(got.text, /no credential of that name is for your groups/);
  assert.deepEqual(await sent(), []);
});

test('what is for the group is used, and recorded at the hub', async () => {
  await credential('set', '--group', 'developers', 'copilot', `${FIRST}\n`);
  await until(async () => (await say()).status === 200, 'an answer', 20000);
  assert.ok((await sent()).every((value) => value.endsWith(FIRST)));
  const token = await accessToken(provider, 'aud', AUDIENCE);
  const { json } = await hub.ask('GET', '/v1/record', { token });
  const row = json.rows.find(({ kind }) => kind === 'credential-lent');
  assert.match(row.detail, /^copilot for developers to machine [0-9a-f]{32}$/);
  assert.equal(row.user, 'ada');
  assert.ok(!JSON.stringify(json).includes(FIRST));
  const listed = await hub.json(['credential', 'list']);
  assert.deepEqual(
    listed.map(({ name, group }) => [name, group]),
    [
      ['copilot', 'admins'],
      ['copilot', 'developers'],
    ],
  );
});

test('another one counts from the next request on', async () => {
  await credential('rotate', '--group', 'developers', 'copilot', SECOND);
  await until(
    async () => {
      await say();
      return (await sent()).at(-1).endsWith(SECOND);
    },
    'the other one',
    20000,
  );
  await credential('set', '--group', 'developers', 'copilot', FIRST);
  await until(async () => (await say()).status === 200, 'an answer', 20000);
});

test('nobody without a machine of theirs gets it', async () => {
  const token = await accessToken(provider, 'ada', AUDIENCE);
  const got = await hub.ask('POST', '/v1/credentials', {
    token,
    body: { name: 'copilot', at_us: Date.now() * 1000 },
  });
  assert.equal(got.status, 403);
  assert.equal(got.json.error.code, 'machine');
});

test('it is on no disk, neither here nor, open, at the hub', () => {
  for (const dir of [agent.dir, hub.state])
    for (const name of fs.readdirSync(dir, { recursive: true, encoding: 'utf8' })) {
      const file = path.join(dir, name);
      if (!fs.statSync(file).isFile()) continue;
      const bytes = fs.readFileSync(file);
      assert.ok(!bytes.includes(FIRST) && !bytes.includes(SECOND), file);
    }
});

test('with another sealing key the same is lent', async () => {
  const next = path.join(hub.dir, 'next.key');
  await credential('rekey', next);
  fs.renameSync(next, path.join(hub.state, 'vault.key'));
  await credential('set', '--group', 'admins', 'other', SECOND); // it is told
  await until(async () => (await say()).status === 200, 'an answer', 20000);
});

test('what is taken away is not used any more', async () => {
  await credential('remove', '--group', 'developers', 'copilot');
  await until(async () => (await say()).status !== 200, 'a refusal', 20000);
  assert.match((await say()).text, /lends no credential copilot/);
});
