"""What a system costs a month: its templates, resolved, times the prices of docs/cost/prices.yaml."""
