// SPDX-License-Identifier: Apache-2.0
// A provider that ends a session: the person at a real desktop is told, the
// icon says that assistants get no answers, and the menu offers the way back.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';

import { callOf, startAgent, startBackend, tempDir, until } from '../flow/lib/harness.mjs';
import { identityOf, signIn } from '../flow/lib/signin.mjs';
import { providersOff } from '../providers/install.mjs';
import { startOidcProvider } from '../providers/oidc-provider.mjs';
import { Desktop, missing } from './desktop.mjs';

/** The inks of tray/icon.c. */
const GREEN = '29A687';
const RED = 'CC332E';

const absent = missing() ?? providersOff;

test('revoked at the provider: told on the desktop', { skip: absent }, async (t) => {
  const shots = process.env.HOOP_SHOTS ?? tempDir(t, 'hoop-shots-');
  fs.mkdirSync(shots, { recursive: true });
  const backend = await startBackend(t);
  const provider = await startOidcProvider(t, { ttl: { id: 20, access: 20 } });
  const agent = await startAgent(t, {
    backend,
    policy: 'version: 1\ndefault: allow\nrules: []\n',
    config: identityOf(provider, 'corp'),
  });
  const desktop = await new Desktop(t, agent, shots).start();
  await signIn(agent, provider);
  desktop.startTray();
  await desktop.icon(GREEN);
  provider.front.fault = (call) =>
    call.form.grant_type === 'refresh_token'
      ? {
          status: 400,
          headers: ['content-type', 'application/json'],
          body: '{"error":"invalid_grant"}',
        }
      : undefined;
  await desktop.word(/^signed$/);
  desktop.shot('signed-out');
  desktop.click(await desktop.icon(RED), 3);
  await desktop.word(/^Sign$/);
  desktop.shot('sign-in');
  const { path, body } = callOf('chat', 'hello');
  const client = agent.client({ mode: 'base-url', token: backend.token });
  const answer = await client.post(path, body);
  assert.match(answer.text, /not_signed_in/);
  await until(() => desktop.tray.running, 'the tray');
});
