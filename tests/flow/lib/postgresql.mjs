// SPDX-License-Identifier: Apache-2.0
// A PostgreSQL of a test's own (tests/tools/postgresql.sh), and a balancer of
// TCP connections in front of what shares it.

import { spawnSync } from 'node:child_process';
import net from 'node:net';
import path from 'node:path';

import { tempDir } from './process.mjs';

export class Postgresql {
  constructor(t) {
    this.dir = tempDir(t, 'hoop-pg-');
    t.after(() => this.do('stop'));
  }

  do(verb) {
    const script = path.join(
      process.env.HOOP_SRCDIR,
      'tests/tools/postgresql.sh',
    );
    const { status, stdout, stderr } = spawnSync(
      script,
      [verb, this.dir, String(process.pid)],
      { encoding: 'utf8', timeout: 60000 },
    );
    if (status !== 0 && status !== 77) throw new Error(`${verb}: ${stderr}`);
    return status === 77 ? null : stdout;
  }

  /** False: it is not installed here. */
  start() {
    const told = this.do('start');
    if (!told) return false;
    const [port] = told.split(' ');
    this.url = `postgresql://hoop@/postgres?host=${this.dir}&port=${port}`;
    return true;
  }
}

/** Hands each connection to the first of `ports` that takes it. */
export class Balancer {
  constructor(t, ports) {
    this.ports = ports;
    this.open = new Set();
    this.server = net.createServer((socket) => this.pass(socket, 0));
    t.after(() => {
      this.server.close();
      for (const socket of this.open) socket.destroy();
    });
  }

  async start() {
    await new Promise((resolve) =>
      this.server.listen(0, '127.0.0.1', resolve),
    );
    this.port = this.server.address().port;
    return this;
  }

  pass(socket, at) {
    if (at >= this.ports.length) {
      socket.destroy();
      return;
    }
    const far = net.connect(this.ports[at], '127.0.0.1');
    let connected = false;
    socket.on('error', () => {});
    far.on('error', () =>
      connected ? socket.destroy() : this.pass(socket, at + 1),
    );
    far.on('connect', () => {
      connected = true;
      for (const [one, other] of [
        [socket, far],
        [far, socket],
      ]) {
        this.open.add(one);
        one.pipe(other);
        one.on('close', () => {
          this.open.delete(one);
          other.destroy();
        });
      }
    });
  }
}
