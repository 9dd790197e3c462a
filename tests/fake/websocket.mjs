// SPDX-License-Identifier: Apache-2.0
// RFC 6455, server side: accepts an upgrade, reads client frames (masked,
// fragmented), answers pings, and sends text frames. Offers no extension.

import crypto from 'node:crypto';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const MAX_MESSAGE = 32 << 20;
const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;
const PING = 9;
const PONG = 10;

function frameOf(opcode, payload) {
  const n = payload.length;
  let header;
  if (n < 126) header = Buffer.from([0x80 | opcode, n]);
  else if (n < 65536) {
    header = Buffer.from([0x80 | opcode, 126, 0, 0]);
    header.writeUInt16BE(n, 2);
  } else {
    header = Buffer.alloc(10);
    header[0] = 0x80 | opcode;
    header[1] = 127;
    header.writeBigUInt64BE(BigInt(n), 2);
  }
  return Buffer.concat([header, payload]);
}

/** The frame at the start of buffer: {fin, opcode, payload, size} or null. */
function parseFrame(buffer) {
  if (buffer.length < 2) return null;
  let n = buffer[1] & 0x7f;
  let at = 2;
  if (n === 126) {
    if (buffer.length < 4) return null;
    n = buffer.readUInt16BE(2);
    at = 4;
  } else if (n === 127) {
    if (buffer.length < 10) return null;
    n = Number(buffer.readBigUInt64BE(2));
    at = 10;
  }
  if (n > MAX_MESSAGE) throw new Error('websocket message too large');
  if (!(buffer[1] & 0x80)) throw new Error('websocket frame is not masked');
  if (buffer.length < at + 4 + n) return null;
  const mask = buffer.subarray(at, at + 4);
  const payload = Buffer.from(buffer.subarray(at + 4, at + 4 + n));
  for (let i = 0; i < n; i++) payload[i] ^= mask[i & 3];
  return {
    fin: (buffer[0] & 0x80) !== 0,
    opcode: buffer[0] & 15,
    payload,
    size: at + 4 + n,
  };
}

export class WebSocketSide {
  /** onMessage(text) is called for each complete message. */
  constructor(socket, onMessage) {
    this.socket = socket;
    this.onMessage = onMessage;
    this.buffer = Buffer.alloc(0);
    this.parts = [];
    socket.on('data', (chunk) => this.feed(chunk));
    socket.on('error', () => {});
  }

  feed(chunk) {
    this.buffer = this.buffer.length
      ? Buffer.concat([this.buffer, chunk])
      : chunk;
    try {
      for (let f; (f = parseFrame(this.buffer));) {
        this.buffer = this.buffer.subarray(f.size);
        this.frame(f);
      }
    } catch {
      this.close(1002);
    }
  }

  frame({ fin, opcode, payload }) {
    if (opcode === PING) this.write(PONG, payload);
    else if (opcode === CLOSE) this.close(1000);
    else if (opcode === TEXT || opcode === BINARY || opcode === 0) {
      this.parts.push(payload);
      if (!fin) return;
      const text = Buffer.concat(this.parts).toString('utf8');
      this.parts = [];
      this.onMessage(text);
    }
  }

  write(opcode, payload) {
    if (this.socket.writable) this.socket.write(frameOf(opcode, payload));
  }

  send(text) {
    this.write(TEXT, Buffer.from(text));
  }

  close(code) {
    if (!this.socket.writable) return;
    const payload = Buffer.alloc(2);
    payload.writeUInt16BE(code);
    this.write(CLOSE, payload);
    this.socket.end();
  }
}

/** The 101 answer's header block for a request's key. */
export function acceptHeader(key) {
  const accept = crypto
    .createHash('sha1')
    .update(key + GUID)
    .digest('base64');
  return [
    'HTTP/1.1 101 Switching Protocols',
    'upgrade: websocket',
    'connection: Upgrade',
    `sec-websocket-accept: ${accept}`,
    '\r\n',
  ].join('\r\n');
}
