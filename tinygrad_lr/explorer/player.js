'use strict';
const DATA = JSON.parse(document.getElementById('data').textContent);
const $ = id => document.getElementById(id), aside = document.querySelector('aside'), figure = document.querySelector('figure');
const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
const FILM = DATA.film;
let view, nodes, step = 0, frame = null, detail = null, timer = null, predicting = false;
const shown = new Set(), guesses = new Map();

// Elements: el('td', {class: 'x'}, child, ...); texts are texts, never HTML.
function el(tag, attributes, ...children) {
  const e = document.createElement(tag);
  for (const [k, v] of Object.entries(attributes || {})) if (k.startsWith('on')) e[k] = v; else e.setAttribute(k, v);
  e.append(...children.flat().filter(c => c != null));
  return e;
}
const math = text => { const d = el('div'); d.innerHTML = text; return d; };

function table(index, role) {
  const a = DATA.arrays[index];
  return el('table', {'aria-label': `${a.of || ''} ${role}`}, a.t.map((row, i) => el('tr', {}, row.map((t, j) =>
    el('td', {style: `background:var(--${role}${a.s[i][j]})`}, t)))));
}
function array(item) {
  const a = DATA.arrays[item.a];
  return el('span', {class: 'array'}, table(item.a, item.r), el('small', {}, item.l),
    a.more && el('small', {}, a.more), a.flaw && el('small', {class: 'g'}, a.flaw));
}
const row = (items, hide) => el('div', {class: 'row'}, items.map(i => typeof i === 'string' ? el('span', {}, i)
  : i.q && hide ? el('span', {'aria-label': 'hidden'}, '?') : array(i)));
const say = texts => (texts || []).map(t => el('p', {class: 'say'}, t));

// Predict, then reveal.
function typed(text) {
  const rows = text.replace(/[−–]/g, '-').replace(/[\[\](){}|]/g, ' ').trim().split(/[;\n]+/).map(r => r.trim().split(/[\s,]+/).filter(Boolean));
  return rows.filter(r => r.length);
}
const unit = text => 0.5001 * 10 ** -(text.split('.')[1] || '').replace(/e.*/i, '').length;
function matches(rows, values, least) {
  const flat = rows.flat(), largest = values.reduce((a, x) => Math.max(a, Math.abs(x)), 0) || 1;
  return flat.length === values.length && flat.every((t, i) =>
    Math.abs(t - values[i]) <= Math.min(Math.max(unit(t), least), 0.04 * largest) + 1e-9 * largest);
}
function judged(text, box) {
  const rows = typed(text), {rows: n, cols: m, v} = box.right, told = unit(DATA.arrays[box.row.find(i => i.q).a].t[0][0]);
  if (!rows.length || rows.flat().some(t => isNaN(t))) return DATA.words.unreadable;
  const fits = (values, k = 1) => matches(rows, values.map(x => x * k), told * Math.abs(k));
  const shape = rows.length === n && rows.every(r => r.length === m), line = n === 1 || m === 1;
  if (fits(v) && (shape || line)) return DATA.words.right;
  const numbers = rows.flat().map(Number);
  if (numbers.length === v.length) {
    for (const [k, words] of DATA.words.factors) if (fits(v, k)) return words;
    if (numbers.every(x => x === 0)) return DATA.words.zero;
    const c = v.reduce((a, x, i) => a + x * numbers[i], 0) / v.reduce((a, x) => a + x * x, 0);
    if (v.length > 1 && fits(v, c)) return DATA.words.times[c < 0 ? 1 : 0].replace('{}', Number(c.toPrecision(3)));
    if (!line && fits(v.map((_, i) => v[(i % n) * m + Math.floor(i / n)]))) return DATA.words.transposed;
  }
  for (const [words, values] of box.wrong) if (fits(values)) return words;
  return numbers.length === v.length ? DATA.words.unknown : DATA.words.shape.replace('{}', box.right.of);
}
function guess(box, key) {
  const verdict = el('p', {class: 'verdict', role: 'status'}), input = el('textarea', {rows: Math.min(box.right.rows, 6), 'aria-label': `your ${box.h}`, placeholder: DATA.words.enter});
  const look = () => { guesses.set(key, input.value); verdict.textContent = judged(input.value, box); verdict.className = 'verdict ' + (verdict.textContent === DATA.words.right ? 'v' : 'g'); };
  input.onkeydown = e => { e.stopPropagation(); if (e.key === 'Enter' && (e.ctrlKey || box.right.rows === 1)) { e.preventDefault(); look(); } };
  if (guesses.has(key)) { input.value = guesses.get(key); look(); }
  return el('div', {class: 'guess'}, input, el('div', {class: 'row'}, el('button', {onclick: look}, 'check'), el('button', {onclick: () => { shown.add(key); draw(); }}, 'reveal')), verdict);
}

