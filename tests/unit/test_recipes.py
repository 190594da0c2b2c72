"""The recipes for more than one machine are valid, and their shell does what they say."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from ruamel.yaml import YAML
from support.server import Server, serving

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TOP: Final = Path(__file__).parents[2]
PAGE: Final = TOP / "docs/ci.md"
TOOLS: Final = Path(sys.executable).parent
RECIPES: Final = ("github", "kubernetes", "slurm")
SHARDS: Final = (1, 2, 3)
NAMES: Final = tuple(f"row-{n}" for n in range(1, 8))
DEFAULTS: Final = """[defaults]
profile = "ark"
model = "doubao-seedream-4-0-20260415"
size = "1K"
output = "art/{name}"
"""
MANIFEST: Final = DEFAULTS + "".join(
    f'[images.{name}]\nprompt = "a fox, number {name}"\n' for name in NAMES
)
KEY: Final = "sk-of-the-recipes"
ARTIFACT: Final = "https://github.com/o/r/actions/runs/1/artifacts/2"
INSTALLER: Final = """#!/bin/sh
test "$*" = "install seedream" || test "$*" = "install -q seedream"
"""
SBATCH: Final = """
import os, pathlib, re, subprocess, sys
*options, last = sys.argv[1:]
dependency = [o for o in options if o.startswith("--dependency=")]
if "--wrap" in options:
    assert dependency == ["--dependency=afterany:17"], options
    sys.exit(subprocess.run(["sh", "-c", last]).returncode)
text = pathlib.Path(last).read_text()
first, end = re.search(r"^#SBATCH --array=(\\d+)-(\\d+)$", text, re.M).groups()
for task in range(int(first), int(end) + 1):
    own = {"SLURM_ARRAY_TASK_ID": str(task), "SLURM_SUBMIT_DIR": os.getcwd()}
    subprocess.run(["bash", "-euo", "pipefail", last], env=os.environ | own, stdout=sys.stderr)
print("17;cluster")
"""


def _blocks(recipe: str) -> list[str]:
    """Return the fenced blocks between a recipe's markers, in order."""
    text = PAGE.read_text(encoding="utf-8")
    found = re.search(
        f"<!-- recipe: {recipe} -->\n(.*?)<!-- /recipe: {recipe} -->", text, re.DOTALL
    )
    assert found, f"the page has no recipe for {recipe}"
    return re.findall(r"^```\w+\n(.*?)^```$", found[1], re.DOTALL | re.MULTILINE)


def _documents(recipe: str) -> list[dict[str, object]]:
    return [_table(each) for each in YAML(typ="safe").load_all(_blocks(recipe)[0])]


def _table(value: object) -> dict[str, object]:
    """Return a YAML mapping, empty where there is none."""
    assert value is None or isinstance(value, dict), value
    return {} if value is None else {str(key): each for key, each in value.items()}


def _list(value: object) -> list[object]:
    assert isinstance(value, list), value
    return value


def _tables(value: object) -> list[dict[str, object]]:
    return [_table(each) for each in _list(value)]


