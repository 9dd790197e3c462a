// SPDX-License-Identifier: Apache-2.0
// Drives Claude Code: one prompt without a person (-p), as JSON lines.

import fs from 'node:fs';
import path from 'node:path';

import { run } from '../flow/lib/process.mjs';
import { clientEnv, clientsDir, jsonLines } from './common.mjs';

const TIMEOUT_MS = 120000;

function contents(events, role) {
  return events
    .filter((e) => e.type === role)
    .flatMap((e) => e.message?.content ?? []);
}

function summary(result) {
  const events = jsonLines(result.stdout);
  const last = events.find((e) => e.type === 'result');
  const said = contents(events, 'assistant').filter((c) => c.type === 'text');
  return {
    code: result.code,
    timedOut: result.timedOut,
    stdout: result.stdout,
    stderr: result.stderr,
    events,
    messages: said.map((c) => c.text),
    text: last && !last.is_error ? (last.result ?? '') : '',
    tools: contents(events, 'user')
      .filter((c) => c.type === 'tool_result')
      .map((c) => ({
        id: c.tool_use_id,
        success: c.is_error !== true,
        output:
          typeof c.content === 'string' ? c.content : JSON.stringify(c.content),
      })),
    errors: last?.is_error ? [last.result ?? last.subtype] : [],
  };
}

/**
 * Runs one prompt. Options as in common.mjs (token: the API key) and model,
 * args, timeoutMs, traffic (true: its telemetry and update checks too).
 * Resolves to {code, text, messages, tools, errors, events, …}.
 */
export async function runClaudeCode(prompt, options) {
  const modules = await clientsDir();
  const work = path.join(options.home, 'work');
  fs.mkdirSync(work, { recursive: true });
  const result = await run(
    path.join(modules, '@anthropic-ai/claude-code-linux-x64/claude'),
    [
      '-p',
      prompt,
      '--output-format',
      'stream-json',
      '--verbose',
      '--allowedTools',
      'Bash',
      ...(options.model ? ['--model', options.model] : []),
      ...(options.args ?? []),
    ],
    {
      env: clientEnv(options, {
        ANTHROPIC_API_KEY: options.token,
        ANTHROPIC_BASE_URL:
          options.mode === 'proxy' ? undefined : options.baseUrl,
        DISABLE_AUTOUPDATER: '1',
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: options.traffic
          ? undefined
          : '1',
      }),
      cwd: work,
      t: options.t,
      timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
    },
  );
  return summary(result);
}
