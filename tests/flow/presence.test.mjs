// SPDX-License-Identifier: Apache-2.0
// Presence, whole: a rule asks for it, the agent asks a real polkitd, and that
// the user's password, in their terminal; all of it another user's than root.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { agentProgram, configText } from './lib/agent.mjs';
import { callOf, Child, Fixture, privateEnv, run, startBackend, tempDir, until } from './lib/harness.mjs';

const POLKITD = '/usr/lib/polkit-1/polkitd';
const ACTIONS = '/usr/share/polkit-1/actions';
const ACTION = path.join(process.env.HOOP_SRCDIR ?? '.', 'agent/data/org.hoop-agent.approve.policy');
const NOBODY = 65534;
const AS_NOBODY = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];
const PASSWORD = 'of-this-test-alone';
const POLICY = `version: 1
default: allow
tunnels: allow
rules:
  - {id: proof, match: {direction: request, prompt: proof}, action: approve, by: [presence], timeout: 60}
`;
const BUS = (socket) => `<busconfig><type>system</type><listen>unix:path=${socket}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/>
<allow send_type="method_call"/><allow receive_sender="*"/></policy></busconfig>`;

function missing() {
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

const absent = missing();
const fixture = new Fixture();
let backend;
let dir;
let env;
let actions;
let inside; // in front of a command: it runs in the namespace
let polkitd;
let program;
let config;
let ca;
let port;

/** A file like this of the system with one line of its own, mounted over it. */
function shadowed() {
  const hash = execFileSync('openssl', ['passwd', '-6', PASSWORD], { encoding: 'utf8' }).trim();
  const lines = fs.readFileSync('/etc/shadow', 'utf8').split('\n').filter((line) => !line.startsWith('nobody:'));
  const file = path.join(dir, 'shadow');
  fs.writeFileSync(file, [`nobody:${hash}:19000:0:99999:7:::`, ...lines].join('\n'), { mode: 0o640 });
  return file;
}

function giveAway(folder) {
  fs.chownSync(folder, NOBODY, NOBODY);
  for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
    const one = path.join(folder, entry.name);
    if (entry.isDirectory()) giveAway(one);
    else fs.chownSync(one, NOBODY, NOBODY);
  }
}

const child = (words, options = {}) => new Child(words[0], words.slice(1), { env, t: fixture, ...options });
const asNobody = (words, options) => child([...inside, ...AS_NOBODY, ...words], options);

before(async () => {
  if (absent) return;
  backend = await startBackend(fixture);
  dir = tempDir(fixture, 'hoop-presence-');
  fs.chmodSync(dir, 0o755);
  const home = path.join(dir, 'home');
  actions = path.join(dir, 'actions');
  const run = path.join(dir, 'run');
  for (const folder of [home, actions, run]) fs.mkdirSync(folder);
  const socket = path.join(run, 'system_bus_socket');
  env = { ...privateEnv(home), DBUS_SYSTEM_BUS_ADDRESS: `unix:path=${socket}`, SHELL: '/bin/sh' };
  fs.writeFileSync(path.join(dir, 'bus.conf'), BUS(socket));
  // polkitd reads actions from one folder, PAM passwords from one file, and what
  // checks them there finds the bus in one place.
  const mounts = [
    `mount --bind ${actions} ${ACTIONS}`,
    `mount --bind ${shadowed()} /etc/shadow`,
    'mount -t tmpfs none /run',
    `mkdir /run/dbus && mount --bind ${run} /run/dbus`,
    'echo ready && exec sleep 600',
  ].join(' && ');
  const holder = child(['unshare', '-m', '--propagation', 'private', 'sh', '-c', mounts]);
  await until(() => holder.stdout.includes('ready') || !holder.running, 'a namespace');
  inside = ['nsenter', '-t', `${holder.pid}`, '-m'];
  const bus = child(['dbus-daemon', `--config-file=${path.join(dir, 'bus.conf')}`, '--nofork', '--print-address']);
  await until(() => bus.stdout.includes('\n'), 'a system bus');
  await startAgent(home);
});
after(() => fixture.close());

async function startAgent(home) {
  program = path.join(home, 'hoop-agent');
  ca = path.join(home, 'backend.pem');
  fs.copyFileSync(agentProgram(), program);
  fs.chmodSync(program, 0o755);
  fs.copyFileSync(backend.ca, ca);
  fs.writeFileSync(path.join(home, 'policy.yaml'), POLICY, { mode: 0o600 });
  config = path.join(home, 'agent.conf');
  const text = configText({
    listen: { port: 0, 'plain-base-url': true },
    policy: { file: path.join(home, 'policy.yaml') },
    upstream: { 'ca-file': ca },
    'connection "copilot"': { upstream: backend.url },
  });
  fs.writeFileSync(config, text, { mode: 0o600 });
  giveAway(home);
  const daemon = asNobody([program, 'serve', '--config', config]);
  await until(() => /listens on (\S+)/.test(daemon.stderr) || !daemon.running, 'the daemon serves');
  assert.ok(daemon.running, daemon.stderr);
  port = /listens on \S+:(\d+)/.exec(daemon.stderr)[1];
}

