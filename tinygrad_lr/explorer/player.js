'use strict';
const $ = id => document.getElementById(id), DATA = JSON.parse($('data').textContent), FILM = DATA.film;
const aside = document.querySelector('aside'), figure = document.querySelector('figure');
const reducedMotion = matchMedia('(prefers-reduced-motion: reduce)').matches;
let view, nodes, last, step = 0, frame = null, detail = null, timer = null, predicting = false;
const revealed = new Set(), guesses = new Map();

// Elements: el('td', {class: 'x'}, child, ...); a text is a text, never HTML.
function el(tag, attributes, ...children) {
  const e = document.createElement(tag);
  for (const [k, v] of Object.entries(attributes || {})) if (k.startsWith('on')) e[k] = v; else e.setAttribute(k, v);
  e.append(...children.flat().filter(c => c || c === ''));
  return e;
}
const math = text => { const d = el('div'); d.innerHTML = text; return d; };

const table = (a, role) => el('table', {'aria-label': `${a.shape || ''} ${role}`}, a.text.map((row, i) => el('tr', {},
  row.map((text, j) => el('td', {style: `background:var(--${role}${a.levels[i][j]})`}, text)))));
function array({array: index, role, label}) {
  const a = DATA.arrays[index];
  return el('span', {class: 'array'}, table(a, role), el('small', {}, label),
    a.excerpt && el('small', {}, a.excerpt), a.nonfinite && el('small', {class: 'g'}, a.nonfinite));
}
const row = (items, hide) => el('div', {class: 'row'}, items.map(item => typeof item === 'string' ? el('span', {}, item)
  : item.answer && hide ? el('span', {'aria-label': 'hidden'}, '?') : array(item)));
const notes = texts => (texts || []).map(text => el('p', {class: 'note'}, text));

// Predict, then reveal.
function parse(text) {
  const rows = text.replace(/[−–]/g, '-').replace(/[\[\](){}|]/g, ' ').split(/[;\n]+/).map(r => r.split(/[\s,]+/).filter(Boolean));
  return rows.filter(r => r.length);
}
const unit = text => 0.5001 * 10 ** -(text.split('.')[1] || '').replace(/e.*/i, '').length;
function matches(texts, values, tolerance) {
  const largest = values.reduce((a, x) => Math.max(a, Math.abs(x)), 0) || 1;
  return texts.length === values.length && texts.every((t, i) =>
    Math.abs(t - values[i]) <= Math.min(Math.max(unit(t), tolerance), 0.04 * largest) + 1e-9 * largest);
}
function verdict(text, box) {
  const lines = parse(text), texts = lines.flat(), numbers = texts.map(Number), {rows, columns, shape, values} = box.right;
  if (!texts.length || numbers.some(isNaN)) return DATA.words.unreadable;
  const digits = unit(DATA.arrays[box.row.find(item => item.answer).array].text[0][0]);
  const fits = (x, k = 1) => matches(texts, x.map(v => v * k), digits * Math.abs(k));
  const vector = rows === 1 || columns === 1;
  if (fits(values) && (vector || lines.length === rows && lines.every(r => r.length === columns))) return DATA.words.right;
  if (numbers.length === values.length) {
    for (const [k, words] of DATA.words.factors) if (fits(values, k)) return words;
    if (numbers.every(x => x === 0)) return DATA.words.zero;
    const c = values.reduce((a, x, i) => a + x * numbers[i], 0) / values.reduce((a, x) => a + x * x, 0);
    if (values.length > 1 && fits(values, c)) return DATA.words.times[c < 0 ? 1 : 0].replace('{}', Number(c.toPrecision(3)));
    if (!vector && fits(values.map((_, i) => values[(i % rows) * columns + Math.floor(i / rows)]))) return DATA.words.transposed;
  }
  for (const [words, wrong] of box.wrong) if (fits(wrong)) return words;
  return numbers.length === values.length ? DATA.words.unknown : DATA.words.shape.replace('{}', shape);
}
function guess(box, key) {
  const {rows} = box.right, result = el('p', {class: 'verdict', role: 'status'});
  const input = el('textarea', {rows: Math.min(rows, 6), 'aria-label': `your ${box.heading}`, placeholder: DATA.words.enter});
  const check = () => {
    guesses.set(key, input.value);
    result.textContent = verdict(input.value, box);
    result.className = 'verdict ' + (result.textContent === DATA.words.right ? 'v' : 'g');
  };
  input.onkeydown = e => { e.stopPropagation(); if (e.key === 'Enter' && (e.ctrlKey || rows === 1)) { e.preventDefault(); check(); } };
  if (guesses.has(key)) { input.value = guesses.get(key); check(); }
  return el('div', {class: 'guess'}, input, el('div', {class: 'row'}, el('button', {onclick: check}, 'check'),
    el('button', {onclick: () => { revealed.add(key); draw(); }}, 'reveal')), result);
}

