// Puts plotly's figures where their pictures stand. Without scripts the pictures stay.
for (const place of document.querySelectorAll(".living")) {
  const { data, layout, config } = JSON.parse(place.querySelector("script").textContent);
  place.replaceChildren();
  Plotly.newPlot(place, data, layout, config);
}
