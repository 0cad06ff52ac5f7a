"""Statistics of ingests, runs, data sets and trainings, as JSON-ready values; rendering is elsewhere."""
