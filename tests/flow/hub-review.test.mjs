// SPDX-License-Identifier: Apache-2.0
// A request that waits for somebody else: real provider, real hub, real agents;
// approved, denied, withdrawn, and whatever must not let it go.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { startOidcProvider } from '../providers/oidc-provider.mjs';
import {
  callOf,
  Fixture,
  patience,
  startAgent,
  startBackend,
  until,
} from './lib/harness.mjs';
import { accessToken, Hub } from './lib/hub.mjs';
import { identityOf, signIn } from './lib/signin.mjs';

const AUDIENCE = 'https://hub.example.test';
const USERS = {
  ada: { preferred_username: 'ada', groups: ['developers', 'team-leads'] },
  bob: { preferred_username: 'bob', groups: ['team-leads'] },
  cyd: { preferred_username: 'cyd', groups: ['security', 'team-leads'] },
  eve: { preferred_username: 'eve', groups: ['developers'] },
  aud: { preferred_username: 'aud', groups: ['audit'] },
};
const POLICY = `version: 1
default: allow
tunnels: allow
rules:
  - id: eyes
    match: {direction: request, prompt: eyes}
    action: approve
    by: ['reviewer:leads']
    timeout: 60
  - id: two
    match: {direction: request, prompt: pair}
    action: approve
    by: {count: 2, of: ['reviewer:leads', 'reviewer:security']}
    timeout: 60
  - id: brief
    match: {direction: request, prompt: hurry}
    action: approve
    by: ['reviewer:leads']
    timeout: ${2 * patience}
`;

const fixture = new Fixture();
let provider;
let hub;
let backend;
let ada;
let bob;
let client;
const tokens = {};

/** An agent that is signed in and enrolled. */
async function join(user) {
  const agent = await startAgent(fixture, {
    backend,
    policy: POLICY,
    config: {
      ...identityOf(provider),
      hub: { url: hub.url, 'ca-file': hub.ca },
    },
  });
  const { code, stderr } = await signIn(agent, provider, user, [
    '--insecure-storage',
  ]);
  assert.equal(code, 0, stderr);
  const enrolled = await agent.cli(['enrol', '--fingerprint', hub.fingerprint]);
  assert.equal(enrolled.code, 0, enrolled.stderr);
  assert.ok(enrolled.stdout.includes(hub.fingerprint));
  return agent;
}

before(async () => {
  [provider, backend] = await Promise.all([
    startOidcProvider(fixture, { users: USERS, audience: AUDIENCE }),
    startBackend(fixture),
  ]);
  hub = await new Hub(fixture, {
    hub: { audience: AUDIENCE },
    roles: { auditor: 'audit' },
    'reviewers "leads"': { groups: 'team-leads' },
    'reviewers "security"': { groups: 'security' },
    'identity "corp"': { issuer: provider.issuer, 'ca-file': provider.ca },
  }).start();
  const sign = async (user) => {
    tokens[user] = await accessToken(provider, user, AUDIENCE);
  };
  [ada, bob] = await Promise.all([
    join('ada'),
    join('bob'),
    ...['ada', 'cyd', 'eve', 'aud'].map(sign),
  ]);
  client = ada.client({ mode: 'base-url', token: backend.token });
});
after(() => fixture.close());

const post = (text, options) =>
  client.post('/chat/completions', callOf('chat', text).body, options);

/** What waits at the hub, as a reviewer sees it. */
const listed = async () =>
  (await hub.ask('GET', '/v1/reviews', { token: tokens.cyd })).json.reviews;
const waiting = () =>
  until(async () => (await listed())[0], 'a review', 20000);
const nothingWaits = () =>
  until(async () => !(await listed()).length, 'no review', 20000);

const answer = (user, review, more = {}) =>
  hub.ask('POST', `/v1/reviews/${review.id}/answer`, {
    token: tokens[user],
    body: { answer: 'approved', digest: review.digest, ...more },
  });

