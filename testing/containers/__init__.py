"""The images of ``containers/``: a Docker engine to build and run them with, and what they are built from."""
