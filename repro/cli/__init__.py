"""The commands behind the front door."""
