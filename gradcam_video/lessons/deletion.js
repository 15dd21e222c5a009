// Deletion under a slider: the cells that go first, what is shown instead, and the logit.
// It stands after elements.js in one module and uses its functions.

/** Little-endian 16-bit numbers: the cells in the order in which they go. */
function numbers(base64) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  return new Uint16Array(bytes.buffer);
}

const COLOURS = ["#d97706", "#8a8a96", "#2f7fd1"];

async function deletion(root, { width, cells, shares, frames, instead, orders, curves }) {
  root.classList.add("gcv");
  const [count, rows, columns] = cells, size = 2 * width;
  const ways = Object.keys(instead), people = Object.keys(orders);
  const all = Object.values(curves).flat();
  const low = Math.min(0, ...all), high = Math.max(...all);
  const at = { way: ways[0], who: people[0], share: 0, frame: count >> 1 };

  const answer = make("p", "gcv-title gcv-answer", "", root);
  answer.setAttribute("aria-live", "polite");
  const canvas = make("canvas", "gcv-picture", "", root);
  canvas.width = canvas.height = size;
  canvas.setAttribute("role", "img");
  const moment = make("p", "gcv-moment", "", root);
  const chart = make("canvas", "gcv-chart", "", root);
  chart.width = size;
  chart.height = 150;
  chart.style.width = "100%";
  chart.setAttribute("role", "img");
  const controls = make("div", "gcv-controls", "", root);
  const slide = (name, max, value) => {
    const label = make("label", "gcv-wide", "", controls);
    make("span", "", name, label);
    const input = make("input", "", "", label);
    Object.assign(input, { type: "range", min: 0, max, step: 1, value });
    return input;
  };
  const choose = (name, options) => {
    const label = make("label", "", "", controls);
    make("span", "", name, label);
    const select = make("select", "", "", label);
    for (const option of options) make("option", "", option, select);
    return select;
  };
  const share = slide("share of the cells that are replaced", shares.length - 1, 0);
  const frame = slide("frame", count - 1, at.frame);
  const who = choose("which cells go first", people);
  const way = choose("what they show instead", ways);

  const load = (list) => Promise.all(list.map((jpeg) => {
    const image = new Image();
    image.src = `data:image/jpeg;base64,${jpeg}`;
    return image.decode().then(() => image);
  }));
  const pictures = await load(frames), others = {}, places = {};
  for (const name of ways) others[name] = await load(instead[name]);
  for (const name of people) places[name] = numbers(orders[name]);

  function draw() {
    const pen = canvas.getContext("2d"), other = others[at.way];
    pen.drawImage(pictures[at.frame], 0, 0, size, size);
    const gone = Math.floor(shares[at.share] * count * rows * columns);
    const over = other[other.length === 1 ? 0 : at.frame];
    const wide = size / columns, tall = size / rows, from = width / columns, down = width / rows;
    pen.strokeStyle = "rgba(255, 255, 255, 0.35)";
    pen.lineWidth = 1;
    for (const cell of places[at.who].subarray(0, gone)) {
      if (Math.floor(cell / (rows * columns)) !== at.frame) continue;
      const y = Math.floor(cell / columns) % rows, x = cell % columns;
      pen.drawImage(over, x * from, y * down, from, down, x * wide, y * tall, wide, tall);
      pen.strokeRect(x * wide + 0.5, y * tall + 0.5, wide - 1, tall - 1);
    }
    const curve = curves[`${at.way}/${at.who}`], percent = Math.round(100 * shares[at.share]);
    answer.textContent =
      `${percent} % replaced ${at.who}: logit ${curve[at.share].toFixed(1)} (whole clip ${curve[0].toFixed(1)})`;
    moment.textContent = `frame ${at.frame}; replaced cells are outlined and show: ${at.way}`;
    canvas.setAttribute("aria-label", `${answer.textContent}; ${moment.textContent}`);
    canvas.dataset.state = `${at.way} ${at.who} ${at.share} ${at.frame}`;
    curvesOf(chart.getContext("2d"));
  }

  /** The logit over the share, of every order; a dot where the slider is. */
  function curvesOf(pen) {
    const left = 34, right = size - 8, top = 26, bottom = 126;
    const px = (s) => left + (right - left) * s / shares[shares.length - 1];
    const py = (v) => bottom - (bottom - top) * (v - low) / (high - low);
    const ink = getComputedStyle(root).color;
    pen.clearRect(0, 0, size, 150);
    pen.font = "12px system-ui, sans-serif";
    pen.strokeStyle = pen.fillStyle = ink;
    pen.lineWidth = 1;
    pen.strokeRect(left, top, right - left, bottom - top);
    for (const v of [0, high]) pen.fillText(v.toFixed(0), 8, py(v) + 4);
    pen.fillText("0 %", left, 143);
    const end = `${Math.round(100 * shares[shares.length - 1])} % of the cells`;
    pen.fillText(end, right - pen.measureText(end).width, 143);
    let x = left;
    pen.fillText("logit", 2, 16);
    people.forEach((name, i) => {
      const curve = curves[`${at.way}/${name}`];
      pen.strokeStyle = pen.fillStyle = COLOURS[i % COLOURS.length];
      pen.lineWidth = name === at.who ? 3 : 1.5;
      pen.fillText(name, x, 16);
      x += pen.measureText(name).width + 14;
      pen.beginPath();
      shares.forEach((s, k) => pen[k ? "lineTo" : "moveTo"](px(s), py(curve[k])));
      pen.stroke();
      if (name !== at.who) return;
      pen.beginPath();
      pen.arc(px(shares[at.share]), py(curve[at.share]), 6, 0, 7);
      pen.fill();
    });
    chart.setAttribute("aria-label", "logit over the share of replaced cells");
  }

  share.addEventListener("input", () => { at.share = Number(share.value); draw(); });
  frame.addEventListener("input", () => { at.frame = Number(frame.value); draw(); });
  who.addEventListener("change", () => { at.who = who.value; draw(); });
  way.addEventListener("change", () => { at.way = way.value; draw(); });
  draw();
}
