"""Step 1, open: sealed photo text to photo bytes. The one owner of cryptography.

The format is written down in FORMAT.md, beside this file.
"""
