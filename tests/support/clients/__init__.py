"""Standard clients behind one small port, so that one test runs with each of them."""
