
// The dial: the player's picture, and a slider that turns from one film of cells to the next.
// It stands after player.js in one module and uses its functions.

function dial(root, meta, base64) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const { name, positions } = meta.dial;
  const state = { ...meta.start };
  const last = meta.frames.times.length - 1;
  root.classList.add("gcv-player");
  const picture = make("div", "", "", root);
  const time = labelled("frame", slider(last, 1, state.frame), root);
  time.parentElement.className = "gcv-frame";
  time.parentElement.style.setProperty("--half-a-bar", `${50 / (last + 1)}%`);
  const controls = make("div", "gcv-controls", "", root);
  const turn = labelled(name, slider(positions.length - 1, 1, state.choice), controls);
  turn.parentElement.className = "gcv-wide";

  const player = mount(picture, meta, bytes, state, (frame) => go({ frame }));
  picture.querySelector(".gcv-title").hidden = true; // it speaks of classes
  const words = make("p", "gcv-title gcv-turned", "");
  words.setAttribute("aria-live", "polite");
  picture.prepend(words);

  function go(changes) {
    player.set(changes); // it changes `state`
    time.value = state.frame;
    turn.value = state.choice;
    words.textContent = positions[state.choice];
    time.setAttribute("aria-valuetext", meta.frames.spoken[state.frame]);
    turn.setAttribute("aria-valuetext", positions[state.choice]);
  }
  time.addEventListener("input", () => go({ frame: Number(time.value) }));
  turn.addEventListener("input", () => go({ choice: Number(turn.value) }));
  go({});
}
