"""`vm-view`: results in a browser, layer by layer over time; also as one HTML file."""
