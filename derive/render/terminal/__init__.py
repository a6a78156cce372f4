"""What a person reads in the terminal, painted and wrapped to its width."""
