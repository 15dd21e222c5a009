// The player: one canvas that draws any frame with the map of any class, in the browser alone.
// The same file serves the notebook (anywidget calls `render`) and the page player.html (`page`).
//
// What it is given once: JPEG frames, the maps of all classes as bytes, and `meta`, which says where
// everything lies. The arithmetic is that of grid.py (geometry) and overlay.py (colours), to a
// rounding; tests/test_player.py compares the two.

const KEEP_DECODED = 64; // frames; a long clip is decoded as it is needed

// --- the maps -----------------------------------------------------------------------------------

/** Linear interpolation at position `at` on an axis: [cell below, cell above, share of the upper]. */
function between(axis, at) {
  const x = Math.min(Math.max((at - axis.offset) / axis.stride, 0), axis.cells - 1);
  const below = Math.min(Math.floor(x), axis.cells - 1);
  return [below, Math.min(below + 1, axis.cells - 1), x - below];
}

/** For every pixel of one side: where it falls on the cells, and whether the network saw it. */
function alongSide(axis, size, low, high, inputs) {
  const below = new Int32Array(size), above = new Int32Array(size);
  const share = new Float32Array(size), seen = new Uint8Array(size);
  for (let i = 0; i < size; i++) {
    const at = ((i + 0.5 - low) / (high - low)) * inputs - 0.5;
    [below[i], above[i], share[i]] = between(axis, at);
    seen[i] = at > -0.5 - 1e-9 && at < inputs - 0.5 + 1e-9 ? 1 : 0;
  }
  return { below, above, share, seen };
}

class Maps {
  constructor(meta, bytes) {
    this.meta = meta;
    const { classes, frames, grid, parts } = meta;
    const [steps, rows, columns] = grid.cells;
    this.cells = rows * columns;
    this.steps = steps;
    const start = parts.maxima;
    this.maxima = new Float32Array(bytes.slice(start, start + 4 * classes.length * steps).buffer);
    this.bytes = bytes.subarray(parts.maps, parts.maps + classes.length * steps * this.cells);
    const [top, left, bottom, right] = grid.box;
    this.down = alongSide(grid.rows, frames.height, top, bottom, grid.inputs[0]);
    this.across = alongSide(grid.columns, frames.width, left, right, grid.inputs[1]);
    // The largest raw value in each scope, and each class's evidence per frame
    this.most = classes.map((_, k) => Math.max(...this.maxima.subarray(k * steps, (k + 1) * steps)));
    this.mostOfAll = this.most.reduce((a, b) => Math.max(a, b), 0);
    this.curves = new Map();
    this.mostEvidence = null;
  }

  /** One class's raw map brought to a frame in time, Float32Array(h · w). */
  atFrame(choice, frame) {
    const at = this.meta.frames.numbers[frame];
    const [below, above, share] = between(this.meta.grid.time, at);
    const out = new Float32Array(this.cells);
    for (const [step, weight] of [[below, 1 - share], [above, share]]) {
      if (weight === 0) continue;
      const slice = choice * this.steps + step;
      const unit = (this.maxima[slice] / 255) * weight;
      for (let i = 0; i < this.cells; i++) out[i] += unit * this.bytes[slice * this.cells + i];
    }
    return out;
  }

  /** What the map is divided by in a scope; an empty map stays empty. */
  scale(choice, scope, cells) {
    let most = this.most[choice];
    if (scope === "classes") most = this.mostOfAll;
    if (scope === "frame") most = cells.reduce((a, b) => Math.max(a, b), 0);
    return most > 0 ? most : 1;
  }

  /** The map on the frame's pixels, 0..255, as overlay() rounds it: Uint8Array(H · W). */
  onPixels(choice, frame, scope) {
    const cells = this.atFrame(choice, frame);
    const scale = this.scale(choice, scope, cells);
    const { down, across } = this;
    const height = down.share.length, width = across.share.length;
    const columns = this.meta.grid.cells[2];
    const line = new Float32Array(columns);
    const out = new Uint8Array(height * width);
    for (let y = 0; y < height; y++) {
      if (!down.seen[y]) continue;
      const upper = down.below[y] * columns, lower = down.above[y] * columns, s = down.share[y];
      for (let j = 0; j < columns; j++) {
        line[j] = ((1 - s) * cells[upper + j] + s * cells[lower + j]) / scale;
      }
      for (let x = 0; x < width; x++) {
        if (!across.seen[x]) continue;
        const t = across.share[x];
        const v = (1 - t) * line[across.below[x]] + t * line[across.above[x]];
        out[y * width + x] = Math.min(v, 1) * 255 + 0.5;
      }
    }
    return out;
  }

