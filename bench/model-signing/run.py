#!/usr/bin/env python3
"""Measures hashing and signing a model folder, and model_signing 1.1.1 beside it.

run.py PROBITY PYTHON [--size MIB] [--files N] [--runs N] [--folder DIR] [--note TEXT]

PROBITY is the probity command, PYTHON an interpreter with model_signing. Each figure is a command's
whole wall time, the best of the runs, alternating; files are in the page cache (or in memory, with
--folder on a tmpfs). Prints RESULTS.md."""
import argparse, os, re, resource, shutil, subprocess, sys, tempfile, time

LIBRARY = (
    "import sys, time, model_signing\n"
    "start = time.time()\n"
    "model_signing.hashing.hash(sys.argv[1])\n"
    "print(time.time() - start)"
)


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("probity")
    parser.add_argument("python")
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--files", type=int, default=8)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--folder", default=None)
    parser.add_argument("--note", default="")
    return parser.parse_args()


def make_model(folder, size, files):
    os.makedirs(folder)
    for index in range(files):
        with open(f"{folder}/part-{index}.safetensors", "wb") as file:
            for _ in range(size // files):
                file.write(os.urandom(1 << 20))


def timed(command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.time()
    run = subprocess.run(command, capture_output=True, text=True)
    wall = time.time() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if run.returncode != 0:
        sys.exit(f"{command} fails: {run.stdout}{run.stderr}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu, run.stdout


def openssl_rate():
    """Bytes per second of one core."""
    speed = ["openssl", "speed", "-seconds", "2", "-bytes", "262144", "-evp", "sha256"]
    out = subprocess.run(speed, capture_output=True, text=True, check=True).stdout
    return float(re.findall(r"sha256\s+([0-9.]+)k", out)[-1]) * 1000


def commands(args, work):
    """Name to command; each signs or verifies the same folder with the same P-256 key."""
    model, desk = f"{work}/model", f"{work}/w"
    open(f"{work}/passphrase", "w").write("a passphrase\n")
    keyed = ["--dir", desk, "--passphrase-file", f"{work}/passphrase"]
    subprocess.run([args.probity, "init", *keyed], check=True, capture_output=True)
    new = [args.probity, "key", "new", "release", "--kind", "p256", *keyed]
    subprocess.run(new, check=True, capture_output=True)
    public = [args.probity, "key", "public", "release", *keyed]
    pem = subprocess.run(public, check=True, capture_output=True, text=True).stdout
    open(f"{work}/ours.pem", "w").write(pem)
    key, pub = f"{work}/theirs.key", f"{work}/theirs.pem"
    openssl = ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key]
    subprocess.run(openssl, check=True)
    subprocess.run(["openssl", "ec", "-in", key, "-pubout", "-out", pub], check=True, capture_output=True)
    theirs = [args.python, "-m", "model_signing"]
    return {
        "sign": (
            [args.probity, "model", "sign", model, "--key", "release", "-o", f"{work}/ours.sig", *keyed],
            [*theirs, "sign", "key", model, "--private_key", key, "--signature", f"{work}/theirs.sig"],
        ),
        "verify": (
            [args.probity, "model", "verify", model, "--signature", f"{work}/ours.sig", "--public-key", f"{work}/ours.pem"],
            [*theirs, "verify", "key", model, "--public_key", pub, "--signature", f"{work}/theirs.sig"],
        ),
    }


def best(args, work, ours, theirs):
    figures = ([], [])
    for run in range(args.runs):
        for index, command in enumerate((ours, theirs)):
            signature = f"{work}/{('ours', 'theirs')[index]}.sig"
            if "sign" in command and os.path.exists(signature):
                os.remove(signature)
            figures[index].append(timed(command)[:2])
    return [min(rows) for rows in figures]


def main():
    args = arguments()
    work = tempfile.mkdtemp(dir=args.folder)
    try:
        make_model(f"{work}/model", args.size, args.files)
        report(args, work)
    finally:
        shutil.rmtree(work)


def report(args, work):
    cores, load = os.cpu_count(), os.getloadavg()[0]
    size = args.size << 20
    per_core = openssl_rate()
    rows = {name: best(args, work, *pair) for name, pair in commands(args, work).items()}
    hashing = min(float(timed([args.python, "-c", LIBRARY, f"{work}/model"])[2]) for _ in range(args.runs))
    model = re.search(r"model name\s*:\s*(.*)", open("/proc/cpuinfo").read())
    print("# Signing models\n")
    print(f"Written by `bench/model-signing/run.py` on {model[1] if model else 'an unknown processor'} ({cores} cores).")
    print(f"Load average when it began, of everything else on the machine: {load:.2f}; at its end {os.getloadavg()[0]:.2f}.\n")
    print(f"A folder of {args.files} files, {args.size} MiB in all, in the page cache or in memory. Whole commands, the best")
    print(f"of {args.runs} runs each, alternating. CPU seconds are of the same run.\n")
    if args.note:
        print(f"{args.note}\n")
    print("| | Probity | CPU s | model_signing 1.1.1 | CPU s | Ratio | of CPU s |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for name, ((wall, cpu), (theirs, their_cpu)) in rows.items():
        print(f"| {name} | {wall:.2f} s | {cpu:.2f} | {theirs:.2f} s | {their_cpu:.2f} | {theirs / wall:.2f} | {their_cpu / cpu:.2f} |")
    ours = rows["verify"][0][0]
    print(f"\nWithin model_signing, hashing alone takes {hashing:.2f} s: {hashing / ours:.2f} of our whole `verify`.\n")
    print(f"`openssl speed` hashes {per_core / 1e9:.2f} GB/s on one core, {cores * per_core / 1e9:.2f} GB/s on {cores} if each had its own;")
    print(f"our `verify` as a whole reaches {size / ours / 1e9:.2f} GB/s, {100 * size / ours / (cores * per_core):.0f} % of that.\n")
    print("Bar: at least 1.8 times as fast as model_signing.")


main()
