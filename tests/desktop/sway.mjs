// SPDX-License-Identifier: Apache-2.0
// A second real desktop without a screen: sway with a headless output, waybar's
// tray and mako. sway refuses root, so that the desktop's own programs run as
// nobody there; the tray and what it starts run as the agent's user.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

import { tempDir, until } from '../flow/lib/harness.mjs';
import { Desktop } from './desktop.mjs';
import { Pointer } from './pointer.mjs';

const NEEDED = ['sway', 'waybar', 'mako', 'makoctl', 'grim', 'foot', 'swaymsg', 'setpriv', 'convert', 'tesseract', 'dbus-daemon'];
const NOBODY = 65534;
const SIZE = { width: 1000, height: 700 };
const LOOK_MS = 30000;

const SWAY = `
output * resolution ${SIZE.width}x${SIZE.height} bg #d0d0d0 solid_color
default_border none
xwayland disable
`;
const WAYBAR = { layer: 'top', position: 'top', height: 36, 'modules-right': ['tray'], tray: { 'icon-size': 28 } };
const WAYBAR_STYLE = 'window#waybar { background: #ffffff; } #tray { padding: 0 12px; }';
const MAKO = `
font=DejaVu Sans 14
width=520
height=200
background-color=#ffffffff
text-color=#000000ff
icons=0
default-timeout=0
`;

/** What is not installed, or undefined. */
export function missing() {
  const absent = NEEDED.filter((program) => {
    try {
      execFileSync('which', [program], { stdio: 'ignore' });
      return false;
    } catch {
      return true;
    }
  });
  return absent.length ? absent.join(', ') : undefined;
}

export class Sway extends Desktop {
  async start() {
    const home = tempDir(this.t, 'hoop-sway-');
    this.runtime = path.join(home, 'run');
    const config = path.join(home, 'config');
    for (const dir of [this.runtime, config]) fs.mkdirSync(dir, { mode: 0o700 });
    const write = (name, text) => fs.writeFileSync(path.join(config, name), text);
    write('sway', SWAY);
    write('waybar', JSON.stringify(WAYBAR));
    write('style.css', WAYBAR_STYLE);
    write('mako', MAKO);
    write('bus.conf', busConfig(home));
    fs.chmodSync(home, 0o755);
    this.config = config;
    const bus = this.child('dbus-daemon', [`--config-file=${path.join(config, 'bus.conf')}`, '--nofork', '--print-address']);
    await until(() => bus.stdout.includes('\n'), 'a session bus');
    this.env.DBUS_SESSION_BUS_ADDRESS = bus.stdout.trim();
    if (process.getuid() === 0) {
      fs.chmodSync(path.join(home, 'bus'), 0o666);
      for (const entry of [home, this.runtime, config, ...fs.readdirSync(config).map((name) => path.join(config, name))])
        fs.chownSync(entry, NOBODY, NOBODY);
    }
    this.desk = {
      ...this.env,
      HOME: home,
      XDG_RUNTIME_DIR: this.runtime,
      XDG_CONFIG_HOME: path.join(home, '.config'),
      XDG_CACHE_HOME: path.join(home, '.cache'),
      XDG_STATE_HOME: home,
      XDG_DATA_HOME: home,
      TMPDIR: home,
      WLR_BACKENDS: 'headless',
      WLR_LIBINPUT_NO_DEVICES: '1',
      WLR_RENDERER: 'pixman',
      XDG_SESSION_TYPE: 'wayland',
      GDK_BACKEND: 'wayland',
    };
    delete this.desk.DISPLAY;
    this.compositor = this.desktopChild('sway', ['-c', path.join(config, 'sway')]);
    const display = await until(
      () => fs.readdirSync(this.runtime).find((name) => /^wayland-\d+$/.test(name)),
      'a compositor',
      LOOK_MS,
    );
    this.socket = path.join(this.runtime, display);
    this.desk.WAYLAND_DISPLAY = display;
    this.env.WAYLAND_DISPLAY = this.socket;
    this.env.GDK_BACKEND = 'wayland';
    this.env.TERMINAL = 'foot';
    delete this.env.DISPLAY;
    this.startPanel();
    this.startNotifications();
    await until(() => this.owns('StatusNotifierWatcher') && this.owns('freedesktop.Notifications'), 'panel and notification server', LOOK_MS, 200);
    return this;
  }

  /** One of the desktop's own programs. */
  desktopChild(file, args = []) {
    const root = process.getuid() === 0;
    const words = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', file, ...args];
    const env = this.env;
    this.env = this.desk;
    try {
      return root ? this.child('setpriv', words) : this.child(file, args);
    } finally {
      this.env = env;
    }
  }

  startPanel() {
    this.panel = this.desktopChild('waybar', ['-c', path.join(this.config, 'waybar'), '-s', path.join(this.config, 'style.css')]);
  }

  startNotifications() {
    this.notifyd = this.desktopChild('mako', ['-c', path.join(this.config, 'mako')]);
  }

  shot(name) {
    const file = path.join(this.shots, `${name ?? 'look'}.png`);
    execFileSync('grim', [file], { env: { ...this.desk, XDG_RUNTIME_DIR: this.runtime }, stdio: 'ignore' });
    return file;
  }

  /** One mouse for the whole test: a menu closes when the seat's last goes. */
  async click(at, button = 1) {
    if (!this.pointer) {
      this.pointer = await Pointer.open(this.socket);
      this.t.after(() => this.pointer.close());
    }
    await this.pointer.click(at, SIZE, button);
  }

  has(program) {
    try {
      return Boolean(this.tool('which', program));
    } catch {
      return false;
    }
  }

  /** Takes the mouse off what is to be read. */
  moveAway() {
    this.pointer?.rest({ x: SIZE.width / 2, y: SIZE.height - 20 }, SIZE);
  }

  /** Closes what a review was shown in. */
  closeWindows() {
    const socket = fs.readdirSync(this.runtime).find((name) => name.startsWith('sway-ipc'));
    execFileSync('swaymsg', ['-s', path.join(this.runtime, socket), '[app_id=".*"]', 'kill'], { stdio: 'ignore' });
  }

  /** What mako's own tool does: `dismiss`, `invoke default` … */
  mako(...words) {
    return this.tool('makoctl', ...words);
  }
}

/** A bus of this test that the desktop's user may join, and that starts nothing. */
const busConfig = (home) => `<busconfig><type>session</type>
<listen>unix:path=${path.join(home, 'bus')}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/>
<allow send_type="method_call"/><allow receive_sender="*"/></policy></busconfig>
`;
