// SPDX-License-Identifier: Apache-2.0
// A small Language Server Protocol client over a child's standard streams.

const MAX_HEADER = 4096;

export class LspError extends Error {
  constructor(method, error) {
    super(`${method}: ${error.message}`);
    this.code = error.code;
    this.data = error.data;
  }
}

export class LspClient {
  /**
   * child: a Child (tests/flow/lib/process.mjs) with a pipe for input.
   * handlers: {method: (params) => result} for requests of the server.
   */
  constructor(child, handlers = {}) {
    this.child = child;
    this.handlers = handlers;
    this.notifications = [];
    this.listeners = new Set();
    this.waiting = new Map();
    this.nextId = 1;
    this.buffer = Buffer.alloc(0);
    child.process.stdout.on('data', (chunk) => this.feed(chunk));
    child.process.stdin.on('error', () => {});
    child.ended.then(() => this.fail(new Error('the language server ended')));
  }

  fail(error) {
    for (const { reject } of this.waiting.values()) reject(error);
    this.waiting.clear();
  }

  feed(chunk) {
    this.buffer = Buffer.concat([this.buffer, chunk]);
    for (;;) {
      const end = this.buffer.indexOf('\r\n\r\n');
      if (end < 0) {
        if (this.buffer.length > MAX_HEADER)
          this.fail(new Error('no LSP header'));
        return;
      }
      const header = this.buffer.subarray(0, end).toString('latin1');
      const length = Number(/content-length: *(\d+)/i.exec(header)?.[1]);
      if (this.buffer.length < end + 4 + length) return;
      const body = this.buffer
        .subarray(end + 4, end + 4 + length)
        .toString('utf8');
      this.buffer = this.buffer.subarray(end + 4 + length);
      this.message(JSON.parse(body));
    }
  }

  message(message) {
    if (message.method && message.id !== undefined) this.serve(message);
    else if (message.method) {
      this.notifications.push(message);
      for (const listener of this.listeners) listener(message);
    } else {
      const call = this.waiting.get(message.id);
      this.waiting.delete(message.id);
      if (!call) return;
      if (message.error) call.reject(new LspError(call.method, message.error));
      else call.resolve(message.result);
    }
  }

  async serve({ id, method, params }) {
    const handler = this.handlers[method];
    try {
      const result = handler ? await handler(params) : null;
      this.write({ id, result: result ?? null });
    } catch (error) {
      this.write({ id, error: { code: -32603, message: error.message } });
    }
  }

  write(message) {
    const body = JSON.stringify({ jsonrpc: '2.0', ...message });
    const { stdin } = this.child.process;
    if (stdin.writable)
      stdin.write(`Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
  }

  notify(method, params) {
    this.write({ method, params });
  }

  /**
   * Sends a request; rejects with LspError, or after timeoutMs. It is cancelled
   * when the promise `left` resolves, as by an editor whose person types on.
   */
  request(method, params, timeoutMs = 30000, left = undefined) {
    const id = this.nextId++;
    const cancel = () => this.notify('$/cancelRequest', { id });
    left?.then(cancel);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.waiting.delete(id);
        cancel();
        reject(new Error(`${method}: no answer within ${timeoutMs} ms`));
      }, timeoutMs);
      const settle = (fn) => (value) => {
        clearTimeout(timer);
        fn(value);
      };
      this.waiting.set(id, {
        method,
        resolve: settle(resolve),
        reject: settle(reject),
      });
      this.write({ id, method, params });
    });
  }
}
