// SPDX-License-Identifier: Apache-2.0
// oidc-provider (npm), a certified OpenID provider, on loopback: device flow,
// code + PKCE, client credentials, rotation, revocation.

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import http from 'node:http';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

import { Browser } from './browser.mjs';
import { Front } from './front.mjs';
import { npmDir } from './install.mjs';

/** People who can sign in; any password will do. */
export const USERS = {
  dev: {
    email: 'dev@example.test',
    preferred_username: 'dev',
    groups: ['developers', 'ai-users'],
  },
  lone: { preferred_username: 'lone', groups: 'contractors' },
  none: { preferred_username: 'none' },
  overage: {
    preferred_username: 'overage',
    _claim_names: { groups: 'src1' },
    _claim_sources: { src1: { endpoint: 'https://graph.example.test/' } },
  },
};

/** Everything that the provider remembers, kept over a change of its keys. */
function memoryAdapter() {
  const kept = new Map();
  const byUid = new Map();
  const byCode = new Map();
  const byGrant = new Map();
  return class {
    constructor(name) {
      this.name = name;
    }

    key(id) {
      return `${this.name}:${id}`;
    }

    async upsert(id, payload, expiresIn) {
      const key = this.key(id);
      if (payload.uid) byUid.set(payload.uid, key);
      if (payload.userCode) byCode.set(payload.userCode, key);
      if (payload.grantId) {
        const grant = byGrant.get(payload.grantId) ?? new Set();
        byGrant.set(payload.grantId, grant.add(key));
      }
      const until = expiresIn ? Date.now() + expiresIn * 1000 : Infinity;
      kept.set(key, { payload, until });
    }

    get(key) {
      const found = kept.get(key);
      return found && found.until > Date.now() ? found.payload : undefined;
    }

    async find(id) {
      return this.get(this.key(id));
    }

    async findByUid(uid) {
      return this.get(byUid.get(uid));
    }

    async findByUserCode(code) {
      return this.get(byCode.get(code));
    }

    async consume(id) {
      const payload = this.get(this.key(id));
      if (payload) payload.consumed = Math.floor(Date.now() / 1000);
    }

    async destroy(id) {
      kept.delete(this.key(id));
    }

    async revokeByGrantId(grantId) {
      for (const key of byGrant.get(grantId) ?? []) kept.delete(key);
      byGrant.delete(grantId);
    }
  };
}

function signingKey(alg) {
  const made = alg.startsWith('ES')
    ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
    : generateKeyPairSync('rsa', { modulusLength: 2048 });
  return {
    ...made.privateKey.export({ format: 'jwk' }),
    alg,
    use: 'sig',
    kid: randomBytes(8).toString('hex'),
  };
}

function clients(options) {
  const shared = {
    redirect_uris: ['http://127.0.0.1/callback', 'http://127.0.0.1/'],
    application_type: 'native',
    response_types: ['code'],
    id_token_signed_response_alg: options.alg,
  };
  const grants = ['authorization_code', 'refresh_token'].concat(
    options.device
      ? 'urn:ietf:params:oauth:grant-type:device_code'
      : [],
  );
  return [
    {
      ...shared,
      client_id: 'hoop-agent',
      token_endpoint_auth_method: 'none',
      grant_types: grants,
    },
    {
      ...shared,
      client_id: 'hoop-machine',
      client_secret: options.machineSecret,
      grant_types: [...grants, 'client_credentials'],
    },
    ...(options.site
      ? [
          {
            client_id: 'hoop-page',
            client_secret: options.siteSecret,
            redirect_uris: [`${options.site}/sign-in/done`],
            application_type: 'web',
            response_types: ['code'],
            id_token_signed_response_alg: options.alg,
            grant_types: ['authorization_code', 'refresh_token'],
          },
        ]
      : []),
  ];
}

