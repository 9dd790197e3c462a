// SPDX-License-Identifier: Apache-2.0
// The review window without eyes and without a mouse: what a screen reader is
// told of every control, and each way through it with the keyboard alone.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { agentProgram, callOf, Fixture, startAgent, startBackend, tempDir, until } from '../flow/lib/harness.mjs';
import { Desktop, missing } from './desktop.mjs';
import { Reader } from './reader.mjs';

const POLICY = `
version: 1
default: allow
rules:
  - id: secrets-need-a-look
    match: {direction: request, finding: {class: secret}}
    action: approve
    by: [developer]
    timeout: 120
    extend: 2
    message: A secret would leave this machine.
  - id: production
    match: {direction: request, prompt: 'production'}
    action: approve
    by: [developer]
    timeout: 120
    reason: true
    grants: false
    extend: 0
`;
const KEY = `AKIA${'Z7QK2MWX5TPLV3RD'}`;
const APP = 'io.hoop.Review';

const program = path.join(path.dirname(agentProgram()), 'hoop-review');
const absent =
  missing() ??
  (fs.existsSync(program) ? undefined : 'hoop-review') ??
  (fs.existsSync('/usr/libexec/at-spi2-registryd') ? undefined : 'at-spi2-core');
const fixture = new Fixture();
let backend;
let agent;
let desktop;
let client;
let reader;

before(async () => {
  if (absent) return;
  const shots = process.env.HOOP_SHOTS ?? tempDir(fixture, 'hoop-shots-');
  fs.mkdirSync(shots, { recursive: true });
  backend = await startBackend(fixture);
  agent = await startAgent(fixture, { backend, policy: POLICY });
  client = agent.client({ mode: 'base-url', token: backend.token });
  desktop = await new Desktop(fixture, agent, shots).start();
  reader = await Reader.open(desktop.env.DBUS_SESSION_BUS_ADDRESS);
});
after(() => fixture.close());

let asked = 0;
const pending = () => agent.json('pending');

/** A held request, its window open: {promise} of the answer, {id}, {objects} of the window. */
async function review(text) {
  const { path: target, body } = callOf('chat', `${text} (${++asked})`);
  const promise = client.post(target, body, { timeoutMs: 120000 });
  promise.catch(() => {}); // where the test has failed before
  const [{ id }] = await until(async () => {
    const list = await pending();
    return list.length === 1 && list;
  }, 'a held request');
  desktop.child(program, [id]);
  const objects = await until(async () => {
    const list = await reader.objects(APP).catch(() => []);
    return list.some(({ role, name, focused }) => role === 'button' && name === 'Deny' && focused) && list;
  }, 'a window with its focus on Deny', 30000, 200);
  return { promise, id, objects };
}

const on = (name, body) =>
  test(name, async (t) => {
    if (absent) return t.skip(`not installed: ${absent}`);
    await backend.reset();
    try {
      await body(t);
    } finally {
      for (const { id } of await pending()) await agent.cli(['deny', id]);
      for (const { id } of await agent.json('grants')) await agent.cli(['grants', 'revoke', id]);
      await until(async () => {
        if (desktop.windows('^Review$').length) keys('Escape');
        return desktop.windows('^Review$').length === 0;
      }, 'no review window', 30000, 200);
    }
  });

const keys = (...names) => {
  for (const name of names) desktop.tool('xdotool', 'key', '--clearmodifiers', name);
};
const type = (text) => desktop.tool('xdotool', 'type', '--delay', '20', text);
const the = (objects, role, name) => {
  const found = objects.filter((one) => one.role === role && (name instanceof RegExp ? name.test(one.name) : one.name === name));
  assert.equal(found.length, 1, `${found.length} of ${role} "${name}" among ${objects.map((one) => `${one.role} "${one.name}"`).join(', ')}`);
  return found[0];
};
/** Waits until an object of before is so. */
const becomes = (object, what, is) =>
  until(async () => is(await reader.look(object)), `${object.role} ${what}`, 30000, 200);
