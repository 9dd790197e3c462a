// SPDX-License-Identifier: Apache-2.0
// What journaling costs: two agents that inspect alike, one with a journal
// (grouped), one without, in turns: requests/s, processor time and instructions
// for each 32 KB request from 16 clients; ratios of both are what counts.
// Usage: node tests/bench/proxies/journal.mjs [--seconds 2] [--rounds 5]
//        [--check yes]: exit 1 when it costs 15 % of the throughput or more

import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';

import { agent, build, certificates, cleanUp, start } from './setup.mjs';

const args = new Map();
for (let i = 2; i < process.argv.length; i += 2)
  args.set(process.argv[i].slice(2), process.argv[i + 1]);
const SECONDS = Number(args.get('seconds') ?? 2);
const ROUNDS = Number(args.get('rounds') ?? 5);
const MOST_LOST = 15;
const hasPerf =
  spawnSync('perf', ['stat', '-e', 'instructions:u', 'true']).status === 0;

/** Processor time of a program so far, in µs, by the name of its threads. */
function cpu(pid) {
  const threads = {};
  for (const tid of fs.readdirSync(`/proc/${pid}/task`)) {
    const stat = fs.readFileSync(`/proc/${pid}/task/${tid}/schedstat`, 'latin1');
    threads[tid] = Number(stat.split(' ')[0]) / 1000;
  }
  return threads;
}

/** Counts user instructions of a process until stop() is awaited. */
function counting(pid) {
  if (!hasPerf) return { stop: async () => NaN };
  const child = spawn('perf', ['stat', '-x,', '-e', 'instructions:u', '-p', String(pid)], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let text = '';
  child.stderr.on('data', (bytes) => (text += bytes));
  return {
    async stop() {
      child.kill('SIGINT');
      await once(child, 'close');
      return Number(/^(\d+),/m.exec(text)?.[1] ?? NaN);
    },
  };
}

async function measure({ port, ca, child }) {
  const before = cpu(child.pid);
  const counter = counting(child.pid);
  const result = JSON.parse(
    execFileSync(path.join(build, 'tests/bench/proxies/load'), [
      String(port), ca, '16', String(SECONDS), 'json',
    ]),
  );
  const instructions = await counter.stop();
  const after = cpu(child.pid);
  const sum = (all) => Object.values(all).reduce((a, b) => a + b, 0);
  if (result.failed) throw new Error(`${result.failed} requests failed`);
  return {
    per_second: result.per_second,
    cpu_us: (sum(after) - sum(before)) / result.requests,
    instructions: instructions / result.requests,
  };
}

function median(values) {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

async function main() {
  const tls = certificates();
  const backend = start(path.join(build, 'tests/bench/proxies/backend'), [tls.cert, tls.key]);
  const port = await backend.firstJson();
  const targets = {
    without: await agent('without', tls, port, true, false),
    with: await agent('with', tls, port, true, true),
  };
  const runs = { without: [], with: [] };
  for (let round = 0; round < ROUNDS; round++)
    for (const [name, target] of Object.entries(targets))
      runs[name].push(await measure(target));
  const ratio = (key) =>
    median(runs.with.map((one, i) => one[key] / runs.without[i][key]));
  const lost = 100 * (1 - ratio('per_second'));
  for (const [name, list] of Object.entries(runs))
    console.log(
      `${name.padEnd(8)} ${median(list.map((x) => x.per_second)).toFixed(0)} requests/s, ` +
        `${median(list.map((x) => x.cpu_us)).toFixed(0)} µs and ` +
        `${(median(list.map((x) => x.instructions)) / 1000).toFixed(0)} thousand instructions each`,
    );
  console.log(
    `journaling: ${lost.toFixed(1)} % of the throughput, ` +
      `${ratio('cpu_us').toFixed(2)} times the processor time, ` +
      `${ratio('instructions').toFixed(2)} times the instructions ` +
      `(medians of ${ROUNDS} pairs; load ${fs.readFileSync('/proc/loadavg', 'latin1').split(' ')[0]})`,
  );
  if (args.get('check') && lost >= MOST_LOST) process.exitCode = 1;
}

main()
  .catch((error) => {
    console.error(error);
    process.exitCode = 1;
  })
  .finally(cleanUp);
