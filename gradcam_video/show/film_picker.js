// A film from the reader's computer or camera goes to the kernel, a piece after the other.
const PIECE = 1 << 20; // bytes: far below what Jupyter takes as one message

function element(kind, words, parent) {
  const made = document.createElement(kind);
  if (words) made.textContent = words;
  parent.append(made);
  return made;
}

/** The next piece is sent when the kernel has the last one; `said` is told how far it is. */
async function send(model, film, name, said) {
  const bytes = await film.arrayBuffer();
  const pieces = Math.max(1, Math.ceil(bytes.byteLength / PIECE));
  for (let piece = 0; piece < pieces; piece += 1) {
    const got = new Promise((resolve) => {
      const listen = (answer) => {
        if (answer.got !== piece) return;
        model.off("msg:custom", listen);
        resolve();
      };
      model.on("msg:custom", listen);
    });
    const part = new DataView(bytes.slice(piece * PIECE, (piece + 1) * PIECE));
    model.send({ piece, last: piece === pieces - 1, name }, undefined, [part]);
    await got;
    said(`${Math.round((100 * (piece + 1)) / pieces)} % of ${name}`);
  }
  said(`${name} is here (${(bytes.byteLength / 1e6).toFixed(1)} MB): run the next cell`);
}

/** What the camera sees for so many seconds, as a file. */
async function record(seconds, video, said) {
  if (!navigator.mediaDevices) {
    throw new Error("this page gets no camera: open it by https, or on the computer it runs on");
  }
  const stream = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 480 } });
  try {
    video.srcObject = stream;
    video.hidden = false;
    await video.play();
    // VP8 is the lightest to encode: a slow computer drops fewer frames. Safari knows mp4 only.
    const mimeType = ["video/webm;codecs=vp8", "video/mp4"].find(MediaRecorder.isTypeSupported);
    const recorder = new MediaRecorder(stream, { mimeType });
    const parts = [];
    recorder.ondataavailable = (event) => parts.push(event.data);
    const stopped = new Promise((resolve) => {
      recorder.onstop = resolve;
    });
    recorder.onstart = () => {
      said(`recording ${seconds} s`);
      setTimeout(() => recorder.stop(), 1000 * seconds);
    };
    recorder.start();
    await stopped;
    const kind = recorder.mimeType.includes("mp4") ? "mp4" : "webm";
    return new File(parts, `camera.${kind}`);
  } finally {
    stream.getTracks().forEach((track) => track.stop());
    video.srcObject = null;
    video.hidden = true;
  }
}

export default {
  render({ model, el }) {
    el.classList.add("gcv-picker");
    const seconds = model.get("seconds");
    const label = element("label", "Choose a film", el);
    label.className = "gcv-file";
    const input = element("input", "", label);
    input.type = "file";
    input.accept = "video/*,image/gif";
    const button = element("button", `Record ${seconds} s`, el);
    button.type = "button";
    const video = element("video", "", el);
    video.muted = true;
    video.playsInline = true;
    video.hidden = true;
    const line = element("p", "", el);
    line.setAttribute("role", "status");
    const said = (words) => {
      line.textContent = words;
    };

    const take = async (whence) => {
      input.disabled = true;
      button.disabled = true;
      try {
        const film = await whence();
        if (!film) return;
        if (!film.size) throw new Error(`${film.name} is empty: nothing was recorded`);
        if (film.size > model.get("most")) {
          const most = model.get("most") / 1e6;
          throw new Error(`${film.name} has more than ${most} MB: read it from its path`);
        }
        await send(model, film, film.name, said);
      } catch (error) {
        const refused = error.name === "NotAllowedError" && "the camera was not allowed";
        const missing = error.name === "NotFoundError" && "there is no camera";
        said(refused || missing || error.message);
      } finally {
        input.disabled = false;
        button.disabled = false;
      }
    };
    input.addEventListener("change", () => {
      take(async () => input.files[0]);
    });
    button.addEventListener("click", () => {
      take(() => record(seconds, video, said));
    });
  },
};
