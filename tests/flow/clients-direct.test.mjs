// SPDX-License-Identifier: Apache-2.0
// Each real client works against the stand-in without the agent, which proves
// that the stand-in behaves as the clients expect of the real backend.

import assert from 'node:assert/strict';
import { after, before, beforeEach } from 'node:test';

import { runClaudeCode } from '../clients/claude-code.mjs';
import { runCodex } from '../clients/codex.mjs';
import { runCopilotCli } from '../clients/copilot-cli.mjs';
import { startLanguageServer } from '../clients/language-server.mjs';
import { runOpenaiSdk, sdkUsesProxy } from '../clients/openai-sdk.mjs';
import { LEAKED_KEY } from '../fake/defaults.mjs';
import { API_KEYS } from '../fake/github.mjs';
import {
  assertLeavingCancels,
  clientTest,
  installClients,
} from './lib/clients.mjs';
import { Fixture, startBackend, startProxy, tempDir } from './lib/harness.mjs';

const [ANTHROPIC_KEY, OPENAI_KEY] = API_KEYS;
const LEAK = 'please leak the key';
const SAID = new RegExp(LEAKED_KEY);
const BLOCKED =
  'Blocked by policy: rule aws-key. Remove the key and try again.';
const blocked = {
  status: 400,
  json: {
    error: {
      message: BLOCKED,
      type: 'invalid_request_error',
      code: 'policy_denied',
    },
  },
};

const fixture = new Fixture();
let backend;
let proxy;

before(async () => {
  await installClients();
  backend = await startBackend(fixture);
  proxy = await startProxy(fixture, { target: backend.port });
});
after(() => fixture.close());
beforeEach(async () => {
  await backend.reset();
  proxy.reset();
});

function reach(t, mode, token) {
  return {
    t,
    mode,
    token,
    baseUrl: backend.url,
    proxyUrl: proxy.url,
    caFile: backend.ca,
    home: tempDir(t, 'hoop-client-'),
  };
}

/** What the models were asked, as 'POST host /path status'. */
async function asked() {
  const calls = await backend.modelCalls();
  return calls.map((r) => `${r.path} ${r.status}`);
}

const MODES = ['direct', 'proxy'];

