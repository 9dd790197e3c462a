// SPDX-License-Identifier: Apache-2.0
// Promises 1 and 5: only the owner's own processes get in, over TLS; web
// pages, foreign Hosts and Origins, other users are refused.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { after, before, test } from 'node:test';

import {
  callOf,
  Fixture,
  startAgent,
  startBackend,
} from '../flow/lib/harness.mjs';

const fixture = new Fixture();
let backend;
let agent;

before(async () => {
  backend = await startBackend(fixture);
  agent = await startAgent(fixture, { backend });
});
after(() => fixture.close());

function base(options) {
  return agent.client({ mode: 'base-url', token: backend.token, ...options });
}

const refused = [
  ['foreign_host', { host: 'evil.example' }, 421],
  ['foreign_host_with_our_port', { host: 'evil.example:8788' }, 421],
  ['foreign_origin', { origin: 'https://evil.example' }, 403],
  ['null_origin', { origin: 'null' }, 403],
  ['cross_site', { 'sec-fetch-site': 'cross-site' }, 403],
  ['same_site', { 'sec-fetch-site': 'same-site' }, 403],
];
for (const [name, headers, status] of refused)
  test(`${name}_refused`, async () => {
    const answer = await base().get('/models', { headers });
    assert.equal(answer.status, status, answer.text);
    assert.ok(answer.json.error.message);
    assert.equal((await backend.requests({ path: '/models' })).length, 0);
  });

test('editor_origin_is_fine', async () => {
  const answer = await base().get('/models', {
    headers: { origin: 'vscode-file://vscode-app' },
  });
  assert.equal(answer.status, 200);
});

test('plain_http_refused_unless_configured', async (t) => {
  const plain = agent.client({ mode: 'plain', token: backend.token });
  assert.equal((await plain.get('/models')).status, 400);
  const open = await startAgent(t, {
    backend,
    config: { listen: { 'plain-base-url': true } },
  });
  const answer = await open
    .client({ mode: 'plain', token: backend.token })
    .get('/models');
  assert.equal(answer.status, 200);
});

test('connect_host_and_request_host_must_agree', async () => {
  const client = agent.client({
    mode: 'connect',
    host: 'api.githubcopilot.com',
    token: backend.token,
  });
  const answer = await client.get('/models', {
    headers: { host: 'api.github.com' },
  });
  assert.equal(answer.status, 421);
});

test('foreign_uid_refused', { skip: process.getuid() !== 0 && 'needs root' }, () => {
  const world = fs.mkdtempSync('/tmp/hoop-ca-');
  fs.chmodSync(world, 0o755);
  fs.copyFileSync(agent.ca, `${world}/ca.pem`);
  const ask = (extra) =>
    spawnSync(
      'setpriv',
      [
        ...extra,
        'curl',
        '-sS',
        '--max-time',
        '10',
        '--cacert',
        `${world}/ca.pem`,
        '-o',
        '/dev/null',
        '-w',
        '%{http_code}',
        '-H',
        `Authorization: Bearer ${backend.token}`,
        `https://127.0.0.1:${agent.port}/models`,
      ],
      { encoding: 'utf8' },
    );
  try {
    assert.equal(ask(['--no-new-privs']).stdout, '200');
    const other = ask(['--reuid', '65534', '--clear-groups']);
    assert.equal(other.stdout, '000', other.stderr);
    assert.notEqual(other.status, 0);
  } finally {
    fs.rmSync(world, { recursive: true });
  }
});

test('refusals_are_recorded', async () => {
  await base().get('/models', { headers: { origin: 'https://evil.example' } });
  const rows = await agent.journalUntil(
    (list) => list.some((r) => r.kind === 'refused'),
    'a refused row',
  );
  assert.ok(rows.some((r) => r.kind === 'refused' && r.status === 403));
});

test('upstream_certificate_is_verified', async (t) => {
  const own = await startAgent(t, {
    backend,
    config: { upstream: { 'ca-file': undefined } },
  });
  const client = own.client({ mode: 'base-url', token: backend.token });
  const answer = await client.post(
    '/chat/completions',
    callOf('chat', 'hello').body,
  );
  assert.equal(answer.status, 400, answer.text);
  assert.equal(answer.json.error.code, 'upstream_not_trusted');
  assert.match(answer.json.error.message, /localhost/);
});
