// SPDX-License-Identifier: Apache-2.0
// Drives copilot-language-server, which is what JetBrains, Neovim and other
// editors run: sign-in, completions with three choices, chat.

import fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

import { Child, until } from '../flow/lib/process.mjs';
import { clientEnv, clientsDir } from './common.mjs';
import { LspClient } from './lsp.mjs';

const START_MS = 30000;
const ANSWER_MS = 60000;
const EDITOR = {
  editorInfo: { name: 'vscode', version: '1.105.0' },
  editorPluginInfo: { name: 'copilot-chat', version: '0.42.0' },
};

function environment(options) {
  const base =
    options.mode === 'proxy'
      ? {}
      : {
          GH_COPILOT_API_URL: options.baseUrl,
          GH_COPILOT_SERVER_URL: options.baseUrl,
        };
  return clientEnv(options, { GH_COPILOT_TOKEN: options.token, ...base });
}

function settings(options) {
  const http =
    options.mode === 'proxy'
      ? { proxy: options.proxyUrl, proxyStrictSSL: true }
      : { proxyStrictSSL: true };
  return {
    http,
    telemetry: { telemetryLevel: options.telemetry ?? 'off' },
    ...options.settings,
  };
}

export class LanguageServer {
  constructor(options, program) {
    this.options = options;
    fs.mkdirSync(options.home, { recursive: true });
    this.folder = pathToFileURL(options.home).href;
    this.child = new Child(program, ['--stdio'], {
      env: environment(options),
      cwd: options.home,
      input: 'pipe',
      t: options.t,
    });
    this.lsp = new LspClient(this.child, {
      'workspace/configuration': ({ items }) => items.map(() => null),
      'conversation/context': () => [],
      'conversation/invokeClientToolConfirmation': () => ({ result: 'accept' }),
    });
    this.documents = 0;
    this.turns = 0;
  }

  async initialize() {
    await this.lsp.request(
      'initialize',
      {
        processId: process.pid,
        rootUri: this.folder,
        workspaceFolders: [{ uri: this.folder, name: 'home' }],
        capabilities: { workspace: { workspaceFolders: true } },
        initializationOptions: EDITOR,
      },
      START_MS,
    );
    this.lsp.notify('initialized', {});
    this.lsp.notify('workspace/didChangeConfiguration', {
      settings: settings(this.options),
    });
    return this;
  }

  /** {status: 'OK'|'NotSignedIn'|…, user}. */
  status() {
    return this.lsp.request('checkStatus', {}, START_MS);
  }

  /** Signs in by device code; resolves to the status after it. */
  async signIn() {
    const start = await this.lsp.request('signIn', {}, START_MS);
    if (start.status === 'OK' || start.status === 'AlreadySignedIn')
      return start;
    return this.lsp.request(
      'workspace/executeCommand',
      start.command,
      ANSWER_MS,
    );
  }

  models() {
    return this.lsp.request('copilot/models', {}, ANSWER_MS);
  }

  /**
   * Completes text at its end (or at {line, character}): the list of inserted
   * texts. Rejects when the server reports an error. options: position,
   * language, automatic (as if typed, not asked for), timeoutMs,
   * left (a promise: when it resolves, the person types on, and this rejects
   * with code -32800).
   */
  async complete(text, options = {}) {
    const uri = pathToFileURL(
      path.join(this.options.home, `file${this.documents++}.js`),
    ).href;
    const lines = text.split('\n');
    const position = options.position ?? {
      line: lines.length - 1,
      character: lines.at(-1).length,
    };
    this.lsp.notify('textDocument/didOpen', {
      textDocument: {
        uri,
        languageId: options.language ?? 'javascript',
        version: 1,
        text,
      },
    });
    const result = await this.lsp.request(
      'textDocument/inlineCompletion',
      {
        textDocument: { uri, version: 1 },
        position,
        // 1: invoked by hand, which asks for three choices.
        context: { triggerKind: options.automatic ? 2 : 1 },
        formattingOptions: { tabSize: 2, insertSpaces: true },
      },
      options.timeoutMs ?? ANSWER_MS,
      options.left,
    );
    return (result?.items ?? []).map((item) => item.insertText);
  }

  /**
   * One chat turn with a model of the list: {text, error, notes, reports,
   * conversationId, turnId}. error is what the user would see instead; notes
   * are its notifications. conversation: a former result, to go on with
   * it; left: a promise, when it resolves the person leaves.
   */
  async chat(prompt, options = {}) {
    const token = `turn-${++this.turns}`;
    const reports = [];
    let ended;
    const finished = new Promise((resolve) => (ended = resolve));
    const listener = ({ method, params }) => {
      if (method !== '$/progress' || params.token !== token) return;
      reports.push(params.value);
      if (params.value.kind === 'end') ended(params.value);
    };
    this.lsp.listeners.add(listener);
    const timeoutMs = options.timeoutMs ?? ANSWER_MS;
    const timer = setTimeout(() => ended(null), timeoutMs);
    options.left?.then(() => this.cancel(token));
    try {
      const created = await this.startTurn(token, prompt, options, timeoutMs);
      const end = await finished;
      return { ...summary(reports), ...created, timedOut: end === null };
    } catch (error) {
      return {
        ...summary(reports),
        error: { message: error.message, code: error.code },
      };
    } finally {
      clearTimeout(timer);
      this.lsp.listeners.delete(listener);
    }
  }

  cancel(token) {
    this.lsp.notify('window/workDoneProgress/cancel', { token });
  }

  startTurn(token, prompt, options, timeoutMs) {
    const common = {
      workDoneToken: token,
      source: 'panel',
      chatMode: options.chatMode ?? 'Ask',
      model: options.model,
      modelInfo: { id: options.model },
      workspaceFolder: this.folder,
    };
    const before = options.conversation;
    return before
      ? this.lsp.request(
          'conversation/turn',
          { ...common, conversationId: before.conversationId, message: prompt },
          timeoutMs,
        )
      : this.lsp.request(
          'conversation/create',
          {
            ...common,
            turns: [{ request: prompt }],
            capabilities: { skills: [], allSkills: false },
          },
          timeoutMs,
        );
  }

  /** What the server logged: window/logMessage and standard error. */
  log() {
    const lines = this.lsp.notifications
      .filter((n) => n.method === 'window/logMessage')
      .map((n) => n.params.message);
    return [...lines, this.child.stderr].join('\n');
  }

  /** Ends it the way an editor does, then by signal. */
  async stop() {
    if (this.child.running) {
      await this.lsp.request('shutdown', null, 3000).catch(() => {});
      this.lsp.notify('exit', null);
      await until(() => !this.child.running, 'exit', 2000).catch(() => {});
    }
    return this.child.stop();
  }
}

function summary(reports) {
  const rounds = reports.flatMap((r) => r.editAgentRounds ?? []);
  const text =
    reports.map((r) => r.reply ?? '').join('') +
    rounds.map((r) => r.reply ?? '').join('');
  const end = reports.find((r) => r.kind === 'end');
  return {
    text,
    error: end?.error ?? null,
    notes: reports.flatMap((r) => r.notifications ?? []),
    tools: rounds.flatMap((r) => r.toolCalls ?? []),
    reports,
  };
}

/** Starts and initializes the server; options as in common.mjs. */
export async function startLanguageServer(options) {
  const program = path.join(
    await clientsDir(),
    '@github/copilot-language-server-linux-x64/copilot-language-server',
  );
  return new LanguageServer(options, program).initialize();
}
