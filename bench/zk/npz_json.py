#!/usr/bin/env python3
"""Writes the arrays of an .npz file as JSON: npz_json.py IN.npz OUT.json. Standard library only."""
import ast, json, struct, sys, zipfile


def array(data):
    """Reads NumPy's format 1.0/2.0 (float32, float64, int32, int64, uint8; C order)."""
    assert data[:6] == b"\x93NUMPY", "not an array"
    size = struct.unpack("<H", data[8:10])[0] if data[6] == 1 else struct.unpack("<I", data[8:12])[0]
    start = 10 if data[6] == 1 else 12
    header = ast.literal_eval(data[start : start + size].decode())
    assert not header["fortran_order"]
    kind = {"<f4": "f", "<f8": "d", "<i4": "i", "<i8": "q", "|u1": "B"}[header["descr"]]
    values = list(struct.iter_unpack("<" + kind, data[start + size :]))
    rows = header["shape"][0] if header["shape"] else 1
    width = len(values) // rows
    flat = [value[0] for value in values]
    return [flat[i * width : (i + 1) * width] for i in range(rows)]


with zipfile.ZipFile(sys.argv[1]) as archive:
    out = {name.removesuffix(".npy"): array(archive.read(name)) for name in archive.namelist()}
with open(sys.argv[2], "w") as file:
    json.dump(out, file)
