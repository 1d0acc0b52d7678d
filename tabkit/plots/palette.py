"""Colours that colour-blind readers tell apart, as Okabe and Ito chose them, and greys."""

BLUE, ORANGE, GREEN, PINK = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
SKY, AMBER, BLACK = "#56B4E9", "#E69F00", "#000000"
INK, GREY, FAINT = "#222222", "#767676", "#c4c4c4"
