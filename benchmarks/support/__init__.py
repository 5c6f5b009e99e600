"""What the benchmarks are made of: an upstream that costs next to nothing, a bare pass-through, a load client, a look into /proc, and a
terminal to measure on."""
