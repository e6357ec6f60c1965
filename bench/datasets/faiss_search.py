"""Times faiss on the codes and queries of `cargo bench -p probity-provenance`.

Arguments: file of codes, file of queries (8 bytes each), radius. Prints JSON: for each index the
queries per second on one thread and the number of codes found.
"""

import json
import sys
import time

import faiss
import numpy

codes = numpy.fromfile(sys.argv[1], dtype=numpy.uint8).reshape(-1, 8)
queries = numpy.fromfile(sys.argv[2], dtype=numpy.uint8).reshape(-1, 8)
radius = int(sys.argv[3])
faiss.omp_set_num_threads(1)


def flat():
    index = faiss.IndexBinaryFlat(64)
    index.add(codes)
    few = queries[:200]
    start = time.perf_counter()
    # Codes that are closer than the radius given: strictly.
    limits, _, _ = index.range_search(few, radius + 1)
    return {"perSecond": len(few) / (time.perf_counter() - start), "found": int(limits[-1])}


def multi_hash():
    # Four tables of 16 bits, as ours; exact up to radius 4 * nflip + 3.
    index = faiss.IndexBinaryMultiHash(64, 4, 16)
    index.nflip = radius // 4
    index.add(codes)
    some = queries[:2000]
    start = time.perf_counter()
    limits, _, _ = index.range_search(some, radius + 1)
    return {"perSecond": len(some) / (time.perf_counter() - start), "found": int(limits[-1])}


print(json.dumps({"version": faiss.__version__, "flat": flat(), "multiHash": multi_hash()}))
