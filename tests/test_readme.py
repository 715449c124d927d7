"""The README's code runs as it stands."""

from __future__ import annotations

import ast
import re
import sys
import types
from pathlib import Path

import pytest

from flask_queues import ResultNotReady

README = Path(__file__).parent.parent / "README.md"


def test_the_code_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Block by block in one module; only a result is not there, since no worker runs here."""
    module = types.ModuleType("readme_app")
    monkeypatch.setitem(sys.modules, "readme_app", module)
    monkeypatch.setattr("flask.Flask.auto_find_instance_path", lambda _self: str(tmp_path))
    blocks = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    assert len(blocks) == 11

    for statement in ast.parse("\n".join(blocks).replace("timeout=5", "timeout=0")).body:
        code = compile(ast.Module([statement], []), str(README), "exec")
        try:
            exec(code, vars(module))
        except ResultNotReady:
            assert ".result(" in ast.unparse(statement)

    with module.app.test_client() as client:
        assert client.post("/order").text == "ok"
    assert module.queues.jobs_of(type="shop:mail").jobs[0].payload["subject"] == "Thank you"
