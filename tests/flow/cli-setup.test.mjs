// SPDX-License-Identifier: Apache-2.0
// setup and its undo, without a daemon: what is written where, that every other
// byte stays, and that the way back ends where it began.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { agentProgram, checkEnv, filesBelow, privateEnv, run, tempDir } from './lib/harness.mjs';

const PORT = 8788;
const CLIENTS = [
  'vscode',
  'neovim',
  'language-server',
  'copilot-cli',
  'claude',
  'codex',
  'openai',
];
const SETTINGS = `// my settings
{
  "editor.fontSize": 13, // small
  "http.proxy": "", /* none */
  "[json]": {
    "editor.tabSize": 2,
  },
  // the last
  "files.eol": "\\n"
}
`;

class Home {
  constructor(t, extra = {}) {
    this.dir = tempDir(t, 'hoop-setup-');
    this.env = privateEnv(this.dir, { ...checkEnv(), ...extra });
  }

  path(name) {
    return path.join(this.dir, name);
  }

  write(name, text, mode = 0o644) {
    const file = this.path(name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, text);
    fs.chmodSync(file, mode);
    return file;
  }

  read(name) {
    return fs.readFileSync(this.path(name), 'utf8');
  }

  async cli(args, options = {}) {
    return run(agentProgram(), args, { env: this.env, cwd: this.dir, ...options });
  }

  async fine(...args) {
    const result = await this.cli(args);
    assert.equal(result.code, 0, result.stdout + result.stderr);
    return result.stdout;
  }

  /** Everything that is the user's: {path: mode and bytes}, folders too. */
  picture() {
    const own = /^(\.local\/(state|share)\/hoop-agent|\.cache|run|tmp)(\/|$)/;
    const all = {};
    const walk = (dir) => {
      for (const entry of fs.readdirSync(dir, { withFileTypes: true })) {
        const file = path.join(dir, entry.name);
        const name = path.relative(this.dir, file);
        if (own.test(name) || name === '.local' || /^\.local\/(state|share)$/.test(name)) continue;
        const stat = fs.lstatSync(file);
        if (entry.isDirectory()) {
          all[name] = 'folder';
          walk(file);
        } else if (entry.isSymbolicLink()) all[name] = `-> ${fs.readlinkSync(file)}`;
        else all[name] = `${(stat.mode & 0o7777).toString(8)} ${fs.readFileSync(file, 'latin1')}`;
      }
    };
    walk(this.dir);
    return all;
  }
}

function furnished(t, extra) {
  const home = new Home(t, extra);
  home.write('.config/Code/User/settings.json', SETTINGS, 0o600);
  home.write('.profile', 'export A=1\n# no line end', 0o640);
  home.write('.bashrc', '# bash\n');
  home.write('.codex/config.toml', 'model = "x"\nmodel_provider = "mine"\n\n[profiles.a]\n', 0o600);
  home.write('.config/hoop-agent/agent.conf', `[listen]\nport=${PORT}\n`);
  return home;
}

for (const client of CLIENTS)
  for (const [kind, make] of [
    ['empty home', (t) => new Home(t)],
    ['home with files', furnished],
  ])
    test(`${client}: set up, again, undone: ${kind}`, async (t) => {
      const home = make(t);
      const before = home.picture();
      const shown = await home.fine('setup', client);
      assert.match(shown, /^--- /m);
      const first = home.picture();
      assert.notDeepEqual(first, before);
      assert.match(await home.fine('setup', client), /nothing to change/);
      assert.deepEqual(home.picture(), first);
      const undone = await home.fine('setup', client, '--undo');
      assert.match(undone, /is taken back/);
      assert.deepEqual(home.picture(), before);
      const again = await home.cli(['setup', client, '--undo']);
      assert.equal(again.code, 1);
      assert.match(again.stderr, /nothing to undo/);
    });