// The words beside the picture.
const differences = n => n.check && el('details', {}, el('summary', {}, DATA.words.check), row(n.check.row), ...notes(n.check.notes));
const isHidden = (box, i) => predicting && box.right && !revealed.has(`${step}.${i}`);
function part(box, i, s) {
  const hide = isHidden(box, i);
  if (box.target == null && box.heading && s.phase === 'backward' && s.boxes.some(isHidden)) return null;
  return el('div', {class: 'box'}, box.heading && el('h3', {}, box.heading), box.formula && math(box.formula), box.row && row(box.row, hide),
    hide && guess(box, `${step}.${i}`), ...notes(box.notes), box.code && el('div', {}, el('code', {}, box.code)),
    !hide && box.complete && differences(nodes.find(n => n.index === box.target)));
}
const heading = (tag, title) => [el('span', {class: 'tag'}, tag), el('h2', {}, title)];
function words(s) {
  if (s.phase === 'start') return [...heading('start', 'The graph'), ...DATA.words.start.map(math), el('h3', {}, 'keys'),
    el('p', {class: 'note'}, ...DATA.words.keys.flatMap(([keys, what], i) => [i ? ' · ' : '', ...keys.map(k => el('kbd', {}, k)), ' ' + what]))];
  return [...heading(s.tag || s.phase, s.title), s.phase !== 'backward' && (s.row || s.formula) && part({formula: s.formula, row: s.row}),
    s.boxes && el('div', {class: 'boxes'}, s.boxes.map((b, i) => part(b, i, s))), ...notes(s.notes), s.line && el('code', {}, s.line)];
}
function about(n) {
  const shape = n.value != null && DATA.arrays[n.value].shape;
  const section = (title, index, role) => [el('h3', {}, title), row([{array: index, role, label: shape || ''}])];
  return [...heading(n.kind, n.name), el('button', {onclick: close}, '✕ close'),
    shape && el('p', {class: 'note'}, `shape ${shape}`), n.formula && math(n.formula),
    ...(n.value != null ? section('value', n.value, 'value') : []),
    ...(n.gradient ? section(`gradient, ${n.gradient.label}`, n.gradient.array, 'gradient') : []),
    ...(n.contributions ? [el('h3', {}, 'where the gradient comes from'), row(n.contributions)] : []),
    differences(n), DATA.views[n.opens] && el('button', {onclick: () => open(n.opens)}, 'open this layer'), ...notes(n.notes)];
}

