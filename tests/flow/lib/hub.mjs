// SPDX-License-Identifier: Apache-2.0
// Starts hoop-hub in a folder of its own, and speaks to it as somebody.

import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import fs from 'node:fs';
import https from 'node:https';
import path from 'node:path';

import { configText } from './agent.mjs';
import { Child, checkEnv, privateEnv, run, tempDir, until } from './process.mjs';

export class Hub {
  constructor(t, sections) {
    this.t = t;
    this.dir = tempDir(t, 'hoop-hub-');
    this.state = path.join(this.dir, 'state');
    this.ca = path.join(this.state, 'tls.pem');
    this.sections = sections;
    this.port = sections.hub.port ?? 0;
  }

  async start() {
    const file = path.join(this.dir, 'hoop-hub.conf');
    const program = path.join(process.env.HOOP_BUILDDIR, 'hoop-hub');
    const hub = { ...this.sections.hub, 'state-dir': this.state };
    fs.writeFileSync(
      file,
      configText({ ...this.sections, hub: { ...hub, port: this.port } }),
    );
    this.child = new Child(program, ['serve', '--config', file, '--init'], {
      env: privateEnv(this.dir, checkEnv()),
      t: this.t,
    });
    const told = () => /listening .*port=(\d+)/.exec(this.child.stderr);
    await until(() => told() || !this.child.running, 'hoop-hub ready', 20000);
    if (!told()) throw new Error(`hoop-hub ended: ${this.child.stderr}`);
    await until(() => /fingerprint="/.test(this.child.stderr), 'its key');
    this.port = Number(told()[1]);
    this.url = `https://localhost:${this.port}`;
    this.fingerprint = /fingerprint="([^"]*)"/.exec(this.child.stderr)[1];
    return this;
  }

  /** A verb of hoop-hub beside the one that serves: {code, stdout, stderr}. */
  cli(args, options = {}) {
    const file = path.join(this.dir, 'hoop-hub.conf');
    const program = path.join(process.env.HOOP_BUILDDIR, 'hoop-hub');
    return run(program, [...args, '--config', file], {
      env: privateEnv(this.dir, checkEnv()),
      stdin: options.stdin,
      timeoutMs: 60000,
    });
  }

  async json(args) {
    const { code, stdout, stderr } = await this.cli([...args, '--json']);
    if (code !== 0) throw new Error(`hoop-hub ${args.join(' ')}: ${stderr}`);
    return JSON.parse(stdout);
  }

  /** {status, json} of a request; token: of the person, or none; bytes: the
   * body as it is, with headers that say what it is. */
  ask(method, where, { token, body, bytes, headers = {} } = {}) {
    return new Promise((resolve, reject) => {
      const request = https.request(
        {
          host: '127.0.0.1',
          servername: 'localhost',
          port: this.port,
          path: where,
          method,
          ca: fs.readFileSync(this.ca),
          agent: false,
          timeout: 20000,
          headers: {
            ...(token && { authorization: `Bearer ${token}` }),
            ...(body !== undefined && { 'content-type': 'application/json' }),
            ...headers,
          },
        },
        (answer) => {
          let text = '';
          answer.setEncoding('utf8');
          answer.on('data', (piece) => (text += piece));
          answer.on('end', () => {
            let json;
            if (/\/json/.test(answer.headers['content-type']))
              json = JSON.parse(text);
            resolve({
              status: answer.statusCode,
              headers: answer.headers,
              json,
              text,
            });
          });
        },
      );
      request.on('error', reject);
      request.on('timeout', () => request.destroy(new Error('no answer')));
      request.end(
        bytes ??
          (typeof body === 'string' || body === undefined
            ? body
            : JSON.stringify(body)),
      );
    });
  }
}

/** An access token of user for a service, by the device flow. */
export async function accessToken(provider, user, resource) {
  const post = (where, form) =>
    new Promise((resolve, reject) => {
      const url = new URL(provider.issuer + where);
      const request = https.request(
        url,
        {
          method: 'POST',
          ca: fs.readFileSync(provider.ca),
          agent: false,
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
        },
        (answer) => {
          let text = '';
          answer.on('data', (piece) => (text += piece));
          answer.on('end', () => resolve(JSON.parse(text)));
        },
      );
      request.on('error', reject);
      request.end(new URLSearchParams(form).toString());
    });
  const begun = await post('/device/auth', {
    client_id: provider.clientId,
    scope: 'openid profile groups',
    resource,
  });
  await provider.approve(begun.user_code, user);
  const got = await post('/token', {
    client_id: provider.clientId,
    grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
    device_code: begun.device_code,
    resource,
  });
  if (!got.access_token) throw new Error(JSON.stringify(got));
  return got.access_token;
}

/** A machine of somebody's that asks for reviews, without an agent on it. */
export class Machine {
  constructor(hub, token) {
    this.hub = hub;
    this.token = token;
    const pair = generateKeyPairSync('ed25519');
    this.key = pair.privateKey;
    this.publicKey = pair.publicKey
      .export({ type: 'spki', format: 'der' })
      .subarray(-32)
      .toString('hex');
  }

  sign(context, text) {
    const bytes = Buffer.from(`hoop-hub ${context} 1\0${text}`);
    return sign(null, bytes, this.key).toString('hex');
  }

  async enrol() {
    const part = this.token.split('.')[1];
    const { iss, sub } = JSON.parse(Buffer.from(part, 'base64url'));
    const { status, text, json } = await this.hub.ask('POST', '/v1/machines', {
      token: this.token,
      body: {
        public_key: this.publicKey,
        name: 'made-up',
        signature: this.sign('machine', `${iss}\n${sub}`),
      },
    });
    if (status !== 201) throw new Error(text);
    this.id = json.machine;
    return this;
  }

  /** The posted review; `more` goes over what it says otherwise. */
  async post(more = {}) {
    const body = JSON.stringify({
      id: randomBytes(16).toString('hex'),
      exchange: 'made-up-exchange',
      digest: randomBytes(32).toString('hex'),
      masks: false,
      policy_revision: 'made-up-revision',
      rules: [
        {
          id: 'eyes',
          message: 'A second person looks at this.',
          groups: ['leads'],
          count: 1,
          each: false,
        },
      ],
      text: 'Write a haiku.',
      findings: 0,
      needs_reason: false,
      deadline_us: (Date.now() + 600000) * 1000,
      ...more,
    });
    const { status, text, json } = await this.hub.ask('POST', '/v1/reviews', {
      token: this.token,
      body,
      headers: { 'Hoop-Machine': `${this.id}:${this.sign('request', body)}` },
    });
    if (status !== 201) throw new Error(`${status} ${text}`);
    return json;
  }
}
