"""Results as tables, charts and docs/BENCHMARKS.md, and the goals that they are held against."""
