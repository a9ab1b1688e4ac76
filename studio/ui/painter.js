// Painting the mask of what is to be drawn anew, over the picture to start from.
(() => {
  const $ = (query, root = document) => root.querySelector(query);
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
  // Where the brush is for those who move it by keys; it is drawn by the style sheet.
  const show_cursor = () => {
    painter.at ||= { x: canvas().width / 2, y: canvas().height / 2 };
    const frame = canvas().parentElement.style;
    frame.setProperty('--x', `${100 * painter.at.x / canvas().width}%`);
    frame.setProperty('--y', `${100 * painter.at.y / canvas().height}%`);
    frame.setProperty('--size', `${$('[data-brush]').value}px`);
  };
  document.addEventListener('focusin', event => { if (event.target === canvas()) show_cursor(); });
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
  for (const end of ['pointerup', 'pointercancel']) document.addEventListener(end, () => {
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
      show_cursor();
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

  window.likeness.paint = begin_painting;
})();
