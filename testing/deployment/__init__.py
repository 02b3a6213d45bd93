"""AWS for tests of the deployment: ministack in an environment of its own, and what it lacks for us.

``emulator.py`` runs here; everything else runs inside that environment and imports nothing of ours.
"""
