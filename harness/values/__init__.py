"""The values everybody speaks: standard library only, Python 3.9 and later, because ranks import them too."""
