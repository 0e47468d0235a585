'use strict';
(() => {
  const root = document.documentElement;
  root.classList.add('js');
  const $ = id => document.getElementById(id);
  const data = JSON.parse($('data').textContent);
  const names = Array.from($('tests').tBodies[0].rows, row => row.cells[0].textContent);
  const rows = Array.from($('tests').tBodies[0].rows);
  const unit = data.unit;  // of time, in a millisecond
  const read = (text, count) => text.split(';').slice(0, -1).map(each => {
    const numbers = each.split(',').map(number => number === '' ? 0 : parseInt(number, 36));
    while (numbers.length < count) numbers.push(0);
    return numbers;
  });

  // docs/report.md says what is packed how.
  let at = 0;
  const tests = read(data.tests, 5).map(([later, length, lane, flags, name]) => {
    at += later;
    return {begin: at, end: at + length, lane, around: (flags & 1) !== 0, failed: (flags & 2) !== 0, name};
  });
  at = 0;
  const kinds = read(data.kinds, 7);
  const marks = read(data.spans, 6).map(([later, test, port, kindAndTrack, short, wait]) => {
    at += later;
    const kind = kinds[kindAndTrack >> 2];
    const of = tests[test];
    return {
      begin: at, end: short ? at + short - 1 : Math.max(at, of.end), test, lane: of.lane, track: kindAndTrack & 3, port,
      place: data.texts[kind[0]], stack: data.texts[kind[1]], address: data.texts[kind[2]], other: data.texts[kind[3]],
      state: data.texts[kind[4]], origin: kind[5], flags: kind[6], wait: wait ? at + wait - 1 : 0,
    };
  });
  const F = {udp: 1, unix: 2, failed: 4, left: 8, reuse: 16, reusePort: 32, listening: 64, wildcard: 128, shared: 256, seen: 512, codeLeftOut: 1024};
  const origins = ['not known', 'the test asked for it', 'the kernel chose it', 'leased'];
  const is = (mark, flag) => (mark.flags & flag) !== 0;
  const place = mark => is(mark, F.unix) ? mark.address || 'a Unix socket'
    : (mark.address.includes(':') ? `[${mark.address}]` : mark.address) + `:${mark.port}/${is(mark, F.udp) ? 'udp' : 'tcp'}`;
  const colours = new Map(data.ports.map((port, i) => [port, `p${i % 8}`]));
  const colour = mark => mark.origin === 2 || mark.origin === 0 ? 'chosen' : mark.origin === 3 ? 'leased' : colours.get(mark.port) || `p${mark.port % 8}`;
  const states = {
    '': () => true,
    problems: mark => (mark.flags & (F.failed | F.left | F.shared)) !== 0,
    failed: mark => is(mark, F.failed), left: mark => is(mark, F.left), wait: mark => mark.wait !== 0,
    shared: mark => is(mark, F.shared), wildcard: mark => is(mark, F.wildcard),
    fixed: mark => mark.origin === 1, chosen: mark => mark.origin === 2, leased: mark => mark.origin === 3,
  };

  // The layout: one band for each lane, on top of it the tests, below it the tracks of sockets.
  const gutter = 64, top = 26, barHeight = 15, trackHeight = 8, pad = 6;
  const tracks = new Array(data.lanes.length).fill(0);
  for (const mark of marks) tracks[mark.lane] = Math.max(tracks[mark.lane], mark.track + 1);
  const laneTop = [];
  let height = top;
  data.lanes.forEach((host, lane) => {
    laneTop.push(height);
    height += barHeight + tracks[lane] * trackHeight + pad + 6;
  });

  const svg = $('chart');
  const whole = Math.max(1, data.length);
  let view = [-whole * 0.01, whole * 1.01];
  let shown = marks;
  let wanted = tests;
  let selected = null;
  let width = 1200;
  const escaped = text => text.replace(/[&<>"]/g, c => ({'&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;'})[c]);
  const duration = time => {
    const ms = time / unit;
    return ms < 1 ? ms.toFixed(1) + ' ms' : ms < 1000 ? Math.round(ms) + ' ms' : (ms / 1000).toFixed(ms < 10000 ? 2 : 1) + ' s';
  };

  const minute = 60000 * unit;  // how long a TIME_WAIT lasts
  const trackTop = mark => laneTop[mark.lane] + barHeight + mark.track * trackHeight + 1;
  const draw = () => {
    width = svg.parentElement.clientWidth || 1200;
    const scale = (width - gutter - 8) / (view[1] - view[0]);
    const x = time => gutter + (time - view[0]) * scale;
    const round = number => Math.round(number * 10) / 10;
    const out = [];
    svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
    svg.setAttribute('height', height);
    data.lanes.forEach((host, lane) => {
      const h = barHeight + tracks[lane] * trackHeight + pad;
      out.push(`<rect class="lane" x="${gutter}" y="${laneTop[lane]}" width="${width - gutter}" height="${h}" rx="3"/>`);
      out.push(`<text x="8" y="${laneTop[lane] + 12}" class="host">${escaped(host)}</text>`);
    });
    const span = view[1] - view[0];
    let step = Math.pow(10, Math.floor(Math.log10(span / 6)));
    for (const times of [5, 2]) if (span / (step * times) >= 6) { step *= times; break; }
    for (let tick = Math.ceil(view[0] / step) * step; tick <= view[1]; tick += step) {
      const left = round(x(tick));
      if (left < gutter - 1) continue;
      out.push(`<path class="axis" d="M${left} ${top - 4}V${height}"/><text x="${left + 3}" y="14">${tick === 0 ? '0' : (tick < 0 ? '-' : '') + duration(Math.abs(tick))}</text>`);
    }
    const visible = (begin, end) => end >= view[0] && begin <= view[1];
    const box = (begin, end, least) => {
      const left = Math.max(gutter, x(begin));
      return [round(left), round(Math.max(least, Math.min(width, x(end)) - left))];
    };
    // One path for each look: a page with fifty thousand sockets has no fifty thousand elements.
    const paths = new Map();
    const add = (look, piece) => {
      if (!paths.has(look)) paths.set(look, []);
      paths.get(look).push(piece);
    };
    const bar = (look, left, y, w, h) => add(look, `M${left} ${y}h${w}v${h}h${-w}z`);
    const last = new Map();  // per row: what would hide under another is left out
    const hidden = (row, left, w) => {
      const end = last.get(row);
      if (end !== undefined && left + w <= end + 0.5) return true;
      last.set(row, left + w);
      return false;
    };
    const labels = [];
    for (const test of wanted) {
      if (test.around || !visible(test.begin, test.end)) continue;
      const [left, w] = box(test.begin, test.end, 1.2);
      const y = laneTop[test.lane] + 2;
      if (hidden(test.lane, left, w)) continue;
      bar(test.failed ? 'test failed' : 'test', left, y, w > 3 ? round(w - 0.8) : w, barHeight - 3);
      if (w <= 40) continue;
      const letters = Math.floor((w - 8) / 6.1);
      const name = names[test.name];
      labels.push(`<text class="name" x="${left + 4}" y="${y + 10}">${escaped(name.length <= letters ? name : '…' + name.slice(1 - letters))}</text>`);
    }
    for (const mark of shown) {
      if (!visible(mark.begin, Math.max(mark.end, mark.wait && mark.wait + minute))) continue;
      const y = trackTop(mark);
      if (is(mark, F.failed)) {
        const left = round(x(mark.begin));
        if (left >= gutter) add('fail', `M${left - 3.5} ${y - 0.5}l7 7m0-7l-7 7`);
        continue;
      }
      if (mark.wait) {
        const [from, length] = box(mark.wait, mark.wait + minute, 3);
        bar('wait', from, y, length, trackHeight - 2);
      }
      if (!visible(mark.begin, mark.end)) continue;
      const [left, w] = box(mark.begin, mark.end, 1.2);
      if (is(mark, F.left)) bar('left', round(left + w - 3), y - 1, 3, trackHeight);
      if (!hidden(`${mark.lane}/${mark.track}`, left, w)) bar(colour(mark), left, y, w > 3 ? round(w - 0.6) : w, trackHeight - 2);
    }
    for (const look of ['wait', ...Array.from(paths.keys()).filter(look => !['wait', 'left', 'fail'].includes(look)), 'left', 'fail']) {
      if (paths.has(look)) out.push(`<path class="${look}" d="${paths.get(look).join('')}"/>`);
    }
    out.push(...labels);
    if (selected && visible(selected.begin, selected.end)) {
      const failed = is(selected, F.failed);
      const [left, w] = failed ? [round(x(selected.begin)) - 6, 12] : box(selected.begin, selected.end, 3);
      out.push(`<rect class="on" x="${left - 1.5}" y="${trackTop(selected) - 2.5}" width="${w + 3}" height="${trackHeight + 3}" rx="2"/>`);
    }
    svg.querySelector('g.content').innerHTML = out.join('');
  };
  let waiting = 0;
  const redraw = () => {
    clearTimeout(waiting);
    waiting = setTimeout(draw, 8);
  };

  const detail = $('detail');
  const hint = detail.innerHTML;
  const describe = mark => {
    const facts = [];
    const test = tests[mark.test];
    facts.push(['test', names[test.name] + (test.failed ? ' (failed)' : '')]);
    facts.push([is(mark, F.failed) ? 'bind failed' : 'port', place(mark)]);
    if (is(mark, F.failed)) {
      facts.push(['error', mark.state]);
      facts.push(['held by', mark.other || 'not known']);
    } else {
      facts.push(['number', origins[mark.origin]]);
      facts.push(['open for', duration(mark.end - mark.begin)]);
    }
    const options = [[F.reuse, 'SO_REUSEADDR'], [F.reusePort, 'SO_REUSEPORT']].filter(([flag]) => is(mark, flag)).map(each => each[1]);
    if (is(mark, F.seen)) facts.push(['options', options.join(', ') || 'none']);
    if (is(mark, F.left)) facts.push(['left behind', mark.state]);
    if (mark.wait) facts.push(['TIME_WAIT', 'seen ' + duration(Math.max(0, mark.wait - mark.begin)) + ' after the bind']);
    if (is(mark, F.shared)) facts.push(['shared', 'with another test, through SO_REUSEPORT']);
    facts.push(['at', duration(mark.begin) + ' after the first line']);
    if (mark.place) facts.push(['place', mark.place]);
    if (mark.stack) facts.push(['stack', mark.stack]);
    if (is(mark, F.codeLeftOut)) facts.push(['code', 'left out to keep this page small; the journal has it']);
    return facts;
  };
  const show = facts => {
    if (!facts) {
      detail.innerHTML = hint;
      return;
    }
    detail.textContent = '';
    for (const [name, value] of facts) {
      detail.append(Object.assign(document.createElement('dt'), {textContent: name}), Object.assign(document.createElement('dd'), {textContent: value}));
    }
  };
  const select = mark => {
    selected = mark;
    show(mark && describe(mark));
    redraw();
  };
  marks.forEach((mark, i) => { mark.number = i; });
  // What is where: by lane and track, the latest first.
  const nearest = (list, time, slack) => {
    let best = null, least = slack;
    for (const each of list) {
      if (each.begin > time + slack) break;
      const away = time < each.begin ? each.begin - time : Math.max(0, time - Math.max(each.end, each.wait ? each.wait + minute : 0));
      if (away <= least) { best = each; least = away; }
    }
    return best;
  };
  const under = event => {
    const box = svg.getBoundingClientRect();
    const y = (event.clientY - box.top) * height / box.height;
    let lane = laneTop.length - 1;
    while (lane > 0 && laneTop[lane] > y) --lane;
    if (event.clientX - box.left < gutter || laneTop.length === 0) return null;
    const time = timeAt(event);
    const slack = 5 * (view[1] - view[0]) / width;
    const track = Math.floor((y - laneTop[lane] - barHeight) / trackHeight);
    if (track < 0) return {test: nearest(wanted.filter(each => each.lane === lane && !each.around), time, slack)};
    const here = shown.filter(mark => mark.lane === lane && mark.track === track);
    return {mark: nearest(here.filter(mark => is(mark, F.failed)), time, slack) || nearest(here, time, slack)};
  };
  svg.addEventListener('pointermove', event => {
    if (from !== null) return;
    const found = under(event);
    if (found && found.mark) show(describe(found.mark));
    else if (found && found.test) show([['test', names[found.test.name] + (found.test.failed ? ' (failed)' : '')], ['took', duration(found.test.end - found.test.begin)]]);
    else show(selected && describe(selected));
  });
  svg.addEventListener('pointerleave', () => show(selected && describe(selected)));

  const zoom = (factor, centre = (view[0] + view[1]) / 2) => {
    const least = 2, most = whole * 1.02;
    const length = Math.min(most, Math.max(least, (view[1] - view[0]) * factor));
    const part = (centre - view[0]) / (view[1] - view[0]);
    let from = centre - length * part;
    from = Math.max(-whole * 0.01, Math.min(whole * 1.01 - length, from));
    view = [from, from + length];
    redraw();
  };
  const pan = by => {
    const length = view[1] - view[0];
    const from = Math.max(-whole * 0.01, Math.min(whole * 1.01 - length, view[0] + by));
    view = [from, from + length];
    redraw();
  };
  const timeAt = event => {
    const box = svg.getBoundingClientRect();
    return view[0] + Math.max(0, event.clientX - box.left - gutter) / (width - gutter - 8) * (view[1] - view[0]);
  };
  svg.addEventListener('wheel', event => {
    if (!event.ctrlKey && !event.shiftKey) return;  // the page scrolls
    event.preventDefault();
    const amount = event.deltaY || event.deltaX;
    zoom(Math.pow(1.0018, amount), timeAt(event));
  }, {passive: false});
  svg.addEventListener('dblclick', event => zoom(0.4, timeAt(event)));
  let from = null, moved = 0;
  svg.addEventListener('pointerdown', event => { from = event.clientX; moved = 0; });
  svg.addEventListener('pointermove', event => {
    if (from === null) return;
    moved += Math.abs(event.clientX - from);
    if (moved > 3 && !svg.hasPointerCapture(event.pointerId)) { svg.setPointerCapture(event.pointerId); svg.classList.add('moving'); }
    pan((from - event.clientX) / (width - gutter - 8) * (view[1] - view[0]));
    from = event.clientX;
  });
  svg.addEventListener('pointerup', event => {
    const found = moved <= 3 && from !== null ? under(event) : null;
    from = null;
    if (moved <= 3) select(found && found.mark || null);
    svg.classList.remove('moving');
  });
  svg.addEventListener('pointercancel', () => { from = null; svg.classList.remove('moving'); });
  $('in').onclick = () => zoom(0.5);
  $('out').onclick = () => zoom(2);
  $('all').onclick = () => { view = [-whole * 0.01, whole * 1.01]; redraw(); };
  svg.addEventListener('keydown', event => {
    const next = by => {
      if (shown.length === 0) return;
      const i = selected ? shown.indexOf(selected) : (by > 0 ? -1 : shown.length);
      const mark = shown[Math.max(0, Math.min(shown.length - 1, i + by))];
      const length = view[1] - view[0];
      if (mark.begin < view[0] || mark.begin > view[1]) { view = [mark.begin - length / 2, mark.begin + length / 2]; }
      select(mark);
      svg.parentElement.scrollTop = Math.max(0, laneTop[mark.lane] - 80);
    };
    const keys = {
      ArrowRight: () => event.shiftKey ? pan((view[1] - view[0]) / 5) : next(1),
      ArrowLeft: () => event.shiftKey ? pan((view[0] - view[1]) / 5) : next(-1),
      Home: () => { selected = null; next(1); }, End: () => { selected = null; next(-1); },
      '+': () => zoom(0.5, selected ? selected.begin : undefined), '-': () => zoom(2), 0: $('all').onclick, Escape: () => select(null),
      Enter: () => { if (selected && selected.port) { $('port').value = selected.port; filter(); } },
    };
    if (!keys[event.key] || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    keys[event.key]();
  });

  const tables = Array.from(document.querySelectorAll('table'));
  const filter = () => {
    const test = $('test').value.trim().toLowerCase();
    const port = $('port').value.trim();
    const state = states[$('state').value];
    const plain = test === '' && port === '' && $('state').value === '';
    const named = names.map(name => test === '' || name.toLowerCase().includes(test));
    shown = plain ? marks : marks.filter(mark => named[tests[mark.test].name] && (port === '' || String(mark.port) === port || place(mark).startsWith(port)) && state(mark));
    const withMarks = new Set(shown.map(mark => mark.test));
    const names_ = new Set(shown.map(mark => tests[mark.test].name));
    wanted = plain ? tests : tests.filter((each, i) => port === '' && $('state').value === '' ? named[each.name] : withMarks.has(i));
    let count = 0;
    rows.forEach((row, i) => {
      const fits = plain || (port === '' && $('state').value === '' ? named[i] : names_.has(i));
      row.hidden = !fits;
      count += fits ? 1 : 0;
    });
    for (const table of tables) {
      if (table.id === 'tests') continue;
      for (const row of table.tBodies[0].rows) {
        const text = row.textContent;
        row.hidden = !((test === '' || text.toLowerCase().includes(test)) && (port === '' || text.includes(port)));
      }
    }
    $('count').textContent = plain ? '' : `${count} of ${names.length} tests, ${shown.length} of ${marks.length} sockets`;
    if (selected && !shown.includes(selected)) select(null);
    redraw();
  };
  let later = 0;
  for (const id of ['test', 'port', 'state']) {
    $(id).addEventListener('input', () => { clearTimeout(later); later = setTimeout(filter, 80); });
  }

  const value = cell => {
    const text = cell ? cell.textContent : '';
    const number = parseFloat(text);
    if (Number.isNaN(number)) return text === '' ? -1 : text.toLowerCase();
    return / s$/.test(text) ? number * 1000 : number;
  };
  for (const table of tables) {
    Array.from(table.tHead.rows[0].cells).forEach((head, column) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = head.textContent;
      head.textContent = '';
      head.append(button);
      button.onclick = () => {
        const down = head.getAttribute('aria-sort') !== 'descending';
        for (const each of table.tHead.rows[0].cells) each.removeAttribute('aria-sort');
        head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
        const keyed = Array.from(table.tBodies[0].rows, row => [value(row.cells[column]), row]);
        keyed.sort(([a], [b]) => {
          const order = typeof a === typeof b ? (a < b ? -1 : a > b ? 1 : 0) : typeof a === 'number' ? -1 : 1;
          return down ? -order : order;
        });
        table.tBodies[0].append(...keyed.map(each => each[1]));
      };
    });
  }
  for (const code of document.querySelectorAll('pre')) {
    if (!navigator.clipboard) break;
    const button = Object.assign(document.createElement('button'), {type: 'button', textContent: 'Copy'});
    const text = code.textContent;
    button.onclick = () => navigator.clipboard.writeText(text).then(() => { button.textContent = 'Copied'; });
    code.append(button);
  }
  $('theme').onclick = () => {
    const dark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
    root.dataset.theme = dark ? 'light' : 'dark';
  };
  new ResizeObserver(redraw).observe(svg.parentElement);
  draw();
})();
