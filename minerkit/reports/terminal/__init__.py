"""What the terminal shows: statistics as tables."""
