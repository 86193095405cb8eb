"""A training step beside other frameworks': `python -m docs.benchmarks`.

`problems` tells what is trained. Each `with_*` module trains all of it in one framework: a
competitor is a function that takes a problem and returns a generator, which makes one step each
time that it is advanced and yields the loss and the weights. `measure` runs them side by side.
"""
