"""Golden vectors, good and bad, with their expected outcome; the generator is beside them."""
