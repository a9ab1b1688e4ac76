// What the tool tabs do in the browser: the slider between before and after, files and folders dropped anywhere on a
// tab or chosen, and pictures sent from one place of the page to another.
(() => {
  const $ = (query, root = document) => root.querySelector(query);
  const all = (query, root = document) => [...root.querySelectorAll(query)];
  const tickets = {};
  const TAKEN = /\.(jpe?g|png|webp|hei[cf])$/i;
  const SYSTEMS_OWN = /^(\..*|thumbs\.db|desktop\.ini)$/i; // what systems put into folders, which nobody handed in
  const MOST_NAMED = 5;
  const { uuid } = window.likeness;

  // --- before and after ---
  const places = new Map(); // where each slider stood: what is written anew by the server keeps it
  const slide = range => {
    places.set(range.dataset.compare, range.value);
    range.parentElement.style.setProperty('--at', range.value + '%');
  };
  document.addEventListener('input', event => { if (event.target.matches?.('[data-compare]')) slide(event.target); });
  const keep_places = () => {
    for (const range of all('[data-compare]:not([data-set])')) {
      range.dataset.set = '';
      if (places.has(range.dataset.compare)) { range.value = places.get(range.dataset.compare); slide(range); }
    }
  };

  // --- files and folders, dropped anywhere on a tool's tab or chosen as a folder ---
  const open_tool = () => all('.tool').find(tool => tool.offsetParent);
  const left = files => ({ count: files.length, names: files.slice(0, MOST_NAMED).map(file => file.name) });
  const own = new WeakSet(); // events by which files were handed over: Gradio hears those alone
  const hand_over = (tool, files) => {
    const input = $('.takes-files input[type=file]', tool);
    const { folder: kind, most } = $('[data-folder]', tool)?.dataset || { most: Infinity }; // photos of a tune are counted as they are taken in
    const here = all(`#files-${kind} .file-preview tr, #tray-${kind} li`).length;
    const named = files.filter(file => !SYSTEMS_OWN.test(file.name));
    const pictures = named.filter(file => TAKEN.test(file.name));
    const taken = pictures.slice(0, Math.max(Number(most) - here, 0));
    if (kind) window.likeness.tell('left_out', {
      tool: kind, other: left(named.filter(file => !TAKEN.test(file.name))), more: left(pictures.slice(taken.length)),
    });
    if (!input || !taken.length) return;
    const hold = new DataTransfer();
    taken.forEach(file => hold.items.add(file));
    input.files = hold.files;
    const event = new Event('change', { bubbles: true });
    own.add(event);
    input.dispatchEvent(event);
  };
  document.addEventListener('change', event => {
    const input = event.target;
    if (own.has(event) || !input.matches?.('.tool [id^=files-] input[type=file], [data-folder]')) return;
    event.stopImmediatePropagation();
    const files = [...input.files];
    input.value = ''; // so that the same may be chosen again
    if (files.length) hand_over(input.closest('.tool'), files);
  }, true);
  const inside = async entry => {
    if (entry.isFile) return [await new Promise((done, failed) => entry.file(done, failed))];
    const reader = entry.createReader();
    const found = [];
    for (;;) { // a reader gives a folder in parts
      const part = await new Promise((done, failed) => reader.readEntries(done, failed));
      if (!part.length) break;
      for (const one of part) found.push(...await inside(one));
    }
    return found.sort((one, other) => one.name.localeCompare(other.name));
  };
  const drags_files = event => [...(event.dataTransfer?.types || [])].includes('Files') && open_tool()
    && !event.target.closest?.('#ground-picture');
  window.addEventListener('dragover', event => {
    if (!drags_files(event)) return;
    event.preventDefault();
    event.stopPropagation();
    event.dataTransfer.dropEffect = 'copy';
  }, true);
  window.addEventListener('drop', async event => {
    if (!drags_files(event)) return;
    event.preventDefault();
    event.stopPropagation();
    const tool = open_tool();
    const entries = [...event.dataTransfer.items].map(item => item.webkitGetAsEntry?.()).filter(Boolean);
    const files = entries.length ? (await Promise.all(entries.map(inside))).flat() : [...event.dataTransfer.files];
    hand_over(tool, files);
  }, true);

  // --- sending ---
  document.addEventListener('click', event => {
    const sent = event.target.closest('[data-do=send]');
    if (sent) sent.closest('dialog')?.close();
    const picked = event.target.closest('[data-send-picked]');
    if (!picked) return;
    const ids = window.likeness.picked();
    if (!ids.length) return;
    const button = document.createElement('button');
    Object.assign(button.dataset, { do: 'send', tool: picked.dataset.sendPicked, ids: ids.join(',') });
    button.hidden = true;
    document.body.append(button);
    button.click(); // the page's own script passes it on
    button.remove();
  });

  const begin = () => new MutationObserver(keep_places).observe(document.body, { childList: true, subtree: true });
  if (document.body) begin(); else document.addEventListener('DOMContentLoaded', begin);

  window.likenessTools = {
    ticket: kind => (tickets[kind] ||= uuid()),
    asked: kind => {
      delete tickets[kind];
      const tool = $('#tool-' + kind);
      if (innerWidth <= 900 && $('.tool-head', tool)) $('.tool-stage', tool).scrollIntoView({ behavior: 'smooth', block: 'start' });
    },
  };
})();