  /** Evidence per frame: the map's sum over space. */
  evidence(choice) {
    if (!this.curves.has(choice)) {
      const curve = this.meta.frames.times.map((_, t) =>
        this.atFrame(choice, t).reduce((a, b) => a + b, 0));
      this.curves.set(choice, curve);
    }
    return this.curves.get(choice);
  }

  /** The height of a full bar: this class's strongest frame, or that of all classes. */
  fullBar(choice, scope) {
    if (scope !== "classes") return Math.max(...this.evidence(choice));
    if (this.mostEvidence === null) {
      this.mostEvidence = 0;
      for (let k = 0; k < this.most.length; k++) {
        this.mostEvidence = Math.max(this.mostEvidence, ...this.evidence(k));
      }
    }
    return this.mostEvidence;
  }
}

// --- the colours --------------------------------------------------------------------------------

/** Paint a map on a frame's pixels (RGBA, in place). See overlay.py for the two blends. */
function paint(pixels, map, maps, colours, blend, opacity, meta) {
  const share = new Uint8Array(256);
  for (let v = 0; v < 256; v++) {
    const rising = blend === "post" ? 1 : 1 - (1 - v / 255) ** 2;
    share[v] = Math.round(255 * opacity * rising);
  }
  const { grey, unseen } = meta.look;
  const { down, across } = maps;
  const height = down.seen.length, width = across.seen.length;
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const at = 4 * i;
      if (!(down.seen[y] && across.seen[x])) {
        for (let c = 0; c < 3; c++) pixels[at + c] = Math.round(unseen * pixels[at + c]);
        continue;
      }
      const v = map[i], a = share[v];
      const luma = (pixels[at] * 19595 + pixels[at + 1] * 38470 + pixels[at + 2] * 7471 + 32768) >> 16;
      for (let c = 0; c < 3; c++) {
        let base = pixels[at + c];
        if (blend !== "post") base = Math.floor(base + grey * (luma - base));
        const mixed = colours[3 * v + c] * a + base * (255 - a) + 128;
        pixels[at + c] = ((mixed >> 8) + mixed) >> 8;
      }
    }
  }
}

/**
 * The line where a map (0..255) reaches half of its scale: white inside, dark outside, so that it
 * shows on any picture, and to whoever cannot tell the colours apart.
 */
function outline(pixels, map, height, width) {
  const high = (y, x) => y >= 0 && y < height && x >= 0 && x < width && map[y * width + x] >= 128;
  pixels.fill(0);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const inside = map[i] >= 128;
      const edge = high(y - 1, x) !== inside || high(y + 1, x) !== inside
        || high(y, x - 1) !== inside || high(y, x + 1) !== inside;
      if (!edge) continue;
      const light = inside ? 255 : 0;
      pixels.set([light, light, light, inside ? 255 : 150], 4 * i);
    }
  }
}

// --- the picture with its words -----------------------------------------------------------------

/** An element with a class and a text; text is never read as HTML. */
function make(tag, className, text, parent) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  if (parent) parent.append(element);
  return element;
}

function svg(tag, attributes, parent) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (parent) parent.append(element);
  return element;
}

/**
 * Put the picture, its words and its evidence strip into `root`.
 *
 * `pick(frame)` is called when the reader clicks on the strip. Returns `set(changes)` and `destroy`.
 */
