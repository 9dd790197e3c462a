// SPDX-License-Identifier: Apache-2.0
// The official JSON schema of SARIF 2.1.0 (OASIS), from npm, where a package
// carries it; installed once, outside the source tree, never committed.

import { execFile } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const PACKAGE = '@microsoft/jest-sarif';
const VERSION = '1.0.0-beta.0';
const SCHEMA = 'lib/schemas/sarif-2.1.0-rtm.5.json';
const INSTALL_MS = 90_000;

const run = promisify(execFile);

const schemaOf = (dir) => path.join(dir, 'node_modules', PACKAGE, SCHEMA);

async function install(cache, dir) {
  fs.mkdirSync(cache, { recursive: true });
  const fresh = fs.mkdtempSync(path.join(cache, 'schema-'));
  try {
    fs.writeFileSync(
      path.join(fresh, 'package.json'),
      JSON.stringify({ private: true, dependencies: { [PACKAGE]: VERSION } }),
    );
    const quiet = ['--no-audit', '--no-fund', '--no-progress', '--loglevel=error'];
    const bounds = ['--no-package-lock', '--ignore-scripts', '--fetch-retries=1'];
    await run('npm', ['install', '--prefix', fresh, ...bounds, ...quiet], {
      timeout: INSTALL_MS,
    });
    fs.renameSync(fresh, dir);
  } catch (error) {
    fs.rmSync(fresh, { recursive: true, force: true });
    // Another test may have been first.
    if (!fs.existsSync(schemaOf(dir))) throw error;
  }
}

/** A function that returns what the schema has against a document (a list). */
export async function sarifSchema() {
  const root = process.env.XDG_CACHE_HOME ?? path.join(os.homedir(), '.cache');
  const cache = path.join(root, 'hoop-agent-tests');
  const dir = path.join(cache, `sarif-${VERSION}`);
  if (!fs.existsSync(schemaOf(dir))) await install(cache, dir);
  const load = createRequire(path.join(dir, 'package.json'));
  const ajv = new (load('ajv'))({ allErrors: true, schemaId: 'auto' });
  ajv.addMetaSchema(load('ajv/lib/refs/json-schema-draft-04.json'));
  const validate = ajv.compile(JSON.parse(fs.readFileSync(schemaOf(dir), 'utf8')));
  return (document) =>
    validate(document) ? [] : validate.errors.map((one) => `${one.dataPath}: ${one.message}`);
}