// The picture.
function tag(g) {
  const cells = {value: [], gradient: []};
  let role = null, ground = null;
  for (const e of g.querySelectorAll(':scope > :is(path, polygon, text)')) {
    const text = e.textContent.trim(), own = DATA.roles[e.getAttribute('fill')];
    if (e.tagName !== 'text') { if (own) { role = own; ground = e; e.classList.add(role); } else e.classList.add('frame'); continue; }
    if (own) { role = own; ground = null; }
    const nonfinite = e.getAttribute('fill') === DATA.nonfinite;
    if (nonfinite && /^(value|grad):/.test(text)) role = text[0] === 'v' ? 'value' : 'gradient';
    if (!role || !(own || ground || nonfinite)) continue;
    e.classList.add(role);
    if (/^(value|grad|‖grad‖|parameters)$|: /.test(text)) continue;
    const edges = (ground ? ground.getAttribute('points') : g.querySelector('path.frame').getAttribute('d')).match(/-?[\d.]+(?=,)/g).map(Number);
    const right = Math.max(...edges) - (ground ? 4 : 14);
    e.setAttribute('text-anchor', 'end'); e.setAttribute('x', right);
    cells[role].push([e, ground, right - Math.min(...edges) - (ground ? 2 : 46)]);
  }
  return cells;
}
function write(n, role, index) {
  const a = DATA.arrays[index], texts = a.summary ? [a.summary] : a.text.flat(), levels = a.levels.join('');
  n.cells[role].forEach(([text, ground, room], i) => {
    if (texts[i] === undefined) return;
    text.textContent = texts[i]; text.removeAttribute('textLength');
    if (text.getComputedTextLength() > room) { text.setAttribute('textLength', room); text.setAttribute('lengthAdjust', 'spacingAndGlyphs'); }
    if (ground) ground.setAttribute('fill', DATA.shades[role][levels[i]]);
  });
}
function open(name) {
  view = DATA.views[name]; step = 0; detail = frame = null; revealed.clear(); guesses.clear();
  $('whole').hidden = !name;
  figure.innerHTML = view.svg;
  const svg = figure.firstElementChild;
  svg.insertAdjacentHTML('afterbegin', '<defs><marker id="back" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="5" markerHeight="5" orient="auto-start-reverse"><path d="M0 0L10 5L0 10z"/></marker></defs>');
  const {width, height} = svg.viewBox.baseVal;
  svg.style.setProperty('--wide', width); svg.style.setProperty('--ratio', width / height);
  svg.removeAttribute('height'); svg.removeAttribute('width');
  nodes = view.nodes.map(n => ({...n, el: svg.querySelector('#' + n.id)}));
  for (const n of nodes) {
    n.cells = tag(n.el);
    n.el.setAttribute('tabindex', 0); n.el.setAttribute('role', 'button');
    n.el.onclick = () => { detail = n; draw(); };
    n.el.onkeydown = e => { if (e.key === 'Enter' || e.key === ' ') { e.preventDefault(); e.stopPropagation(); detail = n; draw(); } };
  }
  $('slider').max = last = view.steps.length - 1;
  $('slider').style.setProperty('--track', `linear-gradient(90deg, var(--value) ${100 * phase('seed') / last}%, var(--gradient) 0)`);
  draw();
}
function close() { const n = detail; detail = null; draw(); if (n) n.el.focus(); }

function draw() {
  const s = frame == null ? view.steps[step] : {phase: 'film'}, computed = new Set(), sums = new Map(), passed = new Set();
  for (const t of view.steps.slice(0, frame == null ? step + 1 : undefined)) {
    if (t.phase === 'forward') computed.add(t.card);
    if (t.phase === 'backward') passed.add(t.card);
    for (const [card, sum] of t.sums || []) sums.set(card, sum);
  }
  const boxes = detail ? [] : s.boxes || [], targets = new Set(s.phase === 'backward' ? boxes.map(b => b.target) : []);
  for (const n of nodes) {
    const [value, gradient] = frame != null && film(n) || [n.value, sums.get(n.index)];
    const on = n.leaf || computed.has(n.index), masked = boxes.some((b, i) => b.target === n.index && isHidden(b, i)), label = [n.name, n.kind];
    const classes = {off: !on, unsent: !sums.has(n.index), masked, here: n.index === (detail ? detail.index : s.card),
      from: !detail && (s.from || []).includes(n.index), to: targets.has(n.index)};
    for (const [name, set] of Object.entries(classes)) n.el.classList.toggle(name, set);
    if (value != null) write(n, 'value', value);
    if (gradient != null) write(n, 'gradient', gradient);
    if (on && value != null) label.push('value ' + brief(value));
    if (gradient != null && !masked) label.push('gradient ' + brief(gradient));
    n.el.setAttribute('aria-label', label.join(', '));
  }
  for (const e of figure.querySelectorAll('.edge')) {
    const wire = e.id.slice(1).replace('_tail', ''), [from, to] = wire.split('_');
    e.classList.toggle('fw', !detail && s.phase === 'forward' && s.card === +to);
    e.classList.toggle('bw', boxes.some(b => b.wire === wire || b.wire === `${from}_${to}`));
    e.classList.toggle('tail', e.id.endsWith('_tail') || !figure.querySelector('#d' + wire));
  }
  for (const g of figure.querySelectorAll('[id^=d]')) { g.classList.add('chip'); g.classList.toggle('unsent', !passed.has(+g.id.split('_')[1])); }
  aside.className = detail ? '' : s.phase;
  aside.replaceChildren(el('div', {class: 'slide'}, ...(detail ? about(detail) : frame == null ? words(s) : training())));
  for (const [id, off] of [['first', step === 0], ['back1', step === 0], ['next', step === last], ['last', step === last]]) $(id).disabled = off;
  $('slider').value = step;
  $('slider').setAttribute('aria-valuetext', `${step + 1} of ${last + 1}: ${s.title || s.phase}`);
  $('count').textContent = `${step + 1} / ${last + 1}`;
  if (frame == null) follow(nodes.find(n => n.index === (detail ? detail.index : s.card)));
}
const brief = index => DATA.arrays[index].summary || DATA.arrays[index].text.map(r => r.join(' ')).join('; ');
function follow(n) {
  if (!n || (figure.scrollWidth <= figure.clientWidth && figure.scrollHeight <= figure.clientHeight)) return;
  const a = n.el.getBoundingClientRect(), b = figure.getBoundingClientRect();
  figure.scrollBy({left: a.left + a.width / 2 - b.left - b.width / 2, top: a.top + a.height / 2 - b.top - b.height / 2, behavior: reducedMotion ? 'instant' : 'smooth'});
}

