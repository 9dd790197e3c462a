// SPDX-License-Identifier: Apache-2.0
// hoop-agent beside direct, nginx, haproxy, node http-proxy and mitmproxy, in
// one run: client TLS → proxy → TLS backend, 32 KB JSON requests; medians.
// Usage: node tests/bench/proxies/compare.mjs [--seconds 8] [--rounds 3]
//        [--only a,b] [--scenes json-16,sse-16] [--json FILE]
//        [--check yes]: exit 1 when a figure is missed; [--check clearly]: when
//        a ratio is missed by more than a quarter, a time never

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

import { freePort, processTree } from '../../flow/lib/harness.mjs';
import {
  agent,
  build,
  certificates,
  cleanUp,
  dir,
  has,
  listening,
  start,
} from './setup.mjs';

const args = new Map();
for (let i = 2; i < process.argv.length; i += 2)
  args.set(process.argv[i].slice(2), process.argv[i + 1]);
const SECONDS = Number(args.get('seconds') ?? 8);
const ROUNDS = Number(args.get('rounds') ?? 3);
const only = args.get('only')?.split(',');
const chosen = args.get('scenes')?.split(',');
const makers = {
  async direct(tls, backend) {
    return { port: backend, ca: tls.ca };
  },

  async nginx(tls, backend) {
    const port = await freePort();
    const conf = path.join(dir, 'nginx.conf');
    fs.writeFileSync(conf, `daemon off; worker_processes 1; pid ${dir}/nginx.pid;
error_log ${dir}/nginx.err; events { worker_connections 2048; }
http { access_log off; client_body_temp_path ${dir}; proxy_temp_path ${dir};
fastcgi_temp_path ${dir}; uwsgi_temp_path ${dir}; scgi_temp_path ${dir};
client_body_buffer_size 64k; keepalive_requests 1000000;
upstream b { server 127.0.0.1:${backend}; keepalive 64; keepalive_requests 1000000; }
server { listen 127.0.0.1:${port} ssl; ssl_certificate ${tls.cert};
ssl_certificate_key ${tls.key};
location / { proxy_pass https://b; proxy_http_version 1.1;
proxy_set_header Connection ""; proxy_buffering off; proxy_ssl_verify on;
proxy_ssl_name localhost; proxy_ssl_trusted_certificate ${tls.ca};
proxy_ssl_session_reuse on; } } }`);
    const child = start('nginx', ['-c', conf, '-e', `${dir}/nginx.err`]);
    await listening(port);
    return { port, ca: tls.ca, child };
  },

  async haproxy(tls, backend) {
    const port = await freePort();
    const conf = path.join(dir, 'haproxy.cfg');
    fs.writeFileSync(conf, `global
  nbthread 1
  tune.ssl.default-dh-param 2048
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend f
  bind 127.0.0.1:${port} ssl crt ${tls.both}
  default_backend b
backend b
  http-reuse always
  server s 127.0.0.1:${backend} ssl verify required ca-file ${tls.ca} sni str(localhost)
`);
    const child = start('haproxy', ['-db', '-f', conf]);
    await listening(port);
    return { port, ca: tls.ca, child };
  },

  async node(tls, backend) {
    const port = await freePort();
    const file = path.join(dir, 'proxy.mjs');
    fs.writeFileSync(file, `import https from 'node:https'; import fs from 'node:fs';
const agent = new https.Agent({ keepAlive: true, maxSockets: 64, ca: fs.readFileSync('${tls.ca}') });
https.createServer({ cert: fs.readFileSync('${tls.cert}'), key: fs.readFileSync('${tls.key}') }, (req, res) => {
  const up = https.request({ host: 'localhost', port: ${backend}, family: 4, method: req.method, path: req.url, headers: req.headers, agent }, (answer) => {
    res.writeHead(answer.statusCode, answer.headers); answer.pipe(res); });
  up.setNoDelay(true); up.on('error', () => res.destroy()); req.pipe(up);
}).on('connection', (s) => s.setNoDelay(true)).listen(${port}, '127.0.0.1');`);
    const child = start(process.execPath, [file]);
    await listening(port);
    return { port, ca: tls.ca, child };
  },

  async mitmproxy(tls, backend) {
    const port = await freePort();
    const child = start('mitmdump', ['-q', '--mode', `reverse:https://localhost:${backend}`,
      '--listen-host', '127.0.0.1', '--listen-port', String(port),
      '--certs', tls.both, '--set', `confdir=${dir}/mitm`,
      '--set', `ssl_verify_upstream_trusted_ca=${tls.ca}`, '--set', 'stream_large_bodies=1',
      '--set', 'http2=false'], { env: { ...process.env, HOME: dir } });
    await listening(port);
    return { port, ca: tls.ca, child };
  },
};

makers['agent-off'] = (tls, backend) => agent('agent-off', tls, backend, false);
makers['agent-on'] = (tls, backend) => agent('agent-on', tls, backend, true);

const needs = { nginx: 'nginx', haproxy: 'haproxy', mitmproxy: 'mitmdump' };

/** Processor time of a program and its children so far, in µs. */
function cpu(child) {
  let ticks = 0;
  for (const pid of child ? processTree(child.pid) : []) {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'latin1');
    const rest = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    ticks += Number(rest[11]) + Number(rest[12]);
  }
  return ticks * 10000;
}

