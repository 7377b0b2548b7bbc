"use strict";
// The report: images behind the cells of the confusion matrix, and the movie. All else is in the page already.

const cellImages = JSON.parse(by("cell-images").textContent);
const allImages = Object.assign(new Image(), { src: by("sprite").getAttribute("href") });

by("matrix").addEventListener("click", async (event) => {
  const { label, predicted } = event.target.dataset;
  if (label === undefined) return;
  const [height, width] = cellImages.shape;
  const found = [...cellImages.index.keys()].filter((place) =>
    cellImages.label[place] === Number(label) && cellImages.predicted[place] === Number(predicted));
  const [is, read] = [label, predicted].map((each) => network.classes[each]);
  by("cell-about").textContent = `True: ${is}, predicted: ${read}. Images: ${event.target.textContent}, here: ${found.length}.`;
  const canvas = by("cell");
  const columns = Math.max(1, Math.floor(canvas.parentElement.clientWidth / (2 * width)));
  Object.assign(canvas, { width: columns * width, height: Math.ceil(found.length / columns) * height });
  await allImages.decode();
  const context = canvas.getContext("2d");
  found.forEach((place, index) => {
    const [fromX, fromY] = [(place % cellImages.columns) * width, Math.floor(place / cellImages.columns) * height];
    context.drawImage(allImages, fromX, fromY, width, height, (index % columns) * width, Math.floor(index / columns) * height, width, height);
  });
  canvas.style.width = `${2 * canvas.width}px`;
  canvas.setAttribute("aria-label", by("cell-about").textContent);
});

by("frame")?.addEventListener("input", ({ target }) => {
  const { text, picture } = JSON.parse(by("movie-frames").textContent)[target.value];
  by("movie").src = picture;
  by("movie-text").textContent = text;
});
