// SPDX-License-Identifier: Apache-2.0
// The agent's own figures, with everything on: start to the first proxied
// byte, resident memory idle, with 300 idle clients, and while a gigabyte goes
// through. Usage: node tests/bench/proxies/own.mjs [--megabytes 1024] [--check
// yes|clearly]: exit 1 when a figure is missed, or only when it is no time.

import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import tls from 'node:tls';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

import { agent, certificates, cleanUp } from './setup.mjs';

const args = new Map();
for (let i = 2; i < process.argv.length; i += 2)
  args.set(process.argv[i].slice(2), process.argv[i + 1]);
const MEGABYTES = Number(args.get('megabytes') ?? 1024);
const CLIENTS = 300;
const STARTS = 7;
const PIECE = Buffer.alloc(1 << 16, 'the quick brown fox jumps over the dog\n');
const DELTA = Buffer.from(
  `data: {"choices":[{"index":0,"delta":{"content":"${'word '.repeat(800)}"}}]}\n\n`,
);
const BODY = JSON.stringify({
  model: 'gpt-4.1',
  messages: [{ role: 'user', content: 'the quick brown fox, '.repeat(1500) }],
});

const rows = [];
/** must: the most that is allowed; aim: what it should become. */
function told(figure, measured, must, unit, aim) {
  const value = Number(measured.toFixed(1));
  const aimed = aim === undefined ? '' : `${aim}${value <= aim ? ', reached' : ''}`;
  rows.push({ figure, measured: value, unit, must, fine: value <= must, aim: aimed });
}

function memory(pid, key) {
  const text = fs.readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(new RegExp(`${key}:\\s+(\\d+)`).exec(text)[1]);
}

/** KiB that the resident memory rose by at its highest while fn ran. */
async function rise(pid, fn) {
  const before = memory(pid, 'VmRSS');
  fs.writeFileSync(`/proc/${pid}/clear_refs`, '5');
  await fn();
  return memory(pid, 'VmHWM') - before;
}

async function fill(socket, bytes, piece) {
  for (let sent = 0; sent < bytes; sent += piece.length)
    if (!socket.write(piece)) await once(socket, 'drain');
}

/** Answers JSON; /v1/chat/completions with x-big: a stream of that kind. */
async function startBackend(files) {
  const server = https.createServer(
    { cert: fs.readFileSync(files.cert), key: fs.readFileSync(files.key) },
    async (request, response) => {
      request.resume();
      await once(request, 'end');
      const big = request.headers['x-big'];
      if (!big) {
        response.setHeader('Content-Type', 'application/json');
        response.end('{"choices":[]}');
        return;
      }
      response.setHeader('Content-Type', big);
      const sse = big === 'text/event-stream';
      await fill(response, MEGABYTES << 20, sse ? DELTA : PIECE);
      response.end(sse ? 'data: [DONE]\n\n' : '');
    },
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

function ask(target, ca, more = {}) {
  return new Promise((resolve, reject) => {
    const request = https.request({
      host: '127.0.0.1',
      port: target.port,
      ca,
      method: 'POST',
      path: '/chat/completions',
      agent: more.agent ?? false,
      headers: {
        'Content-Type': 'application/json',
        'Content-Length': Buffer.byteLength(BODY),
        ...more.headers,
      },
    });
    request.on('error', reject);
    request.on('response', (response) => {
      let bytes = 0;
      response.on('data', (piece) => (bytes += piece.length));
      response.on('end', () => resolve({ status: response.statusCode, bytes }));
      response.on('error', reject);
    });
    request.end(BODY);
  });
}

async function startTime(target, ca) {
  const times = [];
  for (let i = 0; i < STARTS; i++) {
    await target.child.stop();
    const began = process.hrtime.bigint();
    target.child = target.run();
    for (;;) {
      try {
        const { status } = await ask(target, ca);
        if (status !== 200) throw new Error(`start: status ${status}`);
        break;
      } catch (error) {
        if (error.code !== 'ECONNREFUSED') throw error;
        await sleep(1);
      }
    }
    times.push(Number(process.hrtime.bigint() - began) / 1e6);
  }
  return times.sort((a, b) => a - b)[STARTS >> 1];
}

async function idleClients(target, ca) {
  const pools = Array.from({ length: CLIENTS }, () => new https.Agent({ keepAlive: true }));
  const before = memory(target.child.pid, 'VmRSS');
  for (const agent of pools) await ask(target, ca, { agent });
  await sleep(1000);
  const each = (memory(target.child.pid, 'VmRSS') - before) / CLIENTS;
  for (const agent of pools) agent.destroy();
  return each;
}

/** A tunnel to a host that nobody governs; up: the client sends. */
async function tunnel(target, up) {
  const far = net.createServer((socket) => {
    if (up) socket.resume();
    else fill(socket, MEGABYTES << 20, PIECE).then(() => socket.end());
    socket.on('error', () => {});
  });
  far.listen(0, '127.0.0.1');
  await once(far, 'listening');
  const request = http.request({
    host: '127.0.0.1',
    port: target.port,
    method: 'CONNECT',
    path: `127.0.0.1:${far.address().port}`,
  });
  request.end();
  const [response, socket] = await once(request, 'connect');
  if (response.statusCode !== 200) throw new Error(`CONNECT: ${response.statusCode}`);
  socket.resume();
  if (up) {
    await fill(socket, MEGABYTES << 20, PIECE);
    socket.end();
  }
  await once(socket, 'close');
  far.close();
}

async function download(target, ca, type) {
  const { bytes } = await ask(target, ca, { headers: { 'x-big': type } });
  if (bytes < MEGABYTES << 20) throw new Error(`${type}: ${bytes} bytes came`);
}

async function main() {
  const files = certificates();
  const server = await startBackend(files);
  const target = await agent('own', files, server.address().port, true);
  const ca = fs.readFileSync(target.ca);
  await ask(target, ca);
  told('start to first proxied byte', await startTime(target, ca), 60, 'ms', 30);
  await sleep(1000);
  told('idle', (memory(target.child.pid, 'VmRSS') * 1024) / 1e6, 20, 'MB', 15);
  told('each of 300 idle clients', await idleClients(target, ca), 32, 'KiB');
  const pid = target.child.pid;
  const big = [
    ['tunnel up', () => tunnel(target, true)],
    ['tunnel down', () => tunnel(target, false)],
    ['text down', () => download(target, ca, 'text/plain')],
    ['events down', () => download(target, ca, 'text/event-stream')],
  ];
  for (const [name, fn] of big) {
    const began = Date.now();
    const rose = await rise(pid, fn);
    const speed = MEGABYTES / ((Date.now() - began) / 1000);
    told(`${MEGABYTES} MiB ${name} (${speed.toFixed(0)} MiB/s)`, rose / 1024, 4, 'MiB more');
  }
  server.close();
  server.closeAllConnections?.();
  console.table(rows);
  const counts = (row) => args.get('check') === 'yes' || row.unit !== 'ms';
  if (args.get('check') && rows.some((row) => !row.fine && counts(row)))
    process.exitCode = 1;
}

main()
  .catch((error) => {
    console.error(error);
    process.exitCode = 1;
  })
  .finally(cleanUp);
