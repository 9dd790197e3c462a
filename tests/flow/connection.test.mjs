// SPDX-License-Identifier: Apache-2.0
// connection show and test: where a connection leads, whether its places
// answer, and whether the credential that the agent would hold is taken.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { Agent, Fixture, startBackend } from './lib/harness.mjs';

const fixture = new Fixture();
let backend;

before(async () => {
  backend = await startBackend(fixture);
});
after(() => fixture.close());

/** An agent that does not run, configured so. */
function configured(t, connection, config = {}) {
  const agent = new Agent(t, {
    backend,
    config: { listen: { port: 8788 }, 'connection "copilot"': connection, ...config },
  });
  agent.configure();
  return agent;
}

const ask = (agent, ...args) =>
  agent.cli(['connection', ...args, '--config', agent.configFile]);

function credentialFile(agent, text) {
  const file = path.join(agent.dir, 'token');
  fs.writeFileSync(file, `${text}\n`, { mode: 0o600 });
  return file;
}

test('show: hosts, base URL and places, for people and machines', async (t) => {
  const agent = configured(t, { upstream: undefined });
  const shown = await ask(agent, 'show', 'copilot');
  assert.equal(shown.code, 0, shown.stderr);
  assert.match(shown.stdout, /^copilot, of type copilot, on$/m);
  assert.match(shown.stdout, /base URL +https:\/\/127\.0\.0\.1:8788\/c\/copilot/);
  const { stdout } = await ask(agent, 'show', 'copilot', '--json');
  const row = JSON.parse(stdout);
  assert.ok(row.governed_hosts.includes('githubcopilot.com'));
  assert.equal(row.places.models, 'https://api.githubcopilot.com');
});

test('show and test want the name of one', async (t) => {
  const agent = configured(t, {});
  for (const args of [['test'], ['show', 'copliot'], ['list', 'copilot']])
    assert.equal((await ask(agent, ...args)).code, 2, args.join(' '));
  assert.match((await ask(agent, 'test', 'x')).stderr, /there are: copilot, /);
});

test('test: what answers is told, and nothing is sent along', async (t) => {
  const agent = configured(t, {});
  await backend.forget();
  const tried = await ask(agent, 'test', 'copilot');
  assert.equal(tried.code, 0, tried.stdout + tried.stderr);
  assert.match(tried.stdout, /everything +https:.* answers \(\d+ ms\)/);
  const [seen] = await backend.requests();
  assert.equal(seen.headers.authorization, undefined);
});

test('test: a credential in a file is taken or refused', async (t) => {
  const agent = configured(t, {});
  for (const [text, code, words] of [
    [backend.token, 0, /credential +taken by https:.*\/models/],
    ['gho_nobodys0000000000000000000000000000', 1, /credential +.*(refused|not)/],
  ]) {
    agent.options.config['connection "copilot"'].credential =
      `file:${credentialFile(agent, text)}`;
    agent.configure();
    const tried = await ask(agent, 'test', 'copilot');
    assert.equal(tried.code, code, tried.stdout + tried.stderr);
    assert.match(tried.stdout, words);
    assert.ok(!(tried.stdout + tried.stderr).includes(text), 'never shown');
  }
});

test('test: one in the environment is the agent\'s alone', async (t) => {
  const agent = configured(t, { credential: 'env:HOOP_TEST_TOKEN' });
  const tried = await ask(agent, 'test', 'copilot');
  assert.equal(tried.code, 0, tried.stderr);
  assert.match(tried.stdout, /env:HOOP_TEST_TOKEN: only the agent can use it/);
});

test('test: out of reach or not trusted is 5, with the reason', async (t) => {
  const agent = configured(t, { upstream: 'https://127.0.0.1:9' });
  const closed = await ask(agent, 'test', 'copilot', '--json');
  assert.equal(closed.code, 5, closed.stderr);
  const [place] = JSON.parse(closed.stdout);
  assert.equal(place.ok, false);
  assert.match(place.error, /127\.0\.0\.1/);
  const other = configured(t, {}, { upstream: { 'ca-file': undefined } });
  const strange = await ask(other, 'test', 'copilot');
  assert.equal(strange.code, 5, strange.stdout);
  assert.match(strange.stdout, /ca-file/);
});
