// SPDX-License-Identifier: Apache-2.0
// The machine's own configuration folder, as a test would have it: in a mount
// namespace, where this machine allows that.

import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

import { agentProgram, configText } from './agent.mjs';
import { tempDir } from './process.mjs';

/** The folder that this build reads the machine's files from. */
function systemFolder() {
  const text = fs.readFileSync(agentProgram()).toString('latin1');
  return /(\/[\w./-]+)\/hoop-agent\/managed\.conf/.exec(text)[1];
}

export const SYSTEM = systemFolder();

/** A command prefix: what runs behind it sees dir's files in SYSTEM. */
export function inside(dir) {
  const script =
    'mount -t overlay none -o "lowerdir=$1:$2" "$2" 2>/dev/null || ' +
    '{ test -d "$2/hoop-agent" && mount --bind "$1/hoop-agent" "$2/hoop-agent"; } || ' +
    'exit 77; shift 2; exec "$@"';
  return [
    'unshare',
    ...['-m', '--propagation', 'private'],
    ...['sh', '-c', script, 'sh', dir, SYSTEM],
  ];
}

/** The same, and what is put into dir/hoop-agent later is seen at once. */
export function insideLive(dir) {
  const script =
    'mount --bind "$1/hoop-agent" "$2/hoop-agent" || exit 77; shift 2; exec "$@"';
  return [...inside(dir), 'sh', '-c', script, 'sh', dir, SYSTEM];
}

/** A folder that stands in for the machine's, with these files. */
export function machine(t, files) {
  const dir = tempDir(t, 'hoop-machine-');
  fs.mkdirSync(path.join(dir, 'hoop-agent'));
  for (const [name, sections] of Object.entries(files))
    fs.writeFileSync(
      path.join(dir, 'hoop-agent', name),
      typeof sections === 'string' ? sections : configText(sections),
    );
  fs.chmodSync(dir, 0o755);
  return dir;
}

export function whyNot() {
  if (fs.existsSync(path.join(SYSTEM, 'hoop-agent')))
    return `${SYSTEM}/hoop-agent is in use here`;
  const dir = fs.mkdtempSync('/tmp/hoop-machine-');
  try {
    fs.mkdirSync(path.join(dir, 'hoop-agent'));
    const [command, ...args] = inside(dir);
    const { status } = spawnSync(command, [
      ...args,
      'test',
      '-d',
      `${SYSTEM}/hoop-agent`,
    ]);
    return status === 0 ? false : 'no mount namespaces here (needs root)';
  } finally {
    fs.rmSync(dir, { recursive: true });
  }
}
