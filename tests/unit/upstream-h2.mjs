// SPDX-License-Identifier: Apache-2.0
// An HTTP/2 server that the upstream test drives by path: answers, resets,
// stalls. Arguments: certificate, key. Prints its port, then a line a session.
import { readFileSync } from 'node:fs';
import http2 from 'node:http2';

const [cert, key] = process.argv.slice(2).map((path) => readFileSync(path));
const server = http2.createSecureServer({ cert, key, allowHTTP1: false });
const paths = {
  '/plain': (stream) => {
    stream.respond({ ':status': 200, 'x-a': '1' });
    stream.end('hello');
  },
  '/informed': (stream) => {
    stream.additionalHeaders({ ':status': 103, link: '</x>' });
    stream.respond({ ':status': 200 }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-trailer': '1' }));
    stream.end('ok');
  },
  '/none': (stream) => stream.respond({ ':status': 204 }, { endStream: true }),
  '/echo': (stream) => {
    stream.respond({ ':status': 200 });
    stream.pipe(stream);
  },
  '/large': (stream) => {
    const block = Buffer.alloc(65536, 'x');
    let left = 64;
    const more = () => {
      while (left > 0) {
        left -= 1;
        if (!stream.write(block)) {
          stream.once('drain', more);
          return;
        }
      }
      stream.end();
    };
    stream.respond({ ':status': 200 });
    more();
  },
  '/reset-head': (stream) => stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR),
  '/refused': (stream) => {
    if (stream.session.refusedOne) {
      paths['/plain'](stream);
      return;
    }
    for (const session of sessions) session.refusedOne = true;
    refusals += 1;
    stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
  },
  '/reset-body': (stream) => {
    stream.respond({ ':status': 200, 'content-length': 100 });
    stream.write('hello');
    setTimeout(() => stream.close(http2.constants.NGHTTP2_CANCEL), 20);
  },
  '/short': (stream) => {
    stream.respond({ ':status': 200 });
    stream.write('hello');
    setTimeout(() => stream.session.destroy(), 20);
  },
  '/stall': (stream) => stream.respond({ ':status': 200 }),
};
const sessions = new Set();
let refusals = 0;

server.on('session', (session) => {
  if (refusals > 0) session.refusedOne = true;
  sessions.add(session);
  session.on('close', () => sessions.delete(session));
  session.on('error', () => {});
  console.log('session');
});
server.on('stream', (stream, headers) => {
  stream.on('error', () => {});
  console.log(`request ${headers[':method']} ${headers[':path']}`);
  (paths[headers[':path']] ?? paths['/plain'])(stream);
});
server.on('sessionError', () => {});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.on('end', () => process.exit(0));
process.stdin.resume();
