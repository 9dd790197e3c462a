// SPDX-License-Identifier: Apache-2.0
// Starts hoop-agent with a private home and configuration, and runs its CLI.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';

import { Client } from './http.mjs';
import {
  Child,
  checkEnv,
  privateEnv,
  run,
  tempDir,
  until,
} from './process.mjs';

const READY_MS = 30000;

/** The program under test. */
export function agentProgram() {
  const dir = process.env.HOOP_BUILDDIR;
  if (!dir) throw new Error('set HOOP_BUILDDIR to the build directory');
  return path.join(dir, 'hoop-agent');
}

/** agent.conf from {section: {key: value}}; undefined values are left out. */
export function configText(sections) {
  return Object.entries(sections)
    .map(([section, keys]) => {
      const lines = Object.entries(keys)
        .filter(([, value]) => value !== undefined)
        .map(([key, value]) => `${key}=${value}\n`);
      return `[${section}]\n${lines.join('')}`;
    })
    .join('\n');
}

function merge(base, more = {}) {
  const out = { ...base };
  for (const [section, keys] of Object.entries(more))
    out[section] = { ...out[section], ...keys };
  return out;
}

export class Agent {
  constructor(t, options) {
    this.t = t;
    this.options = options;
    this.dir = options.dir ?? tempDir(t, 'hoop-agent-');
    this.configFile = path.join(this.dir, 'agent.conf');
    this.env = privateEnv(this.dir, { ...checkEnv(), ...options.env });
    this.state = path.join(this.env.XDG_STATE_HOME, 'hoop-agent');
    this.ca = path.join(this.env.XDG_DATA_HOME, 'hoop-agent', 'ca.pem');
    this.journalFile = path.join(this.state, 'journal.db');
  }

  /** Writes agent.conf and policy.yaml from the options. */
  configure() {
    const { backend, proxy, config, configText: text, policy } = this.options;
    if (policy !== undefined)
      fs.writeFileSync(path.join(this.dir, 'policy.yaml'), policy);
    const base = {
      // Any free one; after a restart the same, which clients were told.
      listen: { port: this.port ?? 0 },
      upstream: { 'ca-file': backend?.ca, proxy: proxy?.url },
      policy: {
        file:
          policy !== undefined ? path.join(this.dir, 'policy.yaml') : undefined,
      },
    };
    if (backend && !proxy)
      base['connection "copilot"'] = { upstream: backend.url };
    fs.writeFileSync(this.configFile, text ?? configText(merge(base, config)), {
      mode: 0o600,
    });
  }

  /** Starts the daemon and waits until `status --json` names its address. */
  async start() {
    this.configure();
    const { wrapper = [], args = [] } = this.options;
    const command = [
      ...wrapper,
      agentProgram(),
      'serve',
      '--config',
      this.configFile,
      ...args,
    ];
    this.child = new Child(command[0], command.slice(1), {
      env: this.env,
      t: this.t,
    });
    await this.ready();
    return this;
  }

  async ready() {
    const answers = async () => {
      if (!this.child.running) return true;
      const { code, stdout } = await this.cli(['status', '--json']);
      if (code !== 0) return false;
      this.address = JSON.parse(stdout).address;
      this.port = Number(/:(\d+)$/.exec(this.address)[1]);
      return true;
    };
    const wait = this.options.readyMs ?? READY_MS;
    await until(answers, 'hoop-agent ready', wait, 30).catch((error) => {
      throw new Error(`${error.message}\n${this.log()}`);
    });
    if (!this.child.running)
      throw new Error(
        `hoop-agent ended: ${JSON.stringify(this.child.end)}\n${this.log()}`,
      );
  }

  log() {
    return this.child ? this.child.stderr + this.child.stdout : '';
  }

  /** Runs a verb: {code, stdout, stderr}. stdin: text for it. */
  cli(args, options = {}) {
    return run(agentProgram(), args, {
      env: { ...this.env, ...options.env },
      cwd: this.dir,
      stdin: options.stdin,
      timeoutMs: options.timeoutMs ?? 20000,
    });
  }

  /** Runs a verb with --json and parses what it prints; throws on failure. */
  async json(...args) {
    const result = await this.cli([...args, '--json']);
    if (result.code !== 0)
      throw new Error(
        `hoop-agent ${args.join(' ')}: ${result.code} ${result.stderr}`,
      );
    return JSON.parse(result.stdout);
  }

  status() {
    return this.json('status');
  }

  journal(...args) {
    return this.json('journal', 'list', ...args);
  }

  /** Waits until the journal's list satisfies test; returns the list. */
  journalUntil(test, what = 'journal rows', timeoutMs = 10000) {
    return until(
      async () => {
        const rows = await this.journal();
        return test(rows) && rows;
      },
      what,
      timeoutMs,
      50,
    );
  }

  /** The environment that `hoop-agent env CLIENT --shell json` prints. */
  async envFor(client) {
    const result = await this.cli(['env', '--shell', 'json', client]);
    if (result.code !== 0) throw new Error(`hoop-agent env: ${result.stderr}`);
    return JSON.parse(result.stdout);
  }

  /** A Client that goes through the agent; see http.mjs. */
  client(options = {}) {
    const client = new Client({ port: this.port, ca: this.ca, ...options });
    this.t?.after(() => client.close());
    return client;
  }

  get pid() {
    return this.child.pid;
  }

  /** Resident memory in KiB. */
  rss() {
    const text = fs.readFileSync(`/proc/${this.pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+)/.exec(text)[1]);
  }

  kill(signal = 'SIGKILL') {
    process.kill(this.pid, signal);
    return this.child.ended;
  }

  /** SIGTERM, then SIGKILL after some seconds: {code, signal}. */
  stop() {
    return this.child.stop();
  }

  /** Starts again in the same home. */
  restart() {
    return this.start();
  }
}

/**
 * Starts hoop-agent for test t. options: backend (BackendHandle: its CA is
 * trusted and, without proxy, all Copilot hosts go there), proxy (corporate
 * proxy: the real host names are used through it), config ({section: {key:
 * value}} laid over the defaults), configText (the whole file), policy (YAML
 * text), env, args, dir (an existing home), wrapper (command put before),
 * readyMs.
 */
export async function startAgent(t, options = {}) {
  return new Agent(t, options).start();
}

/**
 * Starts hoop-agent for test t with a credential that it holds for Copilot, and
 * a client that has its dummy token: {agent, client}. options as startAgent()'s.
 */
export async function startHolding(t, credential, options = {}) {
  const file = path.join(tempDir(t, 'hoop-held-'), 'token');
  fs.writeFileSync(file, credential, { mode: 0o600 });
  const agent = await startAgent(t, {
    ...options,
    config: { 'connection "copilot"': { credential: `file:${file}` } },
  });
  const env = await agent.envFor('language-server');
  const dummy = Object.values(env).find((v) => /^gho_hoop/.test(v));
  assert.ok(dummy, JSON.stringify(env));
  return { agent, client: agent.client({ mode: 'base-url', token: dummy }) };
}