for (const mode of MODES) {
  clientTest(`language server, ${mode}: completes with three choices`, async (t) => {
    const server = await startLanguageServer(reach(t, mode, backend.token));
    assert.equal((await server.status()).status, 'OK');
    assert.deepEqual(await server.complete('function add(a, b) {\n  '), [
      'return a + b;',
      'return sum(a, b);',
      'const result = a + b;\n  return result;',
    ]);
    const [call] = await backend.modelCalls();
    assert.equal(JSON.parse(call.body).n, 3);
    assert.match(call.headers.authorization, /^Bearer tid=/);
    await server.stop();
  });

  clientTest(`language server, ${mode}: chats over the three APIs`, async (t) => {
    const server = await startLanguageServer(reach(t, mode, backend.token));
    const paths = {
      'gpt-4.1': '/chat/completions',
      'gpt-5-mini': '/responses',
      'claude-sonnet-4.5': '/v1/messages',
    };
    for (const [model, path] of Object.entries(paths)) {
      const turn = await server.chat(LEAK, { model });
      assert.equal(turn.error, null);
      assert.match(turn.text, SAID, model);
      assert.ok((await backend.modelCalls({ path })).length > 0, path);
    }
    const first = await server.chat('my name is Ada', { model: 'gpt-4.1' });
    const second = await server.chat('and mine?', {
      model: 'gpt-4.1',
      conversation: first,
    });
    assert.match(second.text, /You wrote: and mine\?/);
    const last = (await backend.modelCalls()).filter((r) =>
      r.body.includes('and mine?'),
    )[0];
    assert.ok(
      last.body.includes('my name is Ada'),
      'the history is sent again',
    );
    await server.stop();
  });

  clientTest(`copilot CLI, ${mode}: answers over the three APIs`, async (t) => {
    const ask = async (model) => {
      const result = await runCopilotCli(LEAK, {
        ...reach(t, mode, backend.token),
        model,
      });
      assert.equal(result.code, 0, result.stderr);
      assert.match(result.text, SAID);
    };
    await ask('gpt-5-mini');
    await ask('claude-sonnet-4.5');
    assert.deepEqual(await asked(), ['/responses 200', '/v1/messages 200']);
    await backend.config({ models: 'chat' });
    await ask('gpt-5-mini');
    assert.equal((await asked()).at(-1), '/chat/completions 200');
  });

  clientTest(`copilot CLI, ${mode}: runs a streamed tool call`, async (t) => {
    await backend.answer('/responses', {
      text: 'Running it.',
      toolCalls: [
        {
          name: 'bash',
          arguments: { command: 'echo ran-$((40+2))', description: 'test' },
        },
      ],
    });
    const result = await runCopilotCli('run it', {
      ...reach(t, mode, backend.token),
      model: 'gpt-5-mini',
    });
    assert.equal(result.code, 0, result.stderr);
    assert.match(result.tools[0].output, /ran-42/);
    assert.match(result.text, /The tool said: ran-42/);
    assert.deepEqual(await asked(), ['/responses 200', '/responses 200']);
  });

  clientTest(`codex, ${mode}: answers and runs a tool`, async (t) => {
    const result = await runCodex(LEAK, reach(t, mode, OPENAI_KEY));
    assert.equal(result.code, 0, result.stderr);
    assert.match(result.text, SAID);
    await backend.answer('/v1/responses', {
      toolCalls: [
        { name: 'exec_command', arguments: { cmd: 'echo ran-$((40+2))' } },
      ],
    });
    const tool = await runCodex('run it', reach(t, mode, OPENAI_KEY));
    assert.match(tool.tools[0].output, /ran-42/);
    assert.match(tool.text, /The tool said: [\s\S]*ran-42/);
  });

  clientTest(`claude code, ${mode}: answers and runs a tool`, async (t) => {
    const result = await runClaudeCode(LEAK, reach(t, mode, ANTHROPIC_KEY));
    assert.equal(result.code, 0, result.stderr);
    assert.match(result.text, SAID);
    await backend.answer('/v1/messages', {
      toolCalls: [
        {
          name: 'Bash',
          arguments: { command: 'echo ran-$((40+2))', description: 'test' },
        },
      ],
    });
    const tool = await runClaudeCode('run it', reach(t, mode, ANTHROPIC_KEY));
    assert.match(tool.tools[0].output, /ran-42/);
    assert.match(tool.text, /The tool said: ran-42/);
  });

  clientTest(`openai SDK, ${mode}: chat, responses, embeddings, models`, async (t) => {
    if (mode === 'proxy' && !sdkUsesProxy())
      return t.skip(`node ${process.version} ignores HTTPS_PROXY`);
    for (const api of ['chat', 'responses'])
      for (const stream of [false, true]) {
        const result = await runOpenaiSdk(LEAK, {
          ...reach(t, mode, OPENAI_KEY),
          api,
          stream,
        });
        assert.match(
          result.text ?? '',
          SAID,
          `${api} ${JSON.stringify(result)}`,
        );
      }
    const one = await runOpenaiSdk('x', {
      ...reach(t, mode, OPENAI_KEY),
      api: 'embeddings',
    });
    assert.equal(one.dimensions, 64);
    const list = await runOpenaiSdk('x', {
      ...reach(t, mode, OPENAI_KEY),
      api: 'models',
    });
    assert.ok(list.list.includes('gpt-5-mini'));
  });
}

clientTest('language server, proxy: signs in by device code', async (t) => {
  const server = await startLanguageServer(reach(t, 'proxy', undefined));
  assert.equal((await server.status()).status, 'NotSignedIn');
  assert.equal((await server.signIn()).user, 'stand-in-developer');
  assert.equal((await server.complete('function add(a, b) {\n  ')).length, 3);
  assert.ok(proxy.connects.some((c) => c.target === 'github.com:443'));
  await server.stop();
});

