// SPDX-License-Identifier: Apache-2.0
// LemonLDAP::NG (Debian), a web single sign-on in Perl, on loopback: code +
// PKCE alone, one exact redirect URI.

import { generateKeyPairSync } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';

import { Child, freePort, tempDir, until } from '../flow/lib/process.mjs';
import { Browser } from './browser.mjs';
import { Front } from './front.mjs';
import { debianRoot } from './install.mjs';

function found(root, file) {
  const at = [path.join(root, file), path.join('/', file)].find(fs.existsSync);
  if (!at) throw new Error(`${file} is in no package`);
  return at;
}

/** Perl and shared libraries of the unpacked packages, before the system's. */
function perlEnv(root) {
  const lib = path.join(root, 'usr/lib');
  const machine = fs
    .readdirSync(lib)
    .filter((name) => name.endsWith('-linux-gnu'))
    .map((name) => path.join(lib, name));
  const perl = machine.flatMap((dir) =>
    fs.existsSync(path.join(dir, 'perl5'))
      ? fs
          .readdirSync(path.join(dir, 'perl5'))
          .map((version) => path.join(dir, 'perl5', version))
      : [],
  );
  return {
    PERL5LIB: [path.join(root, 'usr/share/perl5'), ...perl].join(':'),
    LD_LIBRARY_PATH: machine.join(':'),
  };
}

/** Its people are those of its demonstration: the password is the name. */
function configuration(options) {
  const { origin, dir, redirect, keys, ttl } = options;
  const sessions = {
    Directory: `${dir}/sessions`,
    LockDirectory: `${dir}/locks`,
    generateModule:
      'Lemonldap::NG::Common::Apache::Session::Generate::SHA256',
  };
  return {
    cfgNum: 1,
    cfgAuthor: 'hoop-agent tests',
    cfgDate: 1,
    key: 'made-up-for-tests',
    portal: `${origin}/`,
    domain: 'localhost',
    locationRules: { 'none.example.test': { default: 'deny' } },
    securedCookie: 0,
    authentication: 'Demo',
    userDB: 'Same',
    passwordDB: 'Null',
    registerDB: 'Null',
    requireToken: 0,
    captcha: 'Hoop::NoCaptcha',
    captcha_mail_enabled: 0,
    captcha_register_enabled: 0,
    exportedVars: { uid: 'uid', mail: 'mail', cn: 'cn' },
    demoExportedVars: { uid: 'uid', mail: 'mail', cn: 'cn' },
    whatToTrace: 'uid',
    globalStorage: 'Apache::Session::File',
    globalStorageOptions: sessions,
    persistentStorage: 'Apache::Session::File',
    persistentStorageOptions: sessions,
    localSessionStorage: 'Cache::FileCache',
    localSessionStorageOptions: {
      cache_root: `${dir}/cache`,
      namespace: 'lemonldap-ng-sessions',
      default_expires_in: 600,
      directory_umask: '007',
      cache_depth: 3,
    },
    issuerDBOpenIDConnectActivation: 1,
    oidcServiceMetaDataIssuer: origin,
    oidcServiceAllowAuthorizationCodeFlow: 1,
    oidcServicePrivateKeySig: keys.privateKey,
    oidcServicePublicKeySig: keys.publicKey,
    oidcServiceKeyIdSig: 'test',
    oidcServiceIDTokenExpiration: ttl.id,
    oidcServiceAccessTokenExpiration: ttl.access,
    oidcRPMetaDataOptions: {
      hoop: {
        oidcRPMetaDataOptionsClientID: 'hoop-agent',
        oidcRPMetaDataOptionsPublic: 1,
        oidcRPMetaDataOptionsRequirePKCE: 1,
        oidcRPMetaDataOptionsIDTokenSignAlg: 'RS256',
        oidcRPMetaDataOptionsIDTokenForceClaims: 1,
        oidcRPMetaDataOptionsBypassConsent: 1,
        oidcRPMetaDataOptionsRefreshToken: 1,
        oidcRPMetaDataOptionsAllowOffline: 1,
        oidcRPMetaDataOptionsUserIDAttr: 'uid',
        oidcRPMetaDataOptionsRedirectUris: redirect,
      },
    },
    oidcRPMetaDataExportedVars: {
      hoop: { email: 'mail', preferred_username: 'uid', groups: 'groups' },
    },
    oidcRPMetaDataOptionsExtraClaims: { hoop: { groups: 'groups' } },
  };
}

