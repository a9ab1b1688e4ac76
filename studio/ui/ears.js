// How the page's script tells the handlers what is done: nothing is lost, and each finds what the one before it left.
(() => {
  // One thing after the other where they are about the same: Gradio drops what is told while its like is under way, and
  // hands on what a component held at that time. What is told twice on end before it is answered is told once.
  const LINES = [
    ['photo_out', 'photo_crop', 'photo_gone', 'photos_sift', 'photos_clear', 'photos_check'], ['send', 'unsend'],
  ];
  // In milliseconds, after which no answer is waited for: cut off, none comes. Many photos are looked at for long.
  const NO_ANSWER = 30000;
  const SLOW = { photos_check: 600000 };
  const waiting = new Map(); // by line what is told, the first of it under way
  let trigger = () => {};
  const line_of = what => LINES.find(line => line.includes(what))?.[0] || what;
  const tell_first = line => {
    const first = waiting.get(line)[0];
    first.timer = setTimeout(() => waiting.delete(line), SLOW[first.what] || NO_ANSWER);
    trigger(first.what, first.data);
  };
  const tell = (what, data) => {
    const line = line_of(what);
    const before = waiting.get(line) || [];
    const text = JSON.stringify([what, data]);
    if (before.at(-1)?.text === text) return;
    waiting.set(line, [...before, { what, data, text }]);
    if (!before.length) tell_first(line);
  };
  const answered = what => {
    const line = line_of(what);
    const [first, ...rest] = waiting.get(line) || [];
    if (first?.what !== what) return; // it was not waited for any more
    clearTimeout(first.timer);
    if (rest.length) { waiting.set(line, rest); tell_first(line); } else waiting.delete(line);
  };

  // What is looked at every second is put anew, now and then just while a button of it is pressed, and no click comes of
  // that: then the one that took its place is clicked.
  let pressed = null;
  document.addEventListener('pointerdown', event => {
    pressed = event.button === 0 ? event.target.closest?.('button, a') : null;
  }, true);
  document.addEventListener('pointerup', event => {
    const now = document.elementFromPoint(event.clientX, event.clientY)?.closest('button, a');
    if (pressed && !pressed.isConnected && now?.isEqualNode(pressed)) now.click();
    pressed = null;
  }, true);

  window.likenessEars = { listen: to => { trigger = to; }, tell, answered };
})();
