"""Speed of this repository against its peers and against the machine's limit: `python -m benchmarks`, or `make bench`.

One process runs everything in turn, A B C A B C ..., and compares within each round: a ratio of two times from the
same seconds holds on a machine where neither time does.

A topic is a module with a function `measure(effort) -> Section`. A new one joins `TOPICS` in `__main__.py`; a new row
of a topic is one more named callable in its dictionary.
"""