/** Pages as plain as they can be, without the default ones' notices. */
const pages = {
  renderError: (ctx, out) => {
    ctx.type = 'json';
    ctx.body = out;
  },
  userCodeInputSource: (ctx, form, out, error) => {
    ctx.body = `<h1>Code</h1>${error ? 'No such code' : ''}${form}`;
  },
  userCodeConfirmSource: (ctx, form, client, info, userCode) => {
    ctx.body = `<h1>Confirm ${userCode}</h1>${form}`;
  },
  successSource: (ctx) => {
    ctx.body = '<h1>Sign-in Success</h1>';
  },
};

/** Access tokens that are JWTs for a service, where an audience is set. */
function resources({ audience, alg, ttl }) {
  if (!audience) return { enabled: false };
  return {
    enabled: true,
    defaultResource: () => audience,
    useGrantedResource: () => true,
    getResourceServerInfo: (ctx, resource) => ({
      scope: '',
      audience: resource,
      accessTokenTTL: ttl.access,
      accessTokenFormat: 'jwt',
      jwt: { sign: { alg } },
    }),
  };
}

function configuration(options, adapter, keys) {
  const { ttl } = options;
  return {
    adapter,
    clients: clients(options),
    jwks: { keys },
    cookies: { keys: [randomBytes(16).toString('hex')] },
    claims: {
      openid: ['sub'],
      email: ['email'],
      profile: ['preferred_username', 'name'],
      groups: ['groups', '_claim_names', '_claim_sources'],
    },
    scopes: ['openid', 'offline_access', 'email', 'profile', 'groups'],
    // False: the claims of scopes stand in the ID token itself.
    conformIdTokenClaims: options.claimsIn === 'userinfo',
    features: {
      devInteractions: { enabled: true },
      deviceFlow: {
        enabled: options.device,
        userCodeInputSource: pages.userCodeInputSource,
        userCodeConfirmSource: pages.userCodeConfirmSource,
        successSource: pages.successSource,
      },
      clientCredentials: { enabled: true },
      revocation: { enabled: true },
      introspection: { enabled: true },
      resourceIndicators: resources(options),
      userinfo: { enabled: true },
    },
    findAccount: (ctx, sub) => ({
      accountId: sub,
      claims: () => ({ sub, ...options.users[sub] }),
    }),
    extraTokenClaims: (ctx, token) => {
      const { groups, preferred_username } = options.users[token.accountId] ?? {};
      return { groups, preferred_username };
    },
    issueRefreshToken: async (ctx, client) =>
      options.refresh && client.grantTypeAllowed('refresh_token'),
    rotateRefreshToken: options.rotate,
    renderError: pages.renderError,
    pkce: { required: () => true, methods: ['S256'] },
    ttl: {
      AccessToken: ttl.access,
      IdToken: ttl.id,
      RefreshToken: ttl.refresh,
      DeviceCode: ttl.device,
      AuthorizationCode: 60,
      Grant: 14 * 24 * 3600,
      Interaction: 3600,
      Session: 14 * 24 * 3600,
      ClientCredentials: ttl.access,
    },
  };
}

export class OidcProvider {
  constructor(options) {
    this.name = 'oidc-provider';
    this.options = {
      alg: 'RS256',
      users: USERS,
      rotate: true,
      refresh: true,
      device: true,
      claimsIn: 'id-token',
      interval: 1,
      machineSecret: randomBytes(16).toString('hex'),
      siteSecret: randomBytes(16).toString('hex'),
      ...options,
      ttl: { access: 600, id: 600, refresh: 86400, device: 600, ...options.ttl },
    };
    this.adapter = memoryAdapter();
    this.clientId = 'hoop-agent';
    this.machineId = 'hoop-machine';
    this.machineSecret = this.options.machineSecret;
    this.siteId = 'hoop-page';
    this.siteSecret = this.options.siteSecret;
    this.scopes = 'openid profile email groups offline_access';
  }

