// SPDX-License-Identifier: Apache-2.0
// glewlwyd (Debian), an OpenID provider in C, on loopback: device flow with
// slow_down, ES256, refresh without ID token.

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';

import { Child, freePort, run, tempDir, until } from '../flow/lib/process.mjs';
import { Browser } from './browser.mjs';
import { Front } from './front.mjs';
import { debianRoot } from './install.mjs';

const ADMIN_PASSWORD = 'password'; // the published one of its first account
const PASSWORD = 'made-up-password';
const USERS = {
  dev: ['developers', 'ai-users'],
  lone: ['contractors'],
  none: [],
};

/** The library folder for this machine below root. */
function libraries(root) {
  const lib = path.join(root, 'usr/lib');
  return fs
    .readdirSync(lib)
    .filter((name) => name.endsWith('-linux-gnu'))
    .map((name) => path.join(lib, name))
    .join(':');
}

function found(root, file) {
  return [path.join(root, file), path.join('/', file)].find(fs.existsSync);
}

function configText(options) {
  const { port, origin, dir, root } = options;
  const modules = found(root, 'usr/lib/glewlwyd');
  return `port=${port}
bind_address="127.0.0.1"
external_url="${origin}"
login_url="${origin}/login.html"
api_prefix="api"
log_mode="console"
log_level="ERROR"
cookie_domain="localhost"
cookie_secure=1
session_expiration=2419200
session_key="GLEWLWYD2_SESSION_ID"
admin_scope="g_admin"
profile_scope="g_profile"
user_module_path="${modules}/user"
user_middleware_module_path="${modules}/user_middleware"
client_module_path="${modules}/client"
user_auth_scheme_module_path="${modules}/scheme"
plugin_module_path="${modules}/plugin"
hash_algorithm="SHA512"
database =
{
  type = "sqlite3"
  path = "${dir}/glewlwyd.db"
};
`;
}

function pluginParameters(options, origin, key) {
  const { ttl } = options;
  return {
    iss: `${origin}/api/oidc`,
    'jwt-type': 'ecdsa',
    'jwt-key-size': '256',
    key: key.privateKey.export({ type: 'sec1', format: 'pem' }),
    cert: key.publicKey.export({ type: 'spki', format: 'pem' }),
    'jwks-show': true,
    'access-token-duration': ttl.id,
    'refresh-token-duration': ttl.refresh,
    'code-duration': 60,
    'refresh-token-rolling': true,
    'refresh-token-one-use': options.rotate ? 'always' : 'never',
    'client-refresh-token-one-use-parameter': 'refresh-token-one-use',
    'auth-type-code-enabled': true,
    'auth-type-token-enabled': false,
    'auth-type-client-enabled': true,
    'auth-type-device-enabled': true,
    'auth-type-refresh-enabled': true,
    'device-authorization-expiration': ttl.device,
    'device-authorization-interval': options.interval,
    'subject-type': 'public',
    'name-claim': 'mandatory',
    'email-claim': 'mandatory',
    'scope-claim': 'no',
    claims: [
      {
        name: 'groups',
        'user-property': 'groups',
        type: 'string',
        mandatory: true,
        scope: [],
      },
    ],
    'pkce-allowed': true,
    'pkce-method-plain-allowed': false,
    'introspection-revocation-allowed': true,
    'introspection-revocation-allow-target-client': true,
    'introspection-revocation-auth-scope': [],
    'session-management-allowed': false,
    'session-cookie-name': 'GLEWLWYD2_OIDC_SID',
    'session-cookie-expiration': 2419200,
    'register-client-allowed': false,
    'allow-non-oidc': true,
    'request-parameter-allow': false,
    'oauth-dpop-allowed': false,
    'oauth-dpop-iat-duration': 60,
    'oauth-dpop-nonce-mandatory': false,
    'oauth-dpop-nonce-counter': 1,
    'rar-types-client-property': 'authorization_details_types',
  };
}

export class Glewlwyd {
  constructor(options) {
    this.name = 'glewlwyd';
    this.options = {
      rotate: false,
      interval: 1,
      ...options,
      ttl: { id: 600, refresh: 86400, device: 600, ...options.ttl },
    };
    this.clientId = 'hoop-agent';
    /** Another client, which has a secret: it alone may revoke. */
    this.secretId = 'hoop-secret';
    this.secret = randomBytes(16).toString('hex');
    this.scopes = 'openid profile';
  }

  async start(t) {
    this.root = path.join(await debianRoot('glewlwyd'), 'root');
    this.dir = tempDir(t, 'hoop-glewlwyd-');
    this.front = await new Front().listen(t);
    this.ca = this.front.ca;
    this.origin = this.front.origin;
    this.issuer = `${this.origin}/api/oidc`;
    await this.makeDatabase();
    await this.serve(t);
    await this.populate();
    return this;
  }

