// SPDX-License-Identifier: Apache-2.0
// What goes wrong on the way, as the users of real clients see it: odd
// codings, answers that break off, servers that refuse, people who leave.

import assert from 'node:assert/strict';
import { after, before, beforeEach } from 'node:test';

import { startLanguageServer } from '../clients/language-server.mjs';
import {
  assertLeavingCancels,
  clientTest,
  installClients,
  runClient,
  shown,
} from './lib/clients.mjs';
import { assertAbsent, Fixture, startThrough } from './lib/harness.mjs';

// Made up in AWS's published format.
const SECRET = 'AKIA' + 'Q3EGRUZPL5WY7HTC';

const fixture = new Fixture();
let through;
let backend;

before(async () => {
  await installClients();
  through = await startThrough(fixture);
  backend = through.backend;
});
after(() => fixture.close());
beforeEach(() => backend.reset());

const run = (t, name, prompt) => runClient(t, through, name, prompt);

clientTest('encoded answers in 7-byte writes are understood', async (t) => {
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

clientTest('a stream that breaks off ends with words, without a retry', async (t) => {
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

clientTest('leaving a completion or a chat cancels the call', async (t) => {
  const reach = await through.reach(t, 'proxy', 'language-server');
  const server = await startLanguageServer(reach);
  await assertLeavingCancels(server, backend);
  await server.stop();
});

clientTest('a broken certificate of the server is named, without a retry', async (t) => {
  const own = await startThrough(t, {
    config: { upstream: { 'ca-file': undefined } },
  });
  for (const name of ['copilot-cli', 'claude', 'codex']) {
    const since = await own.last();
    const result = await runClient(t, own, name, 'hello');
    assert.match(shown(result), /certificate|not trusted/i, name);
    assert.ok((await own.recorded(since)).length <= 1, name);
  }
  assert.deepEqual(await own.seen(), []);
});
