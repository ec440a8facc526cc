"""Step 2, decode: photo bytes to RGB pixels, limits checked from the header, in a process that can be lost.

    decoder      what the pipeline calls: limits, how many pixels are wanted
    isolation    hands a photo to a process of its own, and takes the pixels or the refusal back
    process      that process: a template that holds no photo and no key, and helpers forked from it
    decoding     one photo: which format, its limits, its pixels upright
    pictures     JPEG, PNG, GIF, TIFF: the one owner of Pillow
    jpeg         the pixels of a sound JPEG: the one owner of simplejpeg
    bmp  runs    BMP, and its run-length encoded pixels
    structure    what a file is made of, told without decoding it
    order        what is asked of a decoder, and what it gives

The processes import nothing of the configuration, the keys or the networks.
"""