function mount(root, meta, bytes, state, pick) {
  const maps = new Maps(meta, bytes);
  const { frames, parts } = meta;
  const count = frames.times.length;

  root.classList.add("gcv");
  if (meta.untrained) make("p", "gcv-alarm", meta.untrained, root);
  const title = make("p", "gcv-title", "", root);
  const stage = make("div", "gcv-stage", "", root);
  stage.style.maxWidth = `${meta.width}px`;
  const canvas = make("canvas", "gcv-picture", "", stage);
  const line = make("canvas", "gcv-outline", "", stage);
  canvas.width = line.width = frames.width;
  canvas.height = line.height = frames.height;
  line.setAttribute("aria-hidden", "true");
  canvas.setAttribute("role", "img");
  const moment = make("p", "gcv-moment", "", root);
  const strip = svg("svg", { class: "gcv-strip", viewBox: `0 0 ${count * 10} 52`,
    preserveAspectRatio: "none", role: "img" }, root);
  strip.style.maxWidth = `${meta.width}px`;
  const stripWords = svg("title", {}, strip);
  const bars = frames.times.map((_, t) => svg("rect", { x: t * 10 + 0.6, width: 8.8 }, strip));
  for (let i = 0; i < meta.grid.time.cells; i++) { // where the network's own time steps lie
    const at = meta.grid.time.offset + meta.grid.time.stride * i;
    const shown = (at / Math.max(frames.all - 1, 1)) * (count - 1);
    if (shown >= -0.5 && shown <= count - 0.5) {
      svg("rect", { class: "gcv-step", x: shown * 10 + 4, y: 48.5, width: 2, height: 3 }, strip);
    }
  }
  make("p", "gcv-soft", meta.words.strip, root);
  for (const line of meta.words.about) make("p", "gcv-about", line, root);

  const decoded = new Map();
  const scratch = document.createElement("canvas");
  scratch.width = frames.width;
  scratch.height = frames.height;
  const reader = scratch.getContext("2d", { willReadFrequently: true });
  const screen = canvas.getContext("2d"), above = line.getContext("2d");
  const drawnLine = above.createImageData(frames.width, frames.height);

  function decode(frame) {
    if (!decoded.has(frame)) {
      const start = parts.jpegs[frame];
      const jpeg = bytes.slice(start, parts.jpegs[frame + 1]);
      decoded.set(frame, createImageBitmap(new Blob([jpeg], { type: "image/jpeg" })));
      if (decoded.size > KEEP_DECODED) decoded.delete(decoded.keys().next().value);
    }
    return decoded.get(frame);
  }

  let wanted = 0; // counts repaints, so that a slow decode never overtakes a newer picture
  let gone = false;
  async function repaint() {
    const mine = ++wanted;
    const { frame, choice, opacity } = state;
    const scope = meta.scopes[state.scope].name, cmap = meta.cmaps[state.cmap];
    write(frame, choice, scope);
    const bitmap = await decode(frame);
    if (gone || mine !== wanted) return;
    reader.drawImage(bitmap, 0, 0);
    const image = reader.getImageData(0, 0, frames.width, frames.height);
    const colours = bytes.subarray(cmap.start, cmap.start + 768);
    const map = maps.onPixels(choice, frame, scope);
    paint(image.data, map, maps, colours, cmap.blend, opacity, meta);
    outline(drawnLine.data, map, frames.height, frames.width);
    screen.putImageData(image, 0, 0);
    above.putImageData(drawnLine, 0, 0);
    line.style.opacity = Math.min(1, 2 * opacity); // goes with the map
    canvas.dataset.painted = `${frame} ${choice} ${opacity} ${scope} ${cmap.name}`;
    if (count > 1) decode((frame + 1) % count); // ready before it is asked for
  }

  function write(frame, choice, scope) {
    const chosen = meta.classes[choice];
    const empty = maps.most[choice] <= 0;
    title.textContent = empty
      ? `No positive evidence for “${chosen.name}” (${chosen.percent})`
      : `Evidence for “${chosen.name}” (${chosen.percent})`;
    moment.textContent = frames.words[frame];
    moment.classList.toggle("gcv-repeat", frames.repeated[frame]);
    const full = maps.fullBar(choice, scope), curve = maps.evidence(choice);
    bars.forEach((bar, t) => {
      const height = full > 0 ? Math.max((46 * curve[t]) / full, 0.8) : 0.8;
      bar.setAttribute("y", 47 - height);
      bar.setAttribute("height", height);
      const again = frames.repeated[t] ? " gcv-again" : "";
      bar.setAttribute("class", (t === frame ? "gcv-now" : "gcv-bar") + again);
    });
    const share = full > 0 ? Math.round((100 * curve[frame]) / full) : 0;
    stripWords.textContent = `${meta.words.strip}: ${share} % of the strongest frame`;
    canvas.setAttribute("aria-label", `${title.textContent}, ${frames.words[frame]}`);
  }

  function clicked(event) {
    const box = strip.getBoundingClientRect();
    const at = Math.floor(((event.clientX - box.left) / box.width) * count);
    pick(Math.min(Math.max(at, 0), count - 1));
  }
  strip.addEventListener("click", clicked);

  repaint();
  return {
    set(changes) {
      Object.assign(state, changes);
      repaint();
    },
    destroy() {
      gone = true;
      strip.removeEventListener("click", clicked);
      decoded.clear();
      root.replaceChildren();
    },
  };
}

