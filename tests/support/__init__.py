"""What `tests/run` and `tests/bench/run` share: tools, backends and servers on loopback."""
