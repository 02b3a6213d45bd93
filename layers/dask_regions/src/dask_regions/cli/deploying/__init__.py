"""Commands that bring a system up in AWS, change it and take it down."""
