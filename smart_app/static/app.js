/* Every page works without this file: it puts forms into a dialog, moves rows,
   prints, and refuses what belongs to another patient. */
(() => {
  'use strict';
  const dlg = document.getElementById('dlg');
  const body = document.body;
  let opener = null;

  for (const b of document.querySelectorAll('[data-print]')) b.hidden = false;

  // A page brought back from history may show what has ended meanwhile.
  window.addEventListener('pageshow', (e) => { if (e.persisted) location.reload(); });

  const same = (doc) => doc.body.dataset.launch === body.dataset.launch
    && doc.body.dataset.patient === body.dataset.patient;

  async function show(href) {
    const answer = await fetch(href, { credentials: 'same-origin', redirect: 'error' });
    const doc = new DOMParser().parseFromString(await answer.text(), 'text/html');
    const part = doc.querySelector('[data-dialog-body]');
    if (!answer.ok || !part || !same(doc)) throw new Error('not this launch');
    part.classList.remove('sheet');
    dlg.replaceChildren(document.importNode(part, true));
    if (!dlg.open) dlg.showModal();
    ready(dlg);
  }

  function ready(root) {
    for (const form of root.querySelectorAll('[data-pause]')) pause(form);
    for (const form of root.querySelectorAll('[data-order]')) order(form);
  }

  function pause(form) {
    const button = form.querySelector('[data-effect]');
    const date = form.elements.date;
    const words = () => {
      const chosen = form.querySelector('input[name=until]:checked');
      const say = button.dataset;
      let day = chosen ? chosen.dataset.words : '';
      if (chosen && chosen.value === 'date' && date.valueAsDate) {
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

  function order(form) {
    const list = form.querySelector('.order');
    const rows = () => [...list.children];
    form.addEventListener('click', (e) => {
      const button = e.target.closest('[data-move]');
      if (!button) return;
      e.preventDefault();
      const row = button.closest('li');
      const up = button.dataset.move === 'up';
      const other = up ? row.previousElementSibling : row.nextElementSibling;
      if (!other) return;
      if (up) other.before(row); else other.after(row);
      rows().forEach((li, n, all) => {
        li.querySelector('[data-move=up]').disabled = n === 0;
        li.querySelector('[data-move=down]').disabled = n === all.length - 1;
      });
      (button.disabled ? row.querySelector('button:enabled') : button)?.focus();
      const live = document.getElementById('live');
      if (live) live.textContent = `${row.querySelector('.say').textContent}: ${rows().indexOf(row) + 1}`;
    });
  }

  document.addEventListener('click', (e) => {
    const t = e.target.closest('a, button');
    if (!t) return;
    if (t.hasAttribute('data-print')) window.print();
    if (t.hasAttribute('data-close') && dlg?.open) { e.preventDefault(); dlg.close(); }
    if (t.hasAttribute('data-dialog') && dlg && !e.ctrlKey && !e.metaKey && !e.shiftKey) {
      e.preventDefault();
      if (!dlg.open) opener = t;
      show(t.href).catch(() => { location.href = t.href; });
    }
  });
  dlg?.addEventListener('close', () => { dlg.replaceChildren(); opener?.focus(); });
  ready(document);
})();
