// What the Tunes tab does in the browser: which of its three views is seen, finding and choosing styles, what is refused
// beside its field, and the photos of a tune that is not asked for yet, kept for a reload.
(() => {
  const $ = (query, root = document) => root.querySelector(query);
  const all = (query, root = document) => [...root.querySelectorAll(query)];
  const tickets = {};
  const FIELDS = { class_name: 'class', crops: 'photos' };
  const PLACES = { new: '#tunes-new', more: '#tune-more' };
  const wanted = new URLSearchParams(location.search).get('tune') || '';

  const uuid = () => {
    if (crypto.randomUUID) return crypto.randomUUID();
    const bytes = crypto.getRandomValues(new Uint8Array(16)); // pages without TLS have no randomUUID
    bytes[6] = (bytes[6] & 15) | 64;
    bytes[8] = (bytes[8] & 63) | 128;
    return [...bytes].map((byte, at) => ([4, 6, 8, 10].includes(at) ? '-' : '') + byte.toString(16).padStart(2, '0')).join('');
  };
  const store = (key, value) => {
    try {
      if (value === undefined) return sessionStorage.getItem(key) || '';
      sessionStorage.setItem(key, value);
    } catch { /* a browser that keeps nothing still shows everything */ }
    return '';
  };

  // --- styles: found by words and shelf, at most so many chosen ---
  const find = picker => {
    const words = $('[data-find-style]', picker).value.toLowerCase().split(/\s+/).filter(Boolean);
    const shelf = $('[data-shelf][aria-pressed=true]', picker).dataset.shelf;
    let seen = 0;
    for (const chip of all('[data-style]', picker)) {
      const chosen = chip.getAttribute('aria-pressed') === 'true';
      const fits = shelf === '*' ? chosen : !shelf || chip.dataset.shelfOf === shelf;
      chip.hidden = !(fits && words.every(word => chip.dataset.words.includes(word)));
      if (!chip.hidden) seen += 1;
    }
    $('.none', picker).hidden = seen > 0;
  };
  const choose = chip => {
    const picker = chip.closest('.picker');
    const on = chip.getAttribute('aria-pressed') !== 'true';
    const before = all('[data-style][aria-pressed=true]', picker).length;
    const count = $('.chosen', picker);
    if (on && before >= Number(picker.dataset.most)) { // a ninth has to wait for another one's place
      count.classList.add('full');
      setTimeout(() => count.classList.remove('full'), 1200);
      return;
    }
    chip.setAttribute('aria-pressed', on);
    count.textContent = count.dataset.says.replace('#', before + (on ? 1 : -1));
    window.likeness.tell('tune_style', { style: chip.dataset.style });
  };
  document.addEventListener('click', event => {
    const chip = event.target.closest('[data-style]');
    if (chip) choose(chip);
    const shelf = event.target.closest('[data-shelf]');
    if (shelf) {
      for (const one of all('[data-shelf]', shelf.parentElement)) one.setAttribute('aria-pressed', one === shelf);
      find(shelf.closest('.picker'));
    }
  });
  document.addEventListener('input', event => { if (event.target.matches?.('[data-find-style]')) find(event.target.closest('.picker')); });
  document.addEventListener('change', event => {
    const { change, photo } = event.target.dataset || {};
    if (change) window.likeness.tell(change, { photo, value: event.target.value });
  });

  // --- what was refused: said beside the field that it is about, wherever that is folded away ---
  const clear = root => {
    all('.at-field', root).forEach(one => one.remove());
    all('[aria-invalid=true]', root).forEach(one => one.removeAttribute('aria-invalid'));
  };
  const place_refusal = kind => {
    const said = $(`#refused-${kind} p[data-field]`);
    const name = said && (FIELDS[said.dataset.field] || said.dataset.field);
    const field = name && $(`#${kind}-${name}`);
    if (!field || said.hidden) return;
    said.hidden = true;
    const fold = field.closest('.gr-accordion');
    const closed = fold && $('.label-wrap:not(.open)', fold);
    if (closed) closed.click();
    setTimeout(() => {
      clear($(PLACES[kind]));
      const line = document.createElement('p');
      line.className = 'fault at-field';
      line.id = `refused-${kind}-at-field`;
      line.setAttribute('role', 'alert');
      line.textContent = said.textContent;
      field.append(line);
      const box = $('textarea, input', field);
      box?.setAttribute('aria-invalid', 'true');
      box?.setAttribute('aria-describedby', line.id);
      box?.focus({ preventScroll: true });
      field.scrollIntoView({ block: 'center', behavior: 'smooth' });
    }, closed ? 200 : 0);
  };
  document.addEventListener('input', event => {
    for (const kind in PLACES) if (event.target.closest?.(PLACES[kind])) clear($(PLACES[kind]));
  });
  const show_window = () => {
    const window_ = $('#tune-doom');
    if (!window_ || window_.open || 'shown' in window_.dataset) return;
    window_.dataset.shown = ''; // once: what was closed stays closed
    window_.showModal();
    $('[data-close]', window_)?.focus();
  };
  const begin = () => new MutationObserver(records => {
    show_window();
    for (const kind in PLACES) if (records.some(one => one.target.closest?.(`#refused-${kind}`))) place_refusal(kind);
  }).observe(document.body, { childList: true, subtree: true });
  if (document.body) begin(); else document.addEventListener('DOMContentLoaded', begin);

  // --- what Gradio's events call ---
  window.likenessTunes = {
    wanted: () => wanted,
    show: place => {
      const seen = place === '' ? 'all' : place === 'new' ? 'new' : 'one';
      if (document.body.dataset.tunes === seen && document.body.dataset.tune === place) return;
      Object.assign(document.body.dataset, { tunes: seen, tune: place });
      const url = new URL(location);
      if (place) url.searchParams.set('tune', place); else url.searchParams.delete('tune');
      history.replaceState(null, '', url);
      scrollTo({ top: 0 });
    },
    keep: text => { store('likeness.draft', text); },
    kept: () => store('likeness.draft'),
    ticket: kind => (tickets[kind] ||= uuid()),
    asked: (kind, refused) => {
      if (!refused) { delete tickets[kind]; clear($(PLACES[kind]) || document); return; }
      const said = $(`#refused-${kind} p[data-field]`);
      if (said) { said.hidden = false; place_refusal(kind); } // the same sentence again is no change that is observed
    },
  };
})();
