// SPDX-License-Identifier: Apache-2.0
// Real clients through the agent: a stand-in backend behind a corporate proxy
// (so that real host names work), one agent, and how each client reaches it.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';

import { API_KEYS } from '../../fake/github.mjs';
import { startAgent } from './agent.mjs';
import { assertNowhere, formsIn, secretForms } from './assert.mjs';
import { startBackend, startProxy } from './backend.mjs';
import { tempDir } from './process.mjs';

const [ANTHROPIC_KEY, OPENAI_KEY] = API_KEYS;

/** By the client's name in `hoop-agent env`: its connection. */
const CONNECTIONS = {
  'language-server': 'copilot',
  'copilot-cli': 'copilot',
  claude: 'anthropic',
  codex: 'openai',
  openai: 'openai',
};
const TOKEN_NAMES =
  /^(GH_COPILOT_TOKEN|COPILOT_GITHUB_TOKEN|ANTHROPIC_API_KEY|OPENAI_API_KEY)$/;
const MODEL_CALL = /\/(completions|responses|messages)$/;

export class Through {
  constructor(backend, proxy, agent, held, keys) {
    Object.assign(this, { backend, proxy, agent, held, keys });
    this.dir = tempDir(agent.t, 'hoop-through-');
    // Tunnels are blind: their other end shows the backend's own certificate.
    this.caFile = path.join(this.dir, 'both.pem');
    fs.writeFileSync(
      this.caFile,
      fs.readFileSync(agent.ca, 'utf8') + fs.readFileSync(backend.ca, 'utf8'),
    );
  }

  /** The credential that the backend accepts from this client. */
  realToken(client) {
    return {
      copilot: this.backend.token,
      anthropic: ANTHROPIC_KEY,
      openai: OPENAI_KEY,
    }[CONNECTIONS[client]];
  }

  /** What the client is given: the real credential, or the agent's dummy. */
  async token(client) {
    if (!this.held) return this.realToken(client);
    const env = await this.agent.envFor(client);
    const name = Object.keys(env).find((key) => TOKEN_NAMES.test(key));
    assert.ok(name, `env ${client}: ${JSON.stringify(env)}`);
    assert.notEqual(env[name], this.realToken(client));
    return env[name];
  }

  /**
   * The driver's options for one run of client in test t: mode 'proxy'
   * (CONNECT) or 'base-url'.
   */
  async reach(t, mode, client, more = {}) {
    const connection = CONNECTIONS[client];
    const prefix = connection === 'copilot' ? '' : `/c/${connection}`;
    return {
      t,
      mode,
      token: await this.token(client),
      // Claude Code's TLS library cannot match an address with the CA's
      // constraints; `hoop-agent env` names localhost to it too.
      baseUrl: `https://${client === 'claude' ? 'localhost' : '127.0.0.1'}:${this.agent.port}${prefix}`,
      proxyUrl: `http://127.0.0.1:${this.agent.port}`,
      caFile: this.caFile,
      home: tempDir(t, 'hoop-client-'),
      ...more,
    };
  }

  /** Which model calls the agent got since seq: journal rows. */
  async recorded(since = 0) {
    const rows = await this.agent.journal('--limit', '1000');
    return rows.filter(
      (r) => r.kind === 'request' && r.seq > since && MODEL_CALL.test(r.path),
    );
  }

  /** The number of the journal's last row. */
  async last() {
    const rows = await this.agent.journal('--limit', '1000');
    return Math.max(0, ...rows.map((r) => r.seq));
  }

  /** Model calls that the backend got, with bodies as text. */
  async seen(filter) {
    return (await this.backend.modelCalls(filter)).map((r) => ({
      ...r,
      text: r.decodedBody ?? r.body,
    }));
  }

  /**
   * With a held credential: the client's home holds nothing of the real one,
   * and the backend never saw the dummy. Otherwise the client's own came
   * through and is nowhere in the agent's files.
   */
  async assertTokens(client, options) {
    const real = this.realToken(client);
    const calls = await this.backend.requests();
    const heads = calls.map((r) => JSON.stringify(r.rawHeaders)).join('\n');
    if (this.held) {
      assertNowhere(options.home, real);
      assert.ok(!heads.includes('gho_hoop'), 'the dummy went upstream');
      return;
    }
    const id = Buffer.from(heads);
    assert.ok(formsIn(id, secretForms(real)).length > 0, 'own token is used');
  }
}

/**
 * Starts all three for t (a test or Fixture). options: held (the agent holds
 * the credentials), policy, config (more of agent.conf), backendArgs.
 */
export async function startThrough(t, options = {}) {
  const backend = await startBackend(t, { args: options.backendArgs });
  const proxy = await startProxy(t, { target: backend.port });
  const keys = tempDir(t, 'hoop-keys-');
  const connection = (name, token) => {
    const file = path.join(keys, name);
    fs.writeFileSync(file, `${token}\n`, { mode: 0o600 });
    return {
      enabled: true,
      credential: options.held ? `file:${file}` : undefined,
    };
  };
  const agent = await startAgent(t, {
    backend,
    proxy,
    policy: options.policy,
    config: {
      'connection "copilot"': connection('copilot', backend.token),
      'connection "anthropic"': connection('anthropic', ANTHROPIC_KEY),
      'connection "openai"': connection('openai', OPENAI_KEY),
      ...options.config,
    },
  });
  return new Through(backend, proxy, agent, options.held === true, keys);
}
