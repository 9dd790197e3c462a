// SPDX-License-Identifier: Apache-2.0
// Promise 8: a credential that the agent holds is never visible to the client
// or in the agent's files; a client without its own token gets nothing.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, beforeEach, test } from 'node:test';

import {
  assertAbsent,
  assertNowhere,
  callOf,
  Fixture,
  startAgent,
  startBackend,
  tempDir,
} from '../flow/lib/harness.mjs';

// In GitHub's published form, with its checksum; made up.
const HELD = `ghp_${'A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5'}0Zb5Hm`;

const fixture = new Fixture();
let backend;
let agent;
let client;

before(async () => {
  backend = await startBackend(fixture, { args: ['--token', HELD] });
  const file = path.join(tempDir(fixture, 'hoop-held-'), 'token');
  fs.writeFileSync(file, HELD, { mode: 0o600 });
  agent = await startAgent(fixture, {
    backend,
    config: { 'connection "copilot"': { credential: `file:${file}` } },
  });
  const env = await agent.envFor('language-server');
  const dummy = Object.values(env).find((v) => /^gho_hoop/.test(v));
  assert.ok(dummy, JSON.stringify(env));
  client = agent.client({ mode: 'base-url', token: dummy });
});
after(() => fixture.close());
beforeEach(() => backend.reset());

test('held_credential_is_swapped_in', async () => {
  const answer = await client.post(
    '/chat/completions',
    callOf('chat', 'hello').body,
  );
  assert.equal(answer.status, 200, answer.text);
  const [seen] = await backend.modelCalls();
  assert.doesNotMatch(seen.headers.authorization, /hoop/);
  assertAbsent(answer.text, HELD);
});

test('token_answer_shows_only_the_dummy', async () => {
  const answer = await client.get('/copilot_internal/v2/token');
  assert.equal(answer.status, 200, answer.text);
  assert.match(answer.json.token, /gho_hoop/);
  assertAbsent(answer.text, HELD);
  for (const url of Object.values(answer.json.endpoints))
    assert.match(url, /127\.0\.0\.1/);
});

test('unknown_client_is_refused', async () => {
  const stranger = agent.client({ mode: 'base-url', token: 'gho_stranger' });
  const answer = await stranger.post(
    '/chat/completions',
    callOf('chat', 'hello').body,
  );
  assert.equal(answer.status, 401, answer.text);
  assert.equal((await backend.modelCalls()).length, 0);
});

test('error_that_repeats_the_credential_is_withheld', async () => {
  await backend.answer('/copilot_internal/v2/token', {
    status: 403,
    json: { message: `Bad credentials: Bearer ${HELD}` },
  });
  const answer = await client.get('/copilot_internal/v2/token');
  assert.equal(answer.status, 502, answer.text);
  assert.equal(answer.json.error.code, 'credential_repeated');
  assertAbsent(answer.text, HELD);
});

test('held_credential_never_on_disk', async () => {
  await agent.stop();
  assertNowhere(agent.dir, HELD);
});