// The words beside the picture.
const checked = n => n.check && el('details', {}, el('summary', {}, DATA.words.check), row(n.check.row), ...say(n.check.say));
const hidden = (box, i) => predicting && box.right && !shown.has(`${step}.${i}`);
function part(box, i, s) {
  const hide = hidden(box, i), here = el('div', {class: 'box'});
  if (box.to == null && box.h && s.p === 'backward' && s.boxes.some(hidden)) return null;
  here.append(...[box.h && el('h3', {}, box.h), box.f && math(box.f), box.row && row(box.row, hide),
    hide && guess(box, `${step}.${i}`), ...say(box.say), box.code && el('div', {}, el('code', {}, box.code)),
    !hide && box.full && checked(nodes.find(n => n.k === box.to))].filter(Boolean));
  return here;
}
function words(s) {
  if (s.p === 'start') return [el('span', {class: 'tag'}, 'start'), el('h2', {}, 'The graph'), ...DATA.words.start.map(t => math(t)),
    el('h3', {}, 'keys'), el('p', {class: 'say'}, ...DATA.words.keys.flatMap(([keys, what], i) => [i ? ' · ' : '', ...keys.map(k => el('kbd', {}, k)), ' ' + what]))];
  return [el('span', {class: 'tag'}, s.n || s.p), el('h2', {}, s.t),
    s.p !== 'backward' && (s.row || s.f) ? part({f: s.f, row: s.row}) : null,
    s.boxes && el('div', {class: 'boxes'}, s.boxes.map((b, i) => part(b, i, s))), ...say(s.say), s.line && el('code', {}, s.line)];
}
function about(n) {
  const titled = (t, i, r) => i == null ? [] : [el('h3', {}, t), row([{a: i, r, l: DATA.arrays[i].of || ''}])];
  return [el('span', {class: 'tag'}, n.kind), el('h2', {}, n.name), el('button', {onclick: close}, '✕ close'),
    n.shape && el('p', {class: 'say'}, `shape ${n.shape}`), n.f && math(n.f), ...titled('value', n.v, 'value'), ...titled(`gradient, ${n.d}`, n.g, 'gradient'),
    ...(n.from ? [el('h3', {}, 'where the gradient comes from'), row(n.from)] : []),
    checked(n), DATA.views[n.opens] && el('button', {onclick: () => open(n.opens)}, 'open this layer'), ...say(n.say)];
}

// The picture.
function tag(g) {
  const cells = {value: [], gradient: []};
  let role = null, ground = null;
  for (const e of g.querySelectorAll(':scope > :is(path, polygon, text)')) {
    const text = e.textContent.trim(), own = DATA.tokens[e.getAttribute('fill')];
    if (e.tagName !== 'text') { if (own) { role = own; ground = e; e.classList.add(role); } else e.classList.add('frame'); continue; }
    if (own) { role = own; ground = null; }
    const flawed = e.getAttribute('fill') === DATA.flaw;
    if (flawed && /^(value|grad):/.test(text)) role = text[0] === 'v' ? 'value' : 'gradient';
    if (!role || !(own || ground || flawed)) continue;
    e.classList.add(role);
    if (text === 'value' || text === 'grad' || text === '‖grad‖' || text === 'parameters' || text.includes(': ')) continue;
    const edges = (ground ? ground.getAttribute('points') : g.querySelector('path.frame').getAttribute('d')).match(/-?[\d.]+(?=,)/g).map(Number);
    const right = Math.max(...edges) - (ground ? 4 : 14);
    e.setAttribute('text-anchor', 'end'); e.setAttribute('x', right);
    cells[role].push([e, ground, right - Math.min(...edges) - (ground ? 2 : 46)]);
  }
  return cells;
}
function write(n, role, index) {
  const a = DATA.arrays[index], texts = a.card ? [a.card] : a.t.flat(), levels = a.s.join('');
  n.cells[role].forEach(([text, ground, room], i) => {
    if (texts[i] === undefined) return;
    text.textContent = texts[i]; text.removeAttribute('textLength');
    if (text.getComputedTextLength() > room) { text.setAttribute('textLength', room); text.setAttribute('lengthAdjust', 'spacingAndGlyphs'); }
    if (ground) ground.setAttribute('fill', DATA.heat[role][levels[i]]);
  });
}
function open(name) {
  view = DATA.views[name]; step = 0; detail = frame = null; shown.clear(); guesses.clear();
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
  const forward = view.steps.findIndex(s => s.p === 'seed'), total = view.steps.length - 1;
  $('slider').max = total;
  $('slider').style.setProperty('--track', `linear-gradient(90deg, var(--value) ${100 * forward / total}%, var(--gradient) 0)`);
  draw();
}
function close() { const n = detail; detail = null; draw(); if (n) n.el.focus(); }

