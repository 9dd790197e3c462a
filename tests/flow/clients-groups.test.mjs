// SPDX-License-Identifier: Apache-2.0
// Two people of a real identity provider, in different groups, with real
// Copilot clients: the same prompt goes on for one, and is blocked or held for
// the other; the record says who, of which groups, by which rule and revision.

import assert from 'node:assert/strict';
import { after, before, beforeEach } from 'node:test';

import { clientsOff } from '../clients/common.mjs';
import { providersOff } from '../providers/install.mjs';
import { startOidcProvider, USERS } from '../providers/oidc-provider.mjs';
import { clientTest, installClients, runClient, shown } from './lib/clients.mjs';
import { Fixture, startThrough, until } from './lib/harness.mjs';
import { identityOf, signIn } from './lib/signin.mjs';

const REASON = 'Project Marmot is not for contractors.';
const POLICY = `
version: 1
default: allow
tunnels: allow
groups:
  external: [contractors]
rules:
  - id: marmot-inside
    match: {group: external, direction: request, prompt: 'project marmot'}
    action: block
    message: ${REASON}
  - id: careful-outside
    match: {group: external, direction: request, prompt: 'be careful'}
    action: approve
    by: [developer]
`;
const NAMES = ['copilot-cli', 'language-server'];
// The language server asks once more, for the conversation's title.
const CALLS = { 'copilot-cli': 1, 'language-server': 2 };

const skipped = clientsOff || providersOff;
const fixture = new Fixture();
let through;
let provider;

before(async () => {
  if (skipped) return;
  await installClients();
  provider = await startOidcProvider(fixture);
  through = await startThrough(fixture, {
    policy: POLICY,
    // The provider is no host of the internet.
    config: { ...identityOf(provider), upstream: { 'no-proxy': 'localhost' } },
  });
});
after(() => fixture.close());
beforeEach(() => (skipped ? undefined : through.backend.reset()));

const groupTest = (name, fn) =>
  clientTest(name, (t) => (providersOff ? t.skip(providersOff) : fn(t)));

async function become(user) {
  await through.agent.cli(['logout']);
  const end = await signIn(through.agent, provider, user);
  assert.equal(end.code, 0, JSON.stringify(end));
}

const runAll = (t, prompt) =>
  Promise.all(
    NAMES.map(async (name) => ({
      name,
      ...(await runClient(t, through, name, `${prompt} (${name})`)),
    })),
  );

/** What was asked since, each with who it was, checked against the provider. */
async function recorded(since, user) {
  const { policy_revision: revision } = await through.agent.status();
  const all = await through.agent.journal('--kind', 'request');
  const rows = all.filter((row) => row.seq > since && row.model);
  const { groups } = USERS[user];
  assert.ok(rows.length > 0);
  for (const row of rows) {
    assert.equal(row.user, user);
    assert.equal(row.issuer, provider.issuer);
    assert.equal(row.groups, [].concat(groups).join(','));
    assert.equal(row.detail.sub, user);
    assert.equal(row.policy_revision, revision);
  }
  return rows;
}

const MARMOT = 'tell me of project marmot';
const CAREFUL = 'be careful';

groupTest('an employee asks what a contractor may not', async (t) => {
  await become('dev');
  const since = await through.last();
  const all = await Promise.all([
    runAll(t, MARMOT),
    runClient(t, through, 'copilot-cli', CAREFUL),
  ]);
  for (const result of all.flat())
    assert.match(result.text, /You wrote: (tell me of project marmot|be careful)/, shown(result));
  for (const row of await recorded(since, 'dev')) assert.equal(row.verdict, 'allow');
});

groupTest('a contractor is refused one and waits for a yes to the other', async (t) => {
  await become('lone');
  let since = await through.last();
  for (const result of await runAll(t, MARMOT))
    assert.ok(shown(result).includes(REASON), shown(result));
  let rows = await recorded(since, 'lone');
  assert.equal(rows.filter((row) => row.rule === 'marmot-inside').length, NAMES.length);
  for (const row of rows)
    if (row.rule) assert.deepEqual([row.verdict, row.rule], ['block', 'marmot-inside']);

  since = await through.last();
  let running = true;
  const all = runAll(t, CAREFUL).finally(() => (running = false));
  const pending = () => through.agent.json('pending');
  const held = await until(
    async () => {
      const list = await pending();
      return list.length === NAMES.length && list;
    },
    'all are held',
    60000,
  );
  assert.deepEqual(held.map((one) => one.user), ['lone', 'lone']);
  assert.deepEqual(await through.seen(), [], 'nothing went upstream');
  await until(
    async () => {
      for (const { id } of await pending()) await through.agent.cli(['approve', id]);
      return !running;
    },
    'all went on',
    60000,
  );
  for (const result of await all) assert.match(result.text, /You wrote: be careful/, shown(result));
  rows = await recorded(since, 'lone');
  const asked = NAMES.reduce((sum, name) => sum + CALLS[name], 0);
  assert.equal(rows.filter((row) => row.rule === 'careful-outside').length, asked);
});
