// SPDX-License-Identifier: Apache-2.0
// A real browser signs in: `login --browser` on a terminal asks the desktop to
// open the address, the desktop's handler is chromium, and the session begins
// when it comes back to the loopback port.

import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import tls from 'node:tls';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';

import { findChromium, providersOff } from '../providers/install.mjs';
import { startOidcProvider } from '../providers/oidc-provider.mjs';
import { Child, agentProgram, startAgent, startBackend, tempDir, until } from './lib/harness.mjs';
import { identityOf } from './lib/signin.mjs';

const DRIVER = fileURLToPath(
  new URL('../providers/chromium.mjs', import.meta.url),
);

const found = !providersOff && (await findChromium());
const skip =
  providersOff ||
  (!found && 'chromium is not installed (HOOP_FULL=1 gets it, 115 MB)');

/** The hash by which chromium trusts this one key, and no other. */
function spkiOf(port) {
  return new Promise((resolve, reject) => {
    const socket = tls.connect(
      { host: '127.0.0.1', port, servername: 'localhost', rejectUnauthorized: false },
      () => {
        const { raw } = socket.getPeerCertificate();
        const key = new X509Certificate(raw).publicKey;
        const der = key.export({ type: 'spki', format: 'der' });
        socket.destroy();
        resolve(createHash('sha256').update(der).digest('base64'));
      },
    );
    socket.on('error', reject);
  });
}

/** Makes the driver what this home's desktop opens https with. */
function makeHandler(env) {
  const folders = {
    applications: path.join(env.XDG_DATA_HOME, 'applications'),
    config: env.XDG_CONFIG_HOME,
  };
  for (const folder of Object.values(folders))
    fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(
    path.join(folders.applications, 'hoop-test-browser.desktop'),
    `[Desktop Entry]
Type=Application
Name=Browser
Exec=${process.execPath} ${DRIVER} %u
MimeType=x-scheme-handler/https;
`,
  );
  fs.writeFileSync(
    path.join(folders.config, 'mimeapps.list'),
    '[Default Applications]\nx-scheme-handler/https=hoop-test-browser.desktop\n',
  );
}

test('chromium: code and PKCE, opened by the desktop', { skip }, async (t) => {
  const backend = await startBackend(t);
  const provider = await startOidcProvider(t);
  const agent = await startAgent(t, { backend, config: identityOf(provider) });
  const dir = tempDir(t, 'hoop-chromium-');
  const out = path.join(dir, 'out.json');
  makeHandler(agent.env);
  const command = `${agentProgram()} login --browser`;
  const child = new Child('script', ['-qfec', command, '/dev/null'], {
    env: {
      ...agent.env,
      TERM: 'xterm',
      HOOP_CHROMIUM: JSON.stringify({
        ...found,
        spki: await spkiOf(provider.front.port),
        user: 'dev',
        dir: path.join(dir, 'profile'),
        out,
      }),
    },
    t,
  });
  await until(() => fs.existsSync(out), 'the end of the browser', 100000, 100);
  const seen = JSON.parse(fs.readFileSync(out, 'utf8'));
  assert.equal(seen.error, undefined, `${seen.error}\n${child.stdout}`);
  const end = await child.wait(30000);
  assert.equal(end.code, 0, child.stdout);
  assert.match(child.stdout, /A browser was asked to/);
  assert.match(child.stdout, /Signed in: dev, groups developers, ai-users/);
  // Forms of the provider, then our page, which has nothing secret in it.
  assert.ok(seen.pages.length >= 2, JSON.stringify(seen));
  assert.match(seen.pages.at(-1), /^http:\/\/127\.0\.0\.1:\d+\//);
  assert.match(seen.text, /signed in|close/i);
  const [login] = provider.front.callsOf('/token');
  assert.equal(login.form.grant_type, 'authorization_code');
  assert.ok(!seen.text.includes(login.form.code));
  const status = await agent.status();
  assert.equal(status.sessions[0].user, 'dev');
});
