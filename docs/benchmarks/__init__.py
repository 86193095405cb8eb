"""A training step beside other frameworks': `python -m docs.benchmarks`.

`problems` defines the workloads. Each `with_*` module trains them in one framework: a competitor is
a function that takes a problem and returns a generator, which makes a step each time it is advanced
and yields the loss and the weights. `measure` runs them side by side.
"""