// --- in a notebook ------------------------------------------------------------------------------

const SHARED = ["frame", "choice", "opacity", "scope", "cmap"];

/** anywidget's entry. Nothing is written back to the kernel but a click of the reader's. */
function render({ model, el }) {
  const view = model.get("data");
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  const state = Object.fromEntries(SHARED.map((name) => [name, model.get(name)]));
  const root = make("div", "", "", el);
  const player = mount(root, model.get("meta"), bytes, state, (frame) => {
    model.set("frame", frame);
    model.save_changes();
  });
  const listeners = SHARED.map((name) => {
    const listener = () => player.set({ [name]: model.get(name) });
    model.on(`change:${name}`, listener);
    return [name, listener];
  });
  return () => {
    for (const [name, listener] of listeners) model.off(`change:${name}`, listener);
    player.destroy();
  };
}

// --- as a page of its own -----------------------------------------------------------------------

function labelled(text, control, parent) {
  const label = make("label", "", "", parent);
  make("span", "", text, label);
  control.setAttribute("aria-label", text); // else the options of a list would be part of its name
  label.append(control);
  return control;
}

function choices(texts, chosen) {
  const select = document.createElement("select");
  for (const text of texts) make("option", "", text, select);
  select.selectedIndex = chosen;
  return select;
}

function slider(max, step, value) {
  const input = document.createElement("input");
  Object.assign(input, { type: "range", min: 0, max, step });
  input.value = value;
  return input;
}

/** The page: the same picture with the browser's own controls. */
function page(root, meta, base64) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const state = { ...meta.start };
  const last = meta.frames.times.length - 1;
  const picture = make("div", "", "", root);
  const controls = make("div", "gcv-controls", "", root);

  const player = mount(picture, meta, bytes, state, (frame) => { stop(); go(frame); });
  const button = make("button", "gcv-play", "Play", controls);
  button.type = "button";
  const time = labelled("frame", slider(last, 1, state.frame), controls);
  const names = meta.classes.map((c) => `${c.percent}  ${c.name}`);
  const choice = labelled("class", choices(names, state.choice), controls);
  choice.parentElement.className = "gcv-wide";
  const opacity = labelled("opacity", slider(1, 0.05, state.opacity), controls);
  const scope = labelled("scale", choices(meta.scopes.map((s) => s.title), state.scope), controls);
  const cmap = labelled("colours", choices(meta.cmaps.map((c) => c.title), state.cmap), controls);
  time.disabled = button.disabled = last === 0;

  let timer = null;
  function go(frame) {
    time.value = frame;
    time.setAttribute("aria-valuetext", meta.frames.words[frame]);
    player.set({ frame });
  }
  function stop() {
    clearInterval(timer);
    timer = null;
    button.textContent = "Play";
  }
  function toggle() {
    if (timer !== null) return stop();
    button.textContent = "Pause";
    timer = setInterval(() => go((state.frame + 1) % (last + 1)), meta.interval);
  }
  const keys = (event) => {
    if (/^(SELECT|INPUT|TEXTAREA)$/.test(event.target.tagName)) return; // they have keys of their own
    const step = { ArrowRight: 1, ArrowLeft: last }[event.key];
    if (step === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    stop();
    go((state.frame + step) % (last + 1));
  };
  button.addEventListener("click", toggle);
  time.addEventListener("input", () => { stop(); go(Number(time.value)); });
  choice.addEventListener("change", () => player.set({ choice: choice.selectedIndex }));
  opacity.addEventListener("input", () => player.set({ opacity: Number(opacity.value) }));
  scope.addEventListener("change", () => player.set({ scope: scope.selectedIndex }));
  cmap.addEventListener("change", () => player.set({ cmap: cmap.selectedIndex }));
  document.addEventListener("keydown", keys);
  go(state.frame);
}

export { page };
export default { render };
