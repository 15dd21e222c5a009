// Switches and sliders: every position was computed beforehand, the chosen one is drawn.
// It stands after elements.js in one module and uses its functions.

/** One control: up to four positions are a list, more a slider with its position beside the name. */
function control({ name, places }, at, parent, moved) {
  const label = make("label", "", "", parent);
  const title = make("span", "", name, label);
  if (places.length <= 4) {
    const list = make("select", "", "", label);
    for (const place of places) make("option", "", place, list);
    list.selectedIndex = at;
    list.addEventListener("change", () => moved(list.selectedIndex));
    return;
  }
  const slider = make("input", "", "", label);
  Object.assign(slider, { type: "range", min: 0, max: places.length - 1, step: 1 });
  slider.value = at;
  const say = () => {
    title.textContent = `${name}: ${places[slider.value]}`;
    slider.setAttribute("aria-valuetext", places[slider.value]);
  };
  slider.setAttribute("aria-label", name);
  slider.addEventListener("input", () => {
    say();
    moved(Number(slider.value));
  });
  say();
}

function turn(root, { switches, states, pictures, axis, top, start, high }) {
  root.classList.add("gcv");
  const at = [...start];
  const picture = make("img", "gcv-picture", "", root);
  picture.hidden = pictures.length === 0;
  const plot = svg("svg", { width: "100%", viewBox: `0 0 480 ${high}`, role: "img" }, root);
  plot.style.display = high ? "" : "none";
  const words = make("p", "gcv-words", "", root);
  words.setAttribute("aria-live", "polite");
  const controls = make("div", "gcv-controls", "", root);
  switches.forEach((one, i) => control(one, at[i], controls, (place) => {
    at[i] = place;
    show();
  }));

  function show() {
    const key = at.join(" "), state = states[key], count = state.bars.length;
    if (state.picture !== undefined) {
      picture.src = `data:image/jpeg;base64,${pictures[state.picture]}`;
      picture.alt = state.words;
    }
    const left = 46, floor = high - 34, ceiling = 8, wide = (480 - left - 4) / count;
    const ink = { fill: "var(--ink)", "font-size": 14 };
    plot.replaceChildren();
    svg("line", { x1: left, x2: 476, y1: floor, y2: floor, stroke: "var(--soft)" }, plot);
    svg("text", { x: left - 4, y: ceiling + 9, "text-anchor": "end", ...ink }, plot, String(Number(top.toPrecision(2))));
    svg("text", { x: left - 4, y: floor, "text-anchor": "end", ...ink }, plot, "0");
    svg("text", {
      x: -(ceiling + floor) / 2, y: 12, transform: "rotate(-90)", "text-anchor": "middle", ...ink,
    }, plot, axis[1]);
    svg("text", { x: (left + 476) / 2, y: high - 3, "text-anchor": "middle", ...ink }, plot, axis[0]);
    state.bars.forEach((value, i) => {
      const tall = (Math.min(value, top) / top) * (floor - ceiling);
      const now = i === state.marked;
      svg("rect", {
        class: "gcv-bar", x: left + i * wide + wide * 0.1, width: wide * 0.8, y: floor - tall, height: tall,
        ...(now ? { style: "fill: var(--now)" } : {}),
      }, plot);
      svg("text", { x: left + (i + 0.5) * wide, y: floor + 15, "text-anchor": "middle", ...ink }, plot, `${i}`);
    });
    plot.setAttribute("aria-label", `${axis[1]} in each ${axis[0]}: ${state.bars.join(", ")}`);
    words.textContent = state.words;
    root.dataset.state = key;
  }
  show();
}
