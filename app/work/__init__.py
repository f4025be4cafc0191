"""What every page works with: models, what they computed, and the queue before them."""
