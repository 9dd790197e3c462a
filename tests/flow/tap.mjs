// SPDX-License-Identifier: Apache-2.0
// A node:test reporter that prints flat TAP, one line a leaf test, so that
// automake counts what really ran, whatever the version of node.

const clean = (text) => String(text).replace(/[\r\n]+/g, ' ').replace(/#/g, '%23');

// node's own sums, which automake makes itself.
const totals = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) /;

function* failure(error) {
  const cause = error?.cause ?? error;
  const text = cause?.stack ?? cause?.message ?? String(cause);
  for (const line of String(text).split('\n').slice(0, 60)) yield `#   ${line}\n`;
}

export default async function* tap(source) {
  const path = [];
  let count = 0;
  for await (const { type, data } of source) {
    if (type === 'test:start') {
      path.length = data.nesting;
      path[data.nesting] = data.name;
      path.fresh = data.nesting;
    } else if (type === 'test:pass' || type === 'test:fail') {
      // A parent reports after its children; only its own failure counts.
      const parent = path.fresh > data.nesting;
      path.fresh = data.nesting;
      const error = data.details?.error;
      const inherited = error?.failureType === 'subtestsFailed';
      if (parent && (type === 'test:pass' || inherited)) continue;
      const name = clean([...path.slice(0, data.nesting), data.name].join(' / '));
      count += 1;
      const skip = data.skip !== undefined ? ` # SKIP ${data.skip === true ? '' : clean(data.skip)}` : '';
      yield `${type === 'test:pass' ? 'ok' : 'not ok'} ${count} - ${name}${skip}\n`;
      if (type === 'test:fail') yield* failure(error);
    } else if (type === 'test:diagnostic' && !totals.test(data.message)) {
      yield `# ${clean(data.message)}\n`;
    }
  }
  yield `1..${count}\n`;
}
