// SPDX-License-Identifier: Apache-2.0
// A mouse for compositors that know wlr-virtual-pointer-unstable-v1: a client
// of the Wayland protocol that only ever points and clicks.

import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const MANAGER = 'zwlr_virtual_pointer_manager_v1';
/** By their numbers in X: left, middle, right. */
const BUTTONS = [undefined, 0x110, 0x112, 0x111];
const DISPLAY = 1;
const REGISTRY = 2;
const CALLBACK = 3;
const BOUND = 4;
const POINTER = 5;
const SETTLE_MS = 120;

const u32 = (n) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(n >>> 0);
  return bytes;
};

/** Length with the NUL, bytes, padded to four. */
function string(text) {
  const length = Buffer.byteLength(text) + 1;
  const bytes = Buffer.alloc((length + 3) & ~3);
  bytes.write(text);
  return Buffer.concat([u32(length), bytes]);
}

function message(object, opcode, ...parts) {
  const body = Buffer.concat(parts);
  return Buffer.concat([u32(object), u32(((body.length + 8) << 16) | opcode), body]);
}

export class Pointer {
  /** Connects to a compositor's socket. */
  static async open(socketPath) {
    const pointer = new Pointer();
    pointer.socket = net.createConnection(socketPath);
    pointer.globals = new Map();
    pointer.unread = Buffer.alloc(0);
    const ready = new Promise((resolve, reject) => {
      pointer.synced = resolve;
      pointer.socket.on('error', reject);
      pointer.socket.on('close', () => reject(new Error('the compositor closed')));
    });
    pointer.socket.on('data', (bytes) => pointer.take(bytes));
    pointer.send(message(DISPLAY, 1, u32(REGISTRY)), message(DISPLAY, 0, u32(CALLBACK)));
    await ready;
    const name = pointer.globals.get(MANAGER);
    if (name === undefined) throw new Error(`no ${MANAGER}`);
    pointer.send(
      message(REGISTRY, 0, u32(name), string(MANAGER), u32(1), u32(BOUND)),
      message(BOUND, 0, u32(0), u32(POINTER)),
    );
    return pointer;
  }

  send(...messages) {
    this.socket.write(Buffer.concat(messages));
  }

  take(bytes) {
    this.unread = Buffer.concat([this.unread, bytes]);
    while (this.unread.length >= 8) {
      const size = this.unread.readUInt32LE(4) >>> 16;
      if (size < 8 || this.unread.length < size) return;
      this.event(this.unread.readUInt32LE(0), this.unread.readUInt32LE(4) & 0xffff, this.unread.subarray(8, size));
      this.unread = this.unread.subarray(size);
    }
  }

  event(object, opcode, body) {
    if (object === REGISTRY && opcode === 0) {
      const length = body.readUInt32LE(4);
      this.globals.set(body.toString('utf8', 8, 8 + length - 1), body.readUInt32LE(0));
    } else if (object === CALLBACK) {
      this.synced();
    }
  }

  /** A click at a place of an output of this size. */
  async click({ x, y }, { width, height }, button = 1) {
    const now = () => u32(Date.now() & 0x7fffffff);
    const frame = message(POINTER, 4);
    // Twice, a little apart: a surface that just came hears of the second.
    for (const at of [x - 1, x]) {
      this.send(message(POINTER, 1, now(), u32(at), u32(y), u32(width), u32(height)), frame);
      await sleep(SETTLE_MS);
    }
    this.send(message(POINTER, 2, now(), u32(BUTTONS[button]), u32(1)), frame);
    await sleep(SETTLE_MS);
    this.send(message(POINTER, 2, now(), u32(BUTTONS[button]), u32(0)), frame);
  }

  /** To a place where it covers nothing. */
  rest({ x, y }, { width, height }) {
    this.send(
      message(POINTER, 1, u32(Date.now() & 0x7fffffff), u32(x), u32(y), u32(width), u32(height)),
      message(POINTER, 4),
    );
  }

  close() {
    this.socket.removeAllListeners('close');
    this.socket.on('close', () => {});
    this.socket.destroy();
  }
}
