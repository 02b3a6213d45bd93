"""The main job, on the data of the demonstration."""
