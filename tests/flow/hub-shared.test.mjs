// SPDX-License-Identifier: Apache-2.0
// Two hubs on one PostgreSQL behind a balancer, with a real agent: asked at one,
// answered at the other, and neither a hub nor the database that is killed
// loses anything or lets anything be decided twice.

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
import { Balancer, Postgresql } from './lib/postgresql.mjs';
import { identityOf, signIn } from './lib/signin.mjs';

const AUDIENCE = 'https://hub.example.test';
const USERS = {
  ada: { preferred_username: 'ada', groups: ['developers'] },
  bob: { preferred_username: 'bob', groups: ['team-leads'] },
  cyd: { preferred_username: 'cyd', groups: ['team-leads', 'audit'] },
};
const POLICY = `version: 1
default: allow
tunnels: allow
rules:
  - id: eyes
    match: {direction: request, prompt: eyes}
    action: approve
    by: ['reviewer:leads']
    timeout: 120
  - id: two
    match: {direction: request, prompt: pair}
    action: approve
    by: {count: 2, of: ['reviewer:leads']}
    timeout: 120
`;

const fixture = new Fixture();
const tokens = {};
let database;
let hubs;
let backend;
let ada;
let client;
let absent = false;

function settings(provider, more = {}) {
  return {
    hub: { audience: AUDIENCE, store: database.url, ...more },
    roles: { auditor: 'audit' },
    'reviewers "leads"': { groups: 'team-leads' },
    'identity "corp"': { issuer: provider.issuer, 'ca-file': provider.ca },
  };
}

/** Two with one key and one certificate. */
async function startHubs(provider) {
  const one = await new Hub(fixture, settings(provider)).start();
  const other = new Hub(
    fixture,
    settings(provider, {
      certificate: one.ca,
      key: path.join(one.state, 'tls.key'),
    }),
  );
  fs.mkdirSync(other.state, { mode: 0o700 });
  fs.copyFileSync(
    path.join(one.state, 'hub.key'),
    path.join(other.state, 'hub.key'),
  );
  other.ca = one.ca;
  await other.start();
  assert.equal(other.fingerprint, one.fingerprint);
  return [one, other];
}

before(async () => {
  database = new Postgresql(fixture);
  absent = !database.start();
  if (absent) return;
  const [provider, started] = await Promise.all([
    startOidcProvider(fixture, { users: USERS, audience: AUDIENCE }),
    startBackend(fixture),
  ]);
  backend = started;
  hubs = await startHubs(provider);
  const balancer = await new Balancer(
    fixture,
    hubs.map(({ port }) => port),
  ).start();
  ada = await startAgent(fixture, {
    backend,
    policy: POLICY,
    config: {
      ...identityOf(provider),
      hub: { url: `https://localhost:${balancer.port}`, 'ca-file': hubs[0].ca },
    },
  });
  const { code, stderr } = await signIn(ada, provider, 'ada', [
    '--insecure-storage',
  ]);
  assert.equal(code, 0, stderr);
  const fingerprint = hubs[0].fingerprint;
  const enrolled = await ada.cli(['enrol', '--fingerprint', fingerprint]);
  assert.equal(enrolled.code, 0, enrolled.stderr);
  for (const user of ['bob', 'cyd'])
    tokens[user] = await accessToken(provider, user, AUDIENCE);
  client = ada.client({ mode: 'base-url', token: backend.token });
});
after(() => fixture.close());

const step = (name, fn) =>
  test(name, async (t) => {
    if (absent) t.skip('no PostgreSQL here (packages.list, group test)');
    else await fn();
  });

const post = (text) =>
  client.post('/chat/completions', callOf('chat', text).body);
const waitingAt = (hub) =>
  until(
    async () =>
      (await hub.ask('GET', '/v1/reviews', { token: tokens.cyd })).json
        .reviews[0],
    'a review',
    20000,
  );
const answer = (hub, user, review, more = {}) =>
  hub.ask('POST', `/v1/reviews/${review.id}/answer`, {
    token: tokens[user],
    body: { answer: 'approved', digest: review.digest, ...more },
  });
