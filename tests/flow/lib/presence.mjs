// SPDX-License-Identifier: Apache-2.0
// An agent of another user than root whose rule asks for presence, and a real
// polkitd that asks that user for a password, in a namespace of their own.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

import { agentProgram, configText } from './agent.mjs';
import { callOf, Child, privateEnv, run, tempDir, until } from './harness.mjs';

const POLKITD = '/usr/lib/polkit-1/polkitd';
const ACTIONS = '/usr/share/polkit-1/actions';
const ACTION = path.join(process.env.HOOP_SRCDIR ?? '.', 'agent/data/org.hoop-agent.approve.policy');
const NOBODY = 65534;
const AS_NOBODY = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];
export const PASSWORD = 'of-this-test-alone';
const POLICY = `version: 1
default: allow
tunnels: allow
rules:
  - {id: proof, match: {direction: request, prompt: proof}, action: approve, by: [presence], timeout: 120}
`;
const BUS = (socket) => `<busconfig><type>system</type><listen>unix:path=${socket}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/>
<allow send_type="method_call"/><allow receive_sender="*"/></policy></busconfig>`;

/** Why none of it can be had here, or undefined. */
export function missing() {
  if (process.getuid() !== 0) return 'needs root, to be somebody else';
  for (const program of [POLKITD, '/usr/bin/pkttyagent', '/usr/bin/script', '/usr/bin/dbus-daemon'])
    if (!fs.existsSync(program)) return `not installed: ${program}`;
  try {
    execFileSync('unshare', ['-m', 'mount', '--bind', '/tmp', '/mnt'], { stdio: 'ignore' });
  } catch {
    return 'nothing can be mounted here';
  }
  return undefined;
}

export class Presence {
  /** t: what stops it all in the end; backend: where requests go. */
  constructor(t, backend) {
    this.t = t;
    this.backend = backend;
    this.dir = tempDir(t, 'hoop-presence-');
    this.home = path.join(this.dir, 'home');
    this.actions = path.join(this.dir, 'actions');
    this.asked = 0;
  }

  child(words, options = {}) {
    return new Child(words[0], words.slice(1), { env: this.env, t: this.t, ...options });
  }

  asNobody(words, options) {
    return this.child([...this.inside, ...AS_NOBODY, ...words], options);
  }

  async start() {
    const runDir = path.join(this.dir, 'run');
    fs.chmodSync(this.dir, 0o755);
    for (const folder of [this.home, this.actions, runDir]) fs.mkdirSync(folder);
    const socket = path.join(runDir, 'system_bus_socket');
    this.env = { ...privateEnv(this.home), DBUS_SYSTEM_BUS_ADDRESS: `unix:path=${socket}`, SHELL: '/bin/sh' };
    fs.writeFileSync(path.join(this.dir, 'bus.conf'), BUS(socket));
    // polkitd reads actions from one folder, PAM passwords from one file, and what
    // checks them there finds the bus in one place.
    const mounts = [
      `mount --bind ${this.actions} ${ACTIONS}`,
      `mount --bind ${this.shadowed()} /etc/shadow`,
      'mount -t tmpfs none /run',
      `mkdir /run/dbus && mount --bind ${runDir} /run/dbus`,
      'echo ready && exec sleep 600',
    ].join(' && ');
    const holder = this.child(['unshare', '-m', '--propagation', 'private', 'sh', '-c', mounts]);
    await until(() => holder.stdout.includes('ready') || !holder.running, 'a namespace');
    this.inside = ['nsenter', '-t', `${holder.pid}`, '-m'];
    const bus = this.child(['dbus-daemon', `--config-file=${path.join(this.dir, 'bus.conf')}`, '--nofork', '--print-address']);
    await until(() => bus.stdout.includes('\n'), 'a system bus');
    await this.startAgent();
    return this;
  }

  /** A file like this of the system with one line of its own, mounted over it. */
  shadowed() {
    const hash = execFileSync('openssl', ['passwd', '-6', PASSWORD], { encoding: 'utf8' }).trim();
    const lines = fs.readFileSync('/etc/shadow', 'utf8').split('\n').filter((line) => !line.startsWith('nobody:'));
    const file = path.join(this.dir, 'shadow');
    fs.writeFileSync(file, [`nobody:${hash}:19000:0:99999:7:::`, ...lines].join('\n'), { mode: 0o640 });
    return file;
  }