test('a second person approves, and it goes', async () => {
  const held = post('four eyes please');
  const review = await waiting();
  assert.equal(review.user, 'ada');
  assert.equal(review.may_answer, true);
  const list = await bob.json('reviews', 'list');
  assert.deepEqual(
    list.reviews.map(({ id }) => id),
    [review.id],
  );
  const shown = await bob.cli(['reviews', 'show', review.id.slice(0, 8)]);
  assert.match(shown.stdout, /four eyes please/);
  assert.match(shown.stdout, /user +ada/);
  const said = await bob.cli(['reviews', 'approve', review.id, '--reason', 'seen']);
  assert.equal(said.code, 0, said.stderr);
  const got = await held;
  assert.equal(got.status, 200, got.text);
  const rows = await ada.journalUntil((list) =>
    list.some((row) => row.kind === 'approval'),
  );
  const { exchange } = rows.find((row) => row.kind === 'approval');
  const why = await ada.cli(['why', exchange]);
  assert.match(why.stdout, /bob/);
  const again = await answer('cyd', review);
  assert.equal(again.status, 409);
  const { json } = await hub.ask('GET', '/v1/record', { token: tokens.aud });
  const kinds = json.rows.filter((row) => row.review === review.id);
  assert.deepEqual(
    kinds.map((row) => row.kind),
    ['review', 'answer', 'decision'],
  );
});

test('a denial ends it, with its reason', async () => {
  const held = post('eyes on this');
  const review = await waiting();
  const said = await bob.cli(['reviews', 'deny', review.id, '--reason', 'not this way']);
  assert.equal(said.code, 0, said.stderr);
  const got = await held;
  assert.equal(got.status, 400);
  assert.match(got.text, /not this way/);
  assert.equal((await backend.modelCalls()).length, 1);
});

test('two distinct people, and neither of them whose request it is', async () => {
  const held = post('a pair of them');
  const review = await waiting();
  // In the group that is asked, but her own.
  const own = await answer('ada', review);
  assert.equal(own.status, 403, own.text);
  const foreign = await answer('eve', review);
  assert.equal(foreign.status, 404, foreign.text);
  // In both groups, and still one person.
  const first = await answer('cyd', review);
  assert.equal(first.status, 200, first.text);
  assert.equal(first.json.state, 'pending');
  assert.equal((await answer('cyd', review)).status, 409);
  const last = await bob.cli(['reviews', 'approve', review.id]);
  assert.equal(last.code, 0, last.stderr);
  assert.equal((await held).status, 200);
});

test('tokens that are for somebody else, or none, are refused', async () => {
  const other = await accessToken(provider, 'bob', 'https://other.example.test');
  const refused = await hub.ask('GET', '/v1/reviews', { token: other });
  assert.equal(refused.status, 401, refused.text);
  assert.match(refused.json.error.message, /check of aud/);
  assert.equal((await hub.ask('GET', '/v1/reviews')).status, 401);
  const altered = `${tokens.aud.slice(0, -8)}AAAAAAAA`;
  assert.equal(
    (await hub.ask('GET', '/v1/reviews', { token: altered })).status,
    401,
  );
  assert.equal(
    (await hub.ask('GET', '/v1/record', { token: tokens.cyd })).status,
    403,
  );
  // No machine of hers signed it.
  const unsigned = await hub.ask('POST', '/v1/reviews', {
    token: tokens.ada,
    body: {},
  });
  assert.equal(unsigned.status, 403);
  assert.equal(unsigned.json.error.code, 'machine');
});

test('a client that leaves takes its request back', async () => {
  const stop = new AbortController();
  const held = post('eyes for nothing', { signal: stop.signal }).catch(() => {});
  const review = await waiting();
  client.close();
  stop.abort();
  await held;
  await nothingWaits();
  const { json } = await hub.ask('GET', `/v1/reviews/${review.id}`, {
    token: tokens.cyd,
  });
  assert.equal(json.state, 'withdrawn');
  client = ada.client({ mode: 'base-url', token: backend.token });
});

test('a hub that is killed: denied at the deadline, and why', async () => {
  const held = post('hurry up');
  await waiting();
  await hub.child.stop('SIGKILL');
  const got = await held;
  assert.equal(got.status, 400);
  assert.match(got.text, /nobody answered in time.*\(.*connect/);
});

test('a hub with another key than the pinned one is not believed', async () => {
  fs.rmSync(path.join(hub.state, 'hub.key'));
  await hub.start();
  await nothingWaits();
  const calls = (await backend.modelCalls()).length;
  const held = post('eyes, there').catch(() => {});
  const review = await waiting();
  const said = await bob.cli(['reviews', 'approve', review.id]);
  assert.equal(said.code, 0, said.stderr);
  await until(
    () => /signature is not that of the hub/.test(ada.log()),
    'the refusal',
    20000,
  );
  assert.equal((await ada.json('pending')).length, 1);
  client.close();
  await held;
  assert.equal((await backend.modelCalls()).length, calls);
  const again = await bob.cli(['enrol']);
  assert.equal(again.code, 1);
  assert.match(again.stderr, /another key is pinned/);
});