const alive = (object) => becomes(object, 'that can be pressed', (now) => now.sensitive);
const focused = (object) => becomes(object, 'with the focus', (now) => now.focused);

on('each control has its role and one name', async () => {
  const { promise, id, objects } = await review(`Deploy with ${KEY}`);
  for (const name of ['Deny', 'Approve', 'Approve masked', 'More time', 'Previous finding', 'Next finding', 'Show as masked'])
    the(objects, 'button', name);
  the(objects, 'search box', "Search the request's text");
  the(objects, 'text box', 'Reason');
  the(objects, 'button', 'For this request only');
  the(objects, 'status', /^/);
  the(objects, 'label', /^client: \//);
  the(objects, 'label', 'asked by: secrets-need-a-look: A secret would leave this machine.');
  the(objects, 'label', /^1 finding/);
  const text = await reader.text(the(objects, 'text box', "The request's text"));
  assert.match(text, new RegExp(`Deploy with ${KEY} ‹1: aws-access-key›`));
  for (const { role, name } of objects)
    if (['button', 'text box', 'search box', 'combo box', 'checkbox'].includes(role)) assert.match(name, /^(?!Gtk)[^_]+$/, role);
  assert.equal((await agent.cli(['deny', id])).code, 0);
  assert.equal((await promise).status, 400);
  await becomes(the(objects, 'status', /^/), 'that tells the end', (now) => /^Denied by /.test(now.name));
});

on('Tab reaches every control, and comes back to Deny', async () => {
  const { promise, id, objects } = await review(`Deploy with ${KEY}`);
  await alive(the(objects, 'button', 'Approve'));
  const controls = ['Deny', 'Approve masked', 'Approve', 'Previous finding', 'Next finding', 'Show as masked',
    "The request's text", 'Reason', 'For this request only', 'More time'];
  const candidates = objects.filter((one) => controls.includes(one.name) && /button|box/.test(one.role));
  const seen = [];
  for (let i = 0; i < 2 * controls.length; i++) {
    let at;
    await until(async () => {
      const now = await Promise.all(candidates.map((one) => reader.look(one)));
      at = now.find((one) => one.focused && one.name !== seen.at(-1));
      return at;
    }, `the focus after ${seen.join(', ')}`, 10000, 50);
    seen.push(at.name);
    if (i && at.name === 'Deny') break;
    keys('Tab');
  }
  assert.deepEqual([...seen].sort(), [...controls, 'Deny'].sort());
  keys('Return');
  assert.equal((await promise).status, 400);
  assert.ok(id);
});

on('More time: it waits longer, as often as the rule allows', async () => {
  const { promise, id, objects } = await review(`Deploy with ${KEY}`);
  const before = (await pending())[0];
  keys('alt+t');
  await until(async () => (await pending())[0].deadline_us - before.deadline_us > 100e6, 'a later deadline', 10000, 100);
  the(await reader.objects(APP), 'label', /^about (3|3 and a half|4) minutes left$/);
  keys('alt+t');
  await until(async () => (await pending())[0].extensions === 0, 'no more of it', 10000, 100);
  await until(async () => !(await reader.objects(APP)).some(({ name }) => name === 'More time'), 'no button for it', 20000, 200);
  keys('alt+d');
  assert.equal((await promise).status, 400);
  assert.ok(id);
});

on('a reason the rule asks for: no yes without it; it is recorded', async () => {
  const { promise, id, objects } = await review('Change the production database');
  const approve = the(objects, 'button', 'Approve');
  await becomes(the(objects, 'status', /^/), 'that asks for it', (now) => /asks for a reason/.test(now.name));
  await new Promise((done) => setTimeout(done, 1500));
  assert.ok(!(await reader.look(approve)).sensitive);
  assert.ok(!objects.some(({ name }) => name === 'More time'));
  keys('alt+a');
  assert.equal((await pending()).length, 1);
  keys('alt+r');
  await focused(the(objects, 'text box', 'Reason'));
  type('agreed with Ops');
  await alive(approve);
  keys('alt+a');
  assert.equal((await promise).status, 200);
  assert.match((await agent.cli(['journal', 'show', id])).stdout, /agreed with Ops/);
});

/** Chooses the entry so many steps below the first, from the keyboard. */
async function choose(objects, steps, scope) {
  const list = the(objects, 'button', /^For /);
  keys('alt+f');
  await becomes(list, 'with its list open', (now) => now.pressed);
  keys(...Array(steps).fill('Down'), 'Return');
  await until(async () => {
    const said = (await reader.objects(APP)).filter((one) => one.role === 'label' && scope.test(one.name));
    return said.length === 1;
  }, `${scope} in words`, 20000, 200);
}

on('For 10 minutes: the scope in words, then a grant', async () => {
  const { promise, objects } = await review(`Deploy with ${KEY}`);
  await choose(objects, 1, /^Your answer, yes or no, counts for: Requests that rule secrets-need-a-look holds, from .*node.* as .*, on copilot, until \d\d:\d\d\.$/);
  desktop.shot('review-for');
  await alive(the(objects, 'button', 'Approve'));
  keys('alt+a');
  assert.equal((await promise).status, 200);
  const [grant] = await agent.json('grants');
  assert.equal(grant.denies, false);
  const { path: target, body } = callOf('chat', `And once more ${KEY}`);
  assert.equal((await client.post(target, body)).status, 200);
});

on('For 10 minutes and Deny: what is like it is denied unasked', async () => {
  const { promise, objects } = await review(`Deploy with ${KEY}`);
  await choose(objects, 1, /counts for/);
  keys('alt+d');
  assert.equal((await promise).status, 400);
  const [grant] = await agent.json('grants');
  assert.equal(grant.denies, true);
  const { path: target, body } = callOf('chat', `And once more ${KEY}`);
  assert.equal((await client.post(target, body)).status, 400);
});

on('a rule that wants to be asked each time: only a denial counts longer', async () => {
  const { promise, objects } = await review('Look at production');
  await choose(objects, 1, /^A denial counts for: .*\. An approval is for this request only\.$/);
  keys('alt+r');
  await focused(the(objects, 'text box', 'Reason'));
  type('fine');
  await alive(the(objects, 'button', 'Approve'));
  keys('alt+a');
  assert.equal((await promise).status, 200);
  assert.deepEqual(await agent.json('grants'), []);
});

on('Ctrl+F: the next place of a text is brought and selected', async () => {
  const line = 'A line of the log that nothing is looked for in.\n';
  const { promise, id, objects } = await review(`${line.repeat(200)}the needle lies here\n${line.repeat(200)} production`);
  keys('ctrl+f');
  await focused(the(objects, 'search box', "Search the request's text"));
  type('NEEDLE');
  keys('Return');
  const text = the(objects, 'text box', "The request's text");
  await until(async () => (await reader.selection(text)) === 'needle', 'the word selected', 20000, 200);
  desktop.shot('review-search');
  keys('Escape'); // the search goes, the window stays
  await new Promise((done) => setTimeout(done, 300));
  assert.equal(desktop.windows('^Review$').length, 1);
  assert.equal((await agent.cli(['deny', id])).code, 0);
  assert.equal((await promise).status, 400);
});

on('of a huge request what is not shown is said, and acknowledged', async () => {
  const line = 'A line of a long log that nothing is found in, number after number.\n';
  const { promise, objects } = await review(`${line.repeat(9000)}use ${KEY} there\n${line.repeat(9000)}`);
  const approve = the(objects, 'button', 'Approve');
  const known = the(objects, 'checkbox', /not shown.* I know that\.$/);
  keys('F8');
  await new Promise((done) => setTimeout(done, 1800));
  assert.ok(!(await reader.look(approve)).sensitive);
  desktop.shot('review-left-out');
  keys('alt+i');
  await becomes(known, 'that is ticked', (now) => now.checked);
  await alive(approve);
  keys('alt+a');
  assert.equal((await promise).status, 200);
  assert.ok(JSON.stringify((await backend.modelCalls())[0]).includes(KEY));
});
