"""The kit under torture: ``make torture``. Each module is one kind, and runs by itself, too."""
