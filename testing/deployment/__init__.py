"""AWS for tests of the deployment: ministack in an environment of its own, and what it lacks of our templates.

``emulator.py`` runs here; everything else runs inside that environment and imports nothing of ours.
"""
