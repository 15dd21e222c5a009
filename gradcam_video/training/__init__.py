"""Training: a recipe, the loop that a reader should see, what a run leaves, and accuracy."""
