// SPDX-License-Identifier: Apache-2.0
// A journal as another program would write it, from hoop-journal(5) alone: its
// rows and checkpoints as an agent ships them, and a machine that signs.

import crypto from 'node:crypto';

const sha256 = (...parts) => {
  const hash = crypto.createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

const field = {
  int: (number, value) => {
    const out = Buffer.alloc(10);
    out[0] = number;
    out[1] = 1;
    out.writeBigInt64BE(BigInt(value), 2);
    return out;
  },
  bytes: (number, type, value) => {
    const head = Buffer.alloc(6);
    head[0] = number;
    head[1] = type;
    head.writeUInt32BE(value.length, 2);
    return Buffer.concat([head, value]);
  },
};
field.text = (number, value) => field.bytes(number, 2, Buffer.from(value));
field.blob = (number, value) => field.bytes(number, 3, value);

/** An Ed25519 key: raw public key, and signatures. */
export class Key {
  constructor() {
    const { publicKey, privateKey } = crypto.generateKeyPairSync('ed25519');
    this.key = privateKey;
    this.raw = Buffer.from(publicKey.export({ format: 'jwk' }).x, 'base64url');
  }

  sign(bytes) {
    return crypto.sign(null, bytes, this.key);
  }

  /** Behind a context, as machines and hub sign. */
  signFor(context, bytes) {
    return this.sign(Buffer.concat([Buffer.from(`${context}\0`), bytes]));
  }
}

export function verifies(raw, bytes, signature) {
  const key = crypto.createPublicKey({
    key: { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') },
    format: 'jwk',
  });
  return crypto.verify(null, bytes, key, signature);
}

/** A machine that a person enrols. */
export class Machine {
  key = new Key();
  id = sha256(this.key.raw).toString('hex').slice(0, 32);

  enrolment(issuer, subject) {
    const said = Buffer.from(`${issuer}\n${subject}`);
    return {
      public_key: this.key.raw.toString('hex'),
      name: 'test',
      signature: this.key.signFor('hoop-hub machine 1', said).toString('hex'),
    };
  }

  /** The header of a request with that body. */
  header(body) {
    const signature = this.key.signFor('hoop-hub request 1', body);
    return { 'hoop-machine': `${this.id}:${signature.toString('hex')}` };
  }
}

const value = (of) => {
  if (Array.isArray(of)) return { arrayValue: { values: of.map(value) } };
  if (typeof of === 'number') return { intValue: String(of) };
  return { stringValue: of };
};

export const record = (attributes, more = {}) => ({
  timeUnixNano: '1700000000000000000',
  severityNumber: 9,
  body: { stringValue: 'said' },
  attributes: Object.entries(attributes).map(([key, of]) => ({
    key,
    value: value(of),
  })),
  ...more,
});

export const request = (records) => ({
  resourceLogs: [
    {
      resource: {
        attributes: [{ key: 'service.name', value: { stringValue: 'test' } }],
      },
      scopeLogs: [{ logRecords: records }],
    },
  ],
});

/** Writes rows; each call gives the record to ship. */
export class Chain {
  constructor(key = new Key(), id = crypto.randomBytes(16)) {
    this.id = id;
    this.key = key;
    this.created = 1690000000000000;
    this.genesis = sha256(
      Buffer.from('HJG\x01'),
      field.blob(1, id),
      field.blob(2, key.raw),
      field.int(3, this.created),
    );
    this.link = this.genesis;
    this.seq = 0;
  }

  /** One that goes on from here by itself. */
  copy() {
    return Object.assign(Object.create(Chain.prototype), this);
  }

  place(kind) {
    const journal = this.id.toString('hex');
    return {
      'hoop.key': `${journal}-${this.seq}${kind === 'checkpoint' ? 'c' : ''}`,
      'hoop.kind': kind,
      'hoop.chain.journal': journal,
      'hoop.chain.seq': this.seq,
      'hoop.chain.hash': this.hash.toString('hex'),
    };
  }

  row({ user = 'dev', verdict = 'allow', rule = 'none', wall = 1700000000000000 + this.seq } = {}) {
    const link = this.link;
    this.seq++;
    this.hash = sha256(
      Buffer.from('HJR\x01'),
      link,
      field.int(1, this.seq),
      field.text(2, 'request'),
      field.int(3, wall),
      field.text(5, user),
      field.text(18, verdict),
      field.text(19, rule),
    );
    this.link = this.hash;
    return record(
      {
        ...this.place('request'),
        'hoop.chain.link': link.toString('hex'),
        'user.name': user,
        'hoop.verdict': verdict,
        'hoop.rule': rule,
      },
      { timeUnixNano: `${wall}000` },
    );
  }

  rows(n, more) {
    return Array.from({ length: n }, () => this.row(more));
  }

  checkpoint({ key = this.key } = {}) {
    const wall = 1700000001000000 + this.seq;
    const message = Buffer.concat([
      Buffer.from('HJC\x01'),
      field.blob(1, this.genesis),
      field.int(2, this.seq),
      field.blob(3, this.hash),
      field.int(4, wall),
      field.blob(5, this.key.raw),
    ]);
    const signature = key.sign(message);
    this.link = sha256(
      Buffer.from('HJL\x01'),
      field.blob(1, message),
      field.blob(2, signature),
    );
    return record({
      ...this.place('checkpoint'),
      'hoop.checkpoint.public_key': this.key.raw.toString('hex'),
      'hoop.checkpoint.signature': signature.toString('hex'),
      'hoop.checkpoint.wall_us': wall,
      'hoop.chain.created_us': this.created,
    });
  }
}
