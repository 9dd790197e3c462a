// SPDX-License-Identifier: Apache-2.0
// What befalls a desktop while requests wait: two at once, a killed tray, a
// notification server or a panel that comes late, a locked screen; what is told
// without a question; how soon a person sees and is heeded.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { callOf, Fixture, patience, startAgent, startBackend, tempDir, until } from '../flow/lib/harness.mjs';
import { Desktop, missing } from './desktop.mjs';

const POLICY = `
version: 1
default: allow
rules:
  - id: asks-for-credentials
    match: {direction: request, prompt: 'show me'}
    action: approve
    by: [developer]
    timeout: 120
  - id: harmless-question
    match: {direction: request, prompt: 'ask me'}
    action: approve
    by: [developer]
    timeout: 120
    risk: low
  - id: no-cloud-keys
    match: {direction: request, finding: {class: secret}}
    action: mask
`;
/** The inks of tray/icon.c. */
const GREEN = '29A687';
const AMBER = 'F59E0A';
const ROUNDS = 12;
const IDLE_S = 20;

const absent = missing();
const fixture = new Fixture();
let backend;
let agent;
let desktop;
let client;
let opened;

before(async () => {
  if (absent) return;
  const shots = process.env.HOOP_SHOTS ?? tempDir(fixture, 'hoop-shots-');
  fs.mkdirSync(shots, { recursive: true });
  backend = await startBackend(fixture);
  agent = await startAgent(fixture, { backend, policy: POLICY });
  client = agent.client({ mode: 'base-url', token: backend.token });
  desktop = new Desktop(fixture, agent, shots);
  // What shows pages here only writes down which.
  const bin = tempDir(fixture, 'hoop-bin-');
  opened = path.join(bin, 'opened');
  fs.writeFileSync(path.join(bin, 'xdg-open'), `#!/bin/sh\nprintf '%s' "$1" >'${opened}'\n`, { mode: 0o755 });
  desktop.env.PATH = `${bin}:${desktop.env.PATH}`;
  await desktop.start();
  desktop.startTray();
});
after(() => fixture.close());

const on = (name, body) =>
  test(name, async (t) => {
    if (absent) return t.skip(`not installed: ${absent}`);
    await backend.reset();
    try {
      await body(t);
    } finally {
      for (const { id } of await pending()) await agent.cli(['deny', id]);
    }
  });

let asked = 0;
const pending = () => agent.json('pending');
const ask = (words = 'show me') => {
  const { path: where, body } = callOf('chat', `${words} password ${++asked}`);
  const answered = client.post(where, body, { timeoutMs: 120000 });
  answered.catch(() => {}); // where the test has failed before
  return answered;
};

/** A request that is held: {promise} of its answer and its {id}. */
async function held(words) {
  const before = (await pending()).map((one) => one.id);
  const promise = ask(words);
  const { id } = await until(
    async () => (await pending()).find((one) => !before.includes(one.id)),
    'a held request',
  );
  return { promise, id };
}

const answer = async (verb, id) => assert.equal((await agent.cli([verb, id])).code, 0);
const count = (pattern) => desktop.words().filter((word) => pattern.test(word.text)).length;
const nothingShown = () => until(() => count(/^Deny$/) === 0, 'no notification', 20000, 200);

on('low risk: Approve in the notification, clicked', async () => {
  const { promise } = await held('ask me');
  await desktop.word(/^Review/);
  desktop.shot('low-risk');
  desktop.click(await desktop.word(/^once$/));
  assert.equal((await promise).status, 200);
  await nothingShown();
});

on('two at once: one notification, each in the menu', async () => {
  const first = await held();
  const second = await held();
  await desktop.word(/^requests$/);
  assert.equal(count(/^Deny$/), 0);
  desktop.shot('two');
  await answer('approve', first.id);
  assert.equal((await first.promise).status, 200);
  desktop.click(await desktop.word(/^Deny$/));
  assert.equal((await second.promise).status, 400);
  assert.equal((await pending()).length, 0);
  await nothingShown();
});

on('the tray is killed: its notification goes when it is back', async () => {
  const { promise } = await held();
  await desktop.word(/^Deny$/);
  await desktop.tray.stop('SIGKILL');
  await sleep(1000);
  assert.equal(count(/^Deny$/), 1);
  assert.equal((await pending()).length, 1);
  desktop.startTray();
  await desktop.icon(AMBER);
  await until(() => count(/^Deny$/) === 1, 'one notification', 20000, 200);
  desktop.click(await desktop.word(/^Deny$/));
  assert.equal((await promise).status, 400);
  await nothingShown();
});

on('the notification server is restarted: shown again', async () => {
  const { promise } = await held();
  await desktop.word(/^Deny$/);
  await desktop.notifyd.stop('SIGKILL');
  await nothingShown();
  desktop.startNotifications();
  desktop.click(await desktop.word(/^Deny$/));
  assert.equal((await promise).status, 400);
});

