// SPDX-License-Identifier: Apache-2.0
// Each real client works through the agent, by CONNECT and by the base URL,
// with its own credential: it signs in, completes, chats and runs tools, and
// secrets in answers do not reach it.

import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';

import { runClaudeCode } from '../clients/claude-code.mjs';
import { runCodex } from '../clients/codex.mjs';
import { runCopilotCli } from '../clients/copilot-cli.mjs';
import { startLanguageServer } from '../clients/language-server.mjs';
import { runOpenaiSdk, sdkUsesProxy } from '../clients/openai-sdk.mjs';
import { LEAKED_KEY } from '../fake/defaults.mjs';
import { clientTest, installClients } from './lib/clients.mjs';
import {
  assertAbsent,
  assertNowhere,
  Fixture,
  startThrough,
} from './lib/harness.mjs';

const LEAK = 'a word on leaks';
const MASK = /The deploy key is \[aws-access-key:[a-z2-7]{12,}\], as you asked/;
const MODES = ['proxy', 'base-url'];
const CHAT = {
  'gpt-4.1': '/chat/completions',
  'gpt-5-mini': '/responses',
  'claude-sonnet-4.5': '/v1/messages',
};
const TOOL = { command: 'echo ran-$((40+2))', description: 'test' };

const fixture = new Fixture();
let through;
let backend;

before(async () => {
  await installClients();
  through = await startThrough(fixture);
  backend = through.backend;
});
after(() => fixture.close());
beforeEach(async () => {
  await backend.reset();
  through.proxy.reset();
});

function masked(result, what) {
  assertAbsent(result.stdout ?? JSON.stringify(result), LEAKED_KEY, what);
  assert.match(result.text, MASK, what);
}

for (const mode of MODES) {
  clientTest(`language server, ${mode}: completes and chats`, async (t) => {
    const reach = await through.reach(t, mode, 'language-server');
    const server = await startLanguageServer(reach);
    assert.equal((await server.status()).status, 'OK');
    assert.deepEqual(await server.complete('function add(a, b) {\n  '), [
      'return a + b;',
      'return sum(a, b);',
      'const result = a + b;\n  return result;',
    ]);
    const leaked = await server.complete('// leak\nconst key = ');
    assert.match(leaked[0] ?? '', /"\[aws-access-key:[a-z2-7]{12,}\]";/);
    for (const [model, path] of Object.entries(CHAT)) {
      const turn = await server.chat(LEAK, { model });
      assert.equal(turn.error, null, JSON.stringify(turn.error));
      masked(turn, model);
      assert.ok((await backend.modelCalls({ path })).length > 0, path);
    }
    await through.assertTokens('language-server', reach);
    await server.stop();
    assertNowhere(reach.home, LEAKED_KEY);
  });

  clientTest(`copilot CLI, ${mode}: answers over the three APIs`, async (t) => {
    const reach = await through.reach(t, mode, 'copilot-cli');
    for (const model of ['gpt-5-mini', 'claude-sonnet-4.5']) {
      const result = await runCopilotCli(LEAK, { ...reach, model });
      assert.equal(result.code, 0, result.stderr);
      masked(result, model);
    }
    await backend.config({ models: 'chat' });
    masked(await runCopilotCli(LEAK, { ...reach, model: 'gpt-5-mini' }));
    assert.deepEqual(
      (await backend.modelCalls()).map((r) => `${r.path} ${r.status}`),
      ['/responses 200', '/v1/messages 200', '/chat/completions 200'],
    );
    await through.assertTokens('copilot-cli', reach);
  });

  clientTest(`copilot CLI, ${mode}: runs a streamed tool call`, async (t) => {
    await backend.answer('/responses', {
      text: 'Running it.',
      toolCalls: [{ name: 'bash', arguments: TOOL }],
    });
    const result = await runCopilotCli('run it', {
      ...(await through.reach(t, mode, 'copilot-cli')),
      model: 'gpt-5-mini',
    });
    assert.equal(result.code, 0, result.stderr);
    assert.match(result.tools[0].output, /ran-42/);
    assert.match(result.text, /The tool said: ran-42/);
    assert.equal((await backend.modelCalls()).length, 2);
  });

  clientTest(`codex, ${mode}: answers and runs a tool`, async (t) => {
    const reach = await through.reach(t, mode, 'codex');
    const result = await runCodex(LEAK, reach);
    assert.equal(result.code, 0, result.stderr);
    masked(result, 'codex');
    await backend.answer('/v1/responses', {
      toolCalls: [{ name: 'exec_command', arguments: { cmd: TOOL.command } }],
    });
    const tool = await runCodex('run it', reach);
    assert.match(tool.tools[0]?.output ?? '', /ran-42/, tool.stdout);
    assert.match(tool.text, /The tool said: [\s\S]*ran-42/);
    await through.assertTokens('codex', reach);
  });

  clientTest(`claude code, ${mode}: answers and runs a tool`, async (t) => {
    const reach = await through.reach(t, mode, 'claude');
    const result = await runClaudeCode(LEAK, reach);
    assert.equal(result.code, 0, result.stderr);
    masked(result, 'claude code');
    await backend.answer('/v1/messages', {
      toolCalls: [{ name: 'Bash', arguments: TOOL }],
    });
    const tool = await runClaudeCode('run it', reach);
    assert.match(tool.tools[0]?.output ?? '', /ran-42/, tool.stdout);
    assert.match(tool.text, /The tool said: ran-42/);
    await through.assertTokens('claude', reach);
  });

  clientTest(`openai SDK, ${mode}: chat, responses, embeddings, models`, async (t) => {
    if (mode === 'proxy' && !sdkUsesProxy())
      return t.skip(`node ${process.version} ignores HTTPS_PROXY`);
    const reach = await through.reach(t, mode, 'openai');
    for (const api of ['chat', 'responses'])
      for (const stream of [false, true])
        masked(
          await runOpenaiSdk(LEAK, { ...reach, api, stream }),
          `${api}, stream: ${stream}`,
        );
    const one = await runOpenaiSdk('x', { ...reach, api: 'embeddings' });
    assert.equal(one.dimensions, 64);
    const list = await runOpenaiSdk('x', { ...reach, api: 'models' });
    assert.ok(list.list.includes('gpt-5-mini'));
  });
}

