// SPDX-License-Identifier: Apache-2.0
// The hub's policy on a developer's machine: published, rolled out by group, in
// force; and what must not bring an older, altered or foreign one there.

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
  cyd: { preferred_username: 'cyd', groups: ['developers', 'canaries'] },
};
// What the developer would like.
const OWN = `version: 1
default: allow
tunnels: allow
rules:
  - id: own
    match: {direction: request, prompt: zebra}
    action: block
`;
const policyOf = (...words) => `version: 1
include: 'rules/*.yaml'
default: allow
tunnels: allow
rules:
${words
  .map(
    (word) => `  - id: no-${word}
    match: {direction: request, prompt: ${word}}
    action: block
    message: The team does not send any ${word}.
`,
  )
  .join('')}`;

const fixture = new Fixture();
let provider;
let hub;
let backend;
let agent;
let client;

/** A folder of policy files: {name: text}. */
function folder(files) {
  const dir = fs.mkdtempSync(path.join(hub.dir, 'policy-'));
  for (const [name, text] of Object.entries(files)) {
    fs.mkdirSync(path.dirname(path.join(dir, name)), { recursive: true });
    fs.writeFileSync(path.join(dir, name), text);
  }
  return dir;
}
const MORE = { 'rules/more.yaml': 'version: 1\n' };

/** Publishes and, for a group, rolls out; the version. */
async function publish(words, group) {
  const dir = folder({ 'policy.yaml': policyOf(...words), ...MORE });
  const said = await hub.cli(['policy', 'publish', dir]);
  assert.equal(said.code, 0, said.stderr);
  const version = Number(/^version (\d+)/m.exec(said.stdout)[1]);
  if (group) {
    const rolled = await hub.cli([
      'policy', 'rollout', '--group', group, String(version),
    ]);
    assert.equal(rolled.code, 0, rolled.stderr);
  }
  return version;
}

const hubOf = async (who) => (await who.json('status')).hub;
const runs = (version, who = agent) =>
  until(
    async () => (await hubOf(who)).bundle_version === version,
    `version ${version}`,
    20000,
  );
const file = (name, who = agent) => path.join(who.state, 'hub', name);
const ask = (text) => client.post('/chat/completions', callOf('chat', text).body);
async function blocks(word, yes = true) {
  const got = await ask(`tell me of the ${word}`);
  assert.equal(got.status, yes ? 400 : 200, got.text);
}

/** Starts the agent again. */
async function again() {
  await agent.child.stop();
  await agent.restart();
  client = agent.client({ mode: 'base-url', token: backend.token });
}

before(async () => {
  provider = await startOidcProvider(fixture, {
    users: USERS,
    audience: AUDIENCE,
  });
  hub = await new Hub(fixture, {
    hub: { audience: AUDIENCE },
    'identity "corp"': { issuer: provider.issuer, 'ca-file': provider.ca },
  }).start();
  backend = await startBackend(fixture);
  agent = await startAgent(fixture, {
    backend,
    policy: OWN,
    config: {
      ...identityOf(provider),
      hub: { url: hub.url, 'ca-file': hub.ca },
    },
  });
  const { code, stderr } = await signIn(agent, provider, 'ada', [
    '--insecure-storage',
  ]);
  assert.equal(code, 0, stderr);
  const enrolled = await agent.cli(['enrol', '--fingerprint', hub.fingerprint]);
  assert.equal(enrolled.code, 0, enrolled.stderr);
  client = agent.client({ mode: 'base-url', token: backend.token });
});
after(() => fixture.close());

test('what does not load or pass its tests is not published', async () => {
  const broken = folder({ 'policy.yaml': 'version: 1\nrulez: []\n' });
  const first = await hub.cli(['policy', 'publish', broken]);
  assert.equal(first.code, 1);
  assert.match(first.stderr, /policy-[^/]+\/policy\.yaml:2:1: .*rulez/);
  const outside = folder({
    'policy.yaml': 'version: 1\ninclude: /etc/other.yaml\n',
  });
  const second = await hub.cli(['policy', 'publish', outside]);
  assert.equal(second.code, 1);
  assert.match(second.stderr, /policy\.yaml:2:\d+: .*elsewhere/);
  const failing = folder({
    'policy.yaml': policyOf('badger'),
    ...MORE,
    'policy.test.yaml': `version: 1
cases:
  - name: badgers stay
    prompt: a badger
    expect: allow
`,
  });
  const third = await hub.cli(['policy', 'publish', failing]);
  assert.equal(third.code, 1);
  assert.match(third.stderr, /policy\.test\.yaml:3.*badgers stay.*block/);
  const { published } = await hub.json(['policy', 'status']);
  assert.deepEqual(published, []);
});

