"""What runs inside a rank: standard library and torch only, Python 3.9 and later."""
