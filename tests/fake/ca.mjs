// SPDX-License-Identifier: Apache-2.0
// A throw-away certificate authority for tests, made with the openssl tool.
// Keys live only in the directory that the caller names; nothing is committed.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

const PLANS = ['individual', 'business', 'enterprise'];
const ROLES = ['api', 'proxy', 'telemetry', 'origin-tracker'];

/** Every host name that the stand-in answers for. */
export const HOSTS = [
  'localhost',
  'api.githubcopilot.com',
  '*.githubcopilot.com',
  ...PLANS.flatMap((plan) =>
    ROLES.map((r) => `${r}.${plan}.githubcopilot.com`),
  ),
  'copilot-proxy.githubusercontent.com',
  'origin-tracker.githubusercontent.com',
  'copilot-telemetry.githubusercontent.com',
  'github.com',
  'api.github.com',
  'acme.ghe.com',
  '*.acme.ghe.com',
  'api.anthropic.com',
  'api.openai.com',
  'chatgpt.com',
  '*.chatgpt.com',
  'default.exp-tas.com',
  'dc.services.visualstudio.com',
];

const LOOPBACK = ['127.0.0.1', '::1'];

function openssl(args, cwd) {
  return execFileSync('openssl', args, {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 20000,
  });
}

function sanLine(hosts, addresses) {
  return [
    ...hosts.map((h) => `DNS:${h}`),
    ...addresses.map((a) => `IP:${a}`),
  ].join(',');
}

/**
 * Makes (or finds again) a CA in dir.
 * Returns {dir, cert, key}: paths of ca.pem and ca-key.pem.
 */
export function ensureCa(dir, name = 'hoop-agent stand-in CA') {
  fs.mkdirSync(dir, { recursive: true, mode: 0o700 });
  const ca = {
    dir,
    cert: path.join(dir, 'ca.pem'),
    key: path.join(dir, 'ca-key.pem'),
  };
  if (fs.existsSync(ca.cert) && fs.existsSync(ca.key)) return ca;
  const work = fs.mkdtempSync(path.join(dir, 'new-ca-'));
  openssl(
    [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      'key.pem',
      '-out',
      'cert.pem',
      '-days',
      '30',
      '-sha256',
      '-subj',
      `/CN=${name}`,
      '-addext',
      'basicConstraints=critical,CA:TRUE,pathlen:0',
      '-addext',
      'keyUsage=critical,keyCertSign,cRLSign',
    ],
    work,
  );
  fs.renameSync(path.join(work, 'key.pem'), ca.key);
  fs.renameSync(path.join(work, 'cert.pem'), ca.cert);
  fs.rmdirSync(work);
  return ca;
}

/**
 * Mints a P-256 server leaf under ca.
 * Options: hosts, addresses (subject alternative names), days, name.
 * Returns {cert, key, certPem, keyPem}; the files lie in a new directory
 * below ca.dir.
 */
export function mintLeaf(ca, options = {}) {
  const {
    hosts = HOSTS,
    addresses = LOOPBACK,
    days = 7,
    name = 'hoop-agent stand-in',
  } = options;
  const work = fs.mkdtempSync(path.join(ca.dir, 'leaf-'));
  openssl(
    [
      'req',
      '-new',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      'key.pem',
      '-out',
      'leaf.csr',
      '-subj',
      `/CN=${name}`,
    ],
    work,
  );
  fs.writeFileSync(
    path.join(work, 'leaf.ext'),
    [
      'basicConstraints=critical,CA:FALSE',
      'keyUsage=critical,digitalSignature',
      'extendedKeyUsage=serverAuth',
      'authorityKeyIdentifier=keyid',
      'subjectKeyIdentifier=hash',
      `subjectAltName=${sanLine(hosts, addresses)}`,
      '',
    ].join('\n'),
  );
  openssl(
    [
      'x509',
      '-req',
      '-in',
      'leaf.csr',
      '-CA',
      ca.cert,
      '-CAkey',
      ca.key,
      '-set_serial',
      `0x${serial()}`,
      '-days',
      String(days),
      '-sha256',
      '-extfile',
      'leaf.ext',
      '-out',
      'leaf.pem',
    ],
    work,
  );
  const cert = path.join(work, 'leaf.pem');
  const key = path.join(work, 'key.pem');
  return {
    cert,
    key,
    certPem: fs.readFileSync(cert, 'utf8'),
    keyPem: fs.readFileSync(key, 'utf8'),
  };
}

function serial() {
  // 15 random bytes with the first bit clear: positive and unique.
  return openssl(['rand', '-hex', '15']).toString().trim().replace(/^./, '4');
}
