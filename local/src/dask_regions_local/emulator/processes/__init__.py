"""What is started is stopped, however the emulator ends."""