  async start(t) {
    const entry = path.join(await npmDir(), 'oidc-provider/lib/index.js');
    const warn = console.warn;
    const info = console.info;
    try {
      // It tells at length what a production set-up should change.
      console.warn = console.info = () => {};
      this.Provider = (await import(pathToFileURL(entry))).default;
    } finally {
      console.warn = warn;
      console.info = info;
    }
    this.front = await new Front().listen(t);
    this.front.adapt = (call, answer) => this.adapt(call, answer);
    this.issuer = this.front.origin;
    this.ca = this.front.ca;
    this.keys = [signingKey(this.options.alg)];
    this.make();
    this.server = http.createServer((q, r) => this.callback(q, r));
    await new Promise((resolve) =>
      this.server.listen(0, '127.0.0.1', resolve),
    );
    this.front.backend = this.server.address().port;
    t?.after(() => this.stop());
    return this;
  }

  /** It names no interval, which means 5 s (RFC 8628 section 3.2). */
  adapt(call, answer) {
    if (call.path !== '/device/auth' || answer.status !== 200) return;
    const { interval } = this.options;
    const told = { ...JSON.parse(answer.body), interval };
    answer.body = JSON.stringify(told);
  }

  make() {
    const warn = console.warn;
    const info = console.info;
    console.warn = console.info = () => {};
    try {
      const provider = new this.Provider(
        this.issuer,
        configuration(this.options, this.adapter, this.keys),
      );
      provider.proxy = true;
      this.provider = provider;
      this.callback = provider.callback();
    } finally {
      console.warn = warn;
      console.info = info;
    }
  }

  /** New keys alone; what was issued stays good otherwise. */
  rotateKeys() {
    this.keys = [signingKey(this.options.alg)];
    this.make();
  }

  /** Changes options ({ttl, users, rotate, …}) for what is issued from now. */
  change(options) {
    Object.assign(this.options, options, {
      ttl: { ...this.options.ttl, ...options.ttl },
    });
    this.make();
  }

  browser() {
    return new Browser(this.ca);
  }

  /** Log-in and consent forms, until there is no more; the last page. */
  async answer(browser, page, user) {
    let now = page;
    for (let step = 0; step < 4 && /\/interaction\//.test(now.url); step++) {
      const form = now.forms[0];
      if (!form) break;
      now = await browser.submit(
        form,
        'login' in form.fields ? { login: user, password: 'any' } : {},
      );
    }
    return now;
  }

  /** What a person does with the code that hoop-agent shows. */
  async approve(userCode, user = 'dev', browser = this.browser()) {
    const code = await browser.open(`${this.issuer}/device`);
    const confirm = await browser.submit(code.forms[0], {
      user_code: userCode,
    });
    const next = await browser.submit(confirm.forms[0]);
    const end = await this.answer(browser, next, user);
    if (!/Sign-in Success/i.test(end.text))
      throw new Error(`not approved: ${end.status} ${end.text.slice(0, 2000)}`);
  }

  /** Says no instead. */
  async deny(userCode, browser = this.browser()) {
    const code = await browser.open(`${this.issuer}/device`);
    const confirm = await browser.submit(code.forms[0], {
      user_code: userCode,
    });
    await browser.submit(confirm.forms[0], { abort: 'yes' });
  }

  /** Opens the URL that a browser is sent to; the page after the redirect. */
  async signIn(url, user = 'dev', browser = this.browser()) {
    return this.answer(browser, await browser.open(url), user);
  }

  async stop() {
    this.server.closeAllConnections?.();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

/**
 * Starts one for test t. options: alg (RS256, PS256, ES256), users, rotate and
 * refresh (of refresh tokens), device (false: no device flow), claimsIn
 * ('id-token' or 'userinfo'), audience (of access tokens, which are JWTs then),
 * site (origin of a web page where people sign in, too: siteId, siteSecret),
 * interval (s between polls), ttl ({access, id, refresh, device} in s).
 */
export function startOidcProvider(t, options = {}) {
  return new OidcProvider(options).start(t);
}