  async startAgent() {
    const ca = path.join(this.home, 'backend.pem');
    const policy = path.join(this.home, 'policy.yaml');
    this.program = this.own(agentProgram());
    this.config = path.join(this.home, 'agent.conf');
    fs.copyFileSync(this.backend.ca, ca);
    fs.writeFileSync(policy, POLICY, { mode: 0o600 });
    const text = configText({
      listen: { port: 0, 'plain-base-url': true },
      policy: { file: policy },
      upstream: { 'ca-file': ca },
      'connection "copilot"': { upstream: this.backend.url },
    });
    fs.writeFileSync(this.config, text, { mode: 0o600 });
    giveAway(this.home);
    const daemon = this.asNobody([this.program, 'serve', '--config', this.config]);
    await until(() => /listens on (\S+)/.test(daemon.stderr) || !daemon.running, 'the daemon serves');
    assert.ok(daemon.running, daemon.stderr);
    this.port = /listens on \S+:(\d+)/.exec(daemon.stderr)[1];
  }

  /** A copy of a program that this user can reach. */
  own(program) {
    const copy = path.join(this.home, path.basename(program));
    fs.copyFileSync(program, copy);
    fs.chmodSync(copy, 0o755);
    return copy;
  }

  installAction() {
    fs.copyFileSync(ACTION, path.join(this.actions, path.basename(ACTION)));
  }

  async startPolkitd() {
    await this.polkitd?.stop('SIGKILL');
    this.polkitd = this.child([...this.inside, POLKITD, '--no-debug']);
    const names = ['--system', '--print-reply', '--dest=org.freedesktop.DBus', '/', 'org.freedesktop.DBus.ListNames'];
    await until(async () => (await run('dbus-send', names, { env: this.env, timeoutMs: 5000 })).stdout.includes('PolicyKit1'), 'polkitd');
  }

  async cli(...words) {
    const one = this.asNobody([this.program, ...words]);
    const { code } = await one.ended;
    return { code, stdout: one.stdout, stderr: one.stderr };
  }

  async pending() {
    return JSON.parse((await this.cli('pending', '--json')).stdout);
  }

  /** A request that is held: {ended} with its status, {id}. */
  async held() {
    const { path: target, body } = callOf('chat', `proof ${++this.asked}`);
    const curl = this.asNobody(['curl', '-s', '-o', '/dev/null', '-w', '%{http_code}', '-H', `authorization: Bearer ${this.backend.token}`,
      '-H', 'content-type: application/json', '--noproxy', '*', '-d', JSON.stringify(body), `http://127.0.0.1:${this.port}${target}`]);
    const list = await until(async () => {
      const now = await this.pending();
      return now.length === 1 && now;
    }, 'a held request').catch((error) => assert.fail(`${error.message}; ${curl.stdout}`));
    const ended = curl.ended.then(() => Number(curl.stdout));
    return { ended, id: list[0].id };
  }

  /** Types into a terminal that asks for a password until its program ends. */
  async answer(terminal, password) {
    await until(() => /assword:/.test(terminal.stdout) || !terminal.running, 'to be asked for a password', 20000);
    // What is typed before its echo is off is thrown away: typed again, then.
    await until(() => {
      const done = !terminal.running || /COMPLETE|FAILED/.test(terminal.stdout);
      if (!done) terminal.process.stdin.write(`${password}\n`);
      return done;
    }, 'the end of the question', 30000, 1500);
  }

  /** Approves in a terminal, where a password is typed: what was shown there, and the exit's code. */
  async approveWith(id, password) {
    const terminal = this.asNobody(['script', '-qec', `${this.program} approve ${id}`, '/dev/null'], { input: 'pipe' });
    await this.answer(terminal, password);
    const { code } = await terminal.ended;
    return { code, text: terminal.stdout };
  }
}

function giveAway(folder) {
  fs.chownSync(folder, NOBODY, NOBODY);
  for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
    const one = path.join(folder, entry.name);
    if (entry.isDirectory()) giveAway(one);
    else fs.chownSync(one, NOBODY, NOBODY);
  }
}
