// SPDX-License-Identifier: Apache-2.0
// Drives the openai SDK for node in a process of its own.

import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { run } from '../flow/lib/process.mjs';
import { clientEnv, clientsDir, jsonLines } from './common.mjs';

const TIMEOUT_MS = 60000;
const CHILD = fileURLToPath(new URL('./openai-sdk-child.mjs', import.meta.url));

/** True when this node makes fetch() use HTTPS_PROXY (NODE_USE_ENV_PROXY). */
export function sdkUsesProxy() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  return (
    major > 24 || (major === 24 && minor >= 5) || (major === 22 && minor >= 21)
  );
}

/**
 * Makes one call. Options as in common.mjs and api ('chat', 'responses',
 * 'embeddings', 'models'), model, stream, basePath (after the base URL,
 * default /v1), maxRetries, timeoutMs. Resolves to {code, text, toolCalls,
 * error, stderr, timedOut}.
 */
export async function runOpenaiSdk(prompt, options) {
  const call = {
    modules: await clientsDir(),
    prompt,
    api: options.api ?? 'chat',
    model: options.model ?? 'gpt-4.1',
    stream: options.stream ?? false,
    maxRetries: options.maxRetries,
  };
  const base =
    options.mode === 'proxy'
      ? { NODE_USE_ENV_PROXY: '1' }
      : { OPENAI_BASE_URL: `${options.baseUrl}${options.basePath ?? '/v1'}` };
  const result = await run(process.execPath, [CHILD, JSON.stringify(call)], {
    env: clientEnv(options, { OPENAI_API_KEY: options.token, ...base }),
    cwd: path.dirname(CHILD),
    t: options.t,
    timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
  });
  const { code, timedOut, stderr } = result;
  return { code, timedOut, stderr, ...jsonLines(result.stdout).at(-1) };
}
