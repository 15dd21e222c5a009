// The player: one canvas that draws any frame with the map of any class, in the browser alone.
// The same file serves the notebook (anywidget calls `render`) and the page player.html (`page`).
//
// What it is given once: JPEG frames, the maps of all classes as bytes, and `meta`, which says where
// everything lies. The arithmetic is that of geometry.py and blend.py, to a rounding;
// tests/test_player.py compares the two.

const KEEP_DECODED = 64; // frames; a longer clip is decoded as it is needed

// --- the maps -----------------------------------------------------------------------------------

/** Whether an input index reaches the network: of an odd number of frames the last may not. */
function reaches(axis, at) {
  return axis.seen === null || axis.seen === undefined || at <= axis.seen - 0.5;
}

/** Linear interpolation at position `at` on an axis: [cell below, cell above, share of the upper]. */
function between(axis, at) {
  const x = Math.min(Math.max((at - axis.offset) / axis.stride, 0), axis.cells - 1);
  const below = Math.min(Math.floor(x), axis.cells - 1);
  return [below, Math.min(below + 1, axis.cells - 1), x - below];
}

/** For every pixel of one side: where it falls on the cells; first and end of what was seen. */
function alongSide(axis, size, low, high, inputs) {
  const below = new Int32Array(size), above = new Int32Array(size), share = new Float32Array(size);
  let first = size, end = 0;
  for (let i = 0; i < size; i++) {
    const at = ((i + 0.5 - low) / (high - low)) * inputs - 0.5;
    [below[i], above[i], share[i]] = between(axis, at);
    if (at <= -0.5 - 1e-9 || at >= inputs - 0.5 + 1e-9 || !reaches(axis, at)) continue;
    first = Math.min(first, i);
    end = i + 1;
  }
  return { below, above, share, first, end };
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
    this.drawn = new Uint8ClampedArray(frames.height * frames.width); // unseen pixels stay 0
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
    if (!reaches(this.meta.grid.time, at)) return out;
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

  /** The map on the frame's pixels, 0..255: Uint8ClampedArray(H · W), the same one every time. */
  onPixels(choice, frame, scope) {
    const cells = this.atFrame(choice, frame);
    const unit = 255 / this.scale(choice, scope, cells);
    const { down, across, drawn } = this;
    const width = across.share.length, columns = this.meta.grid.cells[2];
    const line = new Float32Array(columns);
    for (let y = down.first; y < down.end; y++) {
      const upper = down.below[y] * columns, lower = down.above[y] * columns, s = down.share[y];
      for (let j = 0; j < columns; j++) {
        line[j] = unit * ((1 - s) * cells[upper + j] + s * cells[lower + j]);
      }
      for (let x = across.first, i = y * width + x; x < across.end; x++, i++) {
        const left = line[across.below[x]], right = line[across.above[x]];
        drawn[i] = left + across.share[x] * (right - left); // rounded, and cut at 255
      }
    }
    return drawn;
  }

  /** Evidence per frame: the map's sum over space. First per time step, for a sum is linear. */
  evidence(choice) {
    if (!this.curves.has(choice)) {
      const sums = Array.from({ length: this.steps }, (_, step) => {
        const slice = choice * this.steps + step;
        const bytes = this.bytes.subarray(slice * this.cells, (slice + 1) * this.cells);
        return (this.maxima[slice] / 255) * bytes.reduce((a, b) => a + b, 0);
      });
      this.curves.set(choice, this.meta.frames.numbers.map((number) => {
        if (!reaches(this.meta.grid.time, number)) return 0;
        const [below, above, share] = between(this.meta.grid.time, number);
        return (1 - share) * sums[below] + share * sums[above];
      }));
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

// Pixels lie as red, green, blue, alpha, red, green, … : four bytes each, or one number of 32 bits.

/**
 * The frame under the map (RGBA, in place): dark where the network did not look; elsewhere it loses
 * some of its own colour, unless the blend is the post's. See blend.py.
 */
function prepare(pixels, maps, blend, { grey, unseen }) {
  const { down, across } = maps;
  const height = down.share.length, width = across.share.length;
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 4) {
      const [red, green, blue] = [pixels[at], pixels[at + 1], pixels[at + 2]];
      const luma = (red * 19595 + green * 38470 + blue * 7471 + 32768) >> 16;
      const seen = y >= down.first && y < down.end && x >= across.first && x < across.end;
      for (let c = at; c < at + 3; c++) {
        if (!seen) pixels[c] = Math.round(unseen * pixels[c]);
        else if (blend !== "post") pixels[c] = Math.floor(pixels[c] + grey * (luma - pixels[c]));
      }
    }
  }
  return pixels;
}

/** For each of the map's 256 values: its colour times its share of 255, and the frame's share. */
function mixing(colours, blend, opacity) {
  const tint = new Int32Array(3 * 256), rest = new Int32Array(256);
  for (let v = 0; v < 256; v++) {
    const rising = blend === "post" ? 1 : 1 - (1 - v / 255) ** 2;
    const share = Math.round(255 * opacity * rising);
    for (let c = 0; c < 3; c++) tint[3 * v + c] = colours[3 * v + c] * share + 128;
    rest[v] = 255 - share;
  }
  return { tint, rest };
}

/** Lay a map on a prepared frame; `pixels` and `frame` are RGBA bytes. */
function paint(pixels, frame, map, maps, { tint, rest }) {
  const { down, across } = maps;
  const width = across.share.length;
  pixels.set(frame);
  for (let y = down.first; y < down.end; y++) {
    for (let x = across.first, i = y * width + x; x < across.end; x++, i++) {
      const v = map[i], of = rest[v], at = 4 * i;
      for (let c = 0; c < 3; c++) {
        const mixed = tint[3 * v + c] + frame[at + c] * of;
        pixels[at + c] = ((mixed >> 8) + mixed) >> 8; // mixed / 255, rounded
      }
    }
  }
}

const HALF = 128; // the bit that only the upper half of 0..255 has
const INSIDE = 0xffffffff, OUTSIDE = 0x96000000; // white; black through which a little is seen

/**
 * The line where a map (0..255) reaches half of its scale: white inside, dark outside, so that it
 * shows on any picture, and to whoever cannot tell the colours apart. `pixels`: one number each.
 */
function outline(pixels, map, height, width) {
  pixels.fill(0);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const here = map[i];
      const up = y > 0 ? map[i - width] : 0, down = y < height - 1 ? map[i + width] : 0;
      const left = x > 0 ? map[i - 1] : 0, right = x < width - 1 ? map[i + 1] : 0;
      const differs = (up ^ here) | (down ^ here) | (left ^ here) | (right ^ here);
      if (differs & HALF) pixels[i] = here & HALF ? INSIDE : OUTSIDE;
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
  const best = (meta.windows?.best[0] ?? []).map(() => make("p", "gcv-best", "", root));
  const strip = svg("svg", { class: "gcv-strip", viewBox: `0 0 ${count * 10} 52`,
    preserveAspectRatio: "none", role: "img" }, root);
  strip.style.maxWidth = `${meta.width}px`;
  const stripWords = svg("title", {}, strip);
  const bars = frames.times.map((_, t) => svg("rect", {
    class: frames.repeated[t] ? "gcv-bar gcv-again" : "gcv-bar", x: t * 10 + 0.6, width: 8.8,
  }, strip));
  const steps = meta.windows ? 0 : meta.grid.time.cells; // joined maps have one for every frame
  for (let i = 0; i < steps; i++) { // where the network's own time steps lie
    const at = meta.grid.time.offset + meta.grid.time.stride * i;
    const shown = (at / Math.max(frames.all - 1, 1)) * (count - 1);
    if (shown >= -0.5 && shown <= count - 0.5) {
      svg("rect", { class: "gcv-step", x: shown * 10 + 4, y: 48.5, width: 2, height: 3 }, strip);
    }
  }
  make("p", "gcv-soft", meta.words.strip, root);
  for (const line of meta.words.about) make("p", "gcv-about", line, root);

  const scratch = document.createElement("canvas");
  scratch.width = frames.width;
  scratch.height = frames.height;
  const reader = scratch.getContext("2d", { willReadFrequently: true });
  const screen = canvas.getContext("2d"), above = line.getContext("2d");
  const picture = screen.createImageData(frames.width, frames.height);
  const drawnLine = above.createImageData(frames.width, frames.height);
  const lineNumbers = new Uint32Array(drawnLine.data.buffer);

  async function decode(frame, blend) {
    const jpeg = bytes.slice(parts.jpegs[frame], parts.jpegs[frame + 1]);
    const bitmap = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));
    reader.drawImage(bitmap, 0, 0);
    bitmap.close();
    const { data } = reader.getImageData(0, 0, frames.width, frames.height);
    return prepare(data, maps, blend, meta.look);
  }

  const decoded = new Map(); // promises of prepared frames
  function prepared(frame, blend) {
    const key = `${frame} ${blend}`;
    if (!decoded.has(key)) {
      decoded.set(key, decode(frame, blend));
      if (decoded.size > KEEP_DECODED) decoded.delete(decoded.keys().next().value);
    }
    return decoded.get(key);
  }

  let wanted = 0; // counts repaints, so that a slow decode never overtakes a newer picture
  let gone = false;
  async function repaint() {
    const mine = ++wanted;
    const { frame, choice, opacity } = state;
    const scope = meta.scopes[state.scope].name, cmap = meta.cmaps[state.cmap];
    const below = await prepared(frame, cmap.blend);
    if (gone || mine !== wanted) return;
    const began = performance.now();
    write(frame, choice, scope);
    const map = maps.onPixels(choice, frame, scope);
    const colours = bytes.subarray(cmap.start, cmap.start + 768);
    paint(picture.data, below, map, maps, mixing(colours, cmap.blend, opacity));
    outline(lineNumbers, map, frames.height, frames.width);
    screen.putImageData(picture, 0, 0);
    above.putImageData(drawnLine, 0, 0);
    line.style.opacity = Math.min(1, 2 * opacity); // goes with the map
    canvas.dataset.ms = (performance.now() - began).toFixed(1);
    canvas.dataset.painted = `${frame} ${choice} ${opacity} ${scope} ${cmap.name}`;
    if (ahead !== cmap.blend) prepareAhead(frame, cmap.blend);
    if (count > KEEP_DECODED) prepared((frame + 1) % count, cmap.blend);
  }

  /** The whole of a short clip, one frame after the other: ready before it is asked for. */
  let ahead = "";
  async function prepareAhead(from, blend) {
    ahead = blend;
    for (let i = 1; i < Math.min(count, KEEP_DECODED) && !gone && ahead === blend; i++) {
      await prepared((from + i) % count, blend);
    }
  }

  let curveOf = "", marked = 0;
  function write(frame, choice, scope) {
    const chosen = meta.classes[choice];
    const empty = maps.most[choice] <= 0;
    const window = meta.windows?.of[frame]; // of a long video, each of which has its own answer
    const answer = meta.windows ? meta.windows.answers[window][choice] : chosen.answer;
    title.textContent = empty
      ? `No positive evidence for “${chosen.name}” (${answer})`
      : `Evidence for “${chosen.name}” (${answer})`;
    meta.windows?.best[window].forEach((words, i) => { best[i].textContent = words; });
    moment.textContent = frames.words[frame];
    moment.classList.toggle("gcv-repeat", frames.repeated[frame]);
    const full = maps.fullBar(choice, scope), curve = maps.evidence(choice);
    if (curveOf !== `${choice} ${scope}`) drawCurve(curve, full);
    curveOf = `${choice} ${scope}`;
    bars[marked].classList.remove("gcv-now");
    bars[frame].classList.add("gcv-now");
    marked = frame;
    const share = full > 0 ? Math.round((100 * curve[frame]) / full) : 0;
    stripWords.textContent = `${meta.words.strip}: ${share} % of the strongest frame`;
    canvas.setAttribute("aria-label", `${title.textContent}, ${frames.spoken[frame]}`);
  }

  function drawCurve(curve, full) {
    bars.forEach((bar, t) => {
      const height = full > 0 ? Math.max((46 * curve[t]) / full, 0.8) : 0.8;
      bar.setAttribute("y", 47 - height);
      bar.setAttribute("height", height);
    });
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

/**
 * How long each frame stays, in whole milliseconds. What rounding takes from one is given to the
 * next, so that all of them last as long as they should.
 */
function wholeMilliseconds(durations) {
  let end = 0;
  return durations.map((stay) => {
    const begin = Math.round(end);
    end += stay;
    return Math.max(1, Math.round(end) - begin);
  });
}

/** Let ipywidgets' Play wait for as long as the present frame stays: it asks before every step. */
async function pace(model, stays) {
  const play = await model.widget_manager?.get_model(model.get("play"));
  if (!play) return () => {};
  const wait = () => play.set("interval", stays[play.get("value")] ?? stays[0]);
  play.on("change:value", wait);
  wait();
  return () => play.off("change:value", wait);
}

const SHARED = ["frame", "choice", "opacity", "scope", "cmap"];

const HANDLES = ".noUi-handle, .ui-slider-handle"; // of ipywidgets 8, of 7

/**
 * Make the controls around the picture fit for keys and for the ear.
 *
 * JupyterLab takes plain keys for itself: an arrow on the list of classes would go to the next cell.
 * Sliders and buttons have no names, and the frame slider says a bare number (in ipywidgets 7
 * nothing): it should say frame and time.
 */
function help(el, spoken, state) {
  let box = null, handle = null, timer = null;
  function say() {
    if (handle === null) return;
    const said = { role: "slider", "aria-valuemin": 0,
      "aria-valuemax": spoken.length - 1, "aria-valuenow": state.frame,
      "aria-valuetext": spoken[state.frame] };
    for (const [name, value] of Object.entries(said)) {
      if (handle.getAttribute(name) !== String(value)) handle.setAttribute(name, value);
    }
  }
  function keep(event) { // before JupyterLab sees it; Shift+Enter still runs the cell
    const plain = !(event.ctrlKey || event.altKey || event.metaKey || event.shiftKey);
    if (!box?.contains(event.target)) return;
    event.target.toggleAttribute("data-lm-suppress-shortcuts", plain);
  }
  const observer = new MutationObserver(say); // the slider writes its bare number again and again
  function find(tries) { // the controls may come a little later than the picture
    box = el.closest(".gcv-player");
    handle = box?.querySelector(".gcv-frame")?.querySelector(HANDLES) ?? null;
    if (handle === null) {
      if (tries > 0) timer = setTimeout(find, 100, tries - 1);
      return;
    }
    observer.observe(handle, { attributeFilter: ["aria-valuetext"] });
    for (const slider of box.querySelectorAll(".widget-slider")) {
      const name = slider.querySelector(".widget-label")?.textContent || "frame";
      slider.querySelector(HANDLES)?.setAttribute("aria-label", name);
    }
    for (const button of box.querySelectorAll(".widget-play button")) {
      const icon = button.innerHTML.match(/fa-(\w+)/)?.[1] ?? "";
      button.setAttribute("aria-label", icon === "retweet" ? "repeat" : icon);
    }
    say();
  }
  find(50);
  window.addEventListener("keydown", keep, true);
  return {
    say,
    destroy() {
      clearTimeout(timer);
      observer.disconnect();
      window.removeEventListener("keydown", keep, true);
    },
  };
}

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
  const helper = help(el, model.get("meta").frames.spoken, state);
  const paced = pace(model, wholeMilliseconds(model.get("meta").frames.durations));
  const listeners = SHARED.map((name) => {
    const listener = () => {
      player.set({ [name]: model.get(name) });
      if (name === "frame") helper.say();
    };
    model.on(`change:${name}`, listener);
    return [name, listener];
  });
  return () => {
    for (const [name, listener] of listeners) model.off(`change:${name}`, listener);
    paced.then((end) => end());
    helper.destroy();
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
  root.classList.add("gcv-player");
  const picture = make("div", "", "", root);
  const time = labelled("frame", slider(last, 1, state.frame), root);
  time.parentElement.className = "gcv-frame";
  time.parentElement.style.setProperty("--half-a-bar", `${50 / (last + 1)}%`);
  const controls = make("div", "gcv-controls", "", root);

  const player = mount(picture, meta, bytes, state, (frame) => { stop(); go(frame); });
  const button = make("button", "gcv-play", "Play", controls);
  button.type = "button";
  const opacity = labelled("opacity", slider(1, 0.05, state.opacity), controls);
  const names = meta.classes.map((c) => `${c.answer}  ${c.name}`);
  const choice = labelled("class", choices(names, state.choice), controls);
  choice.parentElement.className = "gcv-wide";
  const scope = labelled("scale", choices(meta.scopes.map((s) => s.title), state.scope), controls);
  const cmap = labelled("colours", choices(meta.cmaps.map((c) => c.title), state.cmap), controls);
  time.disabled = button.disabled = last === 0;

  let timer = null;
  function go(frame) {
    time.value = frame;
    time.setAttribute("aria-valuetext", meta.frames.spoken[frame]);
    player.set({ frame });
  }
  function stop() {
    clearTimeout(timer);
    timer = null;
    button.textContent = "Play";
  }
  function toggle() {
    if (timer !== null) return stop();
    button.textContent = "Pause";
    due = performance.now();
    wait();
  }
  /** Until the present frame's time is over, by the clock: a late timer is made up for. */
  let due = 0;
  function wait() {
    due += meta.frames.durations[state.frame];
    timer = setTimeout(() => {
      let next = (state.frame + 1) % (last + 1);
      // Frames whose time went by meanwhile are passed over; after a long sleep all is as if paused.
      if (performance.now() - due > 1000) due = performance.now();
      while (performance.now() - due > meta.frames.durations[next]) {
        due += meta.frames.durations[next];
        next = (next + 1) % (last + 1);
      }
      go(next);
      wait();
    }, Math.max(0, due - performance.now()));
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

export { Maps, page };
export default { render };