async function startPolkitd() {
  await polkitd?.stop('SIGKILL');
  polkitd = child([...inside, POLKITD, '--no-debug']);
  await until(async () => (await run('dbus-send', ['--system', '--print-reply', '--dest=org.freedesktop.DBus', '/',
    'org.freedesktop.DBus.ListNames'], { env, timeoutMs: 5000 })).stdout.includes('PolicyKit1'), 'polkitd');
}

const cli = async (...words) => {
  const one = asNobody([program, ...words]);
  const { code } = await one.ended;
  return { code, stdout: one.stdout, stderr: one.stderr };
};
const pending = async () => JSON.parse((await cli('pending', '--json')).stdout);

/** A request of nobody's that is held: {ended} with its status, {id}. */
let asked = 0;
async function held() {
  const { path: target, body } = callOf('chat', `proof ${++asked}`);
  const curl = asNobody(['curl', '-s', '-o', '/dev/null', '-w', '%{http_code}', '-H', `authorization: Bearer ${backend.token}`,
    '-H', 'content-type: application/json', '--noproxy', '*', '-d', JSON.stringify(body), `http://127.0.0.1:${port}${target}`]);
  const list = await until(async () => {
    const now = await pending();
    return now.length === 1 && now;
  }, 'a held request').catch((error) => assert.fail(`${error.message}; ${curl.stdout}`));
  const ended = curl.ended.then(() => Number(curl.stdout));
  return { ended, id: list[0].id };
}

/** Approves in a terminal, where a password is typed: what was shown there, and the exit's code. */
async function approveWith(id, password) {
  const terminal = asNobody(['script', '-qec', `${program} approve ${id}`, '/dev/null'], { input: 'pipe' });
  await until(() => /assword:/.test(terminal.stdout) || !terminal.running, 'to be asked for a password', 20000);
  // What is typed before its echo is off is thrown away: typed again, then.
  await until(() => {
    if (terminal.running && !/COMPLETE|FAILED/.test(terminal.stdout)) terminal.process.stdin.write(`${password}\n`);
    return !terminal.running;
  }, 'the end of the approval', 30000, 1500);
  const { code } = await terminal.ended;
  return { code, text: terminal.stdout };
}

const on = (name, body) =>
  test(name, async (t) => {
    if (absent) return t.skip(absent);
    await backend.reset();
    await body(t);
  });
const doctor = async () =>
  JSON.parse((await cli('doctor', '--json', '--config', config)).stdout).find(({ check }) => check === 'presence');

on('no polkit, or none that knows the action: nobody is there, and doctor says why', async () => {
  const { ended, id } = await held();
  assert.equal((await doctor()).health, 'warn');
  assert.match((await doctor()).advice, /polkitd/);
  assert.notEqual((await cli('approve', id)).code, 0);
  await startPolkitd();
  const said = await doctor();
  assert.equal(said.health, 'warn');
  assert.match(said.advice, /^sudo install -m 644 \/\S+\/org\.hoop-agent\.approve\.policy \/usr\/share\/polkit-1\/actions\/$/);
  const refused = await cli('approve', id);
  assert.notEqual(refused.code, 0);
  assert.match(refused.stderr, /still waits/);
  assert.equal((await pending()).length, 1);
  assert.equal((await cli('deny', id)).code, 0); // a no needs no proof
  assert.equal(await ended, 400);
  assert.deepEqual(await backend.modelCalls(), []);
});

on('with its action: a wrong password is no, the right one yes', async () => {
  fs.copyFileSync(ACTION, path.join(actions, path.basename(ACTION)));
  await startPolkitd();
  assert.equal((await doctor()).health, 'ok');
  const { ended, id } = await held();
  const wrong = await approveWith(id, 'not-that-one');
  assert.notEqual(wrong.code, 0, wrong.text);
  assert.equal((await pending()).length, 1);
  assert.deepEqual(await backend.modelCalls(), []);
  const right = await approveWith(id, PASSWORD);
  assert.equal(right.code, 0, right.text);
  assert.equal(await ended, 200);
  assert.equal((await backend.modelCalls()).length, 1);
  const shown = await cli('journal', 'show', id);
  assert.match(shown.stdout, /presence/);
});

on('nobody at a terminal, no agent: still waits', async () => {
  const { ended, id } = await held();
  const refused = await cli('approve', id);
  assert.notEqual(refused.code, 0);
  assert.match(refused.stderr, /no polkit agent/);
  assert.equal((await pending()).length, 1);
  assert.equal((await cli('deny', id)).code, 0);
  assert.equal(await ended, 400);
});
