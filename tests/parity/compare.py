"""compare.py <kubectl> <kubec> <work directory> [case file names]: see run."""
import difflib
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
LIMIT = 60  # seconds for one command
SLOW = 5  # seconds: said
PROGRAMS = ("k", "c")

# What differs from run to run.
MASKS = [(re.compile(p, re.M), r) for p, r in (
    # Left out since Kubernetes 1.34.
    (r"^( *)metadata:\n\1  creationTimestamp: null\n(?!\1  )", r"\1metadata: {}\n"),
    (r"\"metadata\": \{\n *\"creationTimestamp\": null\n *\}", "\"metadata\": {}"),
    (r"\{\"creationTimestamp\":null\}", "{}"),
    (r"-edit-\w+\.", "-edit-NAME."),
    (r"^ *creationTimestamp: null\n", ""),
    (r",\n *\"creationTimestamp\": null$", ""),
    (r"^ *\"creationTimestamp\": null,\n", ""),
    (r"\\*\"creationTimestamp\\*\":null,|,\\*\"creationTimestamp\\*\":null", ""),
    (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "<uid>"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", "<time>"),
    (r"\b[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}", "<time>"),
    (r"(resourceVersion\\?\"?: ?\\?\"?)\d+", r"\1<version>"),
    (r"(Resource Version: +)\d+", r"\1<version>"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0000 UTC", "<time>"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ \+0000", "<time>"),
    (r"[\w./-]*/(LIVE|MERGED)-\w+", r"\1"),
    (r"(Expected resource version to be \d+, was) \d+", r"\1 <version>"),
    (r"\b10\.96\.\d+\.\d+\b", "<ip>"),
    (r"\b3[0-2]\d{3}\b", "<node port>"),
    (r"applyset-[\w-]{43}-v1", "<set>"),
    (r"eyJ[\w-]+\.[\w-]+\.[\w-]+", "<token>"),
    (r"-[bcdfghjklmnpqrstvwxz2456789]{5}\b", "-<random>"),
    (r"^([IWEF])\d{4} [\d:.]+ +\d+ [\w.-]+:\d+\]", r"\1]"),
    (r"(^|[ (])(\d+[smhdy])+\)?( +|$)", r"\1<age> "),
    (r"\b(AGE|LAST SEEN|CLUSTER-IP) +", r"\1 "),
    (r"<(time|age|node port|ip)>( +|$)", r"<\1> "),
    # Said since Kubernetes 1.34.
    (r" from \S+ namespace( \([a-z ]+\))?$", r"\1"),
    (r"\b(kubec|kubectl\.1\.\d+)\b", "kubectl"),
    (r"/(work|w)/[kc]/", "/w/"),
)]


class Tool:
    def __init__(self, kubectl, kubec, work):
        self.path = {"k": kubectl, "c": kubec}
        self.work = Path(work)
        self.env = dict(os.environ, PATH=f"{Path(kubec).parent}:{os.environ['PATH']}")

    def directory(self, case_file, program):
        """A copy of files/ with the namespace filled in, and a kubeconfig of that namespace beside it."""
        to = self.work / "w" / program / case_file
        config = (self.work / "admin.kubeconfig").read_text()
        to.parent.mkdir(parents=True, exist_ok=True)
        (to.parent / f"{case_file}.config").write_text(
            config.replace("user: admin}", f"user: admin, namespace: {namespace(case_file, program)}}}"))
        shutil.copytree(HERE / "files", to)
        for p in to.rglob("*"):
            if p.is_file():
                data = p.read_bytes()
                if b"$NS" in data:
                    p.write_bytes(data.replace(b"$NS", namespace(case_file, program).encode()))
        return to

    def call(self, program, path, case_file, words, cwd):
        env = dict(self.env, HOME=str(cwd.parent / "home"), KUBECONFIG=str(cwd.parent / f"{case_file}.config"), LC_ALL="C", EDITOR="true")
        words, stdin = list(words), subprocess.DEVNULL
        while words and re.match(r"[A-Z_]+=", words[0]):
            name, _, value = words.pop(0).partition("=")
            env[name] = value
        if "<" in words:
            at = words.index("<")
            stdin = open(cwd / words[at + 1], "rb")
            del words[at:at + 2]
        start = time.monotonic()
        try:
            r = subprocess.run([path] + words, cwd=cwd, env=env, stdin=stdin, capture_output=True, timeout=LIMIT)
            return r.returncode, r.stdout.decode(errors="replace"), r.stderr.decode(errors="replace")
        except subprocess.TimeoutExpired:
            return "timeout", "", ""
        finally:
            if time.monotonic() - start > SLOW:
                print(f"slow: {path} {shlex.join(words)}: {time.monotonic() - start:.0f} s")
            if stdin is not subprocess.DEVNULL:
                stdin.close()


def namespace(case_file, program):
    return f"p{program}-{case_file}"


def mask(text, case_file, program):
    text = text.replace(namespace(case_file, program), "$NS")
    for pattern, instead in MASKS:
        text = pattern.sub(instead, text)
    return text


class Case:
    def __init__(self, line):
        self.line = line
        self.kind = "compare"
        for kind in ("setup", "sort"):
            if line.startswith(kind + ": "):
                self.kind, line = kind, line[len(kind) + 2:]
        self.args = line


def read_cases(path):
    lines = (l.strip() for l in path.read_text().splitlines())
    return [Case(l) for l in lines if l and not l.startswith("#")]


def read_differences():
    """{(file, line): reason}; "<file>: <line>", and the reason in the next lines, indented."""
    found, key = {}, None
    for line in (HERE / "differences.txt").read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if line[0].isspace():
            found[key] = f"{found[key]} {line.strip()}".strip()
        else:
            name, _, rest = line.partition(": ")
            key = (name, rest)
            found[key] = ""
    return found


class Run:
    def __init__(self, tool, listed):
        self.tool, self.listed = tool, listed
        self.lock = threading.Lock()
        self.cases = 0
        self.failed = []
        self.differing = set()

    def one(self, case_file, case, dirs):
        words = {p: shlex.split(case.args.replace("$NS", namespace(case_file, p))) for p in PROGRAMS}
        paths = {p: self.tool.path["k" if case.kind == "setup" else p] for p in PROGRAMS}
        with ThreadPoolExecutor(2) as two:
            futures = {p: two.submit(self.tool.call, p, paths[p], case_file, words[p], dirs[p]) for p in PROGRAMS}
            results = {p: f.result() for p, f in futures.items()}
        if case.kind == "setup":
            for p in PROGRAMS:
                if results[p][0] != 0:
                    self.fail(case_file, case, f"the setup fails:\n{results[p][2]}")
            return
        parts = {}
        for p in PROGRAMS:
            code, out, err = results[p]
            out, err = mask(out, case_file, p), mask(err, case_file, p)
            if case.kind == "sort":
                out = "\n".join(sorted(out.splitlines()))
            parts[p] = (f"exit {code}", out, err)
        self.compare(case_file, case, parts)

    def compare(self, case_file, case, parts):
        with self.lock:
            self.cases += 1
        if "Sanitizer" in parts["c"][2] or "runtime error:" in parts["c"][2]:
            self.fail(case_file, case, parts["c"][2])
            return
        if parts["k"] == parts["c"]:
            return
        with self.lock:
            self.differing.add((case_file, case.line))
        if (case_file, case.line) in self.listed:
            return
        text = []
        for name, k, c in zip(("exit", "stdout", "stderr"), parts["k"], parts["c"]):
            text += difflib.unified_diff(k.splitlines(), c.splitlines(), f"kubectl {name}", f"kubec {name}", "", "", 2, "")
        self.fail(case_file, case, "\n".join(text) or "differs in the end of a line")

    def fail(self, case_file, case, text):
        with self.lock:
            self.failed.append((case_file, case.line))
            print(f"--- {case_file}: {case.line}\n{text}\n", flush=True)

    def file(self, name):
        cases = read_cases(HERE / "cases" / f"{name}.txt")
        dirs = {p: self.tool.directory(name, p) for p in PROGRAMS}
        for p in PROGRAMS:
            for args in (["create", "ns", namespace(name, p)], ["create", "sa", "default"]):
                r = self.tool.call(p, self.tool.path["k"], name, args, dirs[p])
                if r[0] != 0:
                    raise RuntimeError(r[2])
        for case in cases:
            self.one(name, case, dirs)


def main():
    tool = Tool(*sys.argv[1:4])
    only = sys.argv[4:]
    listed = read_differences()
    names = sorted(p.stem for p in (HERE / "cases").glob("*.txt") if not only or p.stem in only)
    run = Run(tool, listed)
    alone = [n for n in names if n.startswith("cluster-")]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(run.file, (n for n in names if n not in alone)))
    for name in alone:
        run.file(name)
    stale = [k for k in listed if k[0] in names and k not in run.differing]
    for name, line in stale:
        print(f"--- {name}: {line}\nlisted in differences.txt, but there is none (any more)\n")
    for name, line in (k for k, reason in listed.items() if not reason):
        print(f"--- {name}: {line}\nlisted in differences.txt without a reason\n")
        stale.append((name, line))
    print(f"{run.cases} cases, {len(run.differing & set(listed))} differences listed, {len(run.failed) + len(stale)} failed")
    return 1 if run.failed or stale or run.cases == 0 else 0


sys.exit(main())
