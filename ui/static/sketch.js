// A sheet to draw on with a finger, a pen or a mouse. Its value is a PNG data address, or empty
// while nothing is drawn. `element`, `props` and `watch` are Gradio's.
const canvas = element.querySelector("canvas");
const pen = canvas.getContext("2d");
const tools = [...element.querySelectorAll("[data-tool]")];
let strokes = [], stroke = null, tool = "pen";

const paint = ({ points, erase }) => {
  pen.strokeStyle = pen.fillStyle = erase ? "#fff" : "#111";
  pen.lineWidth = erase ? 26 : 4;
  pen.lineCap = pen.lineJoin = "round";
  pen.beginPath();
  pen.moveTo(...points[0]);
  // a point alone is a dot
  (points.length > 1 ? points.slice(1) : points).forEach((p) => pen.lineTo(...p));
  pen.stroke();
};
const sheet = () => {
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  strokes.forEach(paint);
};
const keep = () => { props.value = strokes.length ? canvas.toDataURL("image/png") : ""; };
const at = (e) => {
  const box = canvas.getBoundingClientRect();
  const x = (e.clientX - box.left) * (canvas.width / box.width);
  return [x, (e.clientY - box.top) * (canvas.height / box.height)];
};

canvas.addEventListener("pointerdown", (e) => {
  if (e.button) return;
  canvas.setPointerCapture(e.pointerId);
  stroke = { points: [at(e)], erase: tool === "eraser" };
  strokes.push(stroke);
  paint(stroke);
});
canvas.addEventListener("pointermove", (e) => {
  if (!stroke) return;
  stroke.points.push(at(e));
  paint({ ...stroke, points: stroke.points.slice(-2) });
});
for (const name of ["pointerup", "pointercancel"])
  canvas.addEventListener(name, () => { if (stroke) { stroke = null; keep(); } });

element.addEventListener("click", (e) => {
  const button = e.target.closest("button");
  if (!button) return;
  if (button.dataset.tool) {
    tool = button.dataset.tool;
    tools.forEach((t) => t.setAttribute("aria-pressed", t === button));
    return;
  }
  strokes = button.dataset.do === "undo" ? strokes.slice(0, -1) : [];
  sheet();
  keep();
});
// emptied once the question is asked
watch("value", () => { if (!props.value && strokes.length) { strokes = []; sheet(); } });
sheet();