// A film of the training.
function film(n) {
  const i = FILM.names.indexOf(n.name), {values, gradients} = FILM.frames[frame];
  return i >= 0 && values[i] != null && [values[i], gradients[i]];
}
function training() {
  const f = FILM.frames[frame], [x, y] = FILM.points[frame], loss = brief(f.loss);
  $('now').setAttribute('cx', 100 * x); $('now').setAttribute('cy', 20 * y);
  $('at').textContent = `training step ${f.step}, loss ${loss}`;
  const box = (n, [value, gradient]) => el('div', {class: 'box'}, el('h3', {}, n.name), row([{array: value, role: 'value', label: 'value'},
    {...n.gradient, array: gradient}]));
  return [...heading('training', `Step ${f.step}`), ...notes([`The loss is ${loss}.`]),
    el('div', {class: 'boxes'}, nodes.filter(n => n.kind === 'parameter' && film(n)).map(n => box(n, film(n))))];
}
if (FILM) {
  $('film').hidden = false; $('frame').max = FILM.frames.length - 1; $('frame').value = FILM.frames.length - 1;
  $('curve').setAttribute('points', FILM.points.map(([x, y]) => `${100 * x},${20 * y}`).join(' '));
  $('at').textContent = `training, ${FILM.frames.length} steps kept`;
  $('frame').oninput = e => { play(false); detail = null; frame = +e.target.value; draw(); $('frame').setAttribute('aria-valuetext', $('at').textContent); };
}

// Moving about.
function go(to) {
  step = Math.max(0, Math.min(last, to)); detail = frame = null; draw();
  try { history.replaceState(null, '', '#step=' + (step + 1)); } catch { /* a frame without an address */ }
}
function play(on) {
  clearInterval(timer);
  timer = on ? setInterval(() => step < last ? go(step + 1) : play(false), 1600) : null;
  $('play').textContent = on ? '❚❚ pause' : '▶ play';
}
function toggle() { if (!timer && step === last) go(0); play(!timer); }
const phase = name => view.steps.findIndex(s => s.phase === name);
const KEYS = {ArrowRight: () => go(step + 1), ArrowLeft: () => go(step - 1), Home: () => go(0), End: () => go(last), ' ': toggle, f: () => go(phase('forward')), b: () => go(phase('seed')), Escape: close};
addEventListener('keydown', e => {
  const busy = /TEXTAREA|BUTTON|SUMMARY/.test(e.target.tagName) && (e.key === ' ' || e.target.tagName === 'TEXTAREA');
  if (e.ctrlKey || e.metaKey || e.altKey || busy || !KEYS[e.key] || e.target.id === 'frame') return;
  e.preventDefault(); if (e.key !== ' ') play(false); KEYS[e.key]();
});
$('first').onclick = () => go(0); $('back1').onclick = () => go(step - 1); $('next').onclick = () => go(step + 1); $('last').onclick = () => go(last);
$('play').onclick = toggle; $('whole').onclick = () => open('');
$('slider').oninput = e => { play(false); go(+e.target.value); };
$('predict').onclick = e => { predicting = !predicting; revealed.clear(); guesses.clear(); e.target.setAttribute('aria-pressed', predicting); draw(); };
$('theme').onclick = () => { const d = document.documentElement; d.dataset.theme = d.dataset.theme === 'dark' ? 'light' : 'dark'; };
document.documentElement.dataset.theme = matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
const hash = () => { const m = /step=(\d+)/.exec(location.hash); if (m) go(m[1] - 1); };
addEventListener('hashchange', hash);
open(''); hash();
