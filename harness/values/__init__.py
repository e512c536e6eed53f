"""The values that all rooms share: standard library only, Python 3.9 and later, because ranks import them too."""
