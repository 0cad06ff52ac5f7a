"""The page of a run: one self-contained HTML file with charts and a browser of examples."""
