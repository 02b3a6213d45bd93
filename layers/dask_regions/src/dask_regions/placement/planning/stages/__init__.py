"""The stages of a plan, a pure function each; ``planning/plan.py`` calls them one after the other."""