test('all clients together, undone in another order', async (t) => {
  const orders = [CLIENTS, [...CLIENTS].reverse(), ['codex', 'claude', 'openai', 'vscode', 'copilot-cli', 'neovim', 'language-server']];
  for (const make of [(own) => new Home(own), furnished])
    for (const order of orders) {
      const home = make(t);
      const before = home.picture();
      for (const client of CLIENTS) await home.fine('setup', client);
      for (const client of order) await home.fine('setup', client, '--undo');
      assert.deepEqual(home.picture(), before, order.join(' '));
    }
});

test('a connection stays on while another client needs it', async (t) => {
  const home = furnished(t);
  await home.fine('setup', 'codex');
  await home.fine('setup', 'openai');
  await home.fine('setup', 'codex', '--undo');
  assert.match(home.read('.config/hoop-agent/agent.conf'), /\[connection "openai"\]\nenabled=true/);
  const list = JSON.parse(await home.fine('connection', 'list', '--json'));
  assert.equal(list.find((c) => c.name === 'openai').enabled, true);
  await home.fine('setup', 'openai', '--undo');
  assert.equal(home.read('.config/hoop-agent/agent.conf'), `[listen]\nport=${PORT}\n`);
});

test('vscode: comments and formatting stay', async (t) => {
  const home = furnished(t);
  await home.fine('setup', 'vscode');
  assert.equal(
    home.read('.config/Code/User/settings.json'),
    SETTINGS.replace('"http.proxy": ""', `"http.proxy": "http://127.0.0.1:${PORT}"`).replace(
      '"files.eol": "\\n"',
      '"files.eol": "\\n",\n  "http.proxyStrictSSL": true,\n  "http.proxySupport": "override"',
    ),
  );
  const stat = fs.statSync(home.path('.config/Code/User/settings.json'));
  assert.equal(stat.mode & 0o777, 0o600);
});

test('vscode: what the user changes meanwhile stays', async (t) => {
  const home = furnished(t);
  const file = '.config/Code/User/settings.json';
  await home.fine('setup', 'vscode');
  home.write(file, home.read(file).replace('13', '15').replace('// the last', '// edited'), 0o600);
  await home.fine('setup', 'vscode', '--undo');
  assert.equal(home.read(file), SETTINGS.replace('13', '15').replace('// the last', '// edited'));
  await home.fine('setup', 'vscode');
  home.write(file, home.read(file).replace('"override"', '"off"'), 0o600);
  await home.fine('setup', 'vscode', '--undo');
  assert.match(home.read(file), /"http.proxySupport": "off"/);
  assert.match(home.read(file), /"http.proxy": ""/);
  assert.doesNotMatch(home.read(file), /proxyStrictSSL/);
});

test('vscode: a former proxy is told about, broken settings are left alone', async (t) => {
  const home = new Home(t);
  const file = '.config/VSCodium/User/settings.json';
  home.write(file, '{"http.proxy": "http://company:3128"}');
  assert.match(await home.fine('setup', 'vscode'), /"http:\/\/company:3128" so far.*\[upstream\] proxy/);
  await home.fine('setup', 'vscode', '--undo');
  home.write(file, '{"http.proxy": }');
  const result = await home.cli(['setup', 'vscode']);
  assert.equal(result.code, 1);
  assert.match(result.stderr, /settings\.json: line 1: a value was expected: nothing was changed/);
  assert.equal(home.read(file), '{"http.proxy": }');
  assert.ok(!fs.existsSync(home.path('.config/environment.d')));
});

