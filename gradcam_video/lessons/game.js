// "Beat the network": look through a clip, click where and when the action is, see who was right.
// It stands after elements.js in one module and uses its functions.

/** Bits, the highest of each byte first, as numpy packs them. */
function unpack(base64) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  return (i) => (bytes[i >> 3] >> (7 - (i & 7))) & 1;
}

const WHO = { you: "#ffffff", network: "#ff9a1f", centre: "#4db8ff" };
const NAMES = { you: "you", network: "Grad-CAM", centre: "the middle of everything" };

function play(root, { side, width, rounds }) {
  root.classList.add("gcv");
  const size = 2 * width, place = size / side;
  const points = { you: 0, network: 0, centre: 0 };
  let number = 0, frame = 0, click = null, shown = false, pictures = [], bits = null;

  const title = make("p", "gcv-title", "", root);
  const canvas = make("canvas", "gcv-picture", "", root);
  canvas.width = canvas.height = size;
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "img");
  canvas.style.cursor = "crosshair";
  const pen = canvas.getContext("2d");
  const slider = make("input", "gcv-when", "", make("p", "", "", root));
  Object.assign(slider, { type: "range", min: 0, step: 1 });
  slider.setAttribute("aria-label", "frame");
  slider.style.width = "100%";
  const moment = make("p", "gcv-moment", "", root);
  const words = make("p", "gcv-words", "", root);
  words.setAttribute("aria-live", "polite");
  const buttons = make("div", "gcv-controls", "", root);
  const button = make("button", "gcv-next", "", buttons);
  button.type = "button";
  const score = make("p", "gcv-soft gcv-score", "", root);

  const isRight = ([t, y, x]) => bits((t * side + y) * side + x) === 1;
  const clicks = () => ({ you: click, network: rounds[number].network, centre: rounds[number].centre });

  async function begin(k) {
    number = k;
    click = null;
    shown = false;
    const { frames, right } = rounds[k];
    bits = unpack(right);
    pictures = await Promise.all(frames.map((jpeg) => {
      const image = new Image();
      image.src = `data:image/jpeg;base64,${jpeg}`;
      return image.decode().then(() => image);
    }));
    slider.max = pictures.length - 1;
    go(0);
  }

  function go(t) {
    frame = t;
    slider.value = t;
    draw();
  }

  function draw() {
    pen.imageSmoothingEnabled = true;
    pen.drawImage(pictures[frame], 0, 0, size, size);
    if (shown) outline();
    for (const [who, at] of Object.entries(shown ? clicks() : { you: click })) {
      if (at && at[0] === frame) cross(at, WHO[who]);
    }
    title.textContent = `${number + 1} of ${rounds.length}: ${rounds[number].label}`;
    moment.textContent = `frame ${frame + 1} of ${pictures.length}`;
    slider.setAttribute("aria-valuetext", moment.textContent);
    button.disabled = !click;
    const last = number === rounds.length - 1;
    button.textContent = shown ? (last ? "Play again" : "Next clip") : "That is my answer";
    if (!shown) {
      words.textContent = click
        ? `Your cross is in frame ${click[0] + 1}. Click elsewhere to move it.`
        : "Find the frame and the place where the action is, and click there.";
    }
    const sum = (who) => `${NAMES[who]} ${points[who]}`;
    score.textContent = Object.keys(points).map(sum).join(" · ");
    canvas.setAttribute("aria-label", `${title.textContent}, ${moment.textContent}`);
    canvas.dataset.state = `${number} ${frame} ${shown}`;
  }

  /** Around the places that count in this frame. */
  function outline() {
    const at = (y, x) => y >= 0 && x >= 0 && y < side && x < side && isRight([frame, y, x]);
    pen.strokeStyle = "#ffffff";
    pen.lineWidth = 2;
    pen.beginPath();
    for (let y = 0; y <= side; y++) {
      for (let x = 0; x <= side; x++) {
        if (at(y, x) !== at(y - 1, x)) {
          pen.moveTo(x * place, y * place);
          pen.lineTo((x + 1) * place, y * place);
        }
        if (at(y, x) !== at(y, x - 1)) {
          pen.moveTo(x * place, y * place);
          pen.lineTo(x * place, (y + 1) * place);
        }
      }
    }
    pen.stroke();
  }

  function cross([, y, x], colour) {
    const cx = (x + 0.5) * place, cy = (y + 0.5) * place;
    for (const [stroke, wide] of [["#000000", 7], [colour, 3]]) {
      pen.strokeStyle = stroke;
      pen.lineWidth = wide;
      pen.beginPath();
      pen.moveTo(cx - 10, cy);
      pen.lineTo(cx + 10, cy);
      pen.moveTo(cx, cy - 10);
      pen.lineTo(cx, cy + 10);
      pen.stroke();
    }
  }

  /** Count, and say who was right; each name leads to the frame that it chose. */
  function reveal() {
    shown = true;
    words.replaceChildren();
    for (const [who, at] of Object.entries(clicks())) {
      const right = isRight(at);
      if (right) points[who]++;
      const line = make("button", "gcv-who", "", words);
      line.type = "button";
      line.textContent = `${NAMES[who]}: frame ${at[0] + 1}, ${right ? "right" : "wrong"}`;
      Object.assign(line.style, { border: `3px solid ${WHO[who]}`, background: "none" });
      Object.assign(line.style, { color: "inherit", font: "inherit", margin: "2px 6px 2px 0" });
      if (who === "you") line.style.borderColor = "currentColor";
      line.addEventListener("click", () => go(at[0]));
    }
    draw();
  }

  canvas.addEventListener("click", (event) => {
    if (shown) return;
    const box = canvas.getBoundingClientRect();
    const inside = (v) => Math.min(side - 1, Math.max(0, Math.floor(v * side)));
    const y = inside((event.clientY - box.top) / box.height);
    click = [frame, y, inside((event.clientX - box.left) / box.width)];
    draw();
  });
  const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  canvas.addEventListener("keydown", (event) => { // the cross by keys, from the middle
    if (shown || !ARROWS[event.key]) return;
    event.preventDefault();
    const [, y, x] = click ?? [frame, side >> 1, side >> 1];
    const [dy, dx] = ARROWS[event.key], inside = (v) => Math.min(side - 1, Math.max(0, v));
    click = [frame, inside(y + 2 * dy), inside(x + 2 * dx)];
    draw();
  });
  slider.addEventListener("input", () => go(Number(slider.value)));
  button.addEventListener("click", () => {
    if (!shown) return reveal();
    const again = number === rounds.length - 1;
    if (again) for (const who of Object.keys(points)) points[who] = 0;
    begin(again ? 0 : number + 1);
  });
  begin(0);
}
