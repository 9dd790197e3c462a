// SPDX-License-Identifier: Apache-2.0
// Signing in through the agent's command line: what it printed, a line at a
// time, and a keyring to keep sessions in.

import { agentProgram } from './agent.mjs';
import { Child, until } from './process.mjs';

/** [identity "NAME"] for a provider of tests/providers. */
export function identityOf(provider, name = 'corp', more = {}) {
  return {
    [`identity "${name}"`]: {
      issuer: provider.issuer,
      'client-id': provider.clientId,
      scopes: provider.scopes,
      'ca-file': provider.ca,
      ...more,
    },
  };
}

/** `hoop-agent login --json` that runs. */
export class Login {
  constructor(agent, args = []) {
    this.child = new Child(agentProgram(), ['login', '--json', ...args], {
      env: agent.env,
      t: agent.t,
    });
  }

  get events() {
    return this.child.stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line));
  }

  /** What a person is asked to do: {url, user_code, …}. */
  async prompt() {
    const asked = () => this.events.find((event) => event.event === 'prompt');
    await until(
      () => asked() || !this.child.running,
      'what to do',
      20000,
    );
    if (!asked()) throw new Error(`login ended: ${this.child.stderr}`);
    return asked();
  }

  /** {code, event, stderr}: how it went. */
  async end(timeoutMs = 30000) {
    const { code, stderr } = await this.child.wait(timeoutMs);
    return { code, stderr, ...this.events.at(-1) };
  }
}

/** Signs user in by the device flow; how it went. */
export async function signIn(agent, provider, user = 'dev', args = []) {
  const login = new Login(agent, args);
  const { user_code: code } = await login.prompt();
  await provider.approve(code, user);
  return login.end();
}

/** A command prefix: behind it a session bus with a keyring, open or locked. */
export function withKeyring({ locked = false } = {}) {
  const unlock = locked
    ? 'gnome-keyring-daemon --start --components=secrets'
    : 'printf made-up | gnome-keyring-daemon --unlock --components=secrets --daemonize';
  return [
    'dbus-run-session',
    '--',
    'sh',
    '-c',
    `${unlock} >/dev/null 2>&1; exec "$@"`,
    'sh',
  ];
}
