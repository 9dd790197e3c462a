// SPDX-License-Identifier: Apache-2.0
// Drives Codex: `codex exec` with a provider of its own that speaks Responses.

import fs from 'node:fs';
import path from 'node:path';

import { run } from '../flow/lib/process.mjs';
import { clientEnv, clientsDir, jsonLines } from './common.mjs';

const TIMEOUT_MS = 120000;
const VENDOR = 'https://api.openai.com';

function writeConfig(dir, options) {
  const base = options.mode === 'proxy' ? VENDOR : options.baseUrl;
  fs.mkdirSync(dir, { recursive: true });
  fs.writeFileSync(
    path.join(dir, 'config.toml'),
    [
      `model = "${options.model ?? 'gpt-5-mini'}"`,
      'model_provider = "standin"',
      'approval_policy = "never"',
      'sandbox_mode = "danger-full-access"',
      'check_for_update_on_startup = false',
      '[analytics]',
      'enabled = false',
      '[model_providers.standin]',
      'name = "standin"',
      `base_url = "${base}${options.basePath ?? '/v1'}"`,
      'env_key = "STANDIN_API_KEY"',
      'wire_api = "responses"',
      `supports_websockets = ${options.websocket === true}`,
      '',
    ].join('\n'),
  );
}

function summary(result) {
  const events = jsonLines(result.stdout);
  const items = events
    .filter((e) => e.type === 'item.completed')
    .map((e) => e.item);
  const messages = items
    .filter((i) => i.type === 'agent_message')
    .map((i) => i.text);
  return {
    code: result.code,
    timedOut: result.timedOut,
    stdout: result.stdout,
    stderr: result.stderr,
    events,
    messages,
    text: messages.join('\n'),
    tools: items
      .filter((i) => i.type === 'command_execution')
      .map((i) => ({
        command: i.command,
        output: i.aggregated_output,
        code: i.exit_code,
      })),
    errors: events
      .filter((e) => e.type === 'error' || e.type === 'turn.failed')
      .map((e) => e.message ?? e.error?.message),
  };
}

/**
 * Runs one prompt. Options as in common.mjs and model, basePath (put after the
 * base URL, default /v1), websocket, args, timeoutMs. Resolves to {code, text,
 * messages, tools, errors, events, stdout, stderr, timedOut}.
 */
export async function runCodex(prompt, options) {
  const modules = await clientsDir();
  const home = path.join(options.home, '.codex');
  writeConfig(home, options);
  const work = path.join(options.home, 'work');
  fs.mkdirSync(work, { recursive: true });
  const result = await run(
    path.join(
      modules,
      '@openai/codex-linux-x64/vendor/x86_64-unknown-linux-musl/bin/codex',
    ),
    [
      'exec',
      '--json',
      '--skip-git-repo-check',
      '--color',
      'never',
      ...(options.args ?? []),
      prompt,
    ],
    {
      env: clientEnv(options, {
        CODEX_HOME: home,
        SSL_CERT_FILE: options.caFile,
        STANDIN_API_KEY: options.token,
      }),
      cwd: work,
      t: options.t,
      timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
    },
  );
  return summary(result);
}
