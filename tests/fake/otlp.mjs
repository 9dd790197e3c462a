// SPDX-License-Identifier: Apache-2.0
// A stand-in of an OpenTelemetry collector's OTLP/HTTP receiver for logs, which
// fails in every way that it is told to, keeps what it took by key, and gives
// signed receipts when asked to.

import crypto from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import zlib from 'node:zlib';

const MAX_BODY = 64 << 20;

/** The value of an attribute, as plain JavaScript. */
function plain(value) {
  if ('stringValue' in value) return value.stringValue;
  if ('intValue' in value) return Number(value.intValue);
  if ('boolValue' in value) return value.boolValue;
  if ('arrayValue' in value) return (value.arrayValue.values ?? []).map(plain);
  throw new Error(`not a value: ${JSON.stringify(value)}`);
}

export function attributesOf(list) {
  return Object.fromEntries(list.map(({ key, value }) => [key, plain(value)]));
}

function recordsOf(batch) {
  return batch.resourceLogs.flatMap((r) =>
    r.scopeLogs.flatMap((s) => s.logRecords),
  );
}

export class OtlpReceiver {
  constructor() {
    this.reset();
    const { publicKey, privateKey } = crypto.generateKeyPairSync('ed25519');
    this.privateKey = privateKey;
    this.publicKey = Buffer.from(
      publicKey.export({ format: 'jwk' }).x,
      'base64url',
    ).toString('hex');
  }

  /** Forgets everything but its key. */
  reset() {
    this.keys = new Map(); // key → record, in the order of arrival
    this.batches = []; // as parsed JSON
    this.headers = []; // of each request
    this.again = 0; // records that it had already
    this.script = []; // answers to come: see answer()
    this.always = null; // the answer when the script is empty
    this.bad = () => false; // records that it does not take
    this.receipts = false;
    this.paths = [];
    this.onBatch = null;
  }

  async start(t, { tls, port = 0 } = {}) {
    const handle = (req, res) => this.request(req, res);
    this.server = tls
      ? https.createServer(
          { cert: fs.readFileSync(tls.cert), key: fs.readFileSync(tls.key) },
          handle,
        )
      : http.createServer(handle);
    this.server.on('tlsClientError', () => {});
    this.server.on('clientError', (_, socket) => socket.destroy());
    this.sockets = new Set();
    this.server.on('connection', (socket) => {
      this.sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => this.sockets.delete(socket));
    });
    await new Promise((resolve, reject) => {
      this.server.on('error', reject);
      this.server.listen(port, '127.0.0.1', resolve);
    });
    this.port = this.server.address().port;
    this.url = `${tls ? 'https' : 'http'}://127.0.0.1:${this.port}`;
    t?.after(() => this.stop());
    return this;
  }

  async stop() {
    if (!this.server) return;
    const { server } = this;
    this.server = null;
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  }

  request(req, res) {
    const chunks = [];
    let size = 0;
    const action = this.script.length ? this.script.shift() : this.always;
    if (action?.resetAtBody) {
      req.once('data', () => req.socket.destroy());
      return;
    }
    req.on('error', () => {});
    req.on('data', (chunk) => {
      size += chunk.length;
      if (size <= MAX_BODY) chunks.push(chunk);
    });
    req.on('end', () => {
      this.headers.push(req.headers);
      this.paths.push(`${req.method} ${req.url}`);
      this.answer(Buffer.concat(chunks), req, res, action ?? {});
    });
  }

  /**
   * One request's answer. action: status, headers, body (as they are, instead
   * of taking the records); taken: the records are taken all the same;
   * reset (the connection, without an answer), stall (for ever), waitMs,
   * truncate (bytes of the answer's body that are sent), huge (bytes of it).
   */
  answer(bytes, req, res, action) {
    const own =
      action.status !== undefined ||
      action.body !== undefined ||
      action.reset ||
      action.stall ||
      action.huge;
    let answer = {};
    if (!own || action.taken) answer = this.take(bytes);
    const send = () => {
      if (action.reset) return req.socket.destroy();
      if (action.stall) return undefined;
      const body = action.huge
        ? Buffer.alloc(action.huge, 0x20)
        : Buffer.from(action.body ?? JSON.stringify(answer));
      res.writeHead(action.status ?? 200, {
        'content-type': 'application/json',
        'content-length': body.length,
        ...action.headers,
      });
      if (action.truncate === undefined) return res.end(body);
      res.write(body.subarray(0, action.truncate));
      return setTimeout(() => req.socket.destroy(), 20);
    };
    if (action.waitMs) setTimeout(send, action.waitMs);
    else send();
  }

  take(bytes) {
    const batch = JSON.parse(zlib.gunzipSync(bytes));
    this.batches.push(batch);
    this.onBatch?.(batch);
    let rejected = 0;
    let last = null;
    for (const record of recordsOf(batch)) {
      const attributes = attributesOf(record.attributes);
      if (this.bad(attributes)) {
        rejected++;
        continue;
      }
      if (this.keys.has(attributes['hoop.key'])) this.again++;
      else this.keys.set(attributes['hoop.key'], { ...record, attributes });
      if (attributes['hoop.kind'] !== 'checkpoint') last = attributes;
    }
    const answer = rejected
      ? {
          partialSuccess: {
            rejectedLogRecords: String(rejected),
            errorMessage: 'a record is not to our taste',
          },
        }
      : {};
    if (this.receipts && last) answer['hoop.receipt'] = this.receipt(last);
    return answer;
  }

  /** What it signs for: the chain up to a row (hoop-hub(7)). */
  receipt(attributes) {
    const said = {
      machine: '',
      journal: attributes['hoop.chain.journal'],
      seq: Number(attributes['hoop.chain.seq']),
      hash: attributes['hoop.chain.hash'],
      time_us: Date.now() * 1000,
      public_key: this.publicKey,
    };
    return { ...said, signature: this.sign(said) };
  }

  sign({ machine, journal, seq, hash, time_us: time }) {
    const number = (value) => {
      const bytes = Buffer.alloc(8);
      bytes.writeBigInt64BE(BigInt(value));
      return bytes;
    };
    const text = (value) => {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32BE(value.length);
      return Buffer.concat([bytes, Buffer.from(value)]);
    };
    const message = Buffer.concat([
      Buffer.from('hoop-hub receipt 1\0'),
      text(machine),
      text(journal),
      number(seq),
      Buffer.from(hash, 'hex'),
      number(time),
    ]);
    return crypto.sign(null, message, this.privateKey).toString('hex');
  }

  /** Attributes of what was taken, in the order of its first arrival. */
  get records() {
    return [...this.keys.values()].map((r) => r.attributes);
  }

  get rows() {
    return this.records.filter((a) => a['hoop.kind'] !== 'checkpoint');
  }

  /** The rows' places in the chain. */
  get seqs() {
    return this.rows.map((a) => a['hoop.chain.seq']);
  }
}
