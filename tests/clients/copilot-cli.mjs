// SPDX-License-Identifier: Apache-2.0
// Drives the Copilot CLI: one prompt without a person (-p), tools allowed.

import fs from 'node:fs';
import path from 'node:path';

import { run } from '../flow/lib/process.mjs';
import { clientEnv, clientsDir, jsonLines } from './common.mjs';

const TIMEOUT_MS = 120000;

// The program unpacks 235 MB of itself below its home; all homes share that.
function sharePackage(modules, env) {
  const shared = path.join(path.dirname(modules), 'copilot-pkg');
  const own = path.join(env.XDG_CACHE_HOME, 'copilot');
  fs.mkdirSync(shared, { recursive: true });
  fs.mkdirSync(own, { recursive: true });
  const link = path.join(own, 'pkg');
  if (!fs.existsSync(link)) fs.symlinkSync(shared, link);
}

function environment(options) {
  const base =
    options.mode === 'proxy'
      ? {}
      : {
          COPILOT_API_URL: options.baseUrl,
          COPILOT_DEBUG_GITHUB_API_URL: options.baseUrl,
        };
  return clientEnv(options, {
    COPILOT_GITHUB_TOKEN: options.token,
    COPILOT_AUTO_UPDATE: 'false',
    ...base,
  });
}

function summary(result) {
  const events = jsonLines(result.stdout);
  const data = (type) =>
    events.filter((e) => e.type === type).map((e) => e.data);
  return {
    code: result.code,
    timedOut: result.timedOut,
    stdout: result.stdout,
    stderr: result.stderr,
    events,
    messages: data('assistant.message').map((d) => d.content),
    text: data('assistant.message')
      .map((d) => d.content)
      .join('\n'),
    tools: data('tool.execution_complete').map((d) => ({
      id: d.toolCallId,
      success: d.success,
      output: d.result?.content ?? d.error?.message,
    })),
    errors: data('session.error').map((d) => d.message),
  };
}

/**
 * Runs one prompt. Options as in common.mjs and model, args (more arguments),
 * timeoutMs, plain (text output as a person sees it). Resolves to {code, text,
 * messages, tools, errors, events, stdout, stderr, timedOut}.
 */
export async function runCopilotCli(prompt, options) {
  const modules = await clientsDir();
  const env = environment(options);
  sharePackage(modules, env);
  const work = path.join(options.home, 'work');
  fs.mkdirSync(work, { recursive: true });
  const result = await run(
    path.join(modules, '@github/copilot-linux-x64/copilot'),
    [
      '-p',
      prompt,
      '--allow-all-tools',
      '--no-color',
      '--disable-client-telemetry',
      ...(options.plain ? [] : ['--output-format', 'json']),
      ...(options.model ? ['--model', options.model] : []),
      ...(options.args ?? []),
    ],
    {
      env,
      cwd: work,
      t: options.t,
      timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
    },
  );
  return summary(result);
}