function draw() {
  const s = frame == null ? view.steps[step] : {p: 'film'}, known = new Set(), sums = new Map(), through = new Set();
  for (const t of view.steps.slice(0, frame == null ? step + 1 : undefined)) {
    if (t.p === 'forward') known.add(t.k);
    if (t.p === 'backward') through.add(t.k);
    for (const [k, a] of t.sums || []) sums.set(k, a);
  }
  const receivers = new Set((s.boxes || []).map(b => b.to));
  for (const n of nodes) {
    const [v, gradient] = frame == null || !film(n) ? [n.v, sums.get(n.k)] : film(n);
    const on = n.leaf || known.has(n.k), c = n.el.classList, label = [n.name, n.kind];
    c.toggle('off', !on); c.toggle('unsent', !sums.has(n.k));
    const asked = !detail && (s.boxes || []).some((b, i) => b.to === n.k && hidden(b, i));
    c.toggle('asked', asked);
    c.toggle('here', detail ? detail.k === n.k : s.k === n.k);
    c.toggle('from', !detail && s.p === 'forward' && (s.from || []).includes(n.k));
    c.toggle('to', !detail && s.p === 'backward' && receivers.has(n.k));
    if (v != null) write(n, 'value', v);
    if (gradient != null) write(n, 'gradient', gradient);
    if (on && v != null) label.push('value ' + brief(v));
    if (gradient != null && !asked) label.push('gradient ' + brief(gradient));
    n.el.setAttribute('aria-label', label.join(', '));
  }
  for (const e of figure.querySelectorAll('.edge')) {
    const [a, b] = e.id.match(/\d+/g).map(Number), id = e.id.slice(1).replace('_tail', '');
    e.classList.toggle('fw', !detail && s.p === 'forward' && s.k === b);
    e.classList.toggle('bw', !detail && s.p === 'backward' && (s.boxes || []).some(x => x.e === id || x.e === `${a}_${b}`));
    e.classList.toggle('tail', e.id.endsWith('_tail') || !figure.querySelector('#d' + id));
  }
  for (const g of figure.querySelectorAll('[id^=d]')) { g.classList.add('chip'); g.classList.toggle('unsent', !through.has(+g.id.split('_')[1])); }
  aside.className = detail ? '' : s.p;
  aside.replaceChildren(...[el('div', {class: 'slide'}, ...(detail ? about(detail) : frame == null ? words(s) : training()).filter(Boolean))]);
  for (const [id, off] of [['first', step === 0], ['back1', step === 0], ['next', step === view.steps.length - 1], ['last', step === view.steps.length - 1]]) $(id).disabled = off;
  $('slider').value = step;
  $('slider').setAttribute('aria-valuetext', `${step + 1} of ${view.steps.length}: ${s.t || s.p}`);
  $('count').textContent = `${step + 1} / ${view.steps.length}`;
  if (frame == null) follow(nodes.find(n => n.k === (detail || s).k));
}
const brief = i => DATA.arrays[i].card || DATA.arrays[i].t.map(r => r.join(' ')).join('; ');
function follow(n) {
  if (!n || (figure.scrollWidth <= figure.clientWidth && figure.scrollHeight <= figure.clientHeight)) return;
  const a = n.el.getBoundingClientRect(), b = figure.getBoundingClientRect();
  figure.scrollBy({left: a.left + a.width / 2 - b.left - b.width / 2, top: a.top + a.height / 2 - b.top - b.height / 2, behavior: calm ? 'instant' : 'smooth'});
}

