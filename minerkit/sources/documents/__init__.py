"""Reports: read from txt, Markdown, HTML and PDF, cut into passages, matched with questions."""
