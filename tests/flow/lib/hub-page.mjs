// SPDX-License-Identifier: Apache-2.0
// A hub with its page, a provider at which people sign in to it, and people.

import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';

import { Browser } from '../../providers/browser.mjs';
import { startOidcProvider } from '../../providers/oidc-provider.mjs';
import { accessToken, Hub, Machine } from './hub.mjs';
import { tempDir } from './process.mjs';

export const AUDIENCE = 'https://hub.example.test';
export const USERS = {
  ada: { preferred_username: 'ada', groups: ['developers', 'team-leads'] },
  bob: { preferred_username: 'bob', groups: ['team-leads'] },
  cyd: { preferred_username: 'cyd', groups: ['security', 'team-leads'] },
  eve: { preferred_username: 'eve', groups: ['developers'] },
  aud: { preferred_username: 'aud', groups: ['audit'] },
};

/** A port that was free a moment ago: the provider must know it before. */
function freePort() {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/**
 * {hub, provider, ca, browser(), machine()}; more: sections of hoop-hub.conf;
 * options: of the provider, and `second`, which starts one more; own: keys of
 * [hub].
 */
export async function startHubPage(t, more = {}, options = {}, own = {}) {
  const port = await freePort();
  const url = `https://localhost:${port}`;
  const [provider, second] = await Promise.all([
    startOidcProvider(t, {
      users: USERS,
      audience: AUDIENCE,
      site: url,
      ...options,
    }),
    options.second?.(t, { site: url }),
  ]);
  const dir = tempDir(t, 'hoop-page-');
  const secretOf = (text) => {
    const file = path.join(dir, `secret-${text.slice(0, 4)}`);
    fs.writeFileSync(file, text, { mode: 0o600 });
    return file;
  };
  const hub = await new Hub(t, {
    hub: { audience: AUDIENCE, port, ...own },
    roles: { auditor: 'audit', sender: 'audit' },
    'reviewers "leads"': { groups: 'team-leads' },
    'reviewers "security"': { groups: 'security' },
    'identity "corp"': {
      issuer: provider.issuer,
      'ca-file': provider.ca,
      'client-id': provider.siteId,
      'client-secret-file': secretOf(provider.siteSecret),
      scopes: provider.scopes,
    },
    ...(second && {
      'identity "second"': {
        issuer: second.issuer,
        'ca-file': second.ca,
        'client-id': second.secretId,
        'client-secret-file': secretOf(second.secret),
        scopes: second.scopes,
      },
    }),
    ...more,
    page: { url, ...more.page },
  }).start();
  const ca = path.join(dir, 'ca.pem');
  fs.writeFileSync(
    ca,
    [hub, provider, second]
      .map((one) => (one ? fs.readFileSync(one.ca, 'utf8') : ''))
      .join(''),
  );
  return {
    hub,
    provider,
    second,
    url,
    ca,
    /** Somebody's browser, without scripts; signed in as user. */
    async browser(user) {
      const browser = new Browser(ca);
      const start = second ? `${url}/sign-in?at=corp` : `${url}/`;
      if (user) browser.page = await provider.signIn(start, user, browser);
      return browser;
    },
    async machine(user) {
      const token = await accessToken(provider, user, AUDIENCE);
      return new Machine(hub, token).enrol();
    },
  };
}