function measure(target, clients, mode, extra = []) {
  const before = cpu(target.child);
  const out = execFileSync(path.join(build, 'tests/bench/proxies/load'), [
    String(target.port), target.ca, String(clients), String(SECONDS), mode, ...extra,
  ]);
  const result = JSON.parse(out);
  result.cpu_us = (cpu(target.child) - before) / Math.max(1, result.requests);
  return result;
}

function median(values) {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

const scenes = [
  ['json-1', 1, 'json', []],
  ['json-16', 16, 'json', []],
  ['sse-16', 16, 'sse', []],
  ['paced-4', 4, 'paced', []],
  ['connect-nagle', 1, 'connect', ['nagle']],
].filter(([scene]) => !chosen || chosen.includes(scene));

async function main() {
  const tls = certificates();
  const backend = start(path.join(build, 'tests/bench/proxies/backend'), [tls.cert, tls.key]);
  const port = await backend.firstJson();
  const results = {};
  const names = Object.keys(makers).filter((n) => !only || only.includes(n));
  const targets = {};
  for (const name of names) {
    if (needs[name] && !has(needs[name])) {
      console.error(`${name}: not installed, left out`);
      continue;
    }
    targets[name] = await makers[name](tls, port);
    results[name] = Object.fromEntries(scenes.map(([scene]) => [scene, []]));
  }
  // Round by round, so that a noisy moment meets everybody.
  for (let round = 0; round < ROUNDS; round++)
    for (const [scene, clients, mode, extra] of scenes)
      for (const [name, target] of Object.entries(targets)) {
        results[name][scene].push(measure(target, clients, mode, extra));
        process.stderr.write('.');
      }
  process.stderr.write('\n');
  print(results);
  check(results);
  if (args.has('json')) fs.writeFileSync(args.get('json'), JSON.stringify(results, null, 1));
}

/** One column of a scene: name, its value, and beside nginx's. */
const columns = {
  'json-1': [['p50_us', 'p50 µs']],
  'json-16': [['per_second', '/s'], ['cpu_us', 'cpu µs']],
  'sse-16': [['per_second', '/s'], ['cpu_us', 'cpu µs']],
  'paced-4': [['alone', 'alone %'], ['p50_us', 'p50 µs'], ['cpu_us', 'cpu µs']],
  'connect-nagle': [['p50_us', 'p50 µs'], ['p99_us', 'p99 µs']],
};

function value(runs, key) {
  if (key === 'alone')
    return median(runs.map((x) => (100 * x.alone) / Math.max(1, x.deltas)));
  return median(runs.map((x) => x[key]));
}

/** What must be reached: [what, measured, least or -most, what is aimed at]. */
function musts(results) {
  const of = (name, scene, key) =>
    results[name]?.[scene] ? value(results[name][scene], key) : NaN;
  const ratio = (a, b, scene, key) => of(a, scene, key) / of(b, scene, key);
  const off = 'agent-off';
  const on = 'agent-on';
  return [
    ['off: JSON × nginx', ratio(off, 'nginx', 'json-16', 'per_second'), 0.5, 0.85],
    ['off: p50 × nginx', ratio(off, 'nginx', 'json-1', 'p50_us'), -1.25, -1],
    ['off: streams × nginx', ratio(off, 'nginx', 'sse-16', 'per_second'), 0.6, 0.95],
    ['off: paced deltas alone %', of(off, 'paced-4', 'alone'), 99],
    ['on: JSON × nginx', ratio(on, 'nginx', 'json-16', 'per_second'), 0.2, 0.45],
    ['on: JSON × mitmproxy', ratio(on, 'mitmproxy', 'json-16', 'per_second'), 4],
    ['on: new connection p50 ms', of(on, 'connect-nagle', 'p50_us') / 1000, -3, -1.5],
  ].filter(([, measured]) => !Number.isNaN(measured));
}

function check(results) {
  const meets = (measured, bound) =>
    bound < 0 ? measured <= -bound : measured >= bound;
  for (const [what, measured, bound, aim] of musts(results)) {
    const fine = meets(measured, bound);
    const than = bound < 0 ? 'at most' : 'at least';
    let line = `${fine ? 'reached' : 'MISSED'}: ${what} ${measured.toFixed(2)}, ${than} ${Math.abs(bound)}`;
    if (aim !== undefined)
      line += `; the aim of ${Math.abs(aim)} ${meets(measured, aim) ? 'too' : 'not yet'}`;
    console.log(line);
    const excused = args.get('check') === 'clearly' &&
      (what.endsWith(' ms') || meets(measured, bound < 0 ? bound * 1.25 : bound * 0.75));
    if (!fine && args.get('check') && !excused) process.exitCode = 1;
  }
}

function print(results) {
  for (const [scene] of scenes) {
    console.log(scene);
    console.table(
      Object.fromEntries(
        Object.entries(results).map(([name, result]) => {
          const row = {};
          for (const [key, title] of columns[scene]) {
            const mine = value(result[scene], key);
            row[title] = Number(mine.toFixed(1));
            if (results.nginx && key !== 'alone')
              row[`${title} × nginx`] = Number(
                (mine / value(results.nginx[scene], key)).toFixed(2),
              );
          }
          row.failed = result[scene].reduce((n, x) => n + x.failed, 0);
          return [name, row];
        }),
      ),
    );
  }
}

main()
  .catch((error) => {
    console.error(error);
    process.exitCode = 1;
  })
  .finally(cleanUp);
