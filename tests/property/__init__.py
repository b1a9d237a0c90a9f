"""Round trips, and: any flipped, cut or swapped byte raises AirliftError and nothing else."""