// A film of the training.
function film(n) {
  const i = FILM.names.indexOf(n.name), f = FILM.frames[frame];
  return i < 0 || f.v[i] == null ? null : [f.v[i], f.g[i]];
}
function training() {
  const f = FILM.frames[frame], [x, y] = FILM.points[frame];
  $('now').setAttribute('cx', 100 * x); $('now').setAttribute('cy', 20 * y);
  $('at').textContent = `training step ${f.step}, loss ${DATA.arrays[f.loss].t[0][0]}`;
  return [el('span', {class: 'tag'}, 'training'), el('h2', {}, `Step ${f.step}`), el('p', {class: 'say'}, `The loss is ${DATA.arrays[f.loss].t[0][0]}.`),
    el('div', {class: 'boxes'}, nodes.filter(n => n.kind === 'parameter' && film(n)).map(n => el('div', {class: 'box'}, el('h3', {}, n.name),
      row([{a: film(n)[0], r: 'value', l: 'value'}, {a: film(n)[1], r: 'gradient', l: n.d}]))))];
}
if (FILM) {
  $('film').hidden = false; $('frame').max = FILM.frames.length - 1; $('frame').value = FILM.frames.length - 1;
  $('curve').setAttribute('points', FILM.points.map(([x, y]) => `${100 * x},${20 * y}`).join(' '));
  $('at').textContent = `training, ${FILM.frames.length} steps kept`;
  $('frame').oninput = e => { play(false); detail = null; frame = +e.target.value; draw(); $('frame').setAttribute('aria-valuetext', $('at').textContent); };
}

// Moving about.
function go(to) {
  step = Math.max(0, Math.min(view.steps.length - 1, to)); detail = frame = null; draw();
  try { history.replaceState(null, '', '#step=' + (step + 1)); } catch { /* a frame without an address */ }
}
function play(on) {
  clearInterval(timer);
  timer = on ? setInterval(() => step < view.steps.length - 1 ? go(step + 1) : play(false), 1600) : null;
  $('play').textContent = on ? '❚❚ pause' : '▶ play';
}
function toggle() { if (!timer && step === view.steps.length - 1) go(0); play(!timer); }
const phase = p => view.steps.findIndex(s => s.p === p);
const KEYS = {ArrowRight: () => go(step + 1), ArrowLeft: () => go(step - 1), Home: () => go(0), End: () => go(view.steps.length - 1), ' ': toggle, f: () => go(phase('forward')), b: () => go(phase('seed')), Escape: close};
addEventListener('keydown', e => {
  const busy = /TEXTAREA|BUTTON|SUMMARY/.test(e.target.tagName) && (e.key === ' ' || e.target.tagName === 'TEXTAREA');
  if (e.ctrlKey || e.metaKey || e.altKey || busy || !KEYS[e.key] || e.target.id === 'frame') return;
  e.preventDefault(); if (e.key !== ' ') play(false); KEYS[e.key]();
});
$('first').onclick = () => go(0); $('back1').onclick = () => go(step - 1); $('next').onclick = () => go(step + 1); $('last').onclick = () => go(view.steps.length - 1);
$('play').onclick = toggle; $('whole').onclick = () => open('');
$('slider').oninput = e => { play(false); go(+e.target.value); };
$('predict').onclick = e => { predicting = !predicting; shown.clear(); guesses.clear(); e.target.setAttribute('aria-pressed', predicting); draw(); };
$('theme').onclick = () => { const d = document.documentElement; d.dataset.theme = d.dataset.theme === 'dark' ? 'light' : 'dark'; };
document.documentElement.dataset.theme = matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
const hash = () => { const m = /step=(\d+)/.exec(location.hash); if (m) go(m[1] - 1); };
addEventListener('hashchange', hash);
open(''); hash();
