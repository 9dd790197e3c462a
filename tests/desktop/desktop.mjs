// SPDX-License-Identifier: Apache-2.0
// A real desktop without a screen: XFCE's panel, window manager and
// notification server under Xvfb, looked at by screenshots and clicked where
// text or a colour was found; no fixed coordinates.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

import { agentProgram, Child, until } from '../flow/lib/harness.mjs';

const NOTIFYD = [
  '/usr/lib/x86_64-linux-gnu/xfce4/notifyd/xfce4-notifyd',
  '/usr/lib/aarch64-linux-gnu/xfce4/notifyd/xfce4-notifyd',
];
const NEEDED = ['Xvfb', 'xfwm4', 'xfce4-panel', 'xdotool', 'import', 'convert', 'tesseract', 'xterm'];
/** The text is read better when it is larger. */
const SCALE = 3;
const LOOK_MS = 30000;
const WIDTH = 1000;
const HEIGHT = 700;

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
  if (!NOTIFYD.some((file) => fs.existsSync(file))) absent.push('xfce4-notifyd');
  return absent.length ? absent.join(', ') : undefined;
}

export class Desktop {
  /** agent: whose environment the tray shares. shots: where pictures go. */
  constructor(t, agent, shots) {
    this.t = t;
    this.agent = agent;
    this.shots = shots;
    this.env = { ...agent.env, GDK_BACKEND: 'x11', TERMINAL: 'xterm', NO_AT_BRIDGE: '1' };
    this.number = 0;
  }

  child(file, args = []) {
    return new Child(file, args, { env: this.env, t: this.t });
  }

  async start() {
    const bus = this.child('dbus-daemon', ['--session', '--nofork', '--print-address']);
    await until(() => bus.stdout.includes('\n'), 'a session bus');
    this.env.DBUS_SESSION_BUS_ADDRESS = bus.stdout.trim();
    const screen = this.child('Xvfb', ['-displayfd', '1', '-screen', '0', `${WIDTH}x${HEIGHT}x24`, '-nolisten', 'tcp']);
    await until(() => screen.stdout.includes('\n'), 'a display');
    this.env.DISPLAY = `:${screen.stdout.trim()}`;
    this.child('xfwm4');
    this.startPanel();
    this.startNotifications();
    await until(() => this.owns('StatusNotifierWatcher') && this.owns('freedesktop.Notifications'), 'panel and notification server', LOOK_MS, 200);
    return this;
  }

  /** True when a name like this has an owner on the session bus. */
  owns(name) {
    return this.tool('dbus-send', '--session', '--print-reply', '--dest=org.freedesktop.DBus', '/', 'org.freedesktop.DBus.ListNames').includes(name);
  }

  startPanel() {
    this.panel = this.child('xfce4-panel', ['--disable-wm-check']);
  }

  startNotifications() {
    this.notifyd = this.child(NOTIFYD.find((file) => fs.existsSync(file)));
  }

  startTray() {
    this.tray = this.child(path.join(path.dirname(agentProgram()), 'hoop-agent-tray'));
    return this.tray;
  }

  tool(file, ...args) {
    return execFileSync(file, args, { env: this.env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  }

  /** A picture of the whole screen; named ones are kept. */
  shot(name) {
    const file = path.join(this.shots, `${name ?? 'look'}.png`);
    this.tool('import', '-display', this.env.DISPLAY, '-window', 'root', file);
    return file;
  }

  /** Where each word stands: {text, x, y} of its middle. Light text on dark is
   * read as a negative in two tones. */
  words(negative = false) {
    const large = path.join(this.shots, 'large.png');
    this.tool('convert', this.shot(), '-colorspace', 'Gray', '-resize', `${SCALE * 100}%`, ...(negative ? ['-threshold', '60%', '-negate'] : []), large);
    const rows = this.tool('tesseract', large, '-', '--psm', '11', 'tsv').split('\n');
    return rows
      .map((row) => row.split('\t'))
      .filter((cells) => cells.length === 12 && cells[11].trim())
      .map((cells) => ({
        text: cells[11].trim(),
        x: Math.round((Number(cells[6]) + Number(cells[8]) / 2) / SCALE),
        y: Math.round((Number(cells[7]) + Number(cells[9]) / 2) / SCALE),
      }));
  }

  /** Waits for a word that matches. */
  async word(pattern) {
    let found;
    let last = [];
    let looks = 0;
    await until(
      () => {
        last = this.words(looks++ % 2 === 1);
        found = last.find((word) => pattern.test(word.text));
        return found;
      },
      `${pattern} on the screen`,
      LOOK_MS,
      200,
    ).catch((error) => {
      this.shot('missing');
      assert.fail(`${error.message}; read: ${last.map((word) => word.text).join(' ')}`);
    });
    return found;
  }

  /** The middle of all pixels of this colour, or undefined. */
  colour(hex) {
    const rgb = execFileSync('convert', [this.shot(), '-depth', '8', 'rgb:-'], { maxBuffer: 16 << 20 });
    const wanted = Buffer.from(hex, 'hex');
    const pixels = [];
    for (let at = 0; at < rgb.length; at += 3)
      if (wanted.equals(rgb.subarray(at, at + 3)))
        pixels.push([(at / 3) % WIDTH, Math.floor(at / 3 / WIDTH)]);
    if (pixels.length < 10) return undefined;
    const middle = (axis) => Math.round(pixels.reduce((sum, pixel) => sum + pixel[axis], 0) / pixels.length);
    return { x: middle(0), y: middle(1) };
  }

  async icon(hex) {
    let found;
    await until(() => (found = this.colour(hex)), `an icon of #${hex}`, LOOK_MS, 200);
    return found;
  }

  /** Of the windows that are shown, those whose title matches. */
  windows(title) {
    try {
      return this.tool('xdotool', 'search', '--onlyvisible', '--name', title).trim().split('\n').filter(Boolean);
    } catch {
      return [];
    }
  }

  click({ x, y }, button = 1) {
    this.tool('xdotool', 'mousemove', `${x}`, `${y}`, 'sleep', '0.2', 'click', `${button}`);
  }

  type(text) {
    this.tool('xdotool', 'type', '--delay', '40', text);
    this.tool('xdotool', 'key', 'Return');
  }
}
