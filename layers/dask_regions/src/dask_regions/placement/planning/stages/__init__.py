"""The six stages of a plan, which ``planning/plan.py`` calls, and what serves two of them.

``costing`` serves ``choosing``, ``regrouping`` serves ``rewriting``.
"""