on('no panel, then one: the item appears', async () => {
  await desktop.tray.stop();
  await desktop.panel.stop('SIGKILL');
  await until(() => !desktop.owns('StatusNotifierWatcher'), 'no watcher');
  desktop.startTray();
  const { promise, id } = await held();
  await desktop.word(/^Deny$/); // notifications need no panel
  desktop.startPanel();
  await desktop.icon(AMBER);
  await answer('deny', id);
  assert.equal((await promise).status, 400);
  await desktop.icon(GREEN);
});

on('a locked screen: it waits, nothing is denied early', async () => {
  const say = (locked) =>
    desktop.tool('dbus-send', '--session', '--type=signal', '/org/freedesktop/ScreenSaver',
      'org.freedesktop.ScreenSaver.ActiveChanged', `boolean:${locked}`);
  say(true);
  const { promise, id } = await held();
  await sleep(3000);
  assert.equal((await pending()).length, 1);
  say(false);
  assert.equal((await pending()).length, 1);
  await desktop.word(/^Deny$/);
  await answer('approve', id);
  assert.equal((await promise).status, 200);
  await nothingShown();
});

on('what was masked is told', async () => {
  const key = ['AKIA', 'QZX7MNB4VTY2LKJP'].join('');
  const { path: where, body } = callOf('chat', `deploy with ${key} please`);
  assert.equal((await client.post(where, body)).status, 200);
  await desktop.word(/^Masked$/);
  desktop.shot('masked');
});

on('the report: written for its user alone, and opened', async () => {
  desktop.click(await desktop.icon(GREEN), 3);
  desktop.click(await desktop.word(/^report/));
  const file = await until(() => fs.existsSync(opened) && fs.readFileSync(opened, 'utf8'), 'an opened page', 20000);
  assert.equal(fs.statSync(file).mode & 0o777, 0o600);
  assert.match(fs.readFileSync(file, 'utf8'), /^<!doctype html>/i);
});

const middle = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
const told = (list) => `median ${middle(list).toFixed(1)} ms, at most ${Math.max(...list).toFixed(1)} ms`;

on('how soon it is seen, and a click heeded', async (t) => {
  const monitor = desktop.child('dbus-monitor', ['--session', '--profile',
    "interface='org.freedesktop.Notifications'", "type='method_return'"]);
  const lines = () => monitor.stdout.split('\n').map((line) => line.split('\t'));
  const seen = [];
  const released = [];
  let button;

  for (let i = 0; i < ROUNDS; i++) {
    await until(async () => (await pending()).length === 0, 'nothing waits');
    const from = lines().length - 1;
    const began = Date.now();
    let answer;
    const promise = ask().then((result) => (answer = { result, at: Date.now() }));
    const shown = await until(() => {
      const rows = lines().slice(from);
      const call = rows.find((row) => row[0] === 'mc' && row[7] === 'Notify');
      const reply = call && rows.find((row) => row[0] === 'mr' && row[5] === call[2] && row[4] === call[3]);
      return reply && Number(reply[1]) * 1000;
    }, 'a notification', 20000, 5);
    seen.push(shown - began);
    button ??= await desktop.word(/^Deny$/);
    await sleep(400); // it is faded in
    const before = lines().length - 1;
    // Not waited for: this program is to see the answer when it comes.
    desktop.child('xdotool', ['mousemove', `${button.x}`, `${button.y}`, 'sleep', '0.2', 'click', '1']);
    // A click beside a notification that still moved: it is where it is read now.
    await until(() => answer, 'the answer', 5000, 1).catch(async () => desktop.click(await desktop.word(/^Deny$/)));
    const { result, at } = await promise;
    assert.equal(result.status, 400);
    const signal = lines().slice(before).find((row) => row[0] === 'sig' && row[7] === 'ActionInvoked');
    assert.ok(signal, 'a click');
    released.push(at - Number(signal[1]) * 1000);
  }
  t.diagnostic(`request to notification: ${told(seen)}`);
  t.diagnostic(`click to refusal at the client: ${told(released)}`);
  assert.ok(middle(seen) <= 150 * patience, told(seen));
  assert.ok(middle(released) <= 20 * patience, told(released));
});

on('nothing waits: the tray sleeps', async (t) => {
  const switches = () => {
    const tasks = `/proc/${desktop.tray.pid}/task`;
    let sum = 0;
    for (const task of fs.readdirSync(tasks))
      for (const [, n] of fs.readFileSync(path.join(tasks, task, 'status'), 'utf8').matchAll(/ctxt_switches:\s+(\d+)/g))
        sum += Number(n);
    return sum;
  };
  await sleep(35000); // what was summed up for later has been told
  const before = switches();
  await sleep(IDLE_S * 1000);
  const woken = switches() - before;
  t.diagnostic(`woken ${woken} times in ${IDLE_S} s`);
  assert.ok(woken <= 1, `woken ${woken} times`);
});
