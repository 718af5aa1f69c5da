/* Warns before the session is locked, and locks; only a key or a click is use of the page.
   Not deferred: nothing is laid out before its styles are there. */
addEventListener('DOMContentLoaded', () => {
  'use strict';
  const warning = document.getElementById('idle');
  if (!warning) return;
  const ended = document.getElementById('ended');
  const ending = document.getElementById('ending');
  const where = warning.dataset.session;
  const { body } = document;
  const { chart } = body.dataset;
  let used = Date.now();

  // A form that is being filled in stays: the server keeps it when it is sent.
  const box = () => document.getElementById('dlg');
  const filling = () => box()?.open || document.activeElement?.form?.method === 'post';

  // Behind an open dialog nobody could see it, nor press its button.
  function tell(notice, on) {
    const home = box()?.open ? box() : body;
    if (on && notice.parentNode !== home) home.append(notice);
    notice.hidden = !on;
  }

  async function ask(keep) {
    let answer;
    try {
      answer = await fetch(keep ? `${where}?keep=1` : where, { credentials: 'same-origin', redirect: 'error' });
    } catch {
      return;
    }
    if (answer.status === 401 || answer.status === 403) {
      tell(warning, false);
      tell(ending, false);
      if (filling()) tell(ended, true);
      else location.reload();
      return;
    }
    if (!answer.ok) return;
    const told = await answer.json();
    if (told.chart !== chart) location.reload();
    tell(ending, told.ends_in <= 120);
    tell(warning, told.locks_in <= 120 && ending.hidden);
  }

  function use() {
    if (Date.now() - used < 60000) return;
    used = Date.now();
    ask(true);
  }
  for (const kind of ['keydown', 'pointerdown']) addEventListener(kind, use, { passive: true });
  warning.querySelector('button').addEventListener('click', () => { used = Date.now(); ask(true); });
  setInterval(() => { ask(false); }, 30000);
});