clientTest('WebSocket: the CLI and codex use it when it is offered', async (t) => {
  const cli = await runCopilotCli(LEAK, {
    ...reach(t, 'direct', backend.token),
    model: 'gpt-5.4',
  });
  assert.match(cli.text, SAID);
  const codex = await runCodex(LEAK, {
    ...reach(t, 'direct', OPENAI_KEY),
    websocket: true,
  });
  assert.match(codex.text, SAID);
  const sockets = (await backend.requests()).filter((r) => r.websocket);
  assert.deepEqual(
    sockets.map((r) => r.path),
    ['/responses', '/v1/responses'],
  );
  for (const r of sockets) assert.match(r.messages[0], /"response\.create"/);
});

clientTest('WebSocket: 426 makes both fall back to HTTP at once', async (t) => {
  await backend.script({
    match: { method: 'GET', header: { upgrade: 'websocket' } },
    answer: { status: 426 },
    times: 0,
  });
  const cli = await runCopilotCli(LEAK, {
    ...reach(t, 'direct', backend.token),
    model: 'gpt-5.4',
  });
  assert.match(cli.text, SAID);
  const codex = await runCodex(LEAK, {
    ...reach(t, 'direct', OPENAI_KEY),
    websocket: true,
  });
  assert.match(codex.text, SAID);
  assert.deepEqual(await asked(), ['/responses 200', '/v1/responses 200']);
});

clientTest('encoded answers in 7-byte writes are understood', async (t) => {
  const slow = (path, encoding) =>
    backend.answer(path, {
      encoding,
      writeSize: 7,
      deltas: ['enc', 'oded ', encoding],
    });
  await slow('/chat/completions', 'br');
  await slow('/responses', 'zstd-blocks');
  await slow('/v1/messages', 'gzip');
  const server = await startLanguageServer(reach(t, 'direct', backend.token));
  const turn = await server.chat('hello', { model: 'gpt-4.1' });
  assert.match(turn.text, /encoded br/);
  await server.stop();
  const cli = await runCopilotCli('hello', {
    ...reach(t, 'direct', backend.token),
    model: 'gpt-5-mini',
  });
  assert.match(cli.text, /encoded zstd-blocks/);
  const claude = await runClaudeCode(
    'hello',
    reach(t, 'direct', ANTHROPIC_KEY),
  );
  assert.match(claude.text, /encoded gzip/);
});

clientTest('language server: leaving a completion or a chat cancels the call', async (t) => {
  const server = await startLanguageServer(reach(t, 'direct', backend.token));
  await assertLeavingCancels(server, backend);
  await server.stop();
});

clientTest('a 400 with a policy message reaches the user of each client, once', async (t) => {
  await backend.script({
    match: {
      method: 'POST',
      path: { regex: '/(responses|messages|completions)$' },
    },
    answer: blocked,
    times: 0,
  });
  const once = async (result, name) => {
    const shown = JSON.stringify([result.errors, result.error, result.text]);
    assert.ok(shown.includes(BLOCKED), `${name}: ${shown} ${result.stderr}`);
    assert.equal((await backend.modelCalls()).length, 1, name);
    await backend.forget();
  };
  const copilot = () => reach(t, 'direct', backend.token);
  await once(
    await runCopilotCli('run', { ...copilot(), model: 'gpt-5-mini' }),
    'copilot CLI',
  );
  await once(await runCodex('run', reach(t, 'direct', OPENAI_KEY)), 'codex');
  await once(
    await runClaudeCode('run', reach(t, 'direct', ANTHROPIC_KEY)),
    'claude code',
  );
  await once(
    await runOpenaiSdk('run', reach(t, 'direct', OPENAI_KEY)),
    'openai SDK',
  );
  const server = await startLanguageServer(copilot());
  await once(await server.chat('run', { model: 'gpt-4.1' }), 'language server');
  await server.stop();
});
