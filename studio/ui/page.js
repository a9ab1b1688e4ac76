// What the page does in the browser: keys, the window for one picture, selecting, painting a mask, dropping a picture.
// Texts come from the server, in the reader's language; nothing that people wrote is ever put in as HTML.
(() => {
  const $ = (query, root = document) => root.querySelector(query);
  const all = (query, root = document) => [...root.querySelectorAll(query)];
  const params = new URLSearchParams(location.search);
  let tab = params.get('tab') || '';
  let opening = true;
  let trigger = () => {};
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
    if (what === 'star') trigger('star', { ids, on: true });
    if (what === 'zip') download_zip(ids);
    if (what === 'bin') { trigger('bin', { ids }); selected.clear(); }
    paint_selection();
  };
  const download_zip = ids => {
    const form = document.createElement('form');
    form.method = 'post';
    form.action = 'media/zip';
    form.target = 'likeness-zip';
    const field = document.createElement('input');
    field.type = 'hidden';
    field.name = 'ids';
    field.value = ids.join(',');
    form.append(field);
    if (!$('iframe[name=likeness-zip]')) {
      const frame = document.createElement('iframe'); // so that an error does not take the page's place
      frame.name = 'likeness-zip';
      frame.hidden = true;
      frame.title = 'ZIP';
      document.body.append(frame);
    }
    document.body.append(form);
    form.submit();
    form.remove();
  };

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
    if (!answer.ok || shown.ids[shown.at] !== id) return;
    shown.about = await answer.json();
    const list = $('dl', window_);
    list.replaceChildren(...shown.about.pairs.flatMap(([name, value]) => {
      const [dt, dd] = [document.createElement('dt'), document.createElement('dd')];
      dt.textContent = name;
      dd.textContent = value;
      return [dt, dd];
    }));
    paint_star(shown.about.favourite);
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
    if (['reuse', 'vary', 'seed'].includes(what)) close_viewer();
    trigger(what, data);
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
    trigger(form.dataset.send, 'on' in data ? { ...data, on: Boolean(data.on) } : data);
  });
  const show_window = () => {
    const window_ = $('#deal');
    if (!window_ || window_.open || window_.dataset.shown) return;
    window_.dataset.shown = ''; // once: what was closed stays closed
    window_.showModal();
    $('input:not([type=hidden]), .go', window_)?.focus();
  };

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
    if (!grid) return;
    const cells = all('.pic', grid);
    const moves = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns(grid), ArrowDown: columns(grid) };
    if (key in moves) {
      $('.open', cells[cells.indexOf(cell) + moves[key]] || cell).focus();
      done();
    }
    if (key === 'f' || key === 'F') { $('[data-do=star]', cell).click(); done(); }
    if (key === 'Delete') {
      if (selected.size) picked('bin'); else trigger('bin', { ids: [cell.dataset.id] });
      done();
    }
    if (key === 'x' || key === 'X') { $('[data-pick]', cell)?.click(); done(); }
  }, true);

  // --- settings from a picture that is dropped or chosen ---
  const restore = async file => {
    const answer = await fetch('media/settings', { method: 'POST', body: file }).catch(() => null);
    const told = answer && await answer.json().catch(() => null);
    if (told?.fields) trigger('restore', told);
    else if (told?.error) notice(told.error);
  };
  const dragged_file = event => [...(event.dataTransfer?.types || [])].includes('Files') && !event.target.closest?.('#init');
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

  // --- painting a mask ---
  const painter = { down: false, erase: false, strokes: [], mask: null, at: null };
  const canvas = () => $('#painter canvas');
  const begin_painting = () => {
    const source = $('#init img');
    const box = $('.painter');
    if (!box) return;
    const under = $('.under', box);
    if (!source) { box.hidden = true; clear_painting(); under.removeAttribute('src'); return; }
    if (under.getAttribute('src') === source.src) return;
    box.hidden = false;
    under.src = source.src;
    under.onload = () => {
      const scale = Math.min(1, 1024 / Math.max(under.naturalWidth, under.naturalHeight));
      canvas().width = Math.max(1, Math.round(under.naturalWidth * scale));
      canvas().height = Math.max(1, Math.round(under.naturalHeight * scale));
      clear_painting();
    };
  };
  const brush = () => Number($('[data-brush]').value) * canvas().width / Math.max(canvas().clientWidth, 1);
  const dab = (from, to, erase) => {
    const pen = canvas().getContext('2d');
    pen.globalCompositeOperation = erase ? 'destination-out' : 'source-over';
    pen.strokeStyle = '#1fa37f';
    pen.lineCap = 'round';
    pen.lineWidth = brush();
    pen.beginPath();
    pen.moveTo(from.x, from.y);
    pen.lineTo(to.x + 0.01, to.y);
    pen.stroke();
  };
  const keep_stroke = () => {
    const pen = canvas().getContext('2d');
    painter.strokes = [...painter.strokes.slice(-11), pen.getImageData(0, 0, canvas().width, canvas().height)];
  };
  const hand_mask_over = () => {
    const made = document.createElement('canvas');
    [made.width, made.height] = [canvas().width, canvas().height];
    const pen = made.getContext('2d');
    const image = canvas().getContext('2d').getImageData(0, 0, made.width, made.height);
    let any = false;
    for (let i = 0; i < image.data.length; i += 4) {
      const on = image.data[i + 3] > 127;
      any ||= on;
      image.data[i] = image.data[i + 1] = image.data[i + 2] = on ? 255 : 0;
      image.data[i + 3] = 255;
    }
    pen.putImageData(image, 0, 0);
    set_text('#mask textarea, #mask input', any ? made.toDataURL('image/png') : '');
  };
  const clear_painting = () => {
    canvas()?.getContext('2d').clearRect(0, 0, canvas().width, canvas().height);
    painter.strokes = [];
    set_text('#mask textarea, #mask input', '');
  };
  const set_text = (query, value) => {
    const field = $(query);
    if (!field || field.value === value) return;
    field.value = value;
    field.dispatchEvent(new Event('input', { bubbles: true }));
  };
  const point = event => {
    const box = canvas().getBoundingClientRect();
    return { x: (event.clientX - box.left) * canvas().width / box.width, y: (event.clientY - box.top) * canvas().height / box.height };
  };
  document.addEventListener('pointerdown', event => {
    if (event.target !== canvas()) return;
    keep_stroke();
    painter.down = true;
    painter.at = point(event);
    event.target.setPointerCapture(event.pointerId);
    dab(painter.at, painter.at, painter.erase);
  });
  document.addEventListener('pointermove', event => {
    if (!painter.down) return;
    const to = point(event);
    dab(painter.at, to, painter.erase);
    painter.at = to;
  });
  document.addEventListener('pointerup', () => {
    if (!painter.down) return;
    painter.down = false;
    hand_mask_over();
  });
  document.addEventListener('keydown', event => {
    if (event.target !== canvas()) return;
    const by = canvas().width / 24;
    const moves = { ArrowLeft: [-by, 0], ArrowRight: [by, 0], ArrowUp: [0, -by], ArrowDown: [0, by] };
    painter.at ||= { x: canvas().width / 2, y: canvas().height / 2 };
    if (event.key in moves) {
      const [x, y] = moves[event.key];
      painter.at = { x: painter.at.x + x, y: painter.at.y + y };
      event.preventDefault();
    }
    if (event.key === ' ') {
      keep_stroke();
      dab(painter.at, painter.at, painter.erase);
      hand_mask_over();
      event.preventDefault();
    }
  });
  document.addEventListener('click', event => {
    const at = query => event.target.closest(query);
    let hit;
    if ((hit = at('[data-erase]'))) {
      painter.erase = !painter.erase;
      hit.setAttribute('aria-pressed', painter.erase);
    }
    if (at('[data-undo]')) {
      const last = painter.strokes.pop();
      if (last) { canvas().getContext('2d').putImageData(last, 0, 0); hand_mask_over(); }
    }
    if (at('[data-clear]')) clear_painting();
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
    if (records.some(one => one.target.closest?.('#init'))) begin_painting();
    show_window();
    own_clock();
    paint_selection();
  };
  const begin = () => {
    look();
    new MutationObserver(changed).observe(document.body, { childList: true, subtree: true, characterData: true });
  };
  if (document.body) begin(); else document.addEventListener('DOMContentLoaded', begin);

  // --- what Gradio's events call ---
  window.likeness = {
    listen: to => { trigger = to; },
    focus: () => remembered(sessionStorage, 'job'),
    look: id => { if (id) remembered(sessionStorage, 'job', id); return id; },
    ticket: () => (ticket ||= uuid()),
    asked: () => {
      ticket = '';
      if (innerWidth <= 900) $('#play-stage')?.scrollIntoView({ behavior: 'smooth', block: 'start' });
    },
    filled: () => { scrollTo({ top: 0, behavior: 'smooth' }); $('#generate')?.focus({ preventScroll: true }); },
    turned: () => { scrollTo({ top: 0 }); $('#shelf .open')?.focus({ preventScroll: true }); },
    wanted: () => tab,
    opened: name => {
      if (opening) return;
      const url = new URL(location);
      url.searchParams.set('tab', name);
      history.replaceState(null, '', url);
    },
    ready: () => { opening = false; look(); document.body.dataset.ready = '1'; },
  };
})();
