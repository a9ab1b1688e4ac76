// What the tool tabs do in the browser: the slider between before and after, files and folders dropped anywhere on a
// tab, and pictures sent from one place of the page to another.
(() => {
  const $ = (query, root = document) => root.querySelector(query);
  const all = (query, root = document) => [...root.querySelectorAll(query)];
  const tickets = {};
  const TAKEN = /\.(jpe?g|png|webp|hei[cf])$/i;

  const uuid = () => {
    if (crypto.randomUUID) return crypto.randomUUID();
    const bytes = crypto.getRandomValues(new Uint8Array(16)); // pages without TLS have no randomUUID
    bytes[6] = (bytes[6] & 15) | 64;
    bytes[8] = (bytes[8] & 63) | 128;
    return [...bytes].map((byte, at) => ([4, 6, 8, 10].includes(at) ? '-' : '') + byte.toString(16).padStart(2, '0')).join('');
  };

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
  const hand_over = (tool, files) => {
    const input = $('.takes-files input[type=file]', tool);
    const taken = files.filter(file => TAKEN.test(file.name)).slice(0, 200);
    if (!input || !taken.length) return;
    const hold = new DataTransfer();
    taken.forEach(file => hold.items.add(file));
    input.files = hold.files;
    input.dispatchEvent(new Event('change', { bubbles: true }));
  };
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
    const ids = all('#shelf [data-pick]:checked').map(box => box.dataset.pick);
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
