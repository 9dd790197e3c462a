// SPDX-License-Identifier: Apache-2.0
// Child processes and temporary directories that never outlive their test.

import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { StringDecoder } from 'node:string_decoder';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const SOURCE = fileURLToPath(new URL('../../..', import.meta.url));
const KEEP_OUTPUT = 4 << 20;
const LEAVE_MS = 5000;

/**
 * Limits of time are a plain build's on a machine without other work; so many
 * times as long has this one.
 */
export const patience =
  Number(process.env.HOOP_PATIENCE) ||
  (process.env.HOOP_SANITIZER === 'thread' ? 6 : 1);

/**
 * Stands in for a test context where a whole file shares something: pass it as
 * t and call close() in the file's own after hook. (A hook's context would end
 * what it started when the hook returns.)
 */
export class Fixture {
  constructor() {
    this.undo = [];
  }

  after(fn) {
    this.undo.push(fn);
  }

  async close() {
    for (const fn of this.undo.splice(0).reverse()) await fn();
  }
}

function removeDir(dir) {
  fs.rmSync(dir, { recursive: true, force: true, maxRetries: 3 });
}

/** A private directory, removed after test t (kept if HOOP_KEEP is set). */
export function tempDir(t, name = 'hoop-') {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), name));
  t?.after(() => {
    if (process.env.HOOP_KEEP) return;
    try {
      removeDir(dir);
    } catch {
      // Whoever still writes there is ended by a later hook, which an error
      // here would keep from running.
      process.on('exit', () => removeDir(dir));
    }
  });
  return dir;
}

/** Compiling the rules takes seconds: what unit tests compiled is used again. */
function keepCompiledRules(cache) {
  const compiled = path.join(
    process.env.HOOP_COMPILED_RULES ?? '',
    'detector.hsdb',
  );
  if (!path.isAbsolute(compiled) || !fs.existsSync(compiled)) return;
  const own = path.join(cache, 'hoop-agent');
  fs.mkdirSync(own, { recursive: true, mode: 0o700 });
  fs.copyFileSync(compiled, path.join(own, 'detector.hsdb'));
  fs.chmodSync(path.join(own, 'detector.hsdb'), 0o600);
}

/**
 * A private HOME with XDG directories below dir: the environment of a user who
 * has nothing else. extra is laid over it; undefined values are left out.
 */
export function privateEnv(dir, extra = {}) {
  const runtime = path.join(dir, 'run');
  const temporary = path.join(dir, 'tmp');
  for (const own of [runtime, temporary])
    fs.mkdirSync(own, { recursive: true, mode: 0o700 });
  const env = {
    HOME: dir,
    PATH: process.env.PATH,
    LANG: 'C.UTF-8',
    TZ: 'UTC',
    TMPDIR: temporary,
    XDG_RUNTIME_DIR: runtime,
    XDG_CONFIG_HOME: path.join(dir, '.config'),
    XDG_DATA_HOME: path.join(dir, '.local', 'share'),
    XDG_STATE_HOME: path.join(dir, '.local', 'state'),
    XDG_CACHE_HOME: path.join(dir, '.cache'),
    // The rules and the default policy of the source tree.
    HOOP_SHARE: path.join(SOURCE, 'policy'),
    ...extra,
  };
  for (const key of Object.keys(env))
    if (env[key] === undefined) delete env[key];
  if (env.XDG_CACHE_HOME) keepCompiledRules(env.XDG_CACHE_HOME);
  return env;
}

/** Sanitizer and GLib settings of the test environment, for the agent. */
export function checkEnv() {
  const names =
    /^(ASAN|UBSAN|TSAN|LSAN)_OPTIONS$|^G_DEBUG$|^G_ENABLE_|^MALLOC_PERTURB_$/;
  return Object.fromEntries(
    Object.entries(process.env).filter(([k]) => names.test(k)),
  );
}

/** Polls fn until it is truthy; throws with what after timeoutMs. */
export async function until(fn, what, timeoutMs = 10000, stepMs = 20) {
  const limitMs = timeoutMs * patience;
  const end = Date.now() + limitMs;
  let last;
  for (;;) {
    try {
      const value = await fn();
      if (value) return value;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end)
      throw new Error(
        `${what}: not within ${limitMs} ms${last ? ` (${last.message})` : ''}`,
      );
    await sleep(stepMs);
  }
}

