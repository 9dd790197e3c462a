// SPDX-License-Identifier: Apache-2.0
// Real clients with a credential that the agent holds: each gets a dummy from
// `hoop-agent env`, the backend sees the real one alone.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, beforeEach, test } from 'node:test';

import { runClaudeCode } from '../clients/claude-code.mjs';
import { runCodex } from '../clients/codex.mjs';
import { runCopilotCli } from '../clients/copilot-cli.mjs';
import { startLanguageServer } from '../clients/language-server.mjs';
import { runOpenaiSdk } from '../clients/openai-sdk.mjs';
import { clientTest, installClients } from './lib/clients.mjs';
import { assertNowhere, Fixture, startThrough } from './lib/harness.mjs';

const MODES = ['proxy', 'base-url'];
const HELLO = 'hello there';
const SAID = /You wrote: hello there/;
const CHAT = ['gpt-4.1', 'gpt-5-mini', 'claude-sonnet-4.5'];

const fixture = new Fixture();
let through;
let backend;

before(async () => {
  await installClients();
  through = await startThrough(fixture, { held: true });
  backend = through.backend;
});
after(() => fixture.close());
beforeEach(() => backend.reset());

for (const mode of MODES) {
  clientTest(`language server, ${mode}: completes and chats`, async (t) => {
    const reach = await through.reach(t, mode, 'language-server');
    const server = await startLanguageServer(reach);
    assert.equal((await server.status()).status, 'OK');
    const code = 'function add(a, b) {\n  ';
    assert.equal((await server.complete(code)).length, 3);
    for (const model of CHAT) {
      const turn = await server.chat(HELLO, { model });
      assert.equal(turn.error, null, JSON.stringify(turn.error));
      assert.match(turn.text, SAID, model);
    }
    await server.stop();
    for (const call of await backend.modelCalls())
      assert.match(call.headers.authorization, /^Bearer tid=/);
    await through.assertTokens('language-server', reach);
  });

  clientTest(`copilot CLI, ${mode}: answers`, async (t) => {
    const reach = await through.reach(t, mode, 'copilot-cli');
    for (const model of CHAT.slice(1)) {
      const result = await runCopilotCli(HELLO, { ...reach, model });
      assert.equal(result.code, 0, result.stderr + result.stdout);
      assert.match(result.text, SAID);
    }
    await through.assertTokens('copilot-cli', reach);
  });

  clientTest(`codex, claude code, openai SDK, ${mode}: answer`, async (t) => {
    const codex = await through.reach(t, mode, 'codex');
    assert.match((await runCodex(HELLO, codex)).text, SAID);
    await through.assertTokens('codex', codex);
    const claude = await through.reach(t, mode, 'claude');
    assert.match((await runClaudeCode(HELLO, claude)).text, SAID);
    await through.assertTokens('claude', claude);
    if (mode === 'proxy') return;
    const sdk = await through.reach(t, mode, 'openai');
    assert.match((await runOpenaiSdk(HELLO, sdk)).text, SAID);
  });
}

clientTest('what `env` prints is all that a client needs', async (t) => {
  const reach = await through.reach(t, 'proxy', 'copilot-cli');
  const env = await through.agent.envFor('copilot-cli');
  const result = await runCopilotCli(HELLO, {
    ...reach,
    mode: 'env',
    baseUrl: undefined,
    token: undefined,
    env,
  });
  assert.match(result.text, SAID, result.stderr + result.stdout);
});

clientTest('another client name gets another dummy, a foreign token none', async () => {
  const dummies = [];
  for (const name of ['copilot-cli', 'language-server'])
    dummies.push(await through.token(name));
  assert.notEqual(dummies[0], dummies[1]);
  for (const token of [backend.token, `${dummies[0]}0`, 'gho_hoop']) {
    const client = through.agent.client({ mode: 'base-url', token });
    const answer = await client.get('/models');
    assert.equal(answer.status, 401, answer.text);
    assert.equal(answer.json.error.code, 'unknown_client');
  }
  assert.deepEqual(await backend.requests(), []);
});

clientTest('a changed credential file counts from the next request', async (t) => {
  const own = await startThrough(t, { held: true });
  const token = await own.token('copilot-cli');
  const client = own.agent.client({ mode: 'base-url', token });
  assert.equal((await client.get('/models')).status, 200);
  await own.backend.revoke(own.backend.token);
  assert.equal((await client.get('/copilot_internal/user')).status, 401);
  await own.backend.config({ tokens: ['gho_TheNextOne000000000000000000000001'] });
  await own.backend.allow('gho_TheNextOne000000000000000000000001');
  fs.writeFileSync(
    path.join(own.keys, 'copilot'),
    'gho_TheNextOne000000000000000000000001',
  );
  assert.equal((await client.get('/copilot_internal/user')).status, 200);
  assert.equal((await client.get('/models')).status, 200);
  const sent = (await own.backend.requests()).at(-2).headers.authorization;
  assert.match(sent, /TheNextOne/);
});

// After all of the above.
test('the real credentials are in no file of the agent', async () => {
  await through.agent.stop();
  for (const name of ['copilot-cli', 'claude', 'codex'])
    assertNowhere(through.agent.dir, through.realToken(name));
});