/** What the record says of it. */
async function kindsOf(hub, review) {
  const rows = [];
  for (;;) {
    const seq = rows.length ? rows[rows.length - 1].seq : 0;
    const { json } = await hub.ask('GET', `/v1/record?after=${seq}`, {
      token: tokens.cyd,
    });
    if (!json.rows.length) break;
    rows.push(...json.rows);
  }
  assert.deepEqual(
    rows.map(({ seq }) => seq),
    rows.map((_, i) => i + 1),
  );
  return rows.filter((row) => row.review === review.id).map(({ kind }) => kind);
}

step('asked at one hub, answered at the other', async () => {
  const held = post('four eyes please');
  // The balancer hands all to the first while that lives.
  const review = await waitingAt(hubs[1]);
  assert.equal((await waitingAt(hubs[0])).id, review.id);
  const said = await answer(hubs[1], 'bob', review);
  assert.equal(said.status, 200, said.text);
  assert.equal((await held).status, 200);
  assert.deepEqual(await kindsOf(hubs[0], review), [
    'review',
    'answer',
    'decision',
  ]);
});

step('two people at two hubs at one moment decide it once', async () => {
  const held = post('a pair of them');
  const review = await waitingAt(hubs[1]);
  const said = await Promise.all([
    answer(hubs[0], 'bob', review),
    answer(hubs[1], 'cyd', review),
  ]);
  assert.deepEqual(
    said.map(({ status }) => status),
    [200, 200],
  );
  assert.deepEqual(said.map(({ json }) => json.state).sort(), [
    'approved',
    'pending',
  ]);
  assert.equal((await held).status, 200);
  const kinds = await kindsOf(hubs[1], review);
  assert.equal(kinds.filter((kind) => kind === 'decision').length, 1);
});

step('yes at one and no at the other: whoever came first', async () => {
  const held = post('eyes on this');
  const review = await waitingAt(hubs[1]);
  const said = await Promise.all([
    answer(hubs[0], 'bob', review),
    answer(hubs[1], 'cyd', review, { answer: 'denied' }),
  ]);
  assert.deepEqual(said.map(({ status }) => status).sort(), [200, 409]);
  assert.equal((await held).status, said[0].status === 200 ? 200 : 400);
  const kinds = await kindsOf(hubs[0], review);
  assert.deepEqual(kinds, ['review', 'answer', 'decision']);
});

step('a database that is killed: said so, and nothing is lost', async () => {
  const held = post('eyes over an outage');
  const review = await waitingAt(hubs[1]);
  database.do('kill');
  const refused = await answer(hubs[1], 'bob', review);
  assert.equal(refused.status, 503, refused.text);
  assert.equal(refused.json.error.code, 'store');
  assert.equal((await hubs[1].ask('GET', '/health')).status, 503);
  database.do('again');
  for (const hub of hubs) {
    await until(
      async () => (await hub.ask('GET', '/health')).status === 200,
      'the database again',
      20000,
    );
    assert.ok(hub.child.running);
  }
  const said = await answer(hubs[1], 'bob', review);
  assert.equal(said.status, 200, said.text);
  assert.equal((await held).status, 200);
  assert.deepEqual(await kindsOf(hubs[0], review), [
    'review',
    'answer',
    'decision',
  ]);
});

step('a hub that is killed: the other has it all', async () => {
  const held = post('eyes that stay');
  const review = await waitingAt(hubs[0]);
  await hubs[0].child.stop('SIGKILL');
  const said = await answer(hubs[1], 'bob', review);
  assert.equal(said.status, 200, said.text);
  assert.equal((await held).status, 200);
  const next = post('eyes at the one that is left');
  const other = await waitingAt(hubs[1]);
  assert.equal((await answer(hubs[1], 'cyd', other)).status, 200);
  assert.equal((await next).status, 200);
});

step('a hub with another key does not start', async () => {
  fs.rmSync(path.join(hubs[0].state, 'hub.key'));
  await assert.rejects(hubs[0].start(), /sign by another key/);
});
