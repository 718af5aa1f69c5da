/* What htmx does not: the page refuses what is another patient's and is blank when it leaves.
   Every page works without this file. */
(() => {
  'use strict';
  const body = document.body;
  const chart = body.dataset.chart;
  const byId = (id) => document.getElementById(id);
  const dialog = () => byId('dlg');
  let opener = null;
  let away = 0;

  // Nothing is seen once the page is left, nor when it is back.
  addEventListener('pagehide', () => { body.hidden = true; });
  addEventListener('pageshow', (e) => {
    if (e.persisted) location.reload();
    body.hidden = e.persisted;
  });

  function refuse() {
    const notice = byId('wrong');
    body.replaceChildren(notice ? notice.content.cloneNode(true) : '');
    document.title = body.querySelector('h1')?.textContent ?? '';
  }

  // Each answer says by a header whose it is; a fault may say nobody's.
  document.addEventListener('htmx:before:response', (e) => {
    const answer = e.detail.ctx.response;
    const whose = answer.headers.get('CareCue-Chart');
    if (chart && whose !== chart && (whose || answer.status < 400)) {
      e.preventDefault();
      refuse();
    }
  });
  const offline = (on) => { const line = byId('offline'); if (line) line.hidden = !on; };
  document.addEventListener('htmx:error', () => offline(true));
  document.addEventListener('htmx:after:request', () => offline(false));
  const cut = (on) => { offline(on); byId('main')?.toggleAttribute('inert', on); };
  addEventListener('offline', () => cut(true));
  addEventListener('online', () => cut(false));

  // Out of sight for a minute, a page is read again, and so checked.
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) away = Date.now();
    else if (chart && byId('main') && Date.now() - away > 60000 && !dialog()?.open) {
      htmx.ajax('GET', location.pathname, { target: '#main', select: '#main', swap: 'outerMorph' });
    }
  });

  // The server takes the save that was filled in later.
  addEventListener('change', ({ target }) => {
    const turn = target.form?.elements.turn;
    if (turn) turn.value++;
  }, true);

  // What else is being filled in stays.
  document.addEventListener('htmx:before:swap', ({ detail: { ctx, tasks } }) => {
    for (const form of document.querySelectorAll('form.edit')) {
      if (form.contains(ctx.sourceElement)) continue;
      for (const { fragment } of tasks) fragment?.getElementById?.(form.id)?.setAttribute('hx-preserve', '');
    }
  });

  // The focus goes to what is wrong, or to the way on from what was saved in place.
  document.addEventListener('htmx:after:swap', ({ detail: { ctx: { target, request } } }) => {
    const box = dialog();
    const at = target.matches ? target : document.querySelector(target);
    if (box && at === box) {
      if (!box.childElementCount) location.href = request.action;
      else if (!box.open) box.showModal();
      ready(box);
    } else if (at?.id === 'main') box?.close();
    if (document.activeElement === body) document.querySelector('[aria-describedby=flaw], .clash .btn, .undo button, .stop[tabindex]')?.focus();
  });

  function ready(root) {
    for (const button of root.querySelectorAll('[data-print]')) button.hidden = false;
    for (const form of root.querySelectorAll('[data-pause]')) pause(form);
  }

  function pause(form) {
    const button = form.querySelector('[data-effect]');
    const date = form.elements.date;
    const words = () => {
      const chosen = form.querySelector('input[name=until]:checked');
      const say = button.dataset;
      let day = chosen ? chosen.dataset.words : '';
      if (chosen?.value === 'date' && date.valueAsDate) {
        day = date.valueAsDate.toLocaleDateString(document.documentElement.lang,
          { weekday: 'short', month: 'short', day: 'numeric', timeZone: 'UTC' });
      }
      if (day === 'open') button.textContent = say.open;
      else button.textContent = day ? say.effect.replace('{day}', day) : say.plain;
    };
    date.addEventListener('focus', () => {
      form.querySelector('input[name=until][value=date]').checked = true;
      words();
    });
    form.addEventListener('input', words);
    words();
  }

  document.addEventListener('click', (e) => {
    const pressed = e.target.closest('a, button');
    const box = dialog();
    if (!pressed) return;
    if (pressed.hasAttribute('data-print')) print();
    if (box && !box.open && pressed.getAttribute('hx-target') === '#dlg') opener = pressed;
    if (box?.open && pressed.hasAttribute('data-close')) { e.preventDefault(); box.close(); }
  });
  dialog()?.addEventListener('close', () => {
    dialog().replaceChildren();
    (opener?.isConnected ? opener : byId('main'))?.focus();
  });
  ready(document);
})();
