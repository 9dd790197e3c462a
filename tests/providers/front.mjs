// SPDX-License-Identifier: Apache-2.0
// The TLS end before a provider: one certificate of the test CA, a log of what
// was asked, and faults on demand.

import http from 'node:http';
import https from 'node:https';

import { ensureCa, mintLeaf } from '../fake/ca.mjs';
import { tempDir } from '../flow/lib/process.mjs';

const MAX_BODY = 1 << 20;
const SECRET_NAMES = [
  'access_token',
  'refresh_token',
  'id_token',
  'device_code',
  'code',
  'code_verifier',
  'client_secret',
];

async function readAll(stream) {
  const parts = [];
  let size = 0;
  for await (const part of stream) {
    size += part.length;
    if (size > MAX_BODY) throw new Error('more than a provider is asked');
    parts.push(part);
  }
  return Buffer.concat(parts);
}

function forward(port, request, headers, body) {
  return new Promise((resolve, reject) => {
    const call = http.request(
      {
        host: '127.0.0.1',
        port,
        method: request.method,
        path: request.url,
        headers,
        agent: false,
      },
      (answer) =>
        readAll(answer).then(
          (bytes) =>
            resolve({
              status: answer.statusCode,
              headers: answer.rawHeaders,
              body: bytes,
            }),
          reject,
        ),
    );
    call.on('error', reject);
    call.end(body);
  });
}

/** rawHeaders without what the body's new length or this hop decides. */
function headersOf(raw) {
  const out = [];
  for (let i = 0; i < raw.length; i += 2)
    if (!/^(content-length|transfer-encoding|connection)$/i.test(raw[i]))
      out.push(raw[i], raw[i + 1]);
  return out;
}

function jsonOf(bytes) {
  try {
    return JSON.parse(bytes.toString());
  } catch {
    return undefined;
  }
}

export class Front {
  constructor() {
    /** What was asked: {method, path, form, status, at}. */
    this.calls = [];
    /** (call) => {status, headers, body, delayMs, hang, drop} or nothing. */
    this.fault = undefined;
    /** Every token, code and verifier that went through. */
    this.secrets = new Set();
    /** (call, {status, headers, body}) => the same, changed. */
    this.rewrite = undefined;
    this.offline = false;
    this.sockets = new Set();
  }

  async listen(t) {
    const ca = ensureCa(tempDir(t, 'hoop-provider-ca-'), 'hoop-agent test CA');
    const leaf = mintLeaf(ca, { hosts: ['localhost'] });
    this.ca = ca.cert;
    this.server = https.createServer(
      { cert: leaf.certPem, key: leaf.keyPem },
      (request, response) =>
        this.serve(request, response).catch(() => response.destroy()),
    );
    this.server.on('connection', (socket) => {
      if (this.offline) {
        socket.destroy();
        return;
      }
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket));
    });
    this.server.on('tlsClientError', () => {});
    await new Promise((resolve, reject) => {
      this.server.on('error', reject);
      this.server.listen(0, '127.0.0.1', resolve);
    });
    this.port = this.server.address().port;
    this.origin = `https://localhost:${this.port}`;
    t?.after(() => this.close());
    return this;
  }

  /** Network trouble, or its end: nothing gets through, open or new. */
  setOffline(offline) {
    this.offline = offline;
    if (offline) for (const socket of this.sockets) socket.destroy();
  }

  /** The calls of a path. */
  callsOf(path) {
    return this.calls.filter((call) => call.path.startsWith(path));
  }

  async serve(request, response) {
    const body = await readAll(request);
    const call = {
      method: request.method,
      path: request.url,
      headers: request.headers,
      form: Object.fromEntries(new URLSearchParams(body.toString())),
      at: Date.now(),
    };
    this.calls.push(call);
    const fault = this.fault?.(call);
    if (fault?.drop) return response.destroy();
    if (fault?.hang) return undefined;
    if (fault?.delayMs)
      await new Promise((resolve) => setTimeout(resolve, fault.delayMs));
    let answer = fault?.status
      ? { status: fault.status, headers: [], body: fault.body ?? '' }
      : await forward(
          this.backend,
          request,
          {
            ...request.headers,
            'x-forwarded-proto': 'https',
            'x-forwarded-host': request.headers.host,
          },
          body,
        );
    if (fault?.headers) answer.headers = fault.headers;
    this.adapt?.(call, answer);
    if (this.rewrite) answer = (await this.rewrite(call, answer)) ?? answer;
    call.status = answer.status;
    this.notice(call.form);
    this.notice(jsonOf(answer.body));
    response.writeHead(answer.status, headersOf(answer.headers));
    return response.end(answer.body);
  }

  notice(object) {
    for (const name of SECRET_NAMES)
      if (typeof object?.[name] === 'string') this.secrets.add(object[name]);
  }

  close() {
    for (const socket of this.sockets) socket.destroy();
    return new Promise((resolve) => this.server.close(resolve));
  }
}
