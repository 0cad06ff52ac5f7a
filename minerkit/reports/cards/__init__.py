"""Cards for the Hub: of the data set and of the model, as Markdown."""
