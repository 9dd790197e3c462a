#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Starts a provider for use by hand or by tests in other languages: prints one
// line of JSON about it, then takes commands, a JSON array a line:
// ["approve", CODE, USER], ["deny", CODE], ["signIn", URL, USER],
// ["rotateKeys"], ["change", {…}]; answers {} or {"error": …}. Ends with its
// input.
// usage: run.mjs oidc-provider|glewlwyd|lemonldap [OPTIONS-AS-JSON]

import readline from 'node:readline';

import { Fixture } from '../flow/lib/process.mjs';

const COMMANDS = ['approve', 'deny', 'signIn', 'rotateKeys', 'change'];

const [name, options = '{}'] = process.argv.slice(2);
const starters = {
  'oidc-provider': async () =>
    (await import('./oidc-provider.mjs')).startOidcProvider,
  lemonldap: async () => (await import('./lemonldap.mjs')).startLemonLdap,
  glewlwyd: async () => (await import('./glewlwyd.mjs')).startGlewlwyd,
};
const fixture = new Fixture();

try {
  if (!starters[name])
    throw new Error(`one of: ${Object.keys(starters).join(', ')}`);
  const start = await starters[name]();
  const provider = await start(fixture, JSON.parse(options));
  const { issuer, ca, clientId, machineId, machineSecret, scopes } = provider;
  console.log(
    JSON.stringify({ issuer, ca, clientId, machineId, machineSecret, scopes }),
  );
  for await (const line of readline.createInterface({ input: process.stdin })) {
    try {
      const [command, ...args] = JSON.parse(line);
      if (!COMMANDS.includes(command)) throw new Error(`no command ${command}`);
      await provider[command](...args);
      console.log('{}');
    } catch (error) {
      console.log(JSON.stringify({ error: error.message }));
    }
  }
} catch (error) {
  console.error(`run.mjs: ${error.message}`);
  process.exitCode = 1;
}
await fixture.close();
