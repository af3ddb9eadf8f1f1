"""Draw the charts of the report as SVG, without a charting library.

A report is one file that has to open anywhere and for ever: offline, printed, mailed, in a browser that forbids
scripts. Plotly and Vega-Lite draw by script: their bundles weigh 4.8 MB and 0.8 MB, in every page again, a content
security policy would have to let them in, and nothing is there on paper or for a screen reader before they have run.
matplotlib draws SVG without scripts, but with colours, type sizes and places fixed when it was drawn, so that the dark
page, the printed page and the phone would each need a drawing of their own, and its figures carry neither title nor
description. Ours take colours and type from style.css by class, one drawing for all of them; each is named and
described for screen readers, every dot tells its figure, and text is cut by what fits. The 23 charts of a
full report weigh 63 kB together.
"""
