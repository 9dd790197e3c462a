// SPDX-License-Identifier: Apache-2.0
// What goes wrong on the way, as the users of real clients see it: odd
// codings, answers that break off, servers that refuse, people who leave.

import assert from 'node:assert/strict';
import { after, before, beforeEach, test as nodeTest } from 'node:test';

import { runClaudeCode } from '../clients/claude-code.mjs';
import { runCodex } from '../clients/codex.mjs';
import { clientsDir, clientsOff } from '../clients/common.mjs';
import { runCopilotCli } from '../clients/copilot-cli.mjs';
import { startLanguageServer } from '../clients/language-server.mjs';
import {
  assertAbsent,
  Fixture,
  startThrough,
  until,
} from './lib/harness.mjs';

// Made up in AWS's published format.
const SECRET = 'AKIA' + 'Q3EGRUZPL5WY7HTC';

const test = (name, fn) => nodeTest(name, { skip: clientsOff }, fn);
const fixture = new Fixture();
let through;
let backend;

before(async () => {
  if (!clientsOff) await clientsDir();
  through = await startThrough(fixture);
  backend = through.backend;
});
after(() => fixture.close());
beforeEach(() => backend.reset());

const CLIENTS = {
  'copilot-cli': (prompt, o) =>
    runCopilotCli(prompt, { model: 'gpt-5-mini', ...o }),
  codex: runCodex,
  claude: runClaudeCode,
  'language-server': async (prompt, o) => {
    const server = await startLanguageServer(o);
    const turn = await server.chat(prompt, { model: 'gpt-4.1', ...o });
    await server.stop();
    return turn;
  },
};

async function run(t, name, prompt, options = {}) {
  const reach = await through.reach(t, 'base-url', name);
  return CLIENTS[name](prompt, { ...reach, ...options });
}

/** All that the user was shown. */
function shown(result) {
  const { text, messages, errors, error, stdout } = result;
  return JSON.stringify({ text, messages, errors, error, stdout });
}

test('encoded answers in 7-byte writes are understood', async (t) => {
  const slow = (path, encoding) =>
    backend.answer(path, {
      encoding,
      writeSize: 7,
      deltas: ['enc', `oded ${encoding} `, SECRET.slice(0, 9), SECRET.slice(9)],
    });
  const cases = {
    'language-server': ['/chat/completions', 'br'],
    'copilot-cli': ['/responses', 'zstd-blocks'],
    claude: ['/v1/messages', 'gzip'],
    codex: ['/v1/responses', 'deflate'],
  };
  for (const [name, [path, encoding]] of Object.entries(cases)) {
    await slow(path, encoding);
    const result = await run(t, name, 'hello');
    assert.match(result.text, new RegExp(`encoded ${encoding} \\[aws`), name);
    assertAbsent(shown(result), SECRET, name);
  }
});

test('a stream that breaks off ends with words, without a retry', async (t) => {
  const cases = {
    'language-server': '/chat/completions',
    'copilot-cli': '/responses',
    claude: '/v1/messages',
    codex: '/v1/responses',
  };
  for (const [name, path] of Object.entries(cases)) {
    await backend.forget();
    await backend.answer(path, {
      deltas: ['some ', 'words ', ...Array(50).fill('more ')],
      resetAfterBytes: 1500,
    });
    const result = await run(t, name, 'hello');
    assert.match(shown(result), /The answer ended too early/, name);
    // (The language server also asks for a title; a retry would be equal.)
    const bodies = (await through.seen({ path })).map((r) => r.text);
    assert.equal(new Set(bodies).size, bodies.length, name);
    assert.ok(bodies.length <= 2, name);
  }
});

test('leaving a completion or a chat cancels the call', async (t) => {
  await backend.script({
    match: { method: 'POST', path: { regex: 'completions$' } },
    answer: { delayMs: 100, deltas: Array(300).fill('w ') },
    times: 0,
  });
  const reach = await through.reach(t, 'proxy', 'language-server');
  const server = await startLanguageServer(reach);
  await server.models();
  const left = server.complete('function add(a, b) {\n  ', {
    cancelAfterMs: 400,
  });
  await left.catch(() => {});
  await until(
    async () => (await backend.modelCalls())[0]?.clientGone,
    'the completion is cancelled upstream',
  );
  await server.chat('hello', {
    model: 'gpt-4.1',
    cancelAfterMs: 400,
    timeoutMs: 5000,
  });
  await until(
    async () =>
      (await backend.modelCalls({ path: '/chat/completions' })).some(
        (r) => r.clientGone,
      ),
    'the chat is cancelled upstream',
  );
  await server.stop();
});

test('a broken certificate of the server is named, without a retry', async (t) => {
  const own = await startThrough(t, {
    config: { upstream: { 'ca-file': undefined } },
  });
  for (const name of ['copilot-cli', 'claude', 'codex']) {
    const since = await own.last();
    const reach = await own.reach(t, 'base-url', name);
    const result = await CLIENTS[name]('hello', reach);
    assert.match(shown(result), /certificate|not trusted/i, name);
    assert.ok((await own.recorded(since)).length <= 1, name);
  }
  assert.deepEqual(await own.seen(), []);
});
