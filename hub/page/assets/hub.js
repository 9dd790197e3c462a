// SPDX-License-Identifier: Apache-2.0
// What the page does by itself: it stays up to date, counts down, takes keys.
// Everything else works without it.
'use strict';

(() => {
  const page = document.body.dataset.page;
  const byId = (id) => document.getElementById(id);
  const live = byId('live');

  // ---- times ----

  const clock = new Intl.DateTimeFormat(undefined, {
    day: 'numeric',
    month: 'short',
    hour: '2-digit',
    minute: '2-digit',
  });

  /** The server's words: seconds below two minutes. */
  function leftWords(ms) {
    const s = Math.floor(ms / 1000);
    if (s <= 0) return 'time is up';
    return s < 120 ? `${s} s left` : `${Math.floor(s / 60)} min left`;
  }

  function say(node, text) {
    if (node.textContent !== text) node.textContent = text;
  }

  function tick() {
    for (const node of document.querySelectorAll('[data-deadline]')) {
      const left = Number(node.dataset.deadline) - Date.now();
      say(node, leftWords(left));
      node.closest('.item')?.classList.toggle('urgent', left < 60000);
    }
  }

  function localTimes(root) {
    for (const node of root.querySelectorAll('time[datetime]')) {
      const at = new Date(node.dateTime);
      if (Number.isNaN(at.getTime())) continue;
      node.title = node.textContent;
      node.textContent = clock.format(at);
    }
  }

  // ---- up to date ----

  /** The same page as it is now, as a document; nothing of it runs. */
  function fetchPage() {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open('GET', location.pathname + location.search);
      request.responseType = 'document';
      request.onload = () => {
        const there = request.responseXML;
        if (request.status === 200 && there?.body.dataset.page === page)
          resolve(there);
        else reject(new Error(`status ${request.status}`));
      };
      request.onerror = () => reject(new Error('offline'));
      request.send();
    });
  }

  function replace(id, there) {
    const now = byId(id);
    const next = there.getElementById(id);
    if (!now || !next || now.isEqualNode(next)) return;
    const copy = document.importNode(next, true);
    const focused = now.contains(document.activeElement)
      ? document.activeElement.getAttribute('href')
      : null;
    now.replaceWith(copy);
    localTimes(copy);
    if (focused)
      [...copy.querySelectorAll('a')]
        .find((link) => link.getAttribute('href') === focused)
        ?.focus();
  }

  function replaceHead(there) {
    document.title = there.title;
    const now = byId('count');
    const next = there.getElementById('count');
    if (!now || !next) return;
    now.textContent = next.textContent;
    now.hidden = next.hidden;
  }

  /** What was typed stays while the review waits for this person. */
  function replaceReview(there) {
    const now = byId('review');
    const next = there.getElementById('review');
    if (!now || !next) return;
    const still =
      byId('answer')?.tagName === 'FORM' &&
      there.getElementById('answer')?.tagName === 'FORM';
    for (const part of ['.ask', '.why', ...(still ? [] : ['#answer'])]) {
      const old = now.querySelector(part);
      const fresh = next.querySelector(part);
      if (!old || !fresh) continue;
      const copy = document.importNode(fresh, true);
      localTimes(copy);
      old.replaceWith(copy);
    }
    if (now.dataset.state !== next.dataset.state) {
      now.dataset.state = next.dataset.state;
      say(live, byId('answer').innerText.trim());
    }
  }

  /** At once, then once a second, and less often where nobody looks. */
  let busy = false;
  let again = false;
  async function refresh() {
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    try {
      const there = await fetchPage();
      replaceHead(there);
      if (page === 'inbox') replace('list', there);
      if (page === 'review') replaceReview(there);
      tick();
    } catch {
      // The next event, or the next connection, tries again.
    }
    setTimeout(
      () => {
        busy = false;
        if (!again) return;
        again = false;
        refresh();
      },
      document.hidden ? 5000 : 1000,
    );
  }

  function take(what) {
    if (what === 'away') {
      say(live, 'The hub is out of reach. This page is tried again.');
    } else if (what === 'over') {
      say(live, 'This page is no longer kept up to date: ');
      const link = document.createElement('a');
      link.href = location.pathname;
      link.textContent = 'load it again';
      live.append(link);
    } else {
      say(live, '');
      refresh();
    }
  }

  /** Browsers open few connections to one host: one tab listens for all. */
  function listen() {
    const others = new BroadcastChannel('hoop-hub');
    const tell = (what) => {
      others.postMessage(what);
      take(what);
    };
    const open = () => {
      const events = new EventSource('/events');
      for (const name of ['hello', 'came', 'answered', 'ended'])
        events.addEventListener(name, () => tell('changed'));
      events.addEventListener('error', () =>
        tell(events.readyState === EventSource.CLOSED ? 'over' : 'away'),
      );
      addEventListener('pagehide', () => events.close());
    };
    others.addEventListener('message', ({ data }) => take(data));
    navigator.locks.request('hoop-hub', () => {
      open();
      return new Promise(() => {}); // until the tab is closed
    });
    addEventListener('pageshow', (event) => {
      if (event.persisted) location.reload();
    });
  }

  // ---- keys ----

  function step(selector, by) {
    const all = [...document.querySelectorAll(selector)];
    if (!all.length) return undefined;
    const at = all.findIndex(
      (node) =>
        node === document.activeElement || node.classList.contains('here'),
    );
    const to = at < 0 ? (by > 0 ? 0 : all.length - 1) : at + by;
    return all[Math.min(Math.max(to, 0), all.length - 1)];
  }

  function toMask(by) {
    const mark = step('mark', by);
    if (!mark) return;
    for (const other of document.querySelectorAll('mark.here'))
      other.classList.remove('here');
    mark.classList.add('here');
    mark.scrollIntoView({ block: 'center' });
  }

  const keys = {
    j: () => step('.item > a', 1)?.focus(),
    k: () => step('.item > a', -1)?.focus(),
    n: () => toMask(1),
    p: () => toMask(-1),
    a: () => byId('yes')?.focus(),
    d: () => byId('no')?.focus(),
    r: () => byId('reason')?.focus(),
    w: () => location.assign('/'),
    h: () => location.assign('/history'),
    '/': () => byId('words')?.focus(),
    '?': () => byId('keys').showModal(),
  };

  addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing)
      return;
    const { target } = event;
    if (target.closest('textarea, input, dialog')) {
      if (event.key === 'Escape' && !target.closest('dialog')) target.blur();
      return;
    }
    const key = keys[event.key];
    if (!key) return;
    event.preventDefault();
    key();
  });

  byId('help')?.addEventListener('click', (event) => {
    event.preventDefault();
    byId('keys').showModal();
  });

  // One answer is enough.
  document.addEventListener('submit', (event) => {
    if (event.target.id !== 'answer') return;
    if (event.target.dataset.sent) event.preventDefault();
    event.target.dataset.sent = 'yes';
  });

  localTimes(document);
  tick();
  setInterval(tick, 1000);
  if (byId('count')) listen();
})();