clientTest('language server, proxy: signs in by device code', async (t) => {
  const reach = await through.reach(t, 'proxy', 'language-server');
  const server = await startLanguageServer({ ...reach, token: undefined });
  assert.equal((await server.status()).status, 'NotSignedIn');
  assert.equal((await server.signIn()).user, 'stand-in-developer');
  assert.equal((await server.complete('function add(a, b) {\n  ')).length, 3);
  const { connects } = through.proxy;
  assert.ok(connects.some((c) => c.target === 'github.com:443'));
  await server.stop();
  const rows = await through.agent.journal('--limit', '1000');
  assert.ok(
    rows.some((r) => r.kind === 'tunnel' && r.host === 'github.com:443'),
    'the blind tunnel is recorded',
  );
});

clientTest('WebSocket: 426 makes the CLI and codex fall back to HTTP', async (t) => {
  for (const mode of MODES) {
    const codex = await runCodex(LEAK, {
      ...(await through.reach(t, mode, 'codex')),
      websocket: true,
    });
    masked(codex, `codex, ${mode}`);
    // `ws:` is struck from the models: the CLI does not even try.
    const cli = await runCopilotCli(LEAK, {
      ...(await through.reach(t, mode, 'copilot-cli')),
      model: 'gpt-5.4',
    });
    masked(cli, `CLI, ${mode}`);
  }
  const sockets = (await backend.requests()).filter((r) => r.websocket);
  assert.deepEqual(sockets, []);
  const rows = await through.agent.journal('--limit', '1000');
  const refused = rows.filter((r) => r.kind === 'response' && r.status === 426);
  assert.ok(refused.length >= 2, 'codex tried');
});

// After all of the above.
test('nothing of it is in the files of the agent', async () => {
  await through.agent.stop();
  assertNowhere(through.agent.dir, LEAKED_KEY);
  assertNowhere(through.agent.dir, backend.token);
});