def _tool(name: str, *arguments: str, stdin: str | None = None, about: str = "") -> None:
    """Run a checker of the `test` extra; it must be content."""
    done = subprocess.run(
        [TOOLS / name, *arguments], input=stdin, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, about + done.stdout + done.stderr


@dataclass(frozen=True)
class Place:
    """A machine of a recipe: its shell sees our command, a provider on loopback, no real key."""

    home: Path
    server: Server

    def environment(self, extra: Mapping[str, str]) -> dict[str, str]:
        """Return all that a shell of a recipe sees."""
        own = {
            "PATH": f"{self.home / 'bin'}:{TOOLS}:/usr/bin:/bin",
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "SEEDREAM_CONFIG": str(self.home / "config.toml"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
        }
        return own | dict(extra)

    def shell(
        self, script: str, *, cwd: Path, env: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """Run a script of a recipe as its system would; no traceback is ever right."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=cwd,
            env=self.environment(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def purchases(self) -> list[str]:
        """Return the prompts that the provider was asked to paint, in order."""
        return [str(_table(each["body"])["prompt"]) for each in self.server.submits()]

    def fault(self, *kinds: str) -> None:
        """Let the provider's next answers go wrong."""
        self.server.change_weather(*kinds)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Return a home with installers that only look at what they shall install, and a provider."""
    home = tmp_path / "home"
    (home / "bin").mkdir(parents=True)
    for name in ("pip", "pipx"):
        _script(home / "bin" / name, INSTALLER)
    _script(home / "bin" / "sbatch", f"#!{sys.executable}{SBATCH}")
    with serving() as server:
        config = home / "config.toml"
        base_url = f"{server.origin}/ark/api/v3"
        config.write_text(f'[profiles.ark]\nprovider = "ark"\nbase_url = "{base_url}"\n')
        config.chmod(0o600)
        yield Place(home=home, server=server)


def _script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def _lock_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.lock"))


def _made(folder: Path) -> list[str]:
    return sorted(path.stem for path in (folder / "art").glob("*"))


PARTS: Final = [f"assets.{shard}-of-3.lock" for shard in SHARDS]


@dataclass
class GitHub:
    """What the workflow meets: a repository, caches, artifacts, and runners that forget."""

    place: Place
    home: Path
    secrets: Mapping[str, str]
    caches: dict[str, Path] = field(default_factory=dict)
    runs: int = 0
    summary: str = ""
    """Of the last job that was done."""

    def __post_init__(self) -> None:
        """Push the manifest to a new repository."""
        self.remote = self.home / "remote.git"
        self.git("init", "-q", "--bare", "-b", "main", str(self.remote))
        self.ask(MANIFEST)

    def ask(self, manifest: str) -> None:
        """Push a manifest."""
        with self.clone("asking") as work:
            (work / "assets.toml").write_text(manifest)
            self.git("add", "-A", cwd=work)
            who = ("-c", "user.name=a", "-c", "user.email=a@example.com")
            self.git(*who, "commit", "-qm", "Ask for pictures", cwd=work)
            self.git("push", "-q", "origin", "HEAD:main", cwd=work)

    def clone(self, name: str) -> Clone:
        """Return a fresh checkout of what the branch is now."""
        folder = self.home / name
        self.git("clone", "-q", str(self.remote), str(folder))
        return Clone(folder)

    def git(self, *arguments: str, cwd: Path | None = None) -> str:
        """Run git; it must be content."""
        return subprocess.run(
            ["git", *arguments],
            cwd=cwd or self.home,
            env=self.place.environment({}),
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    def commits(self) -> int:
        """Count those on the branch."""
        return int(self.git("rev-list", "--count", "main", cwd=self.remote))

    def run(self, event: str, *, settle: str = "") -> dict[str, bool]:
        """Run the workflow for an event; return whether each job was content."""
        self.runs, self.attempt = self.runs + 1, 0
        self.context = {
            "github.event_name": event,
            "github.ref": "refs/heads/main",
            "github.sha": self.git("rev-parse", "main", cwd=self.remote).strip(),
            "github.run_id": str(1000 + self.runs),
            "inputs.settle": settle,
            **{f"secrets.{key}": value for key, value in self.secrets.items()},
        }
        return self.run_again()

    def run_again(self) -> dict[str, bool]:
        """Run all jobs of the last run once more, as GitHub does: with the commit of that time."""
        self.attempt += 1
        # The shards run side by side: none can restore what another one of this run saved.
        self.known = dict(self.caches)
        workflow = _documents("github")[0]
        artifacts = self.home / f"artifacts-{self.runs}"
        artifacts.mkdir(exist_ok=True)
        results: dict[str, bool] = {}
        for name, raw in _table(workflow["jobs"]).items():
            job = _table(raw)
            is_well = all(results.values())
            matrix = _table(_table(job.get("strategy")).get("matrix"))
            for shard in _list(matrix.get("shard", [""])):
                own = {"matrix.shard": str(shard), "github.run_attempt": str(self.attempt)}
                home = self.home / f"runner-{self.runs}-{self.attempt}-{name}{shard}"
                runner = Runner(self, home, artifacts, self.context | own)
                if runner.is_wanted(job, is_well=is_well):
                    results[f"{name}{shard}"] = runner.do(job)
        return results


class Clone:
    """A checkout that is removed after use."""

    def __init__(self, folder: Path) -> None:
        """Name it."""
        self.folder = folder

    def __enter__(self) -> Path:
        """Use it."""
        return self.folder

    def __exit__(self, *_: object) -> None:
        """Remove it."""
        shutil.rmtree(self.folder)


@dataclass
class Runner:
    """A machine that does one job and is thrown away; it knows the actions that the recipe uses."""

    hub: GitHub
    home: Path
    artifacts: Path
    context: dict[str, str]

    def do(self, job: dict[str, object]) -> bool:
        """Do the steps; return whether all of them were content."""
        self.work, temp = self.home / "work", self.home / "temp"
        temp.mkdir(parents=True)
        self.context["runner.temp"] = str(temp)
        is_well = True
        for step in _tables(job["steps"]):
            if self.is_wanted(step, is_well=is_well):
                is_well = self._step(step, job) and is_well
        if (temp / "summary").exists():
            self.hub.summary = (temp / "summary").read_text()
        shutil.rmtree(self.home)
        return is_well

    def is_wanted(self, what: dict[str, object], *, is_well: bool) -> bool:
        """Evaluate the few kinds of condition that the recipe uses."""
        terms = str(what.get("if", "success()")).split(" && ")
        return (is_well or "always()" in terms) and all(map(self._holds, terms))

    def _holds(self, term: str) -> bool:
        if term in {"always()", "success()"}:
            return True
        name, _, rest = term.partition(" ")
        value = self.context.get(name, "") if name.startswith("steps.") else self.context[name]
        match rest.split(" "):
            case ["==" | "!=" as sign, word]:
                return (value == word.strip("'")) == (sign == "==")
            case _:
                return bool(value)

    def _fill(self, text: object) -> str:
        return re.sub(r"\$\{\{ (\S+) \}\}", lambda found: self.context[found[1]], str(text))

    def _step(self, step: dict[str, object], job: dict[str, object]) -> bool:
        inputs = {key: self._fill(value) for key, value in _table(step.get("with")).items()}
        match str(step.get("uses", "run")).partition("@")[0]:
            case "run":
                return self._run(step, job)
            case "actions/checkout":
                self._check_out(inputs.get("ref", self.context["github.sha"]))
            case "actions/cache/restore":
                self._restore(inputs)
            case "actions/cache/save":
                assert inputs["key"] not in self.hub.caches, "a cache cannot be changed"
                kept = self.hub.home / "caches" / inputs["key"]
                self.hub.caches[inputs["key"]] = shutil.copytree(inputs["path"], kept)
            case "actions/upload-artifact":
                self._upload(inputs)
                self.context[f"steps.{step.get('id')}.outputs.artifact-url"] = ARTIFACT
            case "actions/download-artifact":
                self._download(inputs)
            case other:
                raise AssertionError(other)
        return True

    def _check_out(self, ref: str) -> None:
        self.hub.git("clone", "-q", "-b", "main", str(self.hub.remote), str(self.work))
        if ref != self.context["github.ref"]:
            self.hub.git("checkout", "-q", ref, cwd=self.work)

    def _run(self, step: dict[str, object], job: dict[str, object]) -> bool:
        temp = Path(self.context["runner.temp"])
        own = {**_table(job.get("env")), **_table(step.get("env"))}
        env = {
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_WORKSPACE": str(self.work),
            "GITHUB_RUN_ATTEMPT": self.context["github.run_attempt"],
            "GITHUB_OUTPUT": str(temp / "output"),
            "GITHUB_STEP_SUMMARY": str(temp / "summary"),
            "RUNNER_TEMP": str(temp),
            **{key: self._fill(value) for key, value in own.items()},
        }
        script = str(step["run"])
        assert "${{" not in script, "an expression in a script is an injection; pass it by env"
        done = self.hub.place.shell(script, cwd=self.work, env=env)
        sys.stdout.write(f"$ {script}\n{done.stdout}{done.stderr}= {done.returncode}\n")
        return done.returncode == 0

    def _restore(self, inputs: Mapping[str, str]) -> None:
        for wanted in (inputs["key"], *inputs["restore-keys"].split()):
            found = [key for key in self.hub.known if key.startswith(wanted)]
            if found:
                shutil.copytree(self.hub.known[found[-1]], inputs["path"])
                return

    def _upload(self, inputs: Mapping[str, str]) -> None:
        """Keep a folder, or what patterns find from the checkout on, but for what is hidden.

        Source: https://github.com/actions/upload-artifact#upload-using-multiple-paths-and-exclusions
        """
        target, patterns = self.artifacts / inputs["name"], inputs["path"].split("\n")
        if len(patterns) == 1:
            shutil.copytree(inputs["path"], target)
            return
        for file in (file for each in filter(None, patterns) for file in self.work.glob(each)):
            inside = file.relative_to(self.work)
            if not any(part.startswith(".") for part in inside.parts):
                (target / inside).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, target / inside)

    def _download(self, inputs: Mapping[str, str]) -> None:
        assert inputs["merge-multiple"] == "True"
        target = Path(inputs["path"])
        target.mkdir(parents=True)
        for file in self.artifacts.glob(f"{inputs['pattern']}/*"):
            assert not (target / file.name).exists(), f"two artifacts hold {file.name}"
            shutil.copy(file, target)


@pytest.fixture
def github(place: Place, tmp_path: Path) -> GitHub:
    """Return a repository that holds the manifest."""
    return GitHub(place=place, home=tmp_path, secrets={"ARK_API_KEY": KEY})


def test_the_workflow_is_valid(tmp_path: Path) -> None:
    """The workflow is what GitHub's schema asks for, and every job has a time limit."""
    file = tmp_path / "assets.yml"
    file.write_text(_blocks("github")[0], encoding="utf-8")
    for schema in ("vendor.github-workflows", "custom.github-workflows-require-timeout"):
        _tool("check-jsonschema", "--builtin-schema", schema, str(file))


@pytest.mark.parametrize("name", ["ci.yml", "release.yml"])
def test_our_own_workflows_fit_the_schema(name: str) -> None:
    """What tests and releases this project on GitHub is a workflow by the published schema."""
    file = TOP / ".github" / "workflows" / name
    _tool("check-jsonschema", "--builtin-schema", "vendor.github-workflows", str(file))


def test_the_manifests_are_valid(tmp_path: Path) -> None:
    """The Kubernetes objects have no field that Kubernetes does not know."""
    file = tmp_path / "assets.yaml"
    file.write_text(_blocks("kubernetes")[0], encoding="utf-8")
    _tool("kubernetes-validate", "--strict", str(file))


def _scripts() -> Iterator[tuple[str, str]]:
    for name, job in _table(_documents("github")[0]["jobs"]).items():
        for number, step in enumerate(_tables(_table(job)["steps"])):
            if "run" in step:
                yield f"github {name} {number}", str(step["run"])
    for job in _documents("kubernetes")[1:]:
        yield f"kubernetes {_table(job['metadata'])['name']}", _container(job).script
    yield "kubernetes commands", _blocks("kubernetes")[1]
    for number, block in enumerate(_blocks("slurm")):
        yield f"slurm {number}", block


def test_the_shell_is_clean() -> None:
    """ShellCheck has nothing to say about any script of a recipe."""
    for name, script in _scripts():
        _tool("shellcheck", "--shell=bash", "-", stdin=script, about=name)


def test_a_push_brings_all_pictures_into_the_repository(github: GitHub) -> None:
    """Three shards and the fold commit each picture once, and one lock; then a check is green."""
    assert github.run("pull_request") == {"check": False}
    results = github.run("push")
    assert results == {"shard1": True, "shard2": True, "shard3": True, "fold": True}
    with github.clone("look") as work:
        assert _made(work) == sorted(NAMES)
        assert _lock_names(work) == ["assets.lock"]
    assert len(github.place.purchases()) == len(NAMES)
    assert github.run("pull_request") == {"check": True}


def test_a_pull_request_shows_its_pictures(github: GitHub) -> None:
    """The artifact holds the page and each picture it names; the summary the table and its name."""
    github.run("push")
    github.ask(MANIFEST.replace("number row-1", "number one"))
    assert github.run("pull_request") == {"check": False}
    artifact = github.home / f"artifacts-{github.runs}" / "pictures"
    page = (artifact / "assets.html").read_text()
    shown = re.findall('<img [^>]*src="([^"]+)"', page)
    assert len(shown) == len(NAMES)
    assert all((artifact / each).is_file() for each in shown)
    assert "<figcaption>old</figcaption>" in page
    assert "1 to make, 6 current, about 0.20 CNY" in page
    table, _, link = github.summary.partition("Artifact ")
    assert "| row-1 | make |" in table
    assert link.startswith(f"[pictures]({ARTIFACT})")


def test_a_run_with_nothing_to_make_buys_and_commits_nothing(github: GitHub) -> None:
    """Run again for the old push, its caches gone, or a new one: the repository stays as it is."""
    github.run("push")
    commits = github.commits()
    github.caches.clear()
    assert all(github.run_again().values())
    assert all(github.run("push").values())
    assert github.commits() == commits
    assert len(github.place.purchases()) == len(NAMES)


def test_a_new_name_moves_the_picture(github: GitHub) -> None:
    """A picture whose output has another name now is committed there, and its old file is gone."""
    github.run("push")
    github.ask(MANIFEST.replace("art/{name}", "art/new-{name}"))
    assert all(github.run("push").values())
    with github.clone("look") as work:
        assert _made(work) == sorted(f"new-{name}" for name in NAMES)
    assert len(github.place.purchases()) == len(NAMES)


def test_an_unknown_outcome_is_kept_from_run_to_run(github: GitHub) -> None:
    """A shard with an unknown outcome keeps its state and pictures, and does not buy it again."""
    github.place.fault("drop:1")
    results = github.run("push")
    assert sorted(results.values()) == [False, True, True, True]
    with github.clone("look") as work:
        assert len(_made(work)) == len(NAMES) - 1
        assert _lock_names(work) == PARTS
    assert github.run("push") == results
    assert len(github.place.purchases()) == len(NAMES)


def test_an_unknown_outcome_is_settled_by_hand(github: GitHub) -> None:
    """Run by hand with what became of the job, the workflow makes the rest and folds."""
    github.place.fault("drop:1")
    github.run("push")
    assert all(github.run("workflow_dispatch", settle=f"{_unknown(github)} --not-charged").values())
    with github.clone("look") as work:
        assert _made(work) == sorted(NAMES)
        assert _lock_names(work) == ["assets.lock"]
    assert len(github.place.purchases()) == len(NAMES) + 1


def _unknown(github: GitHub) -> str:
    """Return the unknown job that one of the saved states knows."""
    for kept in list(github.caches.values()):
        done = github.place.shell(
            "seedream status --state unknown --offline --json",
            cwd=github.home,
            env={"SEEDREAM_STATE_DIR": str(kept)},
        )
        if done.stdout:
            return str(json.loads(done.stdout)["job"])
    raise AssertionError("no state knows an unknown job")


@dataclass(frozen=True)
class Container:
    """What a pod runs, and where its volumes are mounted."""

    script: str
    work: str
    env: dict[str, str]
    mounts: list[dict[str, object]]


def _container(job: dict[str, object]) -> Container:
    pod = _table(_table(_table(job["spec"])["template"])["spec"])
    (container,) = _tables(pod["containers"])
    assert container["command"] == ["bash", "-euo", "pipefail", "-c"]
    (script,) = _list(container["args"])
    return Container(
        script=str(script),
        work=str(container["workingDir"]),
        env={str(each["name"]): str(each["value"]) for each in _tables(container["env"])},
        mounts=_tables(container["volumeMounts"]),
    )


@dataclass(frozen=True)
class Cluster:
    """The volumes of the recipe as folders; a pod's mounts are folders or copies of files there."""

    place: Place
    home: Path

    def volume(self, name: str) -> Path:
        """Return a volume's folder."""
        return self.home / "volumes" / name

    def pod(self, job: dict[str, object], index: int) -> subprocess.CompletedProcess[str]:
        """Run one pod of a job to its end."""
        container = _container(job)
        variables = {"JOB_COMPLETION_INDEX": str(index)}
        folders = {}
        for mount in container.mounts:
            below = str(mount.get("subPath", mount.get("subPathExpr", ".")))
            below = re.sub(r"\$\((\w+)\)", lambda found: variables[found[1]], below)
            folders[str(mount["mountPath"])] = self.volume(str(mount["name"])) / below
        work = folders[container.work]
        work.mkdir(parents=True, exist_ok=True)
        for path, source in folders.items():
            if source.is_file():
                assert path.startswith(f"{container.work}/")
                shutil.copy(source, work / path.removeprefix(f"{container.work}/"))
        env = {key: _moved(value, folders) for key, value in container.env.items()}
        return self.place.shell(container.script, cwd=work, env=env | variables)


def _moved(value: str, folders: Mapping[str, Path]) -> str:
    """Return a path of the pod as one of this machine."""
    for path, folder in folders.items():
        if value == path or value.startswith(f"{path}/"):
            return f"{folder}{value.removeprefix(path)}"
    return value


@pytest.fixture
def cluster(place: Place, tmp_path: Path) -> Cluster:
    """Return volumes that hold the manifest and the key."""
    cluster = Cluster(place=place, home=tmp_path)
    for volume, name, text in (("manifest", "assets.toml", MANIFEST), ("key", "ark", f"{KEY}\n")):
        cluster.volume(volume).mkdir(parents=True)
        (cluster.volume(volume) / name).write_text(text)
    return cluster


def test_pods_make_their_shards_and_fold_when_all_are_done(cluster: Cluster) -> None:
    """Each picture is bought once; a fold that comes too early buys nothing, keeps the parts."""
    _, shards, fold = _documents("kubernetes")
    work = cluster.volume("assets") / "work"
    for index in (0, 1):
        assert cluster.pod(shards, index).returncode == 0
    bought = len(cluster.place.purchases())
    assert cluster.pod(fold, 0).returncode == 1
    assert len(cluster.place.purchases()) == bought < len(NAMES)
    assert _lock_names(work) == PARTS[:2]
    assert cluster.pod(shards, 2).returncode == 0
    assert cluster.pod(fold, 0).returncode == 0
    assert len(cluster.place.purchases()) == len(NAMES)
    assert (_made(work), _lock_names(work)) == (sorted(NAMES), ["assets.lock"])
    states = work.parent.glob("state-[0-9]/ledger.db")
    assert len(list(states)) == len(SHARDS), "pods on several nodes must not share a ledger"


def test_a_pod_that_starts_again_has_its_state(cluster: Cluster) -> None:
    """An unknown outcome ends as 5, which the policy does not retry; a retry would buy nothing."""
    _, shards, _ = _documents("kubernetes")
    cluster.place.fault("drop:1")
    assert cluster.pod(shards, 0).returncode == 5
    bought = len(cluster.place.purchases())
    assert cluster.pod(shards, 0).returncode == 5
    assert len(cluster.place.purchases()) == bought


def test_the_failure_policy_is_one_that_kubernetes_takes() -> None:
    """The rules that no schema holds: sorted codes without 0, a container that exists."""
    _, shards, _ = _documents("kubernetes")
    spec = _table(shards["spec"])
    assert spec["completions"] == spec["parallelism"] == len(SHARDS)
    ignored, failed = _tables(_table(spec["podFailurePolicy"])["rules"])
    codes = _table(failed["onExitCodes"])
    assert codes["values"] == [2, 3, 4, 5, 70]
    pod = _table(_table(spec["template"])["spec"])
    assert codes["containerName"] in [each["name"] for each in _tables(pod["containers"])]
    assert (ignored["action"], failed["action"]) == ("Ignore", "FailIndex")
    assert int(str(pod["terminationGracePeriodSeconds"])) >= 10


def _submit(place: Place, work: Path) -> subprocess.CompletedProcess[str]:
    """Submit the array and the fold, from a shell that has the key too."""
    script, submit = _blocks("slurm")
    work.mkdir(exist_ok=True)
    (work / "assets.toml").write_text(MANIFEST)
    (work / "shards.sh").write_text(script)
    _lay_key(place.home)
    return place.shell(submit, cwd=work, env={"ARK_API_KEY": KEY})


def _lay_key(home: Path) -> None:
    (home / ".config").mkdir(exist_ok=True)
    (home / ".config" / "ark.key").write_text(f"{KEY}\n")


def test_an_array_makes_its_shards_and_folds(place: Place, tmp_path: Path) -> None:
    """The two commands leave each picture and one lock; submitted again they buy nothing."""
    work = tmp_path / "work"
    for _ in range(2):
        done = _submit(place, work)
        assert done.returncode == 0, done.stderr
        assert (_made(work), _lock_names(work)) == (sorted(NAMES), ["assets.lock"])
        assert len(place.purchases()) == len(NAMES)


def test_an_array_with_an_unknown_outcome_is_not_folded(place: Place, tmp_path: Path) -> None:
    """The fold fails, leaves the parts, and buys nothing, although it could: so the next time."""
    work = tmp_path / "work"
    place.fault("drop:1")
    for _ in range(2):
        assert _submit(place, work).returncode == 1
        assert _lock_names(work) == PARTS
        assert len(place.purchases()) == len(NAMES)


def _buying(recipe: str) -> str:
    """Return the script that buys a shard."""
    return next(
        script for name, script in _scripts() if name.startswith(recipe) and "--shard" in script
    )


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_signal_to_the_script_reaches_the_command(
    place: Place, tmp_path: Path, recipe: str
) -> None:
    """Each system signals the shell alone, so the shell has become seedream: it ends as 143."""
    (tmp_path / "assets.toml").write_text(MANIFEST)
    place.fault("slow:1")
    env = {
        "ARK_API_KEY": KEY,
        "SEEDREAM_STATE_DIR": str(tmp_path / "state"),
        "SHARD": "1",
        "JOB_COMPLETION_INDEX": "0",
        "SLURM_ARRAY_TASK_ID": "1",
        "SLURM_SUBMIT_DIR": str(tmp_path),
    }
    _lay_key(place.home)
    script = tmp_path / "script"
    # A file: given as -c, bash becomes its last command by itself.
    script.write_text(_buying(recipe))
    process = subprocess.Popen(
        ["bash", "-euo", "pipefail", script],
        cwd=tmp_path,
        env=place.environment(env),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    while not place.purchases() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 143, said.decode()
