// SPDX-License-Identifier: Apache-2.0
// What the tests with real clients share: skipped where those are off, every
// client with one prompt, and what its user was shown.

import { test } from 'node:test';

import { runClaudeCode } from '../../clients/claude-code.mjs';
import { runCodex } from '../../clients/codex.mjs';
import { clientsDir, clientsOff } from '../../clients/common.mjs';
import { runCopilotCli } from '../../clients/copilot-cli.mjs';
import { startLanguageServer } from '../../clients/language-server.mjs';
import { runOpenaiSdk } from '../../clients/openai-sdk.mjs';
import { until } from './process.mjs';

export const clientTest = (name, fn) => test(name, { skip: clientsOff }, fn);

/** Downloads the clients once, unless they are off. */
export async function installClients() {
  if (!clientsOff) await clientsDir();
}

/** Every client with one prompt: {name: (prompt, options) => result}. */
export const CLIENTS = {
  'copilot-cli': (prompt, o) =>
    runCopilotCli(prompt, { model: 'gpt-5-mini', ...o }),
  codex: runCodex,
  claude: runClaudeCode,
  openai: (prompt, o) => runOpenaiSdk(prompt, { stream: true, ...o }),
  'language-server': async (prompt, o) => {
    const server = await startLanguageServer(o);
    const turn = await server.chat(prompt, { model: 'gpt-4.1', ...o });
    await server.stop();
    return turn;
  },
};

/** The client's answer to a prompt by its base URL; options: the client's own. */
export async function runClient(t, through, name, prompt, options = {}) {
  const reach = await through.reach(t, 'base-url', name);
  return CLIENTS[name](prompt, { ...reach, ...options });
}

/** All that the user was shown. */
export function shown(result) {
  const { text, messages, errors, error, stdout } = result;
  return JSON.stringify({ text, messages, errors, error, stdout });
}

/** A user leaves a completion, then a chat: the backend's calls end too. */
export async function assertLeavingCancels(server, backend) {
  await backend.script({
    match: { method: 'POST', path: { regex: 'completions$' } },
    answer: { delayMs: 100, deltas: Array(300).fill('w ') },
    times: 0,
  });
  const seen = (path, gone) => async () =>
    (await backend.modelCalls()).some(
      (call) => call.path.endsWith(path) && (call.clientGone || !gone),
    );
  const asked = (path) => until(seen(path, false), `a call of ${path}`);
  const ended = (path) => until(seen(path, true), `the end of ${path}`);

  await server.models();
  const completion = server.complete('function add(a, b) {\n  ', {
    left: asked('/completions'),
  });
  await completion.catch(() => {});
  await ended('/completions');
  await server.chat('hello', {
    model: 'gpt-4.1',
    timeoutMs: 10000,
    left: asked('/chat/completions'),
  });
  await ended('/chat/completions');
}
