"""What is computed: JSON-ready statistics of ingests, runs, data sets and trainings."""