/** Without the module that draws pictures, which wants libraries for that. */
const PORTAL = `package Hoop::NoCaptcha;
use Mouse;
extends 'Lemonldap::NG::Common::Module';
sub init { 1 }
BEGIN { $INC{'Hoop/NoCaptcha.pm'} = 1 }
package main;
use Lemonldap::NG::Portal::Main;
Lemonldap::NG::Portal::Main->run({});
`;

function iniText({ dir, templates }) {
  return `[all]
logLevel = warn
[configuration]
type = File
dirName = ${dir}/conf
localStorage = Cache::FileCache
localStorageOptions={ 'namespace' => 'lemonldap-ng-config', 'default_expires_in' => 600, 'directory_umask' => '007', 'cache_root' => '${dir}/cache', 'cache_depth' => 3 }
[portal]
staticPrefix = /static
templateDir = ${templates}
languages = en
[handler]
status = 0
`;
}

export class LemonLdap {
  constructor(options) {
    this.name = 'LemonLDAP::NG';
    this.options = {
      ...options,
      ttl: { id: 600, access: 600, ...options.ttl },
    };
    this.clientId = 'hoop-agent';
    this.scopes = 'openid profile email groups offline_access';
  }

  async start(t) {
    this.root = path.join(await debianRoot('lemonldap'), 'root');
    this.dir = tempDir(t, 'hoop-lemonldap-');
    for (const name of ['conf', 'sessions', 'locks', 'cache'])
      fs.mkdirSync(path.join(this.dir, name), { mode: 0o700 });
    this.front = await new Front().listen(t);
    this.ca = this.front.ca;
    this.issuer = this.front.origin;
    /** The one port that its redirect URI has: redirect-port. */
    this.redirectPort = await freePort();
    this.configure();
    await this.serve(t);
    return this;
  }

  configure() {
    const keys = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
    });
    const text = configuration({
      origin: this.issuer,
      dir: this.dir,
      redirect: `http://127.0.0.1:${this.redirectPort}/callback`,
      keys,
      ttl: this.options.ttl,
    });
    this.ini = path.join(this.dir, 'lemonldap-ng.ini');
    fs.writeFileSync(
      path.join(this.dir, 'conf', 'lmConf-1.json'),
      JSON.stringify(text),
    );
    fs.writeFileSync(
      this.ini,
      iniText({
        dir: this.dir,
        templates: found(
          this.root,
          'usr/share/lemonldap-ng/portal/templates',
        ),
      }),
    );
  }

  async serve(t) {
    const port = await freePort();
    const portal = path.join(this.dir, 'portal.psgi');
    fs.writeFileSync(portal, PORTAL);
    this.child = new Child(
      found(this.root, 'usr/bin/plackup'),
      ['--host', '127.0.0.1', '--port', String(port), '-E', 'deployment', portal],
      {
        env: {
          ...process.env,
          ...perlEnv(this.root),
          LLNG_DEFAULTCONFFILE: this.ini,
        },
        t,
      },
    );
    this.front.backend = port;
    const browser = this.browser();
    await until(
      async () => {
        if (!this.child.running) return true;
        const { status } = await browser.json(
          'GET',
          `${this.issuer}/.well-known/openid-configuration`,
        );
        return status === 200;
      },
      'LemonLDAP::NG',
      15000,
      100,
    ).catch((error) => {
      throw new Error(`${error.message}\n${this.child.stderr.slice(0, 2000)}`);
    });
    if (!this.child.running)
      throw new Error(`LemonLDAP::NG ended: ${this.child.stderr}`);
  }

  browser() {
    return new Browser(this.ca);
  }

  /** Opens the URL that a browser is sent to and logs in; the last page. */
  async signIn(url, user = 'dwho', browser = this.browser()) {
    let page = await browser.open(url);
    for (let step = 0; step < 4; step++) {
      const form = page.forms.find((one) => 'password' in one.fields);
      if (!form) break;
      page = await browser.submit(form, { user, password: user });
    }
    return page;
  }

  async stop() {
    await this.child.stop();
  }
}

/** Starts one for test t. options: ttl ({id, access} in s). */
export function startLemonLdap(t, options = {}) {
  return new LemonLdap(options).start(t);
}
