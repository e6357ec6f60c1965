#!/usr/bin/env python3
"""Measures proofs of inference, and EZKL beside them: run.py MODELS [--ezkl PYTHON] [--runs N].

MODELS holds a folder per model with model.onnx, cal.json (EZKL's layout), input.json and test.npz.
PYTHON is an interpreter with ezkl 23.0.5 and numpy. Each step of EZKL is a process of its own; its
figure is CPU seconds, ours wall milliseconds on all cores and on one. Writes JSON lines, and the part of
RESULTS.md on how proving grows; without EZKL it takes about five minutes."""
import argparse, json, os, resource, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
# base, legs, rows (log2), inner columns, scale: what was found best for the model.
TUNED = {"mlp_digits": (256, 4, 12, 2, 7)}
# Nothing new is begun after this, on all cores and on one.
GROWTH_SECONDS = 60
MARKS = ("<!-- growth, written by run.py -->", "<!-- growth ends -->")


def report(**figures):
    figures["load"] = os.getloadavg()[0]
    print(json.dumps(figures), flush=True)


def build(example):
    command = ["cargo", "build", "--release", "-q", "-p", "probity-zk-prover", "--example", example]
    subprocess.run(command, cwd=ROOT, check=True)
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
    return os.path.join(target, "release", "examples", example)


def ours(program, folder, scratch, runs, batch, cores):
    test = os.path.join(scratch, "test.json")
    converter = os.path.join(HERE, "npz_json.py")
    subprocess.run([sys.executable, converter, os.path.join(folder, "test.npz"), test], check=True)
    files = [os.path.join(folder, name) for name in ("model.onnx", "cal.json")]
    pin = ["taskset", "-c", "0"] if cores == 1 else []
    run = subprocess.run(
        [*pin, program, *files, test, str(runs), str(batch)], capture_output=True, text=True
    )
    name = os.path.basename(folder)
    if run.returncode != 0:
        return report(tool="probity", model=name, cores=cores, batch=batch, error=run.stderr.strip())
    figures = json.loads(run.stdout)
    figures.update(tool="probity", model=name, cores=cores)
    report(**figures)


def grow(program):
    """How proving grows, on all cores and on one: rows of the table in RESULTS.md."""
    runs = []
    for pin in ([], ["taskset", "-c", "0"]):
        run = subprocess.run([*pin, program, str(GROWTH_SECONDS)], capture_output=True, text=True, check=True)
        runs.append([json.loads(line) for line in run.stdout.splitlines()])
    rows = ["| grows | parameters | looked up | batch | all cores | one core | of it: run | commit | opening | lookups, sumchecks |",
            "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|"]
    for many, one in zip(*runs):
        report(tool="probity", cores=os.cpu_count(), **many)
        report(tool="probity", cores=1, **one)
        share = lambda part: f"{100 * one[part] / one['proveMs']:.0f} %"
        cells = [one["family"], f"{one['parameters']:,}", f"{one['activations']:,}", one["batch"],
                 f"{many['proveMs']:.0f} ms", f"{one['proveMs']:.0f} ms",
                 *map(share, ("runMs", "commitMs", "openingMs", "restMs"))]
        rows.append("| " + " | ".join(map(str, cells)) + " |")
    return rows


def write_growth(rows, load):
    """Puts the table between its marks in RESULTS.md."""
    path = os.path.join(HERE, "RESULTS.md")
    with open(path) as file:
        before, rest = file.read().split(MARKS[0])
        after = rest.split(MARKS[1])[1]
    said = (f"{os.cpu_count()} cores, load average {load:.1f} when it began; the least of three runs. The parts are "
            "shares of the time on one core; lookups and sumchecks are what is left.")
    with open(path, "w") as file:
        file.write(before + MARKS[0] + "\n" + said + "\n\n" + "\n".join(rows) + "\n" + MARKS[1] + after)


def step(python, work, name, code, results):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.time()
    run = subprocess.run([python, "-c", "import ezkl\n" + code], cwd=work, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    results[name] = {"cpu": round(cpu, 2), "wall": round(time.time() - start, 2)}
    if run.returncode != 0:
        results[name]["error"] = run.stderr.strip()[-200:]
    return run.returncode == 0


def ezkl(python, folder, work, tuned):
    model, data = (os.path.join(folder, name) for name in ("model.onnx", "input.json"))
    cal = os.path.join(folder, "cal.json")
    arguments = "r=ezkl.PyRunArgs(); r.input_visibility='public'; r.output_visibility='public'; "
    arguments += "r.param_visibility='fixed'; r.variables=[('batch_size',1)]\n"
    if tuned:
        base, legs, rows, columns, scale = tuned
        arguments += f"r.decomp_base={base}; r.decomp_legs={legs}; r.logrows={rows}\n"
        arguments += f"r.input_scale=r.param_scale={scale}; r.num_inner_cols={columns}; r.lookup_range=(0,0)\n"
    steps = [("settings", arguments + f"ezkl.gen_settings({model!r}, 's', py_run_args=r)")]
    if not tuned:
        call = f"ezkl.calibrate_settings({cal!r}, {model!r}, 's', 'resources', lookup_safety_margin=2.0)"
        steps.append(("calibrate", call))
    rows = "import json; k=json.load(open('s'))['run_args']['logrows']\n"
    steps += [
        ("compile", f"ezkl.compile_circuit({model!r}, 'n', 's')"),
        ("srs", rows + "ezkl.gen_srs('srs', k)"),
        ("witness", f"ezkl.gen_witness({data!r}, 'n', 'w')"),
        ("setup", "ezkl.setup('n', 'vk', 'pk', srs_path='srs')"),
        ("prove", "ezkl.prove('w', 'n', 'pk', 'p', srs_path='srs')"),
        ("verify", "assert ezkl.verify('p', 's', 'vk', srs_path='srs')"),
    ]
    results = {}
    for name, code in steps:
        if not step(python, work, name, code, results):
            break
    else:
        with open(os.path.join(work, "p")) as file:
            results["proofBytes"] = len(json.load(file)["hex_proof"]) // 2 - 1
    report(tool="ezkl", model=os.path.basename(folder), tuned=bool(tuned), **results)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models")
    parser.add_argument("--ezkl")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", nargs="*")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    if not options.only:
        write_growth(grow(build("growth")), load)
    program = build("measure")
    for name in sorted(os.listdir(options.models)):
        folder = os.path.abspath(os.path.join(options.models, name))
        wanted = not options.only or name in options.only
        if not wanted or not os.path.exists(os.path.join(folder, "model.onnx")):
            continue
        with tempfile.TemporaryDirectory() as scratch:
            for cores, batch in ((2, 1), (1, 1), (2, 8)):
                ours(program, folder, scratch, options.runs, batch, cores)
        for tuned in (None, TUNED.get(name)) if options.ezkl else ():
            if tuned or name in TUNED:
                with tempfile.TemporaryDirectory() as work:
                    ezkl(options.ezkl, folder, work, tuned)


main()
