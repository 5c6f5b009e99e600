"""The goals the lab's model knows, one module each: what every role writes. Data only."""