/** A loopback port that was free a moment ago. */
export async function freePort(host = '127.0.0.1') {
  const server = net.createServer();
  await new Promise((resolve, reject) => {
    server.on('error', reject);
    server.listen(0, host, resolve);
  });
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function parentsOf() {
  const parents = new Map();
  for (const name of fs.readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = fs.readFileSync(`/proc/${name}/stat`, 'latin1');
      const rest = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      parents.set(Number(name), Number(rest[1]));
    } catch {
      // It ended meanwhile.
    }
  }
  return parents;
}

/** pid and everything below it now, children last. */
export function processTree(pid) {
  const parents = parentsOf();
  const tree = [pid];
  for (let i = 0; i < tree.length; i++)
    for (const [child, parent] of parents)
      if (parent === tree[i]) tree.push(child);
  return tree;
}

function signalAll(pids, signal) {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // It ended meanwhile.
    }
  }
}

export class Child {
  /** options: {env, cwd, input: 'pipe'|'ignore', t: test that ends it}. */
  constructor(file, args, options = {}) {
    this.name = path.basename(file);
    this.stdout = '';
    this.stderr = '';
    this.process = spawn(file, args, {
      env: options.env ?? process.env,
      cwd: options.cwd,
      stdio: [options.input ?? 'ignore', 'pipe', 'pipe'],
    });
    this.pid = this.process.pid;
    this.ended = new Promise((resolve) => {
      this.process.on('error', (error) =>
        resolve({ error, code: null, signal: null }),
      );
      this.process.on('close', (code, signal) => resolve({ code, signal }));
    });
    this.running = true;
    this.ended.then((end) => {
      this.running = false;
      this.end = end;
    });
    for (const name of ['stdout', 'stderr']) {
      // Others read the same stream's bytes; characters may come in halves.
      const decoder = new StringDecoder('utf8');
      this.process[name].on('data', (chunk) => {
        if (this[name].length < KEEP_OUTPUT)
          this[name] += decoder.write(chunk);
      });
    }
    options.t?.after(() => this.stop());
  }

  /** The first line of standard output, parsed as JSON. */
  async firstJson(timeoutMs = 20000) {
    await until(
      () => this.stdout.includes('\n') || !this.running,
      `${this.name}: first line`,
      timeoutMs,
    );
    if (!this.stdout.includes('\n'))
      throw new Error(`${this.name} ended early: ${this.stderr.slice(-2000)}`);
    return JSON.parse(this.stdout.slice(0, this.stdout.indexOf('\n')));
  }

  /** Waits for the end, at most timeoutMs; then kills and reports timedOut. */
  async wait(timeoutMs = 30000) {
    const limitMs = timeoutMs * patience;
    const timer = new AbortController();
    const timedOut = await Promise.race([
      this.ended.then(() => false),
      sleep(limitMs, true, { signal: timer.signal }).catch(() => false),
    ]);
    timer.abort();
    if (timedOut) await this.stop('SIGKILL');
    const end = await this.ended;
    return { ...end, timedOut, stdout: this.stdout, stderr: this.stderr };
  }

  /** Ends the child and everything that it started. */
  async stop(signal = 'SIGTERM') {
    if (!this.pid) return this.ended;
    const tree = this.running ? processTree(this.pid) : [];
    if (this.running) {
      signalAll(tree, signal);
      const timer = setTimeout(
        () => signalAll(processTree(this.pid), 'SIGKILL'),
        LEAVE_MS * patience,
      );
      await this.ended;
      clearTimeout(timer);
    }
    signalAll(tree.slice(1), 'SIGKILL');
    return this.ended;
  }
}

/** Runs a command to its end: {code, signal, stdout, stderr, timedOut}. */
export async function run(file, args, options = {}) {
  const child = new Child(file, args, {
    ...options,
    input: options.stdin === undefined ? 'ignore' : 'pipe',
  });
  if (options.stdin !== undefined) {
    child.process.stdin.on('error', () => {});
    child.process.stdin.end(options.stdin);
  }
  return child.wait(options.timeoutMs ?? 30000);
}
