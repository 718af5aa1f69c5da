/* Tells what ends the session, or that its user left it; only a key or a click is use.
   Not deferred: its styles come first. */
addEventListener('DOMContentLoaded', () => {
  'use strict';
  const byId = (id) => document.getElementById(id);
  const [warning, ending, ended, left] = ['idle', 'ending', 'ended', 'left'].map(byId);
  if (!warning) return;
  const where = warning.dataset.session;
  const { body } = document;
  let used = Date.now();

  // A form that is being filled in stays.
  const box = () => byId('dlg');
  const filling = () => box()?.open || document.activeElement?.form?.method === 'post';

  // Behind an open dialog nobody could see it, nor press its button.
  function tell(notice, on) {
    const home = box()?.open ? box() : body;
    if (on && notice.parentNode !== home) home.append(notice);
    notice.hidden = !on;
  }

  async function ask(keep) {
    const answer = await fetch(where + (keep ? '?keep=1' : ''), { redirect: 'error' }).catch(Response.error);
    if ([401, 403].includes(answer.status)) {
      for (const notice of [warning, ending, left]) tell(notice);
      if (filling()) tell(ended, true);
      else location.reload();
      return;
    }
    if (!answer.ok) return;
    const told = await answer.json();
    if (told.chart !== body.dataset.chart) location.reload();
    tell(left, told.left);
    tell(ending, told.ends_in <= 120);
    tell(warning, told.locks_in <= 120 && ending.hidden);
  }

  function use({ target }) {
    if ((!left.hidden || Date.now() - used < 60000) && !target.closest('.watch')) return;
    used = Date.now();
    ask(true);
  }
  for (const kind of ['keydown', 'pointerdown', 'click']) addEventListener(kind, use, { passive: true });
  document.addEventListener('visibilitychange', () => document.hidden || ask());
  setInterval(ask, 30000);
});
