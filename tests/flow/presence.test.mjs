// SPDX-License-Identifier: Apache-2.0
// Presence, whole: a rule asks for it, the agent asks a real polkitd, and that
// the user's password, in their terminal; all of it another user's than root.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Fixture, startBackend } from './lib/harness.mjs';
import { missing, PASSWORD, Presence } from './lib/presence.mjs';

const absent = missing();
const fixture = new Fixture();
let backend;
let desk;

before(async () => {
  if (absent) return;
  backend = await startBackend(fixture);
  desk = await new Presence(fixture, backend).start();
});
after(() => fixture.close());

const on = (name, body) =>
  test(name, async (t) => {
    if (absent) return t.skip(absent);
    await backend.reset();
    await body(t);
  });
const doctor = async () =>
  JSON.parse((await desk.cli('doctor', '--json', '--config', desk.config)).stdout).find(({ check }) => check === 'presence');

on('no polkit, or none that knows the action: nobody is there, and doctor says why', async () => {
  const { ended, id } = await desk.held();
  assert.equal((await doctor()).health, 'warn');
  assert.match((await doctor()).advice, /polkitd/);
  assert.notEqual((await desk.cli('approve', id)).code, 0);
  await desk.startPolkitd();
  const said = await doctor();
  assert.equal(said.health, 'warn');
  assert.match(said.advice, /^sudo install -m 644 \/\S+\/org\.hoop-agent\.approve\.policy \/usr\/share\/polkit-1\/actions\/$/);
  const refused = await desk.cli('approve', id);
  assert.notEqual(refused.code, 0);
  assert.match(refused.stderr, /still waits/);
  assert.equal((await desk.pending()).length, 1);
  assert.equal((await desk.cli('deny', id)).code, 0); // a no needs no proof
  assert.equal(await ended, 400);
  assert.deepEqual(await backend.modelCalls(), []);
});

on('with its action: a wrong password is no, the right one yes', async () => {
  desk.installAction();
  await desk.startPolkitd();
  assert.equal((await doctor()).health, 'ok');
  const { ended, id } = await desk.held();
  const wrong = await desk.approveWith(id, 'not-that-one');
  assert.notEqual(wrong.code, 0, wrong.text);
  assert.equal((await desk.pending()).length, 1);
  assert.deepEqual(await backend.modelCalls(), []);
  const right = await desk.approveWith(id, PASSWORD);
  assert.equal(right.code, 0, right.text);
  assert.equal(await ended, 200);
  assert.equal((await backend.modelCalls()).length, 1);
  const shown = await desk.cli('journal', 'show', id);
  assert.match(shown.stdout, /presence/);
});

on('nobody at a terminal, no agent: still waits', async () => {
  const { ended, id } = await desk.held();
  const refused = await desk.cli('approve', id);
  assert.notEqual(refused.code, 0);
  assert.match(refused.stderr, /no polkit agent/);
  assert.equal((await desk.pending()).length, 1);
  assert.equal((await desk.cli('deny', id)).code, 0);
  assert.equal(await ended, 400);
});
