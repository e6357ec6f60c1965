"""Prints what c2pa-python reads from a file."""

import mimetypes
import sys

import c2pa

mimetypes.add_type("image/webp", ".webp")
path = sys.argv[1]
kind = {"audio/x-wav": "audio/wav"}.get(mimetypes.guess_type(path)[0], mimetypes.guess_type(path)[0])
with open(path, "rb") as file, c2pa.Reader(kind, file) as reader:
    print(reader.json())
