// What the Tunes tab does in the browser: which of its three views is seen, finding and choosing styles, what is refused
// beside its field, and the photos of a tune that is not asked for yet, kept for a reload.
(() => {
  const $ = (query, root = document) => root.querySelector(query);
  const all = (query, root = document) => [...root.querySelectorAll(query)];
  const tickets = {};
  const FIELDS = { class_name: 'class', crops: 'photos' };
  const PLACES = { new: '#tunes-new', more: '#tune-more' };
  const { remembered, uuid, clear_faults, say_beside, open_once } = window.likeness;

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
    window.likeness.tell('tune_styles', { styles: chosen() });
  };
  const chosen = () => all('#new-styles [data-style][aria-pressed=true]').map(chip => chip.dataset.style).join();
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
  const place_refusal = kind => {
    const said = $(`#refused-${kind} p[data-field]`);
    const name = said && (FIELDS[said.dataset.field] || said.dataset.field);
    const field = name && $(`#${kind}-${name}`);
    if (!field || said.hidden) return;
    say_beside(field, said, `refused-${kind}-at-field`, $(PLACES[kind]), 'center');
  };
  document.addEventListener('input', event => {
    for (const kind in PLACES) if (event.target.closest?.(PLACES[kind])) clear_faults($(PLACES[kind]));
  });
  let grid = ''; // the page of the grid that one went away from: "all tunes" leads back there
  document.addEventListener('click', event => {
    const back = event.target.closest('[data-do=tune_open][data-place=""]');
    if (back && document.body.dataset.tunes !== 'all') back.dataset.place = grid;
  }, true);

  const begin = () => new MutationObserver(records => {
    open_once('#tune-doom', '[data-close]');
    for (const kind in PLACES) if (records.some(one => one.target.closest?.(`#refused-${kind}`))) place_refusal(kind);
  }).observe(document.body, { childList: true, subtree: true });
  if (document.body) begin(); else document.addEventListener('DOMContentLoaded', begin);

  // --- what Gradio's events call ---
  window.likenessTunes = {
    wanted: () => new URL(location).searchParams.get('tune') || '', // of now: connected anew, one stays where one was
    show: place => {
      const seen = place === '' || place.startsWith('older:') ? 'all' : place === 'new' ? 'new' : 'one';
      if (document.body.dataset.tunes === seen && document.body.dataset.tune === place) return;
      if (seen === 'all') grid = place;
      Object.assign(document.body.dataset, { tunes: seen, tune: place });
      const url = new URL(location);
      if (place) url.searchParams.set('tune', place); else url.searchParams.delete('tune');
      history.replaceState(null, '', url);
      scrollTo({ top: 0 });
    },
    keep: text => { remembered(sessionStorage, 'draft', text); },
    kept: () => remembered(sessionStorage, 'draft'),
    styles: told => $('#new-styles .picker') ? chosen() : told,
    ticket: kind => (tickets[kind] ||= uuid()),
    asked: (kind, refused) => {
      if (!refused) { delete tickets[kind]; clear_faults($(PLACES[kind]) || document); return; }
      const said = $(`#refused-${kind} p[data-field]`);
      if (said) { said.hidden = false; place_refusal(kind); } // the same sentence again is no change that is observed
    },
  };
})();
