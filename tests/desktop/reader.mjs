// SPDX-License-Identifier: Apache-2.0
// What a screen reader is told: the accessible tree of a program, read over
// AT-SPI's own bus as such a reader does.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);
const ACCESSIBLE = 'org.a11y.atspi.Accessible';
const PROPERTIES = 'org.freedesktop.DBus.Properties';
const TEXT = 'org.a11y.atspi.Text';
const REGISTRY = ['org.a11y.atspi.Registry', '/org/a11y/atspi/accessible/root'];
/** AtspiStateType, by bit. */
const STATES = { checked: 4, focused: 12, pressed: 20, sensitive: 24, showing: 25, visible: 30 };
const MAX_NODES = 400;
const CALL_MS = 20000;

async function call(address, args) {
  const { stdout } = await run('busctl', [`--address=${address}`, '--json=short', 'call', ...args], {
    timeout: CALL_MS,
    maxBuffer: 8 << 20,
  });
  return JSON.parse(stdout).data;
}

export class Reader {
  /** Asks a session bus where accessibility's is. */
  static async open(sessionAddress) {
    const reader = new Reader();
    [reader.address] = await call(sessionAddress, ['org.a11y.Bus', '/org/a11y/bus', 'org.a11y.Bus', 'GetAddress']);
    return reader;
  }

  call([dest, path], iface, method, ...args) {
    return call(this.address, [dest, path, iface, method, ...args]);
  }

  async children(ref) {
    const [list] = await this.call(ref, ACCESSIBLE, 'GetChildren');
    return list;
  }

  /** {ref, role, name, focused, sensitive …} of an object as it is now. */
  async look({ ref }) {
    const [[role], [name], [bits]] = await Promise.all([
      this.call(ref, ACCESSIBLE, 'GetRoleName'),
      this.call(ref, PROPERTIES, 'Get', 'ss', ACCESSIBLE, 'Name'),
      this.call(ref, ACCESSIBLE, 'GetState'),
    ]);
    const now = { ref, role, name: name.data };
    for (const [state, bit] of Object.entries(STATES)) now[state] = ((bits[bit >> 5] >>> (bit & 31)) & 1) === 1;
    return now;
  }

  /** The same with its `children`, and theirs. */
  async node(ref, left = { nodes: MAX_NODES }) {
    if (--left.nodes < 0) throw new Error('too many accessible objects');
    const node = await this.look({ ref });
    node.children = [];
    for (const child of await this.children(ref)) node.children.push(await this.node(child, left));
    return node;
  }

  /** The windows of the program of this name, each with all below it, as a list of objects. */
  async objects(program) {
    const list = [];
    const flatten = (node) => {
      list.push(node);
      node.children.forEach(flatten);
    };
    for (const ref of await this.children(REGISTRY)) {
      const [name] = await this.call(ref, PROPERTIES, 'Get', 'ss', ACCESSIBLE, 'Name');
      if (name.data === program) flatten(await this.node(ref));
    }
    return list;
  }

  /** The text that an object would be read as. */
  async text({ ref }) {
    const [{ data: count }] = await this.call(ref, PROPERTIES, 'Get', 'ss', TEXT, 'CharacterCount');
    const [text] = await this.call(ref, TEXT, 'GetText', 'ii', '0', `${count}`);
    return text;
  }

  /** What is selected in it; undefined: nothing. */
  async selection({ ref }) {
    const [count] = await this.call(ref, TEXT, 'GetNSelections');
    if (!count) return undefined;
    const [start, end] = await this.call(ref, TEXT, 'GetSelection', 'i', '0');
    return (await this.call(ref, TEXT, 'GetText', 'ii', `${start}`, `${end}`))[0];
  }
}
