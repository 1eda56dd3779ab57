// The sheet to draw a sketch on with a finger, a pen or a mouse. Its value is a PNG as a data URL,
// or "" if nothing is drawn. Gradio provides `element`, `props` and `watch`.
const PEN_WIDTH = 4, ERASER_WIDTH = 26; // canvas pixels
const canvas = element.querySelector("canvas");
const context = canvas.getContext("2d");
const toolButtons = [...element.querySelectorAll("[data-tool]")];
let strokes = [], currentStroke = null, tool = "pen";

const drawStroke = ({ points, isEraser }) => {
  context.strokeStyle = context.fillStyle = isEraser ? "#fff" : "#111";
  context.lineWidth = isEraser ? ERASER_WIDTH : PEN_WIDTH;
  context.lineCap = context.lineJoin = "round";
  context.beginPath();
  context.moveTo(...points[0]);
  // a line from a point to itself draws a dot
  (points.length > 1 ? points.slice(1) : points).forEach((point) => context.lineTo(...point));
  context.stroke();
};
const redraw = () => {
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  strokes.forEach(drawStroke);
};
const showDrawn = () => {
  document.getElementById("sketch").dataset.drawn = strokes.length > 0;
};
const updateValue = () => {
  props.value = strokes.length ? canvas.toDataURL("image/png") : "";
  showDrawn();
};
// The position of the pointer in canvas pixels.
const pointOf = (event) => {
  const box = canvas.getBoundingClientRect();
  const x = (event.clientX - box.left) * (canvas.width / box.width);
  return [x, (event.clientY - box.top) * (canvas.height / box.height)];
};

canvas.addEventListener("pointerdown", (event) => {
  if (event.button) return; // not the main button
  canvas.setPointerCapture(event.pointerId);
  currentStroke = { points: [pointOf(event)], isEraser: tool === "eraser" };
  strokes.push(currentStroke);
  drawStroke(currentStroke);
});
canvas.addEventListener("pointermove", (event) => {
  if (!currentStroke) return;
  currentStroke.points.push(pointOf(event));
  drawStroke({ ...currentStroke, points: currentStroke.points.slice(-2) });
});
for (const type of ["pointerup", "pointercancel"])
  canvas.addEventListener(type, () => {
    if (!currentStroke) return;
    currentStroke = null;
    updateValue();
  });

const selectTool = (button) => {
  tool = button.dataset.tool;
  toolButtons.forEach((other) => other.setAttribute("aria-pressed", other === button));
};
element.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.dataset.tool) return selectTool(button);
  strokes = button.dataset.command === "undo" ? strokes.slice(0, -1) : [];
  redraw();
  updateValue();
});
// The page empties the value once the question is answered.
watch("value", () => {
  if (props.value || !strokes.length) return;
  strokes = [];
  redraw();
  showDrawn();
});
redraw();