test('a version that is rolled out is in force at once', async () => {
  await blocks('badger', false);
  const version = await publish(['badger'], 'developers');
  await runs(version);
  await blocks('badger');
  await blocks('zebra');
  const shown = await agent.cli(['policy', 'show']);
  assert.match(shown.stdout, /central: hub:\/policy\.yaml:\d+/);
  const doctor = await agent.cli(['doctor']);
  assert.match(doctor.stdout, /ok +hub +https:.* answers, enrolled, key .* pinned/);
  assert.match(doctor.stdout, /ok +hub policy +version \d+ of policy, good until/);
  const { stdout } = await agent.cli(['status']);
  assert.match(stdout, /its policy policy, version \d+/);
  const rows = await agent.journal();
  const row = rows.findLast((one) => one.kind === 'policy');
  assert.equal(JSON.parse(JSON.stringify(row.detail)).bundle.version, version);
  await until(async () => {
    const { agents } = await hub.json(['policy', 'status']);
    return agents[0]?.version === version && agents[0].user === 'ada';
  }, 'the report', 20000);
});

test('only the groups that it is rolled out to get a version', async () => {
  const version = await publish(['otter'], 'canaries');
  const etag = async (user) => {
    const token = await accessToken(provider, user, AUDIENCE);
    return (await hub.ask('GET', '/v1/bundle', { token })).headers.etag;
  };
  await until(
    async () => (await etag('ada')) !== (await etag('cyd')),
    'another one for canaries',
  );
  const again = await hub.cli([
    'policy', 'rollout', '--group', 'developers', '1',
  ]);
  assert.equal(again.code, 1);
  assert.match(again.stderr, /published anew/);
  const rolled = await hub.cli([
    'policy', 'rollout', '--group', 'developers', String(version),
  ]);
  assert.equal(rolled.code, 0, rolled.stderr);
  await runs(version);
  await blocks('otter');
  await blocks('badger', false);
});

test('the developer cannot weaken it', async () => {
  const { bundle_version: version } = await hubOf(agent);
  // A bundle that was altered on the disk, and an older one with its mark.
  const good = fs.readFileSync(file('policy.bundle'));
  const altered = Buffer.from(good);
  altered[altered.length - 2] ^= 1;
  fs.writeFileSync(file('policy.bundle'), altered);
  // It is noticed, and the hub is asked again.
  await until(
    () => fs.readFileSync(file('policy.bundle')).equals(good),
    'the right one again',
    20000,
  );
  assert.match(agent.log(), /contents are not those of its manifest/);
  await blocks('otter');
  assert.equal((await hubOf(agent)).bundle_version, version);
});

test('without the hub the last one holds, also after a restart', async () => {
  await hub.child.stop('SIGKILL');
  await again();
  await blocks('otter');
  // And when it is gone or altered, nothing goes.
  const good = fs.readFileSync(file('policy.bundle'));
  fs.writeFileSync(file('policy.bundle'), good.subarray(0, -1));
  await again();
  await blocks('nothing at all');
  assert.match((await agent.json('status')).paused, /the hub's policy/);
  await hub.start();
  await until(
    async () => !(await agent.json('status')).paused,
    'the policy again',
    30000,
  );
  await blocks('otter');
  await blocks('nothing at all', false);
});

test('a hub that was set back is not followed', async () => {
  const { bundle_version: version } = await hubOf(agent);
  await hub.child.stop('SIGKILL');
  // The same key, another history: the same version says something else.
  for (const name of ['hub.db', 'hub.db-wal', 'hub.db-shm'])
    fs.rmSync(path.join(hub.state, name), { force: true });
  await hub.start();
  const enrolled = await agent.cli(['enrol', '--fingerprint', hub.fingerprint]);
  assert.equal(enrolled.code, 0, enrolled.stderr);
  for (let i = 1; i < version; i++) await publish(['weasel'], 'developers');
  await until(
    async () => /is older than/.test((await hubOf(agent)).bundle_problem),
    'the refusal',
    20000,
  );
  await publish(['weasel'], 'developers');
  await until(
    async () =>
      /before with other contents/.test((await hubOf(agent)).bundle_problem),
    'the refusal',
    20000,
  );
  await blocks('otter');
  await blocks('weasel', false);
  const next = await publish(['weasel'], 'developers');
  await runs(next);
  assert.equal((await hubOf(agent)).bundle_problem, undefined);
  await blocks('weasel');
});
