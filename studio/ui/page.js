// What the page does in the browser: keys, the window for one picture, selecting, dropping a picture.
// Texts come from the server, in the reader's language; nothing that people wrote is ever put in as HTML.
(() => {
  const $ = (query, root = document) => root.querySelector(query);
  const all = (query, root = document) => [...root.querySelectorAll(query)];
  const params = new URLSearchParams(location.search);
  let tab = params.get('tab') || '';
  let opening = true;
  const { tell } = window.likenessEars;
  let ticket = '';
  const selected = new Set();

  const remembered = (store, key, value) => {
    try {
      if (value === undefined) return store.getItem('likeness.' + key) || '';
      store.setItem('likeness.' + key, value);
    } catch { /* a browser that keeps nothing still shows everything */ }
    return '';
  };

  const uuid = () => {
    if (crypto.randomUUID) return crypto.randomUUID();
    const bytes = crypto.getRandomValues(new Uint8Array(16)); // pages without TLS have no randomUUID
    bytes[6] = (bytes[6] & 15) | 64;
    bytes[8] = (bytes[8] & 63) | 128;
    const hex = [...bytes].map(byte => byte.toString(16).padStart(2, '0')).join('');
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
  };

  // --- light and dark ---
  const look = () => {
    const forced = params.get('__theme');
    const wanted = forced || remembered(localStorage, 'look');
    if (wanted) document.body.classList.toggle('dark', wanted === 'dark');
  };

  // --- tabs ---
  const open_tab = name => $(`#tab-${name}-button`)?.click();

  // --- selecting in the gallery ---
  const shelf = () => $('#shelf');
  const paint_selection = () => {
    const bar = $('#picked');
    const grid = shelf();
    if (!grid || !bar) return;
    for (const box of all('[data-pick]', grid)) box.checked = selected.has(box.dataset.pick);
    grid.classList.toggle('picking', selected.size > 0);
    bar.hidden = selected.size === 0;
    const count = $('.count', bar);
    const words = selected.size === 1 ? count.dataset.one : count.dataset.many;
    const said = words.replace('{n}', selected.size);
    if (count.textContent !== said) count.textContent = said;
  };
  let anchor = null;
  const pick = (box, range) => {
    const boxes = all('[data-pick]', shelf());
    const at = boxes.indexOf(box);
    const from = range && anchor !== null ? boxes.findIndex(one => one.dataset.pick === anchor) : at;
    for (const one of boxes.slice(Math.min(at, from < 0 ? at : from), Math.max(at, from) + 1)) {
      selected[box.checked ? 'add' : 'delete'](one.dataset.pick);
    }
    anchor = box.dataset.pick;
    paint_selection();
  };
  const picked = what => {
    const ids = [...selected];
    if (what === 'all') all('[data-pick]', shelf()).forEach(box => selected.add(box.dataset.pick));
    if (what === 'none') selected.clear();
    if (what === 'star') tell('star', { ids, on: !ids.every(id => $(`#shelf [data-id="${id}"] .star.on`)) });
    if (what === 'zip') download_zip(ids);
    if (what === 'bin') { tell('bin', { ids }); selected.clear(); }
    paint_selection();
  };
  const download_zip = ids => {
    const form = document.createElement('form');
    form.method = 'post';
    form.action = 'media/zip';
    const field = document.createElement('input');
    field.type = 'hidden';
    field.name = 'ids';
    field.value = ids.join(',');
    form.append(field);
    document.body.append(form);
    form.requestSubmit();
    form.remove();
  };
  const into_frame = form => {
    form.target = 'likeness-zip';
    if ($('iframe[name=likeness-zip]')) return;
    const frame = document.createElement('iframe'); // so that an error does not take the page's place
    frame.name = 'likeness-zip';
    frame.hidden = true;
    frame.title = 'ZIP';
    frame.addEventListener('load', () => { // a ZIP that is saved loads nothing: this is why there is none
      const said = frame.contentDocument?.body.textContent;
      if (said) try { notice(JSON.parse(said).error); } catch { /* what is no answer of ours says nothing */ }
    });
    document.body.append(frame);
  };
  document.addEventListener('submit', event => {
    if (event.target.matches('form[action="media/zip"]')) into_frame(event.target);
  }, true);

  // --- the window for one picture ---
  let shown = { ids: [], at: 0, about: null };
  const viewer = () => $('#viewer');
  const view = async (ids, at) => {
    const window_ = viewer();
    if (!window_ || !ids[at]) return;
    shown = { ids, at, about: null };
    const id = ids[at];
    if (!window_.open) { $('.told-here', window_).replaceChildren(); window_.showModal(); }
    const image = $('figure img', window_);
    image.src = `media/pictures/${id}.png`;
    image.alt = $(`[data-view="${id}"] img`)?.alt || '';
    const [back, on] = all('[data-go]', window_);
    back.disabled = at === 0;
    on.disabled = at === ids.length - 1;
    for (const button of all('[data-do]', window_)) button.dataset.ids = id;
    $('a.download', window_).href = `media/pictures/${id}.png?download`;
    const answer = await fetch(`media/pictures/${id}/about`);
    const about = answer.ok ? await answer.json() : null;
    if (!about || shown.ids[shown.at] !== id) return; // turned over meanwhile
    shown.about = about;
    const list = $('dl', window_);
    list.replaceChildren(...shown.about.pairs.flatMap(([name, value]) => {
      const [dt, dd] = [document.createElement('dt'), document.createElement('dd')];
      dt.textContent = name;
      dd.textContent = value;
      return [dt, dd];
    }));
    paint_star(shown.about.favourite);
    for (const button of all('.acts [data-do], .acts [data-copy]', window_)) {
      const what = 'copy' in button.dataset ? 'copy' : button.dataset.do;
      button.hidden = shown.about.cannot.includes(what);
    }
  };
  const paint_star = on => {
    const star = $('#viewer [data-do=star]');
    star.setAttribute('aria-pressed', on);
    star.dataset.on = on ? '' : '1';
  };
  const ids_in = grid => all('[data-view]', grid).map(button => button.dataset.view);
  const step = by => {
    const at = shown.at + by;
    if (at >= 0 && at < shown.ids.length) view(shown.ids, at);
  };
  const close_viewer = () => { if (viewer()?.open) viewer().close(); };
  const copy = async button => {
    if (!shown.about) return;
    const text = shown.about.parameters;
    try {
      await navigator.clipboard.writeText(text);
    } catch { // a page without TLS has no clipboard
      const area = document.createElement('textarea');
      area.value = text;
      viewer().append(area);
      area.select();
      document.execCommand('copy');
      area.remove();
    }
    const said = $('span', button);
    const before = said.textContent;
    if (before === button.dataset.copy) return;
    said.textContent = button.dataset.copy;
    setTimeout(() => { said.textContent = before; }, 1500);
  };

  // --- doing something with pictures and jobs ---
  const act = button => {
    const { do: what, ids, on } = button.dataset;
    const data = { ...button.dataset, ids: ids ? ids.split(',') : [], on: Boolean(on) };
    const in_viewer = Boolean(button.closest('#viewer'));
    if (what === 'bin' && in_viewer) {
      const left = shown.ids.filter(id => id !== data.ids[0]);
      if (left.length) view(left, Math.min(shown.at, left.length - 1)); else close_viewer();
    }
    if (what === 'star' && in_viewer) paint_star(data.on);
    if (what === 'bin') data.ids.forEach(id => selected.delete(id));
    if (['reuse', 'vary', 'seed', 'start'].includes(what)) close_viewer();
    tell(what, data);
  };

  document.addEventListener('click', event => {
    const at = query => event.target.closest(query);
    let hit;
    if ((hit = at('[data-do]'))) { if (!hit.disabled) act(hit); }
    else if ((hit = at('[data-view]'))) {
      const ids = ids_in(hit.closest('[data-grid]'));
      if (event.shiftKey || event.ctrlKey || event.metaKey) {
        const box = $('[data-pick]', hit.parentElement);
        if (box) { box.checked = !box.checked; pick(box, event.shiftKey); return; }
      }
      view(ids, ids.indexOf(hit.dataset.view));
    }
    else if ((hit = at('[data-pick]'))) pick(hit, event.shiftKey);
    else if ((hit = at('[data-picked]'))) picked(hit.dataset.picked);
    else if ((hit = at('[data-go]'))) step(Number(hit.dataset.go));
    else if ((hit = at('[data-close]'))) hit.closest('dialog').close();
    else if (event.target.matches('dialog')) event.target.close(); // beside the window
    else if ((hit = at('[data-copy]'))) copy(hit);
    else if ((hit = at('[data-tab]'))) open_tab(hit.dataset.tab);
    else if (at('[data-dark]')) {
      const dark = document.body.classList.toggle('dark');
      remembered(localStorage, 'look', dark ? 'dark' : 'light');
    }
  });

  // --- windows with a form: what they say is done once, when it is sent ---
  document.addEventListener('submit', event => {
    const form = event.target.closest('[data-send]');
    if (!form) return;
    event.preventDefault();
    const button = $('[type=submit]', form);
    if (button.disabled) return;
    button.disabled = Boolean(form.closest('dialog')); // the answer is a new window, or none
    const data = Object.fromEntries(new FormData(form));
    tell(form.dataset.send, 'on' in data ? { ...data, on: Boolean(data.on) } : data);
  });
  const open_once = (query, first) => {
    const window_ = $(query);
    if (!window_ || window_.open || 'shown' in window_.dataset) return;
    window_.dataset.shown = ''; // once: what was closed stays closed
    window_.showModal();
    $(first, window_)?.focus();
  };
  const show_window = () => open_once('#deal', 'input:not([type=hidden]), .go');

  // --- the prompt: kept while it is written, and settings pasted into it ---
  const keep_prompt = () => remembered(localStorage, 'prompt', $('#prompt textarea')?.value || '');
  document.addEventListener('input', event => { if (event.target.closest?.('#prompt')) keep_prompt(); });
  document.addEventListener('paste', event => {
    const text = event.clipboardData?.getData('text') || '';
    if (!event.target.closest?.('#prompt') || !/^Steps: \d+, .*Seed: \d+/m.test(text)) return;
    event.preventDefault();
    restore(text);
  }, true);

  // --- what was refused: said beside the field that it is about, wherever that is folded away ---
  const FIELDS = { super_resolution: 'super-resolution', init: 'start-from', mask: 'painter' };
  const clear_faults = root => {
    all('.at-field', root).forEach(one => one.remove());
    all('[aria-invalid=true]', root).forEach(one => one.removeAttribute('aria-invalid'));
  };
  const say_beside = (field, said, id, root, block = 'nearest') => {
    said.hidden = true;
    clear_faults(root);
    const fold = field.closest('.gr-accordion');
    const closed = fold && $('.label-wrap:not(.open)', fold);
    if (closed) closed.click();
    setTimeout(() => {
      clear_faults(root);
      const line = document.createElement('p');
      line.className = 'fault at-field';
      line.id = id;
      line.setAttribute('role', 'alert');
      line.textContent = said.textContent;
      field.append(line);
      const box = $('textarea, input', field);
      box?.setAttribute('aria-invalid', 'true');
      box?.setAttribute('aria-describedby', id);
      box?.focus({ preventScroll: true });
      field.scrollIntoView({ block });
    }, closed ? 200 : 0);
  };
  // The picture to start from, wherever it is folded away; what to draw is said next.
  const show_start = () => {
    window.likeness.unfold(true);
    $('#start-from .label-wrap:not(.open)')?.click();
    setTimeout(() => {
      $('#start-from')?.scrollIntoView({ behavior: 'smooth', block: 'nearest' });
      $('#prompt textarea')?.focus({ preventScroll: true });
    }, 200);
  };
  const clear_refusal = () => clear_faults($('#play') || document);
  const place_refusal = () => {
    const said = $('#refused p[data-field]');
    const field = said && $('#' + (FIELDS[said.dataset.field] || said.dataset.field));
    if (!field || said.hidden) return;
    if (field.closest('#play-form')) window.likeness.unfold(true);
    say_beside(field, said, 'refused-at-field', $('#play') || document);
  };
  document.addEventListener('input', event => { if (event.target.closest?.('#play')) clear_refusal(); });

  // --- numbers typed beside sliders: never past their ends, whose price nobody could say ---
  document.addEventListener('input', event => {
    const field = event.target;
    if (!field.matches?.('#play .head input[type=number]')) return;
    if (field.value !== '' && Number(field.value) > Number(field.max)) field.value = field.max;
    if (field.value === '' || Number(field.value) < Number(field.min)) event.stopPropagation(); // not yet written to its end
  }, true);
  document.addEventListener('focusout', event => {
    const field = event.target;
    if (!field.matches?.('#play .head input[type=number]')) return;
    if (field.value !== '' && Number(field.value) >= Number(field.min)) return;
    field.value = field.min;
    field.dispatchEvent(new Event('input', { bubbles: true }));
  }, true);

  // --- keys ---
  const typing = element => element.matches('input:not([type=checkbox]):not([type=range]), textarea, select, [contenteditable=true]');
  const columns = grid => getComputedStyle(grid).gridTemplateColumns.split(' ').length;
  document.addEventListener('keydown', event => {
    const { key, target } = event;
    const done = () => event.preventDefault();
    if ((event.ctrlKey || event.metaKey) && key === 'Enter') {
      const button = $('#generate');
      if (button && !button.disabled && button.offsetParent) { button.click(); done(); }
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || typing(target)) return;
    if (viewer()?.open) {
      if (key === 'ArrowLeft') { step(-1); done(); }
      if (key === 'ArrowRight') { step(1); done(); }
      if (key === 'f' || key === 'F') { $('#viewer [data-do=star]').click(); done(); }
      if (key === 'Delete') { $('#viewer [data-do=bin]').click(); done(); }
      return; // Escape closes a dialog by itself
    }
    if (key === 'Escape' && selected.size) { picked('none'); done(); return; }
    const cell = target.closest?.('.pic');
    const grid = cell?.closest('[data-grid]');
    if (!grid && key.startsWith('Arrow') && target === document.body && shelf()?.offsetParent) { $('.open', shelf()).focus(); done(); }
    if (!grid) return;
    const cells = all('.pic', grid);
    const moves = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns(grid), ArrowDown: columns(grid) };
    if (key in moves) {
      const to = cells[cells.indexOf(cell) + moves[key]];
      const on = !to && grid === shelf() && $(`.pager [data-place^="${moves[key] > 0 ? 'before' : 'after:'}"]`); // another page
      if (on && !on.disabled) on.click(); else $('.open', to || cell).focus();
      done();
    }
    if (key === 'f' || key === 'F') { $('[data-do=star]', cell).click(); done(); }
    if (key === 'Delete') {
      if (selected.size) picked('bin'); else tell('bin', { ids: [cell.dataset.id] });
      done();
    }
    if (key === 'x' || key === 'X') { $('[data-pick]', cell)?.click(); done(); }
  }, true);

  // --- settings from a picture that is dropped or chosen ---
  const HEAD = 1 << 20; // bytes of a PNG in which its texts mostly stand, before what is drawn
  const settings_in = async body => {
    const answer = await fetch('media/settings', { method: 'POST', body }).catch(() => null);
    return answer && await answer.json().catch(() => null);
  };
  const restore = async file => {
    const part = file.type === 'image/png' && file.size > HEAD && await settings_in(file.slice(0, HEAD));
    const told = part?.fields ? part : await settings_in(file);
    if (told?.fields) tell('restore', told);
    else notice(told?.error || $('.drop')?.dataset.failed || '');
  };
  const dragged_file = event => [...(event.dataTransfer?.types || [])].includes('Files') && !event.target.closest?.('#init, #ground-picture');
  const drop_sign = show => { const sign = $('.drop'); if (sign) sign.hidden = !show; };
  document.addEventListener('dragover', event => {
    if (!dragged_file(event)) { drop_sign(false); return; }
    event.preventDefault();
    drop_sign(Boolean($('#play')));
  });
  document.addEventListener('dragleave', event => { if (!event.relatedTarget) drop_sign(false); });
  document.addEventListener('drop', event => {
    drop_sign(false);
    if (!dragged_file(event)) return;
    event.preventDefault();
    event.stopPropagation();
    const file = event.dataTransfer.files[0];
    if (file) restore(file);
  }, true);
  document.addEventListener('change', event => {
    if (event.target.matches?.('[data-restore]') && event.target.files[0]) {
      restore(event.target.files[0]);
      event.target.value = '';
    }
  });

  // --- what the server has written anew ---
  let fading = 0;
  const show_notice = () => {
    const place = $('#notice');
    if (!place) return;
    place.classList.remove('gone');
    clearTimeout(fading);
    const line = $('.notice', place);
    if (line && viewer()?.open) $('.told-here', viewer()).replaceChildren(line.cloneNode(true));
    const wait = () => {
      fading = setTimeout(() => {
        if ($('.notice:hover, .notice:focus-within')) { wait(); return; }
        place.classList.add('gone');
        $('#viewer .told-here')?.replaceChildren();
      }, 12000);
    };
    wait();
  };
  const notice = text => {
    const place = $('#notice .prose, #notice > div') || $('#notice');
    const line = document.createElement('p');
    line.className = 'notice';
    line.setAttribute('role', 'alert');
    line.textContent = text;
    place.replaceChildren(line);
    show_notice();
  };
  const own_clock = () => {
    for (const time of all('time[datetime]:not([data-own])')) {
      const at = new Date(time.getAttribute('datetime'));
      time.textContent = at.toLocaleString(navigator.language, { dateStyle: 'medium', timeStyle: 'short' });
      time.dataset.own = '';
    }
  };
  const changed = records => {
    if (records.some(one => one.target.closest?.('#notice'))) show_notice();
    if (records.some(one => one.target.closest?.('#init'))) window.likeness.paint();
    if (records.some(one => one.target.closest?.('#refused'))) place_refusal();
    show_window();
    own_clock();
    paint_selection();
    const done = $('#stage [role=progressbar]')?.getAttribute('aria-valuenow');
    const title = done ? `${done}% · Likeness` : 'Likeness'; // for whoever waits in another of the browser's tabs
    if (document.title !== title) document.title = title;
  };
  const begin = () => {
    look();
    new MutationObserver(changed).observe(document.body, { childList: true, subtree: true, characterData: true });
  };
  if (document.body) begin(); else document.addEventListener('DOMContentLoaded', begin);

  // --- the tab one is in, kept in the address ---
  const opened = name => {
    if (opening) return;
    const url = new URL(location);
    url.searchParams.set('tab', name);
    history.replaceState(null, '', url);
    $(`#tab-${name}-button`)?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  };
  // At the click itself: cut off, Gradio tells of none, and when it is connected anew it begins where the address says.
  document.addEventListener('click', event => {
    const button = event.target.closest?.('#tabs > .tab-wrapper button[role=tab]');
    if (button) opened(button.id.replace(/^tab-|-button$/g, ''));
  }, true);

  // --- what Gradio's events call ---
  window.likeness = {
    // For the scripts of other tabs.
    tell,
    remembered, uuid, clear_faults, say_beside, open_once,
    focus: () => remembered(sessionStorage, 'job'),
    look: id => { if (id) remembered(sessionStorage, 'job', id); return id; },
    picked: () => [...selected],
    // What the form asks with, kept so that it is found as it was left; a picture to start from is not.
    asking: (names, form) => {
      const held = Object.fromEntries(names.map((name, at) => [name, form[at]]));
      remembered(localStorage, 'form', JSON.stringify({ ...held, init: null, mask: '' }));
      ticket ||= uuid();
      clear_refusal();
      return [ticket, ...form];
    },
    kept: () => {
      const held = remembered(localStorage, 'form');
      const prompt = remembered(localStorage, 'prompt');
      try { return JSON.stringify({ ...JSON.parse(held || '{}'), prompt }); } catch { return ''; }
    },
    // On a phone the settings are folded away.
    unfold: (on = !$('#play').classList.contains('unfolded')) => {
      $('#play').classList.toggle('unfolded', on);
      $('#unfold').setAttribute('aria-expanded', on);
    },
    // An empty field of the seed is a drawn one; who wants none drawn gets one to begin from.
    seeded: random => random ? null : crypto.getRandomValues(new Uint32Array(1))[0],
    asked: refused => {
      if (refused) {
        const said = $('#refused p[data-field]');
        if (said) { said.hidden = false; place_refusal(); } // the same sentence again is no change that is observed
        return;
      }
      ticket = '';
      if (innerWidth <= 900) $('#play-stage')?.scrollIntoView({ behavior: 'smooth', block: 'start' });
    },
    filled: by => {
      setTimeout(keep_prompt, 300);
      if (by === 'start') { show_start(); return; }
      scrollTo({ top: 0, behavior: 'smooth' });
      $('#generate')?.focus({ preventScroll: true });
    },
    turned: () => { scrollTo({ top: 0 }); $('#shelf .open')?.focus({ preventScroll: true }); },
    wanted: () => new URL(location).searchParams.get('tab') || tab,
    opened,
    ready: () => { opening = false; look(); document.body.dataset.ready = '1'; },
  };
})();