  async makeDatabase() {
    const script = gunzipSync(
      fs.readFileSync(
        found(
          this.root,
          'usr/share/doc/glewlwyd/database/init.sqlite3.sql.gz',
        ),
      ),
    )
      .toString()
      // Groups: a property of users with several values.
      .replace(
        '"data-format":{"picture"',
        '"data-format":{"groups":{"multiple":true,"read":true,"write":true},"picture"',
      );
    const made = await run('sqlite3', [path.join(this.dir, 'glewlwyd.db')], {
      stdin: script,
    });
    if (made.code !== 0) throw new Error(`sqlite3: ${made.stderr}`);
  }

  async serve(t) {
    const port = await freePort();
    const config = path.join(this.dir, 'glewlwyd.conf');
    fs.writeFileSync(
      config,
      configText({
        port,
        origin: this.origin,
        dir: this.dir,
        root: this.root,
      }),
      { mode: 0o600 },
    );
    this.child = new Child(
      found(this.root, 'usr/bin/glewlwyd'),
      ['--config-file', config],
      { env: { ...process.env, LD_LIBRARY_PATH: libraries(this.root) }, t },
    );
    this.front.backend = port;
    const api = this.browser();
    await until(
      async () => {
        if (!this.child.running) return true;
        return (
          (await api.json('GET', `${this.origin}/config`)).status === 200
        );
      },
      'glewlwyd',
      20000,
    ).catch((error) => {
      throw new Error(`${error.message}\n${this.child.stderr}${this.child.stdout}`);
    });
  }

  async call(browser, method, target, value) {
    const answer = await browser.json(
      method,
      `${this.origin}/api/${target}`,
      value,
    );
    if (answer.status !== 200)
      throw new Error(
        `glewlwyd: ${method} ${target}: ${answer.status} ${JSON.stringify(answer.value)}`,
      );
    return answer.value;
  }

  async populate() {
    this.admin = this.browser();
    await this.call(this.admin, 'POST', 'auth/', {
      username: 'admin',
      password: ADMIN_PASSWORD,
    });
    this.key =
      this.options.key ?? generateKeyPairSync('ec', { namedCurve: 'P-256' });
    await this.call(this.admin, 'POST', 'mod/plugin/', {
      module: 'oidc',
      name: 'oidc',
      display_name: 'OpenID Connect',
      parameters: pluginParameters(this.options, this.origin, this.key),
    });
    await this.call(this.admin, 'POST', 'scope/', {
      name: 'profile',
      display_name: 'Profile',
      description: 'Profile',
      password_required: false,
      scheme: {},
      scheme_required: {},
    });
    await this.call(this.admin, 'POST', 'client/', {
      client_id: this.clientId,
      name: 'hoop-agent',
      enabled: true,
      confidential: false,
      scope: [],
      redirect_uri: ['http://127.0.0.1/callback'],
      token_endpoint_auth_method: ['none'],
      authorization_type: [
        'code',
        'refresh_token',
        'device_authorization',
        'delete_token',
      ],
    });
    await this.call(this.admin, 'POST', 'client/', {
      client_id: this.secretId,
      name: 'hoop-agent with a secret',
      enabled: true,
      confidential: true,
      client_secret: this.secret,
      scope: [],
      redirect_uri: [
        'http://127.0.0.1/callback',
        ...(this.options.site ? [`${this.options.site}/sign-in/done`] : []),
      ],
      token_endpoint_auth_method: ['client_secret_basic'],
      authorization_type: [
        'code',
        'refresh_token',
        'device_authorization',
        'delete_token',
      ],
    });
    for (const [username, groups] of Object.entries(USERS))
      await this.call(this.admin, 'POST', 'user/', {
        username,
        password: PASSWORD,
        name: username,
        email: `${username}@example.test`,
        enabled: true,
        scope: ['openid', 'profile', 'g_profile'],
        ...(groups.length && { groups }),
      });
  }

  browser() {
    return new Browser(this.ca);
  }

  /** What a person does with the code that hoop-agent shows. */
  async approve(userCode, user = 'dev', browser = this.browser()) {
    await this.call(browser, 'POST', 'auth/', {
      username: user,
      password: PASSWORD,
    });
    for (const client of [this.clientId, this.secretId])
      await this.call(browser, 'PUT', `auth/grant/${client}`, {
        scope: 'openid profile',
      });
    const target = `${this.issuer}/device?code=${encodeURIComponent(userCode)}&g_continue`;
    const end = await browser.request(target);
    if (!/deviceComplete/.test(end.headers.location ?? ''))
      throw new Error(
        `not approved: ${end.status} ${end.headers.location} ${end.text}`,
      );
  }

  /** Opens the URL that a browser is sent to; the page after the redirect. */
  async signIn(url, user, browser) {
    await this.call(browser, 'POST', 'auth/', {
      username: user,
      password: PASSWORD,
    });
    await this.call(browser, 'PUT', `auth/grant/${this.secretId}`, {
      scope: 'openid profile',
    });
    return browser.open(`${url}&g_continue`);
  }

  async stop() {
    await this.child.stop();
  }
}

/**
 * Starts one for test t. options: rotate (refresh tokens are used once),
 * interval (s between polls; slow_down below it), site (origin of a web page
 * where people sign in by secretId, too), ttl ({id, refresh, device} in
 * s).
 */
export function startGlewlwyd(t, options = {}) {
  return new Glewlwyd(options).start(t);
}