test('the profile is the shell’s own', async (t) => {
  const profiles = {
    '/bin/bash': '.bashrc',
    '/usr/bin/zsh': '.zshrc',
    '/usr/bin/fish': '.config/fish/conf.d/hoop-agent-copilot-cli.fish',
    '/bin/dash': '.profile',
  };
  for (const [shell, file] of Object.entries(profiles)) {
    const home = new Home(t, { SHELL: shell });
    await home.fine('setup', 'copilot-cli');
    assert.match(home.read(file), /HTTPS_PROXY='?http:\/\/127\.0\.0\.1:8788/, shell);
  }
  const home = new Home(t);
  await home.fine('setup', 'claude', '--profile', home.path('mine.sh'));
  assert.match(home.read('mine.sh'), /ANTHROPIC_BASE_URL/);
});

test('the profile works: only the client itself goes through the proxy', async (t) => {
  const home = new Home(t);
  home.write('.profile', "alias copilot='copilot --old'\n");
  home.write('bin/copilot', '#!/bin/sh\necho "copilot $HTTPS_PROXY $1"\n', 0o755);
  await home.fine('setup', 'copilot-cli');
  await home.fine('setup', 'claude');
  const script = '. ./.profile; copilot "a b"; echo "shell $HTTPS_PROXY"; echo "$ANTHROPIC_BASE_URL"';
  for (const shell of [['sh'], ['bash', '-O', 'expand_aliases']]) {
    const out = execFileSync(shell[0], [...shell.slice(1), '-c', script], {
      cwd: home.dir,
      env: { ...home.env, PATH: `${home.path('bin')}:${home.env.PATH}` },
      encoding: 'utf8',
    });
    assert.equal(
      out,
      `copilot http://127.0.0.1:${PORT} a b\nshell \nhttps://localhost:${PORT}/c/anthropic\n`,
    );
  }
});

test('codex: a former provider is set aside and comes back', async (t) => {
  const home = furnished(t);
  await home.fine('setup', 'codex');
  const text = home.read('.codex/config.toml');
  assert.match(text, /^# >>> hoop-agent codex >>>\nmodel_provider = "hoop-agent"\n/);
  assert.match(text, /^# set aside by hoop-agent: model_provider = "mine"$/m);
  assert.match(text, /\[model_providers\.hoop-agent\]\n.*\nbase_url = "https:\/\/127\.0\.0\.1:8788\/c\/openai\/v1"/);
  home.write('.codex/config.toml', `${text}\n[mine]\na = 1\n`, 0o600);
  await home.fine('setup', 'codex', '--undo');
  assert.equal(
    home.read('.codex/config.toml'),
    'model = "x"\nmodel_provider = "mine"\n\n[profiles.a]\n\n[mine]\na = 1\n',
  );
});

test('a link inside the home is followed, one out of it is not', async (t) => {
  const home = new Home(t);
  const outside = tempDir(t, 'hoop-outside-');
  home.write('dotfiles/settings.json', '{}\n', 0o640);
  fs.mkdirSync(home.path('.config/Code/User'), { recursive: true });
  const link = home.path('.config/Code/User/settings.json');
  fs.symlinkSync('../../../dotfiles/settings.json', link);
  const before = home.picture();
  await home.fine('setup', 'vscode');
  assert.ok(fs.lstatSync(link).isSymbolicLink());
  assert.match(home.read('dotfiles/settings.json'), /http\.proxy/);
  assert.equal(fs.statSync(home.path('dotfiles/settings.json')).mode & 0o777, 0o640);
  await home.fine('setup', 'vscode', '--undo');
  assert.deepEqual(home.picture(), before);

  fs.writeFileSync(path.join(outside, 'settings.json'), '{}\n');
  fs.unlinkSync(link);
  fs.symlinkSync(path.join(outside, 'settings.json'), link);
  const refused = await home.cli(['setup', 'vscode']);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /outside your home: nothing was changed/);
  assert.equal(fs.readFileSync(path.join(outside, 'settings.json'), 'utf8'), '{}\n');

  fs.unlinkSync(link);
  fs.symlinkSync('nowhere', link);
  assert.match((await home.cli(['setup', 'vscode'])).stderr, /leads nowhere/);
});

test('a file that is not of this setup is not replaced', async (t) => {
  const home = new Home(t);
  home.write('.config/nvim/plugin/hoop-agent.lua', '-- mine\n');
  const result = await home.cli(['setup', 'neovim']);
  assert.equal(result.code, 1);
  assert.match(result.stderr, /not of this setup/);
  assert.equal(home.read('.config/nvim/plugin/hoop-agent.lua'), '-- mine\n');
});

test('a file of ours that was changed by hand is not removed', async (t) => {
  const home = new Home(t);
  await home.fine('setup', 'neovim');
  home.write('.config/nvim/plugin/hoop-agent.lua', '-- mine now\n');
  const result = await home.cli(['setup', 'neovim', '--undo']);
  assert.equal(result.code, 1);
  assert.match(result.stderr, /was changed since/);
  assert.equal(home.read('.config/nvim/plugin/hoop-agent.lua'), '-- mine now\n');
});

test('undo needs no configuration that loads', async (t) => {
  const home = furnished(t);
  await home.fine('setup', 'copilot-cli');
  home.write('.config/hoop-agent/agent.conf', '[nonsense]\n');
  assert.equal((await home.cli(['setup', 'copilot-cli'])).code, 2);
  await home.fine('setup', 'copilot-cli', '--undo');
  assert.equal(home.read('.profile'), 'export A=1\n# no line end');
});

test('another port: the second setup replaces the first', async (t) => {
  const home = furnished(t);
  const before = home.picture();
  await home.fine('setup', 'vscode');
  await home.fine('setup', 'claude');
  home.write('.config/hoop-agent/agent.conf', home.read('.config/hoop-agent/agent.conf').replace(`${PORT}`, '9999'));
  await home.fine('setup', 'vscode');
  await home.fine('setup', 'claude');
  assert.match(home.read('.config/Code/User/settings.json'), /127\.0\.0\.1:9999/);
  assert.doesNotMatch(home.read('.profile'), /8788/);
  await home.fine('setup', 'vscode', '--undo');
  await home.fine('setup', 'claude', '--undo');
  home.write('.config/hoop-agent/agent.conf', home.read('.config/hoop-agent/agent.conf').replace('9999', `${PORT}`));
  assert.deepEqual(home.picture(), before);
});

test('a connection that agent.conf turns off is left to its owner', async (t) => {
  const home = new Home(t);
  const text = '[connection "anthropic"]\nenabled=false\n';
  home.write('.config/hoop-agent/agent.conf', text);
  const result = await home.cli(['setup', 'claude']);
  assert.equal(result.code, 1);
  assert.match(result.stderr, /set enabled=true there by hand/);
  assert.equal(home.read('.config/hoop-agent/agent.conf'), text);
  assert.ok(!fs.existsSync(home.path('.profile')));
});

test('jetbrains: instructions, nothing written', async (t) => {
  const home = new Home(t);
  const before = home.picture();
  const text = await home.fine('setup', 'jetbrains');
  assert.match(text, /host name 127\.0\.0\.1, port number 8788/);
  assert.match(text, /Server Certificates: add .*ca\.pem/);
  assert.deepEqual(home.picture(), before);
});

test('on a terminal it asks, and no means no', async (t) => {
  const home = new Home(t);
  const before = home.picture();
  // script(1) gives it a terminal.
  const ask = (answer, ...args) =>
    run('script', ['-qec', `${agentProgram()} setup copilot-cli ${args.join(' ')}`, '/dev/null'], {
      env: { ...home.env, TERM: 'xterm' },
      stdin: answer,
    });
  const no = await ask('n\n');
  if (no.error) return t.skip('script(1) is not installed');
  assert.match(no.stdout, /Write this\? \[y\/N\]/);
  assert.match(no.stdout, /\x1b\[32m\+/, 'colours on a terminal');
  assert.equal(no.code, 1);
  assert.deepEqual(home.picture(), before);
  const yes = await ask('y\n');
  assert.equal(yes.code, 0);
  assert.notDeepEqual(home.picture(), before);
  const undone = await ask('', '--undo', '--yes');
  assert.equal(undone.code, 0);
  assert.deepEqual(home.picture(), before);
});

test('the record holds nothing of what stays', async (t) => {
  const home = furnished(t);
  home.write('.profile', 'export TOKEN=made-up-and-private\n');
  for (const client of CLIENTS) await home.fine('setup', client);
  for (const file of filesBelow(home.path('.local/state/hoop-agent'))) {
    assert.ok(!fs.readFileSync(file).includes('made-up-and-private'), file);
    assert.equal(fs.statSync(file).mode & 0o077, 0, file);
  }
});
