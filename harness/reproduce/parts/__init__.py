"""The pieces of scripts: plain Python files, of which each script gets what it uses, in one file.

They import the standard library, each other, and inside functions torch, and they run on Python 3.9.
"""
